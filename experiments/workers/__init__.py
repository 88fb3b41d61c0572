"""Who computes: this process, others of this machine, its accelerators, a cluster.

``executors`` opens them behind one interface, ``dispatch`` hands out tasks and finds
the one that takes its worker down, ``trainings`` fills a curve store with them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
