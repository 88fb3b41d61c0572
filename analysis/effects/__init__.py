"""What it costs that block times are not memoryless.

The question: hash puzzles forget, training does not. What follows for one prover, for
the network, for a fast machine, for forks, and how much delay is it worth?

Notation
    CV          of one prover's and of the network's block time; memoryless: 1
    domination  share of blocks of a fast machine beyond its share of the compute

Source: docs/science/laws.md and race.md.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
