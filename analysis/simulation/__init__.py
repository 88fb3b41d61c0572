"""A chain's levels, simulated: equal provers, one delay, a batch of replicas at once.

The question: when is block k of the honest chain there, and what does an adversary who
mines in private do to it?

Notation
    f_i     time of the first honest block of level i; others work on it from f_i + Δ
    n, m    honest and corrupted provers; β = m/(n + m)
    Δ       delay, in steps

Source: docs/science/race.md; Gaži, Kiayias, Russell, CCS'20 and Dembo et al., CCS'20
for the worst-case delay.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
