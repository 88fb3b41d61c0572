"""A network of provers with speeds, random delays and weights, event by event.

The question: what is a chain like where provers are not equal, messages are not equally
late, or the heaviest chain is chosen instead of the longest?

Notation
    v_i     speed of prover i, in steps per unit of time
    w       weight of a block under the rule of weights       ``ChainRule``
    tip     a chain's end, as one prover knows it

Source: docs/science/weight.md; [SLT23] §4 for the rule of weights.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
