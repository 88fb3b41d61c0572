"""SLT23's bounds on p over a few difficulty thresholds, as one assessment has them.

Notation (``training_oracle.py``)
    D_acc       difficulty threshold; the paper names no value     ``at`` of f_1, ...
    p           E[X_r] with rounds of one look, of the real process
    reach       Pr[a prover comes to a look before a new tip reaches it]

All provers restart at each new tip, Δ after the public chain's block: reach at look t
is Pr[min(X_1 ... X_n_h) ≥ t − Δ].
"""

import numpy as np

from ...models.learning.curves import CurveSet
from ..block_time.law import BlockTimeLaw, fastest_of, survival
from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement
from .training_oracle import oracle_measurements, paper_bounds

# How far below T_acc.
BELOW = (0.1, 0.05, 0.02, 0.0)
_ONCE = ("f_2",)
_EACH = ("f_1", "p_lower", "past_difficulty", "early_success")


def oracle_figures(
    seed: int,
    curves: CurveSet,
    law: BlockTimeLaw,
    *,
    t_acc: float,
    p_2: float,
    honest: int,
    delay_steps: float | int,
    p: Estimate,
) -> tuple[list[Measurement], list[str]]:
    """``p``, ``f_2``, and at each D_acc what ½ f_1 f_2 ≤ p rests on.

    Args:
        seed: Fixes the resamples of the runs.
        curves: Learning curves.
        law: Block-time law of one prover.
        t_acc: T_acc.
        p_2: Post-hash success probability.
        honest: n_h.
        delay_steps: Δ.
        p: E[X_r] with a round of ``check_every`` steps.

    Returns:
        ``p`` and ``f_2``; ``f_1``, ``p_lower`` (½ f_1 f_2), ``past_difficulty`` and,
        where looks lie below, ``early_success`` at each D_acc; and what was refused.
    """
    # A block at the moment of a look does not keep anybody from it.
    before = np.maximum((curves.steps - delay_steps) * (1 - 1e-9), 0.0)
    reach = survival(fastest_of(law, honest), before)
    measured = [Measurement("p", None, "", p, "probability")]
    refusals = []
    for below in BELOW:
        d_acc = round(t_acc - below, 12)
        if d_acc <= 0:
            continue
        try:
            bounds = paper_bounds(
                seed,
                curves,
                t_acc=t_acc,
                d_acc=d_acc,
                p_2=p_2,
                honest=honest,
                p=p,
                reach=reach,
            )
        except Refused as refusal:
            refusals.append(str(refusal))
            continue
        found = oracle_measurements(bounds)
        if len(measured) == 1:
            measured += [m for m in found if m.quantity in _ONCE]
        # Where no resample has such a pair, nothing is known of it.
        measured += [
            m._replace(at=d_acc, at_unit="d_acc")
            for m in found
            if m.quantity in _EACH and np.isfinite(m.estimate.high)
        ]
    return measured, refusals
