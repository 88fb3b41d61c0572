r"""By how much two figures differ, and how sure that is.

Notation
    T, T'           a figure of the first setting, and of the second
    g               T ↦ T, or T ↦ ln T where a ratio is asked for
    D = g(T') − g(T)
    T_b, T'_b       under the law of the b-th resample           ``Drawn``, B of them
    σ, σ'           standard errors without the training's, on g

Paired. Where both settings were measured on the same trained models, the b-th
resamples are of the same runs: what a lucky sample of models does to one figure it does
to the other too. The training's standard error of D is the standard deviation of
g(T'_b) − g(T_b) over b, which holds their covariance without its being asked for.
Simulation is taken as independent: common random numbers, which two runs of one seed
have, usually make its part smaller, by an amount that is not known. The interval is
that of ``training_error.py`` for D.

Unpaired. Other models: the two intervals, each with all that it holds, are independent,
and their half-widths join in quadrature on either side (G. Y. Zou, A. Donner, Stat.
Med. 27 (2008)).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .estimate import Estimate, Refused, standard_error
from .training_error import Basis, Drawn, training_interval

PAIRED, UNPAIRED = "paired over the same training runs", "unpaired"


class Difference(NamedTuple):
    """How far the second figure is from the first.

    Attributes:
        estimate: T' − T, or T'/T, with its 95 % interval. Where it is paired, the
            interval holds the law beyond the horizon too.
        standard_error: Of D, without the law beyond the horizon where it is paired.
        in_errors: D over its standard error; 0 where both are 0, ±inf where only the
            error is.
    """

    estimate: Estimate
    standard_error: float
    in_errors: float


def paired_difference(
    first: Drawn, second: Drawn, *, ratio: bool = False, bases: Sequence[Basis] = ()
) -> Difference:
    """A difference of figures whose b-th resamples are of the same runs.

    Args:
        first: T under every law.
        second: T' under every law; of both the first B that both have are used.
        ratio: Whether T'/T is asked for; both are then above 0.
        bases: What either rests on: the lesser degrees of freedom count.

    Raises:
        Refused: If a figure is not finite, a ratio is asked for and one is not above
            0, or fewer than two resamples have both.
    """
    to = _axis(first.own, second.own, ratio=ratio)
    count = min(len(first.resamples), len(second.resamples))
    drawn = _differences(to, first.resamples[:count], second.resamples[:count])
    known = [each for each in drawn if math.isfinite(each)]
    if len(known) < 2:
        raise Refused(
            f"a paired difference needs two resamples that have both figures, found "
            f"{len(known)}: more security.bootstraps, or the unpaired difference"
        )
    own = _quadrature(to, first.own, second.own, PAIRED)
    bracketed = len(first.extremes) == len(second.extremes) == 2
    ends = _differences(to, first.extremes, second.extremes) if bracketed else []
    middle = _differences(to, *([_centre(each)] for each in (first, second)))
    freedom = min((each.freedom for each in bases), default=math.inf)
    runs = min((each.runs for each in bases), default=math.nan)
    found = training_interval(
        own,
        drawn,
        "linear",
        basis=Basis(runs, freedom),
        extremes=ends,
        centre=middle[0] if math.isfinite(middle[0]) else None,
    )
    spread = float(np.std(known, ddof=1)) if min(known) < max(known) else 0.0
    return _told(found, math.hypot(spread, standard_error(own)), ratio=ratio)


def unpaired_difference(
    first: Estimate, second: Estimate, *, ratio: bool = False
) -> Difference:
    """A difference of independent figures, each with its whole interval.

    Args:
        first: T.
        second: T'.
        ratio: Whether T'/T is asked for; both are then above 0.

    Raises:
        Refused: If a figure is not finite, or a ratio is asked for and one is not
            above 0.
    """
    found = _quadrature(_axis(first, second, ratio=ratio), first, second, UNPAIRED)
    return _told(found, standard_error(found), ratio=ratio)


def _axis(first: Estimate, second: Estimate, *, ratio: bool) -> Callable:
    values = first.value, second.value
    if not all(map(math.isfinite, values)):
        raise Refused(
            f"a difference needs two finite figures, found {values[0]:g} and "
            f"{values[1]:g}: compare what each of them says instead"
        )
    if not ratio:
        return float
    if min(values) <= 0:
        raise Refused(
            f"a ratio needs two figures above 0, found {values[0]:g} and "
            f"{values[1]:g}: more replicas where the event was not seen"
        )
    return lambda x: math.log(x) if x > 0 else -math.inf


def _differences(
    to: Callable, first: Sequence[float], second: Sequence[float]
) -> list[float]:
    return [to(b) - to(a) for a, b in zip(first, second, strict=True)]


def _centre(drawn: Drawn) -> float:
    return drawn.own.value if drawn.centre is None else drawn.centre


def _quadrature(
    to: Callable, first: Estimate, second: Estimate, method: str
) -> Estimate:
    value = to(second.value) - to(first.value)
    down = math.hypot(
        to(second.value) - to(second.low), to(first.high) - to(first.value)
    )
    up = math.hypot(to(second.high) - to(second.value), to(first.value) - to(first.low))
    count = min(first.count, second.count)
    return Estimate(value, value - down, value + up, count, method)


def _told(found: Estimate, error: float, *, ratio: bool) -> Difference:
    value = found.value
    far = math.copysign(math.inf, value) if value else 0.0
    in_errors = value / error if error > 0 else far
    if ratio:
        value, low, high = (_raised(each) for each in found[:3])
        found = found._replace(value=value, low=low, high=high)
    return Difference(found, error, in_errors)


def _raised(x: float) -> float:
    return math.exp(min(x, 700.0)) if x < math.inf else math.inf
