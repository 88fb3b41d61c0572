"""Rational provers: what each deviation gains, and what a crowd of them comes to.

The question: at which lottery, accuracy, number of provers and reward rule does it pay
to follow the protocol: to share models, to refer to others', to verify, to mine at all?

Notation
    gain      income of a deviation over the honest one, less 1
    R(S)      a miner's share of its block's reward                  ``share_curve``
    ε         regret of honesty, the best deviation's gain           ``honest_regret``
    policy    what a prover does in a slot                           ``Policy``

Source: docs/science/incentives.md; [SLT23] §4.1 for the rewards; Eyal, Sirer, FC'14;
Luu, Teutsch, Kulkarni, Saxena, CCS'15, for the verifier's dilemma.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
