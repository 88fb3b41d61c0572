"""Many settings from the same curves: designed, computed in shards, resumed, read.

``axes`` and ``design`` say which points, ``plan`` which are missing, ``driver`` hands
shards to ``workers``, ``evaluation`` computes a point, ``store`` and ``results`` keep
and read what was found.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
