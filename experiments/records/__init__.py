"""What was done: two results side by side, and what the folders hold.

The question: how far apart are two finished runs, in units of how sure their distance
is; and which of the files on the disk does anything still use?

Notation
    T, T'       a figure of the first run, and of the second
    D           T' − T, or ln(T'/T) of a risk          ``analysis.estimation``
    paired      over the same trained models: their luck is common to both

Source: docs/science/intervals.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
