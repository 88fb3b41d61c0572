"""Rows of the attack table: figures with intervals, verdict, reason.

Values are those of the law of all training runs. Intervals hold the error of the runs
(``training_error.py``), honest law and attack made anew from each resample, and that of
the simulation where a figure is simulated; they say nothing about an attack's
assumptions.

Verdict at the first target:
    fails       no depth, or none up to ``limit``, anywhere in the interval; or quality
                0; or withholding pays (SM1, the best policy found)
    holds       a depth (at most ``limit``) up to the interval's upper end
    undecided   the interval holds both
    refused     the evidence does not support a figure, with the reason
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar

from ..estimation.estimate import Estimate, Refused, whole_blocks
from ..estimation.training_error import UNKNOWN, Basis, few_runs, law_figure

Verdict = Literal["holds", "fails", "undecided", "refused"]
_METHOD = "law of all runs"
_Here = TypeVar("_Here")
_Found = TypeVar("_Found")


class Effort(NamedTuple):
    """How hard to look.

    Attributes:
        resamples: Resamples of the training runs; 0: no intervals.
        levels: Blocks a replica, for chain quality.
        replicas: Replicas; 0: no chain quality, no good periods.
        spread_replicas: Replicas under each resample.
        ties_win: Whether a private chain of equal length reverts.
        gamma: Honest share that extends a withheld block in a tie.
        limit: Deepest confirmation that is still of use; None: any finite one.
        window: Good-period window, as expected successful rounds kp.
        epsilon: ε of Def. 3.
    """

    resamples: int = 12
    levels: int = 128
    replicas: int = 1000
    spread_replicas: int = 125
    ties_win: bool = True
    gamma: float = 1.0
    limit: int | None = None
    window: float = 10.0
    epsilon: float = 0.5


class Row(NamedTuple):
    """One attack under one state of its mitigation.

    Attributes:
        attack: Its name.
        mitigation: The switch against it; empty: none.
        on: Whether it is on.
        depths: (ε, k(ε)); empty where refused.
        verdict: See the module's docstring.
        reason: Why, in a sentence.
        assumptions: What the attack's law rests on.
        attacker_rate: 1/E[A], blocks per unit of time; None where refused.
        public_rate: 1/(E[H] + Δ).
        quality: Honest share of the chain under a withholding adversary.
        good_period: Pr[a window is good] where expectations are those without the
            attack.
        revenue: The adversary's share of the rewards, where the attack is about them.
        figures: The attack's own numbers.
        basis: What the figures rest on.
    """

    attack: str
    mitigation: str
    on: bool
    depths: tuple[tuple[float, Estimate], ...]
    verdict: Verdict
    reason: str
    assumptions: str
    attacker_rate: Estimate | None = None
    public_rate: Estimate | None = None
    quality: Estimate | None = None
    good_period: Estimate | None = None
    revenue: Estimate | None = None
    figures: tuple[tuple[str, float], ...] = ()
    basis: Basis = UNKNOWN


def tidy(rows: Sequence[Row]) -> list[dict[str, object]]:
    """Rows as flat records: one column a number, three for one with an interval."""
    return [_flat(row) for row in rows]


def _flat(row: Row) -> dict[str, object]:
    flat: dict[str, object] = {
        "attack": row.attack,
        "mitigation": row.mitigation,
        "on": row.on,
        "verdict": row.verdict,
        "reason": row.reason,
    }
    columns = [(f"depth_{target:.3g}", found) for target, found in row.depths]
    for name in ("attacker_rate", "public_rate", "quality", "good_period", "revenue"):
        columns.append((name, getattr(row, name)))
    for name, found in columns:
        value = (math.nan,) * 3 if found is None else found[:3]
        for suffix, number in zip(("", "_low", "_high"), value, strict=True):
            flat[name + suffix] = number
    return flat | {
        **dict(row.figures),
        "runs_effective": row.basis.runs,
        "warning": few_runs(row.basis),
        "assumptions": row.assumptions,
    }


def interval(
    value: float, spread: Sequence[float], *, basis: Basis = UNKNOWN
) -> Estimate:
    """A rate, or a depth in whole blocks, with the error of the runs.

    Args:
        value: Under the law of all runs; infinite: no depth is safe.
        spread: Under each resample. Where one is infinite, so is the upper end.
        basis: What the figure rests on.
    """
    lacking = math.inf if any(math.isinf(each) for each in spread) else None
    return law_figure(value, spread, "log", _METHOD, basis=basis, lacking=lacking)


def depth_estimates(
    value: dict[float, float], spread: Sequence[dict[float, float]], basis: Basis
) -> tuple[tuple[float, Estimate], ...]:
    """(ε, k(ε)) with its interval, of those that the law of all runs has.

    Args:
        value: ε to k(ε), under the law of all runs.
        spread: Under each resample.
        basis: What the figures rest on.
    """
    found = []
    for target, depth in value.items():
        drawn = [each[target] for each in spread if target in each]
        found.append((target, whole_blocks(interval(depth, drawn, basis=basis))))
    return tuple(found)


def spread_of(
    figure: Callable[[_Here], _Found], others: Sequence[_Here]
) -> tuple[list[_Found], int]:
    """A figure of each resample, and how many refused it."""
    found = []
    for here in others:
        try:
            found.append(figure(here))
        except Refused:
            continue
    return found, len(others) - len(found)


def judge(depth: Estimate, failed: int, effort: Effort) -> tuple[Verdict, str]:
    """Verdict and reason of a depth; ``failed`` resamples gave none."""
    limit = math.inf if effort.limit is None else effort.limit
    safe = [math.isfinite(x) and x <= limit for x in (depth.low, depth.high)]
    if not any(safe):
        if math.isinf(depth.low):
            return "fails", "the private chain outgrows the public one at every depth"
        return "fails", f"{depth.low:g} blocks at least, more than {limit:g}"
    if failed:
        return "undecided", f"{failed} resamples support no depth"
    if all(safe):
        return "holds", f"safe at {depth.value:g} blocks"
    return "undecided", "safe or not depends on the resample"


def refused_row(name: str, on: bool, reason: str, assumptions: str = "") -> Row:
    """A row without figures."""
    return Row(name, "", on, (), "refused", reason, assumptions)
