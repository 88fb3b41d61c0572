"""D-PoDL's Construction 1: pre-hash, training, post-hash, verification.

The question: what must a prover do to own a model, and how does anybody check it?

Notation
    T_1, T_2    targets of the pre-hash and the post-hash lottery, in [0, 2^256]
    T_acc       training accuracy a model must show
    M_i         state of a training after segment i       ``states``
    h_1, h_2    pre-hash and post-hash                    ``PreHash``, ``ticket``
    mtx         a model transaction: an unfinished model that others may continue

Source: [SLT23] Construction 1. Checkpoints, Merkle paths and challenges are this
project's; docs/science/verification.md says what they prove.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
