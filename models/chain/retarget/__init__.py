"""Targets that adjust themselves: the rules of a chain, in integers.

The question: provers join and leave, machines become faster, the task changes. Which
T_2 must the next block meet, so that blocks come every T, and what is a block worth
where targets differ?

Notation
    T       interval that is wanted, in ticks of the rule's clock   ``Rule.interval``
    N       blocks that a rule looks back on                        ``Rule.blocks``
    X       interval of the last block, in ticks
    s       share of T that no target shortens, S_0 / T             ``Rule.share``
    θ       target over the genesis' one

A rule is a fold: ``begin`` at the genesis, ``advance`` by each block, and
``State.target`` is what the next block must meet. All of it is whole numbers, so that
every participant finds the same bytes.

Source: [Z17], [BCH20], [FM18]; docs/science/feedback.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
