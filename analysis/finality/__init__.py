"""The risk of a block of this chain, given what was observed, and what a chain shows.

The question: a block is z deep, and it took the public chain the time t to get there.
With which probability will a private chain that was begun at its parent ever be as
long? Slow blocks gave it more time; a worst case over all chains does not know.

Notation
    z       depth: blocks from this one to the tip, both counted     ``depth``
    s       time since the block's parent was found                  ``elapsed``
    a       of that, the time since the tip was found                ``age``
    D, A    a public and a private interval

``given_times`` has the risk for any law of D and A, exact for exponential ones,
``observed_chain`` that of every block of a chain, with the public rate known and with
the rate that its window shows. ``from_blocks`` goes the other way, from a list of
blocks to the law of intervals, Δ and β.

Source: C. Grunspan, R. Pérez-Marco, Double spend races, Int. J. Theor. Appl. Finance 21
(2018), for memoryless intervals; docs/science/own-data.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
