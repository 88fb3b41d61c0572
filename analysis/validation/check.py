"""Checks: a number of ours, the number it must meet, and how far apart they may be.

Notation
    x, r        ours, the reference
    s           standard error of the one that is random
    n           independent samples (replicas, batches) behind s
    t_{n−1}     Student's t

Three ways to judge:
    exact       |x − r| / |r|, at most what the stated digits allow
    sampled     |x − r| / s, at most ``ALLOWED`` standard errors
    below       x / r, at most 1: a limit that must not be passed

A right engine fails a sampled check with the probability Pr[|t_{n−1}| > 3.5] of the
key; ``false_alarm_level`` adds them up.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Array, Key
from scipy import stats

from ..bounds.arguments import Real
from ..estimation.estimate import COVERAGE, Estimate

ALLOWED = 3.5

Engine: TypeAlias = Literal[
    "closed form",
    "grid",
    "tilting",
    "splitting",
    "Monte Carlo",
    "MDP",
    "block-time law",
    "refused",
]
Measure: TypeAlias = Literal[
    "relative", "standard errors", "of the limit", "not judged"
]


class Check(NamedTuple):
    """One comparison.

    Attributes:
        case: Name of the case it belongs to.
        claim: What is compared, with its parameters.
        engine: What computed our number.
        reference: r.
        source: Where r is from.
        ours: x; NaN if the engine refused.
        standard_error: s; 0 where both sides are exact.
        samples: n of ours; 0 where ours is exact.
        apart: Distance in the unit ``measure``.
        allowed: Largest distance that passes, same unit.
        measure: Unit of the two; ``not judged`` rows are shown for comparison only.
        passed: Whether apart ≤ allowed; None if not judged.
        seconds: Time of the whole case by the caller's clock; None without one.
        note: A refusal, or what to know when reading the row.
    """

    case: str
    claim: str
    engine: Engine
    reference: float
    source: str
    ours: float
    standard_error: float
    samples: int
    apart: float
    allowed: float
    measure: Measure
    passed: bool | None
    seconds: float | None = None
    note: str = ""


class Case(NamedTuple):
    """Checks that share a subject and a computation.

    Attributes:
        name: Its name, e.g. ``private_race``.
        about: One line for a listing.
        run: From a key (not used by exact cases) to the checks, case names empty.
    """

    name: str
    about: str
    run: Callable[[Key[Array, ""]], list[Check]]


def exact(
    claim: str,
    engine: Engine,
    ours: Real,
    reference: Real,
    source: str,
    *,
    relative: Real = 0,
    within: Real = 0,
) -> Check:
    """Two numbers without sampling error.

    Args:
        claim: What is compared.
        engine: What computed ours.
        ours: x.
        reference: r ≠ 0.
        source: Where r is from.
        relative: Allowed |x − r|/|r|.
        within: Allowed |x − r| (half a unit of r's last digit); added to the above.
    """
    apart = abs(ours - reference) / abs(reference)
    # Digits end on a tie sometimes: 1e-9 of the allowance is not a disagreement.
    allowed = float(relative + within / abs(reference)) * (1 + 1e-9)
    return Check(
        "",
        claim,
        engine,
        float(reference),
        source,
        float(ours),
        0.0,
        0,
        float(apart),
        allowed,
        "relative",
        bool(apart <= allowed),
    )


def worst(
    claim: str,
    engine: Engine,
    ours: Sequence[float] | np.ndarray,
    references: Sequence[float] | np.ndarray,
    places: Sequence[str],
    source: str,
    *,
    relative: Real,
) -> Check:
    """The entry of a table that is furthest apart, relatively."""
    apart = np.abs(np.asarray(ours) / np.asarray(references) - 1)
    # NaN, which compares with nothing, is the worst of all.
    at = int(np.argmax(np.where(np.isnan(apart), np.inf, apart)))
    claim = f"{claim}, worst of {len(apart)}: {places[at]}"
    found = float(ours[at]), float(references[at])
    return exact(claim, engine, *found, source, relative=relative)


def sampled(
    claim: str,
    engine: Engine,
    ours: Real,
    error: Real,
    samples: int,
    reference: Real,
    source: str,
) -> Check:
    """Two numbers of which one is random, mostly ours.

    Args:
        claim: What is compared.
        engine: What computed ours.
        ours: x.
        error: s > 0.
        samples: n ≥ 2; 0 if the reference is the random one.
        reference: r.
        source: Where r is from.
    """
    apart = abs(ours - reference) / error if error > 0 else math.inf
    return Check(
        "",
        claim,
        engine,
        float(reference),
        source,
        float(ours),
        float(error),
        int(samples),
        float(apart),
        ALLOWED,
        "standard errors",
        bool(apart <= ALLOWED),
    )


def sampled_share(
    claim: str, successes: int, count: int, reference: Real, source: str
) -> Check:
    """A Monte Carlo share; its standard error is the reference's √(r(1−r)/n)."""
    # A reference that is no probability leaves no error, and the check fails.
    error = math.sqrt(max(reference * (1 - reference), 0.0) / count)
    share = successes / count
    return sampled(claim, "Monte Carlo", share, error, count, reference, source)


def sampled_estimate(
    claim: str,
    engine: Engine,
    estimate: Estimate,
    samples: int,
    reference: Real,
    source: str,
) -> Check:
    """An estimate with an interval of Student's t over n independent samples.

    The lower half gives s: upper ends may be clipped at 1.
    """
    quantile = float(stats.t.ppf(0.5 + COVERAGE / 2, samples - 1))
    error = (estimate.value - estimate.low) / quantile
    return sampled(claim, engine, estimate.value, error, samples, reference, source)


def below(
    claim: str, engine: Engine, ours: Real, limit: Real, source: str, note: str = ""
) -> Check:
    """A number that must not exceed a limit > 0."""
    apart = ours / limit
    return Check(
        "",
        claim,
        engine,
        float(limit),
        source,
        float(ours),
        0.0,
        0,
        float(apart),
        1.0,
        "of the limit",
        bool(apart <= 1),
        note=note,
    )


def shown(
    claim: str, engine: Engine, ours: Real, reference: Real, source: str, note: str
) -> Check:
    """Two numbers side by side that need not agree; the note says why."""
    apart = abs(ours - reference) / abs(reference)
    return exact(claim, engine, ours, reference, source)._replace(
        apart=float(apart),
        allowed=math.inf,
        measure="not judged",
        passed=None,
        note=note,
    )


def refused(name: str, reason: str) -> Check:
    """A case whose engine refused its number: it has failed."""
    nan = math.nan
    return Check(
        name, "the whole case", "refused", nan, "", nan, 0.0, 0, math.inf, 0.0,
        "relative", False, note=f"refused: {reason}",
    )  # fmt: skip


def false_alarm_level(checks: Iterable[Check]) -> float:
    r"""Bound on Pr[some sampled check of a right engine fails], over keys.

        Σ Pr[|t_{n−1}| > 3.5]   (union bound)

    Where ours is exact no key can make a check fail.
    """
    levels = (
        2 * stats.t.sf(check.allowed, check.samples - 1)
        for check in checks
        if check.samples > 1
    )
    return float(min(1.0, math.fsum(levels)))


def as_line(check: Check) -> str:
    """One row of the printed table."""
    verdict = {True: "ok", False: "FAILED", None: "shown"}[check.passed]
    unit = {"relative": "rel.", "standard errors": "s.e.", "of the limit": "× limit"}
    distance = f"{check.apart:.2g} {unit.get(check.measure, 'rel.')}"
    ours = f"{check.ours:.6g}"
    if check.standard_error > 0:
        ours += f" ± {check.standard_error:.1g}"
    seconds = "" if check.seconds is None else f"{check.seconds:6.1f} s"
    row = (
        f"{verdict:6} {check.case:22} {check.claim:52} {check.engine:14} {ours:22} "
        f"{check.reference:<11.6g} {distance:12} {seconds} {check.source}"
    )
    return row + (f" [{check.note}]" if check.note else "")
