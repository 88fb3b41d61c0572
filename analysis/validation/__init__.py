"""Every engine against closed forms, published values and other engines.

The question: does the instrument still measure what it should? ``validate`` runs all
cases; each names its claim, its source and what it may be off.

Source: the sources of ``bounds.races``, and tests/reference.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
