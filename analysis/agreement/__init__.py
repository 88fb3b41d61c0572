"""Whether a chain that was really mined is what the model says it is.

The question: intervals, forks and winners of a mined chain stand beside those of many
simulated ones. Do they differ by more than chance?

Notation
    z       (observed − predicted) / standard error
    D       largest distance of two distribution functions (Kolmogorov, Smirnov)

Source: docs/science/laws.md; tests by bootstrap over resampled laws.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
