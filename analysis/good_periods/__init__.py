"""Good periods: windows of blocks at their expected rate, and how fast failure decays.

The question: the scheme is secure in windows in which blocks come typically. How likely
is such a window when block times are those of real trainings?

Notation
    k           expected blocks of a window; k/f rounds
    f           Pr[at least one honest success in a round]
    ε           how far from expectation a typical window may be
    X, Y, Z     honest, isolated honest, and adversarial successes of a window

Source: [SLT23] Def. 3, after [GKL15] Garay, Kiayias, Leonardos, The Bitcoin Backbone
Protocol, EUROCRYPT'15; docs/science/good-periods.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
