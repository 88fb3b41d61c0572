"""Sampling until the figures are good enough, with intervals that allow for the looks.

Notation
    r            relative error asked for                     ``rel_error``
    x̂, h         a figure and the half-width of its interval; done if h ≤ r |x̂|
    n_1 < ... < n_J   batches after which one looks: 1, 2, 4, ..., the last the budget
    α            1 − 0.95, what all looks together may err    ``estimate.COVERAGE``

Optional stopping. An interval that is right in 95 % of all samples of a fixed size is
right less often in the sample at which somebody liked it. The looks are therefore fixed
beforehand and each uses intervals of coverage 1 − α/J (Bonferroni; one look more if a
clock may cut in). By the union bound the interval of the look at which one stops covers
the truth with at least 95 %, for each figure, whatever the reason for the stop: no
assumption on how looks depend on each other. Its price: (z_{α/J} / z_α)² times the
samples of a size that was known beforehand, 2.2 for J = 12, and up to twice that since
the looks double. Batches are of one size: one compiled program.

Reference: C. Jennison, B. Turnbull, Group Sequential Methods (2000).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
from jaxtyping import Array, Key
from scipy import stats
from scipy.special import betainccinv, betaincinv

from .estimate import COVERAGE, Estimate, Refused

Batch = TypeVar("Batch")
_Z = float(stats.norm.ppf(0.5 + COVERAGE / 2))


class Budget(NamedTuple):
    """When to give up.

    Attributes:
        samples: Most samples, in whole batches.
        seconds: Most seconds on the caller's clock.
        clock: Seconds since some moment, told by the caller; None: no limit of time.
    """

    samples: int
    seconds: float = math.inf
    clock: Callable[[], float] | None = None


class Missing(NamedTuple):
    """A figure that is not good enough.

    Attributes:
        name: Which.
        relative: Half-width over value; inf where nothing was seen or it was refused.
        samples: Samples that it would need in all if h falls as 1/√n; where no event
            was seen at least that many; inf where it was refused.
        reason: Why, in a sentence.
    """

    name: str
    relative: float
    samples: float
    reason: str


class Outcome(NamedTuple):
    """What the samples say, and whether that is enough.

    Attributes:
        figures: Each figure that is not refused, with an interval of at least 95 %.
        samples: Samples behind them.
        batches: The batches, in order.
        coverage: Coverage of the last look's intervals, 1 − α/J.
        missing: Figures that are not good enough; none if the error was reached.
    """

    figures: dict[str, Estimate]
    samples: int
    batches: list[Any]
    coverage: float
    missing: list[Missing]


def until(
    key: Key[Array, ""],
    draw: Callable[[Key[Array, ""], int], Batch],
    figures: Callable[[Sequence[Batch], float], Mapping[str, Estimate]],
    *,
    rel_error: float,
    names: Sequence[str],
    batch: int,
    budget: Budget,
) -> Outcome:
    """Add batches until every figure's half-width is at most r times its value.

    Args:
        key: Fixes every draw; batch b uses ``fold_in(key, b)``.
        draw: Draws a batch of ``batch`` independent samples from a key; it should be
            the few numbers a sample that the figures need, since all are kept.
        figures: Estimates of all batches so far, by name, with intervals of the
            coverage that is given (``at_coverage`` for estimators that know 95 % only).
            A figure that cannot be estimated yet is left out or all are ``Refused``.
        rel_error: r in (0, 1).
        names: Figures that must be good enough; others are reported as they are.
        batch: Samples a batch.
        budget: Samples, and seconds if there is a clock. At least one batch is drawn.

    Raises:
        ValueError: If r, the batch or the budget is out of range, or no name is given.
    """
    _check(rel_error, names, batch, budget)
    looks = look_schedule(budget.samples // batch)
    coverage = 1 - (1 - COVERAGE) / (len(looks) + (budget.clock is not None))
    began = budget.clock() if budget.clock is not None else 0.0
    drawn: list[Batch] = []
    while True:
        drawn.append(draw(jax.random.fold_in(key, len(drawn)), batch))
        late = budget.clock is not None and budget.clock() - began >= budget.seconds
        if len(drawn) not in looks and not late:
            continue
        found, refusal = _looked(figures, drawn, coverage)
        count = len(drawn) * batch
        missing = [
            lack
            for name in names
            if (lack := _lack(name, found.get(name), refusal, rel_error, count))
        ]
        if not missing or late or len(drawn) == looks[-1]:
            return Outcome(found, count, drawn, coverage, missing)


def look_schedule(most: int) -> list[int]:
    """Batches after which one looks: 1, 2, 4, ... and the last one, ``most``."""
    if most < 1:
        raise ValueError(f"most must be ≥ 1, got {most}")
    powers = [2**i for i in range(most.bit_length()) if 2**i < most]
    return [*powers, most]


def at_coverage(estimate: Estimate, coverage: float) -> Estimate:
    """A 95 % interval, carried to another coverage.

    An interval that is Clopper–Pearson's of value · count events is computed anew,
    with what may have been added to its upper end added again. Others are taken as
    normal: each side grows by the quotient of the normal quantiles.

    Args:
        estimate: With a 95 % interval.
        coverage: In (0, 1).

    Raises:
        ValueError: If the coverage is out of range.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage must be in (0, 1), got {coverage}")
    events = round(estimate.value * estimate.count) if estimate.count > 0 else -1
    if 0 <= events <= estimate.count and estimate.count >= 10:
        low, high = _clopper_pearson(events, estimate.count, COVERAGE)
        same = math.isclose(low, estimate.low, rel_tol=1e-8, abs_tol=1e-300)
        if same and estimate.high >= high * (1 - 1e-8):
            added = max(0.0, estimate.high - high)
            low, high = _clopper_pearson(events, estimate.count, coverage)
            return estimate._replace(low=low, high=min(1.0, high + added))
    factor = float(stats.norm.ppf(0.5 + coverage / 2)) / _Z
    return estimate._replace(
        low=estimate.value - factor * (estimate.value - estimate.low),
        high=estimate.value + factor * (estimate.high - estimate.value),
    )


def _clopper_pearson(events: int, count: int, coverage: float) -> tuple[float, float]:
    half = (1 - coverage) / 2
    low = betaincinv(events, count - events + 1, half) if events > 0 else 0.0
    high = betainccinv(events + 1, count - events, half) if events < count else 1.0
    return float(low), float(high)


def _looked(figures, drawn, coverage: float) -> tuple[dict[str, Estimate], str]:
    try:
        found = dict(figures(drawn, coverage))
    except Refused as refusal:
        return {}, str(refusal)
    label = f"{coverage:.4%} at each look, 95 % in all"
    return {
        name: each._replace(method=f"{each.method}; {label}")
        for name, each in found.items()
    }, "refused or left out by its estimator"


def _lack(
    name: str, found: Estimate | None, refusal: str, rel_error: float, count: int
) -> Missing | None:
    """What a figure still lacks; None if nothing."""
    if found is None:
        return Missing(name, math.inf, math.inf, f"{name}: {refusal}")
    half = max(found.high - found.value, found.value - found.low)
    if half <= rel_error * abs(found.value):
        return None
    if found.value == 0:
        # The truth is at most ``high``: events come no faster than that.
        needed = (_Z / rel_error) ** 2 / found.high if found.high > 0 else math.inf
        reason = f"no event in {count} samples, at least {needed:.3g} are needed"
        return Missing(name, math.inf, needed, f"{name}: {reason}")
    relative = half / abs(found.value)
    needed = count * (relative / rel_error) ** 2
    reason = (
        f"± {relative:.2%} of the value with {count} samples, about {needed:.3g} are "
        f"needed for {rel_error:.2%}"
    )
    return Missing(name, relative, needed, f"{name}: {reason}")


def _check(rel_error: float, names: Sequence[str], batch: int, budget: Budget) -> None:
    if not 0 < rel_error < 1:
        raise ValueError(f"rel_error must be in (0, 1), got {rel_error}")
    if not names:
        raise ValueError("names must hold at least one figure, got none")
    if batch < 1:
        raise ValueError(f"batch must be ≥ 1, got {batch}")
    if budget.samples < batch:
        raise ValueError(
            f"budget.samples must be at least one batch, {batch}, got {budget.samples}"
        )
    if not budget.seconds > 0:
        raise ValueError(f"budget.seconds must be > 0, got {budget.seconds}")
    if budget.clock is None and budget.seconds < math.inf:
        raise ValueError("budget.seconds needs budget.clock: analysis has no clock")


Mapped = Callable[[Callable[[int], Any], int], Iterable[Any]]
"""How (work, count) becomes work(0), ..., work(count − 1), in their order."""


def one_by_one(work: Callable[[int], Any], count: int) -> Iterable[Any]:
    """One after the other, here."""
    return map(work, range(count))
