"""Attacks on the scheme as block-time laws: what each makes of the adversary's race.

Notation (scheme.md §2–6, security.md §1, §5):
    X              honest block time of one prover, from learning curves  ``honest``
    A              the attacker's, under its attack                       ``adversary``
    S_min          least steps of a block without a reference             ``s_min``
    s, g, β'       share of settings kept, speed-up of the fastest of n_a provers,
                   gβ/(gβ+1−β)
    n_a            corrupted provers, βn; they start together on each new tip

An attack changes what a corrupted prover needs for its next block on a chain of its
own. Everything after that (the race, its depth, quality) is the same for all attacks,
in ``attack_table.py``. Every builder takes a ``Setting`` (``attack_setting.py``) and
whether its mitigation is on, so that a table can ask for both, and again for each
resample of the training runs.

Attacks that start from a model are in ``warm_attacks.py``, the one that keeps two
honest forks alive in ``balance.py``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .attack_setting import Setting, plain, selected, ticketed
from .block_time import BlockTimeLaw, fastest_of, geometric, mean
from .empirical import EmpiricalLaw, empirical_law
from .estimate import Refused
from .law_sums import followed_by
from .setting_scores import predicted_passage

# A law from fewer runs says more about them than about their settings.
MINIMUM_KEPT = 10


class Attack(NamedTuple):
    """An attack under one state of its mitigation.

    Attributes:
        name: What the corrupted provers do.
        mitigation: The switch against it; empty: the scheme has none.
        on: Whether the switch is on.
        honest: X.
        adversary: A, of one corrupted prover.
        known_until: Time behind which the honest law is extrapolated.
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


def private(at: Setting, *, premined: bool = False) -> Attack:
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


def grind_prehash(at: Setting, *, rarer: float = 1.0) -> Attack:
    """Keep only the nonces whose setting learns fast (scheme.md §6.3).

    A share s of the settings is kept: a nonce that passes T_1 is trained with
    probability s, so the pre-hash costs 1/(p_1 s) hashes and the rest is the law given
    a kept setting. s is the power of ½ that makes the fastest of n_a fastest.

    Settings are ranked by an additive model of log passage times, fitted to the other
    half of the runs (``setting_scores``). Without that a run would help to choose
    itself, and its luck in (initLP, r) would pass for the setting's speed.

    Args:
        at: The setting.
        rarer: Factor on p_1 for everybody: the mitigation; 1: off.
    """
    lottery = at.lottery._replace(p_1=at.lottery.p_1 * rarer)
    here = at._replace(lottery=lottery)
    law = plain(here)
    share, best = _best_share(here, law)
    group = here.adversarial
    gain = mean(fastest_of(law.law, group)) / mean(fastest_of(best, group))
    return Attack(
        name="grind_prehash",
        mitigation="rarer pre-hash",
        on=rarer < 1,
        honest=law.law,
        adversary=best,
        known_until=law.known_until,
        figures=(
            ("p_1", lottery.p_1),
            ("share_kept", share),
            ("speed_up", gain),
            ("beta_equivalent", gain * at.beta / (gain * at.beta + 1 - at.beta)),
        ),
        assumptions="settings chosen by hyper-parameters alone, not by initLP or r; "
        "ranked on other runs than those that are timed, s chosen on these; HtoA costs "
        "no time; beta_equivalent is scheme.md's, exact for memoryless laws alone",
    )


def grinding_curve(at: Setting, factors: Sequence[float]) -> list[Attack]:
    """``grind_prehash`` along p_1: one attack for each factor on p_1."""
    return [grind_prehash(at, rarer=float(factor)) for factor in factors]


def grind_posthash(at: Setting, on: bool) -> Attack:
    """Nudge the weights of a model above T_acc until h_2 passes (scheme.md §6.2).

    A = P + first passage + Geometric(p_2) hashes instead of a look a ticket. The
    mitigation is a Verify without tolerance: then it is the plain law.
    """
    law = plain(at)
    adversary = law.law
    if not on and at.lottery.p_2 < 1:
        due = np.full(len(at.runs), at.s_min)
        trained = empirical_law(
            ticketed(at.curves, due),
            at.lottery._replace(p_2=1.0),
            step_costs=at.step_costs,
        )
        hashing = geometric(at.lottery.p_2, trial=1 / at.lottery.hashes_per_step)
        adversary = choose_faster(at, law, followed_by(trained.law, hashing))
    return Attack(
        name="grind_posthash",
        mitigation="bit-for-bit check",
        on=on,
        honest=law.law,
        adversary=adversary,
        known_until=law.known_until,
        figures=(("hashes_a_block", 1 / at.lottery.p_2),),
        assumptions="needs tolerance > 0 and enough nudges within it; a ticket costs "
        "one pre-hash's time, though h_2 covers the whole model",
    )


def relabel(at: Setting, on: bool) -> Attack:
    """Put one's own name on honest proofs, ahead of them (scheme.md §6.1).

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


def equivocate(at: Setting, on: bool) -> Attack:
    """One proof, any number of blocks at the same place (scheme.md §6.1).

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


def choose_faster(at: Setting, law: EmpiricalLaw, other: BlockTimeLaw) -> BlockTimeLaw:
    """What an attacker would use: the faster of both laws for n_a provers."""
    group = at.adversarial
    slower = mean(fastest_of(other, group)) >= mean(fastest_of(law.law, group))
    return law.law if slower else other


def _best_share(at: Setting, law: EmpiricalLaw) -> tuple[float, BlockTimeLaw]:
    best, group = (1.0, law.law), at.adversarial
    scores = predicted_passage(at.curves, at.lottery.t_acc, at.step_costs, at.runs)
    folds = at.runs % 2
    due = np.full(len(at.runs), at.s_min)
    share = 0.5
    while share * len(at.runs) >= MINIMUM_KEPT:
        kept = np.zeros(len(at.runs), bool)
        for fold in (0, 1):
            mine = folds == fold
            if not mine.any():
                continue
            limit = np.quantile(scores[mine], share, method="inverted_cdf")
            kept |= mine & (scores <= limit)
        # Settings that are predicted alike are kept or left together.
        actual = float(kept.mean())
        try:
            found = empirical_law(
                selected(ticketed(at.curves, due), np.flatnonzero(kept)),
                at.lottery._replace(p_1=at.lottery.p_1 * actual),
                step_costs=None if at.step_costs is None else at.step_costs[kept],
            )
        except Refused:
            break
        if mean(fastest_of(found.law, group)) < mean(fastest_of(best[1], group)):
            best = actual, found.law
        share /= 2
    return best
