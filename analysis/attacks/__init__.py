"""Attacks on the scheme, each with its law, its price and what it gains.

The question: which deviation does the scheme invite (cross-slot work, grinding,
withheld models, selfish chains), what does it do to the block times of who tries it,
and which rule takes the gain away?

Notation
    situation   what an attack is tried on: laws, provers, delay, rules  ``situation``
    row         one attack under one rule, with its figures              ``Row``

Source: [SLT23] §5; Eyal, Sirer, FC'14; Sapirshtein, Sompolinsky, Zohar, FC'16;
docs/science/attacks.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
