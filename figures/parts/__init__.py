"""What figures share: tables read, axes said, maps and series drawn.

A figure takes tidy tables and makes a DataFrame of them, then a picture of that; what
two figures do alike stands here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
