"""The adversary that nobody named: what no strategy exceeds, whatever it does.

The question: a prover that restarts loses its progress, so no attack known from
memoryless chains need be the worst. How large an adversary, how many confirmations are
safe from every strategy?

Notation
    X           block time of one prover from a fresh start
    n_h, n_a    honest and corrupted provers
    Δ           bound on the delay of honest messages
    A, D        a level of the adversary's at least, one of the honest chain at most

Source: Dembo et al., CCS'20, and Gaži, Kiayias, Russell, CCS'20, for memoryless chains;
docs/science/any-adversary.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
