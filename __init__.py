"""Is a blockchain whose work is deep learning safe?

D-PoDL replaces hash puzzles by training. ``dpodl`` trains many small models, makes a
law of block times of them, and estimates what a chain with such blocks is worth: good
periods, persistence, liveness, under honest majorities and under attack. ::

    import dpodl

    config = dpodl.load_config("quickstart")
    curves = dpodl.train(config)
    law = dpodl.block_time_law(config, curves)
    tables = dpodl.result_tables(config, curves)

Everything is loaded on first use. The chapters are ``dpodl.models`` (what happens),
``dpodl.analysis`` (what it means), ``dpodl.figures`` (what is shown) and
``dpodl.experiments`` (what was asked).
"""

from importlib import metadata

import lazy_loader

__version__ = metadata.version("dpodl")
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
