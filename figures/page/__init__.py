"""The HTML page of a run or a sweep: one file, without a network, read in a browser."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
