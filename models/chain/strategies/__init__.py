"""What a prover does: honest mining, and every attack that a chain can be tried with.

``base`` has the honest strategy, which each attack changes in one place; a strategy
knows its prover by a Protocol and never the world around it.

Source: [SLT23] §4.1; docs/science/attacks.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
