"""What is asked: typed sections, read from TOML, all problems said at once.

``experiment`` has the whole, ``sections`` its parts, ``hash_targets`` the form of T_1
and T_2, ``loading`` the way from a name or file with overrides to a checked ``Config``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
