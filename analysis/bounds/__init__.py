"""Closed forms and published bounds that the Monte Carlo must agree with.

The question: what is known exactly of a race, a growth rate, a window, a threshold? All
are float64 by numpy and scipy; tails are summed from positive terms, never 1 − (nearly
1).

Notation: that of ``races``, with the sources of every formula.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
