"""What a bound against every adversary assumes, and how far it is proved.

A bound is worth what its assumptions are worth: each result of this chapter carries
those that it uses, and its grade.

Source: docs/science/any-adversary.md, which has the proofs.
"""

from typing import Literal

Grade = Literal["proved", "conditional"]

BOUND = (
    "(a1) a proof is bound to its parent and its miner: no work on a block before the "
    "block is known, no references"
)
STICKY = (
    "(a2) honest provers keep the chain that they saw first and adopt only a strictly "
    "longer one"
)
DELAY = "(a3) every honest block reaches every honest prover within Δ, checked"
EQUALS = "(a4) the corrupted machines are n_a sequential ones of the law given for them"
AGES = (
    "(a5) a machine's hazard depends on the work put into its run alone: nobody sees "
    "how well a run does before it ends"
)

ASSUMPTIONS = (BOUND, STICKY, DELAY, EQUALS, AGES)
NO_BOUND = "no bound: ties are adopted"
