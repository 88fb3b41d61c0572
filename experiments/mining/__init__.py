"""Real chains on disk: mined, read, verified, compared with the model.

``setting`` turns a config into provers and rules, ``miner`` conducts, ``store`` keeps;
``reading`` and ``verifying`` judge a chain that may come from a stranger, ``closing``
binds what its maker vouches for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
