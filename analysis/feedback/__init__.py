"""Feedback: what a rule that moves T_2 does where intervals have a fixed part.

The question: a chain moves its target by what it sees of itself. How far do intervals
stray, how long is it wrong after a change, who gains by it, and how safe are blocks
meanwhile? Rules of proof-of-work were made for intervals that are all lottery.

Notation
    T       interval that is wanted: the unit of time here
    N       blocks that a rule looks back on            ``LoopRule.blocks``
    X       interval of a block, in T
    y       ln θ, θ the target over the design's         ``Paths.log_target``
    k, v    provers over the design's, and their speed   ``Scenario``
    s       share of T that no target shortens
    g       −d ln E[X] / d ln p_2, the loop's own gain; 1 − s where s is a dead time
    h       −d ln E[X] / d ln k, what provers do; the same there

Source: docs/science/feedback.md; the integer rules are ``models.chain.retarget``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
