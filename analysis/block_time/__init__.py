"""The law of one prover's block time, from learning curves or from a formula.

The question: how long does it take until a prover has a block, and what is uncertain of
that law: the runs that were drawn, and what happens beyond the last look?

Notation (times are steps of the menu's mean cost)
    X           time to a block: pre-hash, training, post-hash     ``BlockTimeLaw``
    p_1, p_2    T/2^256 of the two lotteries                       ``Lottery``
    passage     a run's first look at accuracy T_acc
    r(s)        ticket rate s looks after the passage              ``ticket_rates``
    CV          standard deviation over mean; memoryless: 1

Source: docs/science/laws.md; [SLT23] §3 for what is timed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
