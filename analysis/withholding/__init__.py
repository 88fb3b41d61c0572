"""The best withholding strategy for any law of block times, and what none exceeds.

The question: a prover that restarts loses its progress, so *when* a withheld block is
published matters. How much does the best strategy gain that knows the ages of both
sides' work?

Notation
    n_h, n_a    honest and corrupted provers, each with the law X of a fresh start
    a, h        blocks of the adversary's and of the public branch since the fork
    x, y        age of the honest work on its tip, of the adversary's on its own
    γ           share of honest provers that extend the adversary's block in a tie

Source: Sapirshtein, Sompolinsky, Zohar, FC'16, for the memoryless case;
docs/science/adversary.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
