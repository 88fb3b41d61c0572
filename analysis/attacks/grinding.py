"""Grinding the pre-hash and the post-hash: a share of the work kept, at a price."""

from collections.abc import Sequence

import numpy as np

from ..block_time.empirical import EmpiricalLaw
from ..block_time.law import BlockTimeLaw, fastest_of, geometric, mean
from ..block_time.sums import followed_by
from ..estimation.estimate import Refused
from .attack import Attack, choose_faster
from .passage_scores import predicted_passage
from .situation import Situation, law_in, plain, selected, ticketed

# A law from fewer runs says more about them than about their settings.
MINIMUM_KEPT = 10


def grind_prehash(at: Situation, *, rarer: float = 1.0) -> Attack:
    """Keep only the nonces whose setting learns fast.

    A share s of the settings is kept: a nonce that passes T_1 is trained with
    probability s, so the pre-hash costs 1/(p_1 s) hashes and the rest is the law given
    a kept setting. s is the power of ½ that makes the fastest of n_a fastest.

    Settings are ranked by an additive model of log passage times, fitted to the other
    half of the runs (``passage_scores.py``). Without that a run would help to choose
    itself, and its luck in (initLP, r) would pass for the setting's speed.

    Args:
        at: The situation.
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
        "no time; beta_equivalent is exact for memoryless laws alone",
    )


def grinding_curve(at: Situation, factors: Sequence[float]) -> list[Attack]:
    """``grind_prehash`` along p_1: one attack for each factor on p_1."""
    return [grind_prehash(at, rarer=float(factor)) for factor in factors]


def grind_posthash(at: Situation, on: bool) -> Attack:
    """Nudge the weights of a model above T_acc until h_2 passes.

    A = P + first passage + Geometric(p_2) hashes instead of a look a ticket. The
    mitigation is a Verify without tolerance: then it is the plain law.
    """
    law = plain(at)
    adversary = law.law
    if not on and at.lottery.p_2 < 1:
        due = np.full(len(at.runs), at.s_min)
        trained = law_in(
            at,
            ticketed(at.curves, due),
            at.lottery._replace(p_2=1.0),
            at.step_costs,
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


def _best_share(at: Situation, law: EmpiricalLaw) -> tuple[float, BlockTimeLaw]:
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
            found = law_in(
                at,
                selected(ticketed(at.curves, due), np.flatnonzero(kept)),
                at.lottery._replace(p_1=at.lottery.p_1 * actual),
                None if at.step_costs is None else at.step_costs[kept],
            )
        except Refused:
            break
        if mean(fastest_of(found.law, group)) < mean(fastest_of(best[1], group)):
            best = actual, found.law
        share /= 2
    return best
