"""Attacks on the scheme as block-time laws: what each makes of the adversary's race.

Notation:
    X              honest block time of one prover, from learning curves  ``honest``
    A              the attacker's, under its attack                       ``adversary``
    S_min          least steps of a block without a reference             ``s_min``
    s, g, β'       share of settings kept, speed-up of the fastest of n_a provers,
                   gβ/(gβ+1−β)
    n_a            corrupted provers, βn; they start together on each new tip

An attack changes what a corrupted prover needs for its next block on a chain of its
own. Everything after that (the race, its depth, quality) is the same for all attacks,
in ``table.py``. Every builder takes a ``Situation`` (``situation.py``) and
whether its mitigation is on, so that a table can ask for both, and again for each
resample of the training runs.

Attacks that start from a model are in ``warm.py``, the one that keeps two
honest forks alive in ``balancing.py``.
"""

from typing import NamedTuple

from ..block_time.empirical import EmpiricalLaw
from ..block_time.law import BlockTimeLaw, fastest_of, mean
from .situation import LawSituation, Situation, plain


class Attack(NamedTuple):
    """An attack under one state of its mitigation.

    Attributes:
        name: What the corrupted provers do.
        mitigation: The switch against it; empty: the scheme has none.
        on: Whether the switch is on.
        honest: X.
        adversary: A, of one corrupted prover.
        known_until: Time beyond which the honest law is extrapolated.
        premined: Whether it comes with a lead made before the race.
        free_blocks: Blocks of the private chain that cost nothing (0 or 1).
        takes_all: Whether every public block becomes the adversary's.
        figures: Numbers of its own, by name (g, s, debt in steps, ...).
        assumptions: What the law rests on.
    """

    name: str
    mitigation: str
    on: bool
    honest: BlockTimeLaw
    adversary: BlockTimeLaw
    known_until: float
    premined: bool = False
    free_blocks: int = 0
    takes_all: bool = False
    figures: tuple[tuple[str, float], ...] = ()
    assumptions: str = ""

    def figure(self, name: str) -> float:
        """One of its own numbers."""
        return dict(self.figures)[name]


def private(at: Situation | LawSituation, *, premined: bool = False) -> Attack:
    """Withhold a chain of one's own, mined as honest provers mine theirs."""
    law = plain(at)
    lead = "the stationary lead of a miner that never stopped" if premined else "none"
    return Attack(
        name="private, pre-mined" if premined else "private",
        mitigation="",
        on=False,
        honest=law.law,
        adversary=law.law,
        known_until=law.known_until,
        premined=premined,
        assumptions=f"same law as honest provers, perfect coordination; lead: {lead}",
    )


def relabel(at: Situation | LawSituation, on: bool) -> Attack:
    """Put one's own name on honest proofs, ahead of them.

    Without binding, each public block becomes the adversary's: quality 0. It gives no
    private chain: h_1 covers prevBK, the digest of a block *with* its miner, so an
    honest proof fits only where honest provers mine.
    """
    return private(at)._replace(
        name="relabel",
        mitigation="binding = header",
        on=on,
        takes_all=not on,
        assumptions="rushing adversary, heard first by all but the finder; depth is "
        "that of a private chain, which stolen proofs do not fit",
    )


def equivocate(at: Situation | LawSituation, on: bool) -> Attack:
    """One proof, any number of blocks at the same place.

    Without binding a twin of any public block costs nothing, so a private chain that
    leaves before bk_i begins with a free twin of bk_i. Its descendants need work, for
    h_1 names the block that is extended.
    """
    return private(at)._replace(
        name="equivocate",
        mitigation="binding = header",
        on=on,
        free_blocks=0 if on else 1,
        assumptions="a free block for a private chain, where it leaves the public one; "
        "delivering twins to two halves is the row `balance`",
    )


def choose_faster(
    at: Situation, law: EmpiricalLaw, other: BlockTimeLaw
) -> BlockTimeLaw:
    """What an attacker would use: the faster of both laws for n_a provers."""
    group = at.adversarial
    slower = mean(fastest_of(other, group)) >= mean(fastest_of(law.law, group))
    return law.law if slower else other
