"""How many confirmations, or how much time, make a payment as safe as asked.

The question: given the risk one can bear, which depth or age is enough, for this block
or for all blocks, whatever share the adversary has?

Notation
    k       depth of a payment's block
    risk    probability that it is ever reverted by a private chain
    target  the risk one can bear, down to 2^-128

Source: docs/science/race.md; [N08] Nakamoto §11; Guo, Ren, AFT'22.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
