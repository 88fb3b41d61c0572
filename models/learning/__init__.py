"""How a small network learns: data, architectures, training, learning curves.

The question: how many steps does a model need until its training accuracy is T_acc,
when its architecture is drawn by a hash? Nothing here knows a chain.

Notation
    hpp     hyper-parameters that a hash picks from a menu     ``HyperParameters``
    lp      learnable parameters
    S       steps trained; a look every ``check_every`` steps
    correct right answers of the evaluation sample at a look   ``CurveSet.correct``

Source: [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
Distributed Proof-of-Deep-Learning, NSS'23, §3 (hash-to-architecture, training).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
