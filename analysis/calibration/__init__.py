"""The way back: which (T_acc, T_1, T_2) meet the targets that are asked for.

The question: a designer knows the interval, the risk and the share of useful work that
are wanted. Which settings give them, and which target binds?

Notation
    choice      one (T_acc, T_1, T_2, S_min)               ``Choice``
    target      a quantity and the bound that is asked     ``Target``
    slack       how far inside its bound a quantity is, as a logarithm

Source: docs/science/good-periods.md; the quantities are those of the other chapters.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
