"""What is said of a loop: numbers of simulated chains, with intervals.

Notation
    m       E[X | what is so at the block], in T    ``expected_intervals``
    B       where the scenario's event begins

Steady numbers are of all blocks but the first eighth, those of an event of the blocks
from B on. Each chain is one sample.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ..estimation.estimate import Estimate, estimate_mean, estimate_ratio
from .laws import Laws
from .loop import Paths
from .scenarios import Scenario

# Chain groups whose recoveries are one sample each, and what counts as recovered.
_GROUPS = 10
# Noise of a group's mean, so many times, must be less than that.
_SIGNAL = 4.0
RECOVERED = 0.2
"""Share of the first deviation within which the mean expected interval must stay."""
_LATE = 4.0
CONFIRMATIONS = 6


class Quantity(NamedTuple):
    """A number of a loop."""

    name: str
    estimate: Estimate


def expected_intervals(
    laws: Laws, paths: Paths, scenario: Scenario
) -> Float[np.ndarray, "replicas blocks"]:
    """M of every block, given its target, provers, speed and task; in T."""
    found = _expected(laws, paths.log_target, paths.provers, jnp.asarray(scenario.task))
    return np.asarray(found) / np.asarray(scenario.speed)


def quantities(laws: Laws, paths: Paths, scenario: Scenario) -> list[Quantity]:
    """All numbers of a scenario's chains.

    Returns:
        mean, median, longest: interval, in T; mean of the chains' means, medians and
        longest intervals.
        confirmation: mean time of 6 blocks, in T.
        sd_target, sd_expected: sd of θ over its mean, and of m, over chains and blocks.
        delayed: Σ (X − 4T)⁺ a block, in T.
        drift: time of the chain less T a block, at the end, in T.
        saturated: share of blocks that met p_2 = 1.
        stolen: what on/off miners get a time over a dedicated one's, less 1; only
            where there are some.
        off: mean of |m − 1|, in T.
        recovery: blocks from B, or from the event's end, until the mean of m stays
            within a fifth of the deviation that it had there; only where something
            happens. Of chains in 10 groups; NaN where these are too few.

    Raises:
        Refused: For fewer than 10 chains.
    """
    begin = scenario.begins or paths.interval.shape[1] // 8
    took = np.asarray(paths.interval[:, begin:], float)
    target = np.exp(np.asarray(paths.log_target[:, begin:], float))
    expected = expected_intervals(laws, paths, scenario)
    inner = expected[:, begin:].astype(float)
    sums = np.cumsum(took, axis=1)
    six = sums[:, CONFIRMATIONS:] - sums[:, :-CONFIRMATIONS]
    found = {
        "mean": estimate_mean(took.mean(axis=1), "mean interval"),
        "median": estimate_mean(np.median(took, axis=1), "median interval"),
        "longest": estimate_mean(took.max(axis=1), "longest interval"),
        "confirmation": estimate_mean(six.mean(axis=1), "confirmation time"),
        "sd_target": _deviation(target / target.mean(), "sd of the target"),
        "sd_expected": _deviation(inner, "sd of the expected interval"),
        "off": estimate_mean(np.abs(inner - 1.0).mean(axis=1), "off"),
        "delayed": estimate_mean(np.maximum(took - _LATE, 0.0).mean(axis=1), "delayed"),
        "drift": estimate_mean(sums[:, -1] - took.shape[1], "drift"),
        "saturated": estimate_mean(
            paths.saturated[:, begin:].mean(axis=1), "saturated"
        ).clipped(0.0, 1.0),
    }
    if scenario.hoppers:
        on = paths.provers[:, begin:] > np.asarray(scenario.provers)[begin:]
        found["stolen"] = _stolen(took, target, on)
    if 0 < scenario.begins < len(scenario.provers):
        found["recovery"] = _recovery(expected, scenario)
    return [Quantity(name, estimate) for name, estimate in found.items()]


@jax.jit
def _expected(laws: Laws, log_target, provers, task):
    return laws.expected(log_target, provers, jnp.broadcast_to(task, provers.shape))


def _deviation(values: np.ndarray, what: str) -> Estimate:
    """Root of the mean square distance from the mean of all."""
    squares = ((values - values.mean()) ** 2).mean(axis=1)
    found = estimate_mean(squares, what)
    low, high = (math.sqrt(max(0.0, end)) for end in (found.low, found.high))
    return Estimate(
        math.sqrt(found.value), low, high, found.count, "root of a mean, t interval"
    )


def _stolen(took: np.ndarray, target: np.ndarray, on: np.ndarray) -> Estimate:
    """Mean θ over the time that on/off miners mine, over that of all time, less 1."""
    present = (took * on).sum(axis=1)
    if not present.any():
        return Estimate(0.0, 0.0, 0.0, len(took), "nobody came")
    theirs = estimate_ratio((took * target * on).sum(axis=1), present, "stolen")
    own = (took * target).sum() / took.sum()
    value, low, high = (
        each / own - 1 for each in (theirs.value, theirs.low, theirs.high)
    )
    method = "ratio, delta method; a dedicated miner's as if exact"
    return Estimate(value, low, high, theirs.count, method)


def _recovery(expected: np.ndarray, scenario: Scenario) -> Estimate:
    begin, end = scenario.begins, scenario.ends
    # What ends again is recovered from after its end.
    first = end if end < expected.shape[1] else begin
    after = expected[:, first:]
    groups = np.array_split(after, min(_GROUPS, len(after)))
    noise = after[:, -1].std() / math.sqrt(len(groups[-1]))
    within = RECOVERED * abs(after[:, 0].mean(dtype=float) - 1.0)
    if _SIGNAL * noise > within:
        method = (
            f"{noise:.2%} of noise in a group's mean, {within:.2%} is what counts as "
            "recovered"
        )
        return Estimate(math.nan, math.nan, math.nan, len(groups), method)
    blocks, open_end = [], 0
    for group in groups:
        off = np.abs(group.mean(axis=0, dtype=float) - 1.0) > within
        last = int(np.flatnonzero(off)[-1]) + 1 if off.any() else 0
        open_end += last >= 0.95 * after.shape[1]
        blocks.append(float(last))
    if open_end:
        length = float(after.shape[1])
        return Estimate(
            math.inf, min(blocks), math.inf, len(groups), f"not in {length:.0f} blocks"
        )
    return estimate_mean(np.array(blocks), "recovery")
