"""What happens: learning, the scheme, and a chain of models.

Chapters: ``learning`` (how a small network learns), ``scheme`` (D-PoDL's Construction
1), ``chain`` (ledger, provers, strategies); each knows only those before it.

The names below are the stable ones, loaded on first use: importing this loads no jax.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
