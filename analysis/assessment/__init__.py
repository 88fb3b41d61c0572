"""Everything at once: a law in, all figures of a chain's security out.

The question: what are growth, forks, good periods, persistence and liveness of a
network whose provers have this law? ``assess`` answers for one law, ``assess_laws`` for
many that share one compiled program.

Notation: that of ``simulation`` and ``good_periods``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
