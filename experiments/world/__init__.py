"""A config's world in the terms of the analysis, and what is safe in it.

``translation`` says a config's lottery, network and plan, ``situation`` who races whom
under which laws. ``engines`` chooses what simulates that world (``weights`` where
blocks count by accuracy), ``persistence`` what knows its risk, and ``verdict`` says in
words what is safe.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
