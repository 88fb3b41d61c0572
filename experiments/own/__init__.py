"""Data that was not made here: learning curves, block times, block lists, formulas.

``tables`` reads a file and finds its columns, ``curve_log`` and ``time_list`` make of
it what the analysis takes, ``evidence`` does so for a config. ``block_list`` reads a
chain as it is published. Each says which rules it followed; docs/science/own-data.md
has the formats.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
