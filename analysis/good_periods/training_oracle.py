r"""SLT23's training oracle held against real curves: is ½ f_1 f_2 ≤ p ≤ f_2?

Notation (SLT23 §5.1; a round is one query of the oracle, here one look)

| symbol | name here | meaning |
|---|---|---|
| acc_pre, acc_after | | accuracies of a run at two successive looks |
| T_acc | `t_acc` | accuracy that a block's model must reach |
| D_acc | `d_acc` | difficulty threshold, behind which training is a random search |
| f_1 | `f_1` | Pr[acc_after ≥ T_acc given acc_pre ≥ D_acc] |
| p_2, n_h | `p_2`, `honest` | post-hash success probability; honest provers |
| f_2 = 1 − (1−p_2)^{n_h} | `f_2` | Pr[some honest h_2 ≤ T_2 in a round] |
| p | `p` | Pr[some honest success in a round], of the real process |

The paper's lower bound rests on two assumptions that the same curves answer:
Pr[acc_pre ≥ D_acc] ≥ ½ (`past_difficulty`), and a negligible
Pr[acc_after ≥ T_acc given acc_pre < D_acc] (`early_success`). It names no value of
D_acc: "training accuracy usually grows faster before achieving a certain value". So
D_acc is the caller's, anywhere up to T_acc. f_1 is tiny for a low one and near 1 for
D_acc = T_acc, while the share behind it falls: the bound must be read over all of them.

A query's pair of looks is weighted by the chance that a prover still works on that
model then. On a chain where all restart at each new tip this is Pr[interval > look];
without weights all looks of the horizon count alike, as if runs were never cut short.

Source
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23, §5.1 and Lemma 1.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ...models.learning.curves import CurveSet
from ..block_time.empirical import accuracy_error
from ..estimation.estimate import COVERAGE, Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.training_error import law_figure

_RESAMPLES = 500
_MINIMUM_RUNS = 10
_METHOD = "pairs of looks, bootstrap over training runs"


class OracleBounds(NamedTuple):
    """The paper's bounds on p and what they rest on.

    Attributes:
        f_1: Pr[acc_after ≥ T_acc given acc_pre ≥ D_acc].
        f_2: Pr[some honest post-hash success in a round]; exact.
        past_difficulty: Pr[acc_pre ≥ D_acc], which the paper assumes to be ≥ ½.
        early_success: Pr[acc_after ≥ T_acc given acc_pre < D_acc], which it assumes to
            be negligible; None if no look is below D_acc.
        lower: ½ f_1 f_2.
        p: Of the real process.
        lower_holds: Whether ½ f_1 f_2 ≤ p; None where the intervals overlap.
        upper_holds: Whether p ≤ f_2; None where p's interval has f_2 inside.
    """

    f_1: Estimate
    f_2: Estimate
    past_difficulty: Estimate
    early_success: Estimate | None
    lower: Estimate
    p: Estimate
    lower_holds: bool | None
    upper_holds: bool | None


def paper_bounds(
    seed: int,
    curves: CurveSet,
    *,
    t_acc: float,
    d_acc: float,
    p_2: float,
    honest: int,
    p: Estimate,
    reach: Float[np.ndarray, " looks"] | None = None,
) -> OracleBounds:
    """Evaluate ½ f_1 f_2 ≤ p ≤ f_2 from learning curves.

    Args:
        seed: Fixes the resamples of the runs.
        curves: Learning curves of independent runs.
        t_acc: T_acc in (0, 1].
        d_acc: D_acc in (0, T_acc].
        p_2: Post-hash success probability in (0, 1].
        honest: n_h ≥ 1, honest provers, one query a round each.
        p: E[X_r] with a round of ``check_every`` steps (``round_success``).
        reach: Chance in [0, 1] that a prover still trains its model when it comes to
            each look; None: 1.

    Returns:
        The bounds; f_1's interval has the spread over runs, and over the looks' sample
        of the training set where they score one.

    Raises:
        ValueError: If an argument is out of range.
        Refused: Below 10 runs, or where no run is at D_acc before its last look.

    Reference: [SLT23] §5.1; Lemma 1.
    """
    _require("t_acc", t_acc, 0 < t_acc <= 1, "(0, 1]")
    _require("d_acc", d_acc, 0 < d_acc <= t_acc, f"(0, t_acc = {t_acc}]")
    _require("p_2", p_2, 0 < p_2 <= 1, "(0, 1]")
    _require("honest", honest, honest >= 1, "{1, 2, ...}")
    accuracy = curves.accuracy
    runs, looks = accuracy.shape
    reach = np.ones(looks) if reach is None else np.asarray(reach, np.float64)
    sound = reach.shape == (looks,) and bool(((reach >= 0) & (reach <= 1)).all())
    _require("reach", reach, sound, f"[0, 1], one for each of {looks} looks")
    if runs < _MINIMUM_RUNS:
        raise Refused(
            f"f_1: at least {_MINIMUM_RUNS} runs are needed, got {runs} (training.runs)"
        )
    if looks < 2:
        raise Refused(
            f"f_1: a run must have 2 looks, before and after a query, got {looks}; "
            "lengthen horizon_steps or lower check_every"
        )

    def figures(accuracy) -> Float[np.ndarray, "3"]:
        """f_1, Pr[acc_pre ≥ D_acc], Pr[acc_after ≥ T_acc given acc_pre < D_acc]."""
        past = accuracy[:, :-1] >= d_acc
        reached = accuracy[:, 1:] >= t_acc
        weight = reach[1:]
        hard, easy = (past @ weight).sum(), (~past @ weight).sum()
        late = ((past & reached) @ weight).sum()
        early = ((~past & reached) @ weight).sum()
        with np.errstate(invalid="ignore"):
            return np.array([late / hard, hard / (hard + easy), early / easy])

    value = figures(accuracy)
    if math.isnan(value[0]):
        best = float(accuracy[:, :-1][:, reach[1:] > 0].max(initial=0.0))
        raise Refused(
            f"f_1: no run is at d_acc = {d_acc:g} before a look that a prover comes "
            f"to; the best is at {best:.4f} there: lower d_acc"
        )
    noise = accuracy_error(curves, t_acc)
    generator = np.random.default_rng(seed)
    drawn = np.array(
        [
            figures(
                accuracy[generator.integers(runs, size=runs)]
                + noise * generator.standard_normal((runs, 1))
            )
            for _ in range(_RESAMPLES)
        ]
    )
    f_1, past, early = (
        _interval(v, column, runs) for v, column in zip(value, drawn.T, strict=True)
    )
    some = -math.expm1(honest * math.log1p(-p_2)) if p_2 < 1 else 1.0
    f_2 = Estimate(some, some, some, 0, "exact")
    lower = Estimate(
        some * f_1.value / 2,
        some * f_1.low / 2,
        some * f_1.high / 2,
        runs,
        f_1.method,
    )
    return OracleBounds(
        f_1,
        f_2,
        past,
        None if math.isnan(early.value) else early,
        lower,
        p,
        _at_most(lower, p),
        _at_most(p, f_2),
    )


def oracle_measurements(bounds: OracleBounds) -> list[Measurement]:
    """``f_1``, ``f_2``, ``p_lower``, ``p_upper`` and the two assumptions behind."""
    named = [
        ("f_1", bounds.f_1),
        ("f_2", bounds.f_2),
        ("p_lower", bounds.lower),
        ("p_upper", bounds.f_2),
        ("past_difficulty", bounds.past_difficulty),
        ("early_success", bounds.early_success),
    ]
    return [
        Measurement(name, None, "", estimate, "probability")
        for name, estimate in named
        if estimate is not None
    ]


def _interval(value: float, drawn: Float[np.ndarray, " resamples"], runs: int):
    alpha = (1 - COVERAGE) / 2
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return Estimate(value, math.nan, math.nan, runs, _METHOD)
    found = law_figure(value, known, "angle", _METHOD)
    low, high = found.low, found.high
    # Where all runs agree on 0 or 1, resampling sees no error. If a share q of runs
    # differed, n runs would all agree with probability (1 − q)^n.
    if low == high:
        unseen = -math.expm1(math.log(alpha) / runs)
        low = low if value == 0 else max(0.0, low - unseen)
        high = high if value == 1 else min(1.0, high + unseen)
    return Estimate(value, low, high, runs, _METHOD)


def _at_most(small: Estimate, large: Estimate) -> bool | None:
    if small.high <= large.low:
        return True
    return False if small.low > large.high else None


def _require(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name} must lie in {allowed}, got {value}")
