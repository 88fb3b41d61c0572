"""A chain of models: ledger, chain selection, provers and their strategies.

The question: what do many provers make together when each runs the scheme, hears the
others late, and follows a strategy of its own, honest or not?

Notation
    Δ       delay of messages, in steps of the virtual clock
    view    what a prover has heard, and the tip that it extends
    tie     two tips that chain selection ranks alike

Source: [SLT23] §4.1 (mtx, chain selection, cross-time-slot attacks); the other attacks
are those of docs/science/attacks.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
