"""The private race for any law of block times: exact on a grid, and by rare events.

The question: with which probability does an adversary who holds a β of the provers ever
overtake a block k deep, and from which β on is there no safe depth?

Notation
    D_j     lead of the public chain's growth over the adversary's after level j
    θ*      positive root of the walk's cumulant, the exponent of the decay
    k       depth; ties win unless said otherwise

Source: docs/science/race.md; W. Feller, vol. 2, ch. XII; S. Asmussen, P. Glynn,
Stochastic Simulation (2007), ch. VI for tilting.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
