"""From a config to tables: curves → laws → estimates → figures → summary.

``stages`` conducts and keeps, ``training`` makes the curves, ``laws`` the laws,
``estimates`` what it means for the chain. That is the whole way, in this order; the
config's world in the terms of the analysis is the chapter ``world``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
