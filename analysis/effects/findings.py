"""What the effects' tables say, in a sentence with its numbers and a verdict.

A claim of the form "a is more than b" holds where a − b is more than three standard
errors, does not hold where it is less than minus three, and is not decided between.
A claim of the form "a is b" does not hold where they differ by more than three standard
errors; it holds where they agree and the error is small beside the effect that b is to
explain; else it is not decided. The standard errors are those of the training runs
(and of the simulation): with hundreds of runs a stylised law is easily refuted, so the
sentence says by how much it is off.

A CV of .9 counts as memoryless here; that number is ours.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from .memorylessness import Real, Row

Verdict = Literal["holds", "does not hold", "not decided"]
_ERRORS = 3.0
MEMORYLESS_CV = 0.9
# 1/p_2 ≥ 10 is "≫ 1", 1/p_2 ≥ 10 n is "≫ n".
MUCH = 10


class Finding(NamedTuple):
    """A claim and what the data say.

    Attributes:
        effect: Which one.
        verdict: Whether the claim holds.
        sentence: With the numbers.
    """

    effect: str
    verdict: Verdict
    sentence: str


def above(difference: float, error: float) -> Verdict:
    """Verdict on "the difference is positive"."""
    if error <= 0:
        return "not decided"
    z = difference / error
    if z > _ERRORS:
        return "holds"
    return "does not hold" if z < -_ERRORS else "not decided"


def equal(difference: float, error: float, effect: float) -> Verdict:
    """Verdict on "they are equal", with the effect that the equality is to explain."""
    if error <= 0:
        return "not decided"
    if abs(difference) > _ERRORS * error:
        return "does not hold"
    return "holds" if _ERRORS * error < abs(effect) else "not decided"


def find_memorylessness(
    rows: Sequence[Row], *, honest: int, check_every: Real
) -> Finding:
    """T_2 restores memorylessness where 1/p_2 ≫ n, and not where it is only ≫ 1."""
    network, prover = _series(rows, "cv_network"), _series(rows, "cv_prover")
    ample = [p for p in network if 1 / p >= MUCH]
    some = [p for p in ample if 1 / p <= honest] or ample
    many = [p for p in network if 1 / p >= MUCH * honest]
    first = next(iter(_series(rows, "interval_mean").values()))
    words = "T_2 makes the network memoryless only when 1/p_2 ≫ n"
    if not some:
        return _finding("memorylessness", "not decided", words, "no 1/p_2 is ≫ 1")
    # Of those that are ≫ 1 the one nearest to n: the claim's hardest case.
    here = max(some) if 1 / max(some) > honest else min(some)
    low = network[here]
    only = above(MEMORYLESS_CV - low.value, low.se)
    text = (
        f"1/p_2 = {1 / here:g} leaves the fastest of {honest} at CV {_pm(low)} "
        f"(one prover: {_pm(prover[here])})"
    )
    if not many:
        return _finding(
            "memorylessness", "not decided", words, text + f"; no known law has "
            f"1/p_2 ≥ {MUCH} n",
        )  # fmt: skip
    rare = min(many)
    high = network[rare]
    when = above(high.value - MEMORYLESS_CV, high.se)
    text += f"; 1/p_2 = {1 / rare:g} = {1 / rare / honest:.0f} n gives {_pm(high)}"
    scale = honest * first.value / check_every
    text += (
        f". With a ticket every {check_every:g} steps and {first.value:.0f} steps to "
        f"the fastest's first one, 1/p_2 ≫ n·D/e = {scale:.0f} is what a dead time "
        "would ask for"
    )
    verdict: Verdict = "not decided"
    if "does not hold" in (only, when):
        verdict = "does not hold"
    elif only == when == "holds":
        verdict = "holds"
    return _finding("memorylessness", verdict, words, text)


def find_domination(rows: Sequence[Row], *, total: Real) -> Finding:
    """A fast machine has more than its share of compute unless 1/p_2 ≫ n."""
    fastest = max(each.speed for each in rows)
    share = _series(rows, "block_share", fastest)
    excess = _series(rows, "excess", fastest)
    compute = next(iter(_series(rows, "compute_share", fastest).values())).value
    common = [p for p in excess if 1 / p <= total] or [max(excess)]
    here, rare = min(common), min(excess)
    slow = min(each.speed for each in rows)
    advantage = _series(rows, "advantage", slow)[here]
    return _finding(
        "domination",
        above(excess[here].value, excess[here].se),
        f"Where 1/p_2 ≤ {total:g}, a fast machine has more blocks than compute",
        f"one {fastest:g}× machine with {compute:.2f} of the compute has "
        f"{_pm(share[here])} of the blocks at 1/p_2 = {1 / here:g} and "
        f"{_pm(share[rare])} at {1 / rare:g}; a {slow:g}× machine "
        f"{_pm(advantage)} times its share at 1/p_2 = {1 / here:g}",
    )


def find_forks(rows: Sequence[Row], *, p_2: Real) -> Finding:
    """Restarting together makes more forks than memoryless provers have."""
    forks, excess = _series(rows, "forks"), _series(rows, "forks_excess")
    here, rare = nearest(forks, p_2), min(forks)
    plain = _series(rows, "forks_memoryless")[here]
    closed = _series(rows, "forks_closed_form")[here].value
    return _finding(
        "forks",
        above(excess[here].value, excess[here].se),
        "Restarting together makes forks",
        f"{_pm(forks[here])} a level at 1/p_2 = {1 / here:g}, {_pm(forks[rare])} at "
        f"{1 / rare:g}, against {_pm(plain)} of memoryless provers ({closed:.3f} "
        "without head starts)",
    )


def find_equivalence(rows: Sequence[Row], *, effect: str, p_2: Real) -> Finding:
    """Saved (or pooled) work acts as an extra delay (1−ρ)D, D the mean dead time."""
    claims = {
        "saving": "A cross-slot saving acts as an extra delay (1−ρ)D",
        "pooling": "Pooling on one s× machine acts as an extra delay (1−1/s)D",
    }
    measured, equals = _series(rows, "threshold"), _series(rows, "threshold_equals")
    here = nearest(measured, p_2)
    cost = _series(rows, "effect")
    known = {r: _series(rows, f"difference_{r}")[here] for r in ("mean", "fastest")}
    gap = known["mean"]
    text = (
        f"at 1/p_2 = {1 / here:g} β* is {_pm(measured[here])} instead of "
        f"{_pm(equals[here])}; measured less predicted is {_pm(gap)} with D the mean "
        f"of one prover, {_pm(known['fastest'])} with that of the fastest of n_a"
    )
    rare = min(measured)
    text += f". At 1/p_2 = {1 / rare:g} it costs {_pm(cost[rare])}"
    if cost[rare].value < -_ERRORS * cost[rare].se:
        text += ": less than nothing"
    verdict = equal(gap.value, gap.se, cost[here].value)
    return _finding(effect, verdict, claims[effect], text)


def nearest(known: Sequence[float] | dict[float, Row], p_2: Real) -> float:
    """The p_2 in the table that is nearest in ratio."""
    return min(known, key=lambda each: abs(math.log(each / p_2)))


def _series(
    rows: Sequence[Row], quantity: str, speed: float | None = None
) -> dict[float, Row]:
    """Rows of a quantity by p_2, the largest first."""
    some = [
        each
        for each in rows
        if each.quantity == quantity and speed in (None, each.speed)
    ]
    return {each.at: each for each in sorted(some, key=lambda each: -each.at)}


def _pm(found: Row) -> str:
    return f"{found.value:.3f} ± {found.se:.3f}"


def _finding(effect: str, verdict: Verdict, claim: str, numbers: str) -> Finding:
    return Finding(effect, verdict, f"{claim}: {verdict}. {numbers}.")
