"""What is kept: run folders, curves and states, digested and checked whenever read.

Everything is written under a temporary name and renamed, so that a process killed
anywhere leaves what was finished; one process works on a folder at a time.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
