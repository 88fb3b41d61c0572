"""What it means: laws of block times, races, attacks, answers with an error bar.

Chapters, each resting on those before it:

I.   numbers and laws: ``estimation``, ``block_time``
II.  the chain: ``simulation``, ``good_periods``, ``event_network``
III. the race: ``bounds``, ``race``, ``confirmations``
IV.  questions: ``withholding``, ``adversary``, ``attacks``, ``effects``,
     ``calibration``, ``feedback``
V.   the whole, tried: ``assessment``, ``agreement``, ``validation``

The names below are the stable ones, loaded on first use: importing this loads no jax.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
