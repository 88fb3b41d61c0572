r"""Are rounds independent trials, as SLT23's Lemma 1 says, and if not, how far off?

Notation (SLT23 §5, Lemma 1)

| symbol | name here | meaning |
|---|---|---|
| X_r | | 1 iff round r has an honest success |
| p | `rates.x` | E[X_r] |
| X(W) | `counts` | successful rounds in a window of k rounds |
| V(k) | dispersion | Var X(W) / E X(W) |
| h(m) | hazard | Pr[X_{r+m} = 1 given X_r = 1, no success between] |
| TV | distance | total variation between X(W) and Bin(k, p) |

If rounds are independent, V(k) = 1 − p, h(m) = p for all m, and TV = 0. If successes
are renewals, V(k) → CV² of the rounds between them as k → ∞ (variance of the renewal
count), and h is the hazard of that law. A D-PoDL chain has h ≈ 0 just after a block:
V < 1 − p, and windows are good *more* often than the lemma says.

Sources
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23, Lemma 1.
    [C62]   Cox, Renewal Theory, §4.5 (variance of the number of renewals).
    [LPW09] Levin, Peres, Wilmer, Markov Chains and Mixing Times, Prop. 4.2.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, Key
from scipy import stats

from ..estimation.estimate import (
    COVERAGE,
    Estimate,
    Refused,
    estimate_mean,
    estimate_ratio,
)
from ..estimation.measurement import Measurement
from ..estimation.quantities import DISPERSION
from ..simulation.levels import batch_of
from .bernoulli_rounds import ABSENT
from .windows import RoundRates, Rounds

# Windows looked at in each replica; they share a path, so a replica counts as one
# sample.
_STARTS = 32
_BATCH = 256
# Window lengths that one program counts.
_TOGETHER = 8
_MINIMUM_REPLICAS = 20
# Edges of the lags after a success, in mean distances of successes.
LAGS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


class WindowCounts(NamedTuple):
    """X(W) of random windows of one length.

    Attributes:
        counts: Successful rounds in each window.
        rounds: k.
        blocks: kp as it was asked for.
    """

    counts: Int[np.ndarray, "replicas starts"]
    rounds: int
    blocks: float


def window_counts(
    key: Key[Array, ""],
    rounds: Rounds,
    rates: RoundRates,
    window_blocks: Sequence[float],
) -> list[WindowCounts]:
    """Count successful rounds in random windows of several lengths.

    Args:
        key: Draws the places of the windows.
        rounds: Success rounds of all replicas.
        rates: Their expectations per round.
        window_blocks: Window lengths as expected successful rounds kp; those longer
            than half the horizon are left out.

    Raises:
        Refused: If every window is longer than half the horizon.
    """
    lengths = {kp: rates.window(kp) for kp in window_blocks}
    span = rates.end - rates.begin
    fitting = {kp: k for kp, k in lengths.items() if 2 * k <= span}
    if not fitting:
        raise Refused(
            f"independence: the horizon has {span} rounds, the shortest window "
            f"({min(lengths.values())}) needs twice its length: simulate more levels"
        )
    edges = jnp.array([rates.begin, rates.end], jnp.int32)
    # All of them are counted, also those too long, and the last once more: their number
    # is part of the program's shape.
    windows = np.array([min(k, span // 2) for k in lengths.values()], np.int32)
    windows = np.pad(windows, (0, -len(windows) % _TOGETHER), mode="edge")
    counts = np.asarray(_counts(key, rounds.honest, edges, windows))
    return [
        WindowCounts(counts[:, place], k, float(kp))
        for place, (kp, k) in enumerate(lengths.items())
        if kp in fitting
    ]


def dispersion(window: WindowCounts) -> Estimate:
    """V(k) = Var X(W) / E X(W); 1 − p for independent rounds.

    Moments are pooled over windows and replicas; the interval is the delta method's
    over replicas.

    Raises:
        Refused: Below 20 replicas, or without a success.

    Reference: [C62] §4.5 for its limit.
    """
    counts = _enough(window)
    first, second = counts.mean(axis=1), (counts**2).mean(axis=1)
    mean, square = float(first.mean()), float(second.mean())
    if mean == 0:
        raise Refused(
            "dispersion: no window has a success; use longer windows or rounds"
        )
    value = square / mean - mean
    influence = (second - square) / mean - (1 + square / mean**2) * (first - mean)
    half = float(
        stats.t.ppf(0.5 + COVERAGE / 2, len(first) - 1)
        * np.std(influence, ddof=1)
        / math.sqrt(len(first))
    )
    return Estimate(
        value,
        max(value - half, 0.0),
        value + half,
        len(first),
        "pooled moments, delta method over replicas",
    )


def window_distance(window: WindowCounts) -> Estimate:
    r"""Total variation between X(W) and Bin(k, p), estimated without upward bias.

        TV = max_A Pr[X(W) ∈ A] − Pr[Bin(k, p) ∈ A],   kp = E[X(W)]

    The largest difference of a histogram is positive even where the laws agree. So the
    set A comes from one half of the replicas and is judged by the other, and vice
    versa. Each half then estimates a lower bound on TV, which reaches it as replicas
    grow; where the laws agree, the mean is 0 and may fall below. Each half has its own
    p: with a common one a half above it would always face one below. The interval is
    the delta method's, p's error included.

    Raises:
        Refused: Below 20 replicas, or if no window of a half has a success.

    Reference: [LPW09] Prop. 4.2.
    """
    counts = _enough(window).astype(np.int64)
    halves = counts[::2], counts[1::2]
    values, errors = [], []
    for mine, other in (halves, halves[::-1]):
        more = _frequent(other, window.rounds, int(counts.max()))
        ideal, slope = _binomial_share(more, mine.mean(), window.rounds)
        gains = (
            more[mine].mean(axis=1) - ideal - slope * (mine.mean(axis=1) - mine.mean())
        )
        half = estimate_mean(gains, "window distance")
        values.append(half.value)
        errors.append(half.high - half.value)
    # A value of X that both halves have too often counts for both: their errors are
    # correlated. Their mean's is at most the mean of both.
    value, error = float(np.mean(values)), float(np.mean(errors))
    return Estimate(
        value,
        value - error,
        value + error,
        len(counts),
        "set from the other half, delta method over replicas",
    )


def success_after(
    rounds: Rounds, rates: RoundRates, lags: Sequence[float] = LAGS
) -> list[Measurement]:
    """h(m)/p: success probability by the rounds since the last success.

    A class of lags has its successes over its rounds at risk, which is unbiased with
    the last, censored distance included. Classes without a whole round are joined to
    the next.

    Args:
        rounds: Success rounds of all replicas.
        rates: Their expectations per round.
        lags: Increasing edges ≥ 0 of the classes, in units of 1/p rounds.

    Returns:
        ``success_after`` at the middle of each class, in units of 1/p rounds; 1 for
        independent rounds. Classes at no risk are left out.

    Raises:
        ValueError: If the edges do not increase from ≥ 0.
        Refused: Below 10 replicas.
    """
    edges = np.asarray(lags, np.float64)
    if len(edges) < 2 or edges[0] < 0 or not (np.diff(edges) > 0).all():
        raise ValueError(f"lags must increase from ≥ 0, got {list(lags)}")
    # A class is lo < m ≤ hi.
    whole = np.unique(np.minimum(np.round(edges / rates.x), ABSENT).astype(np.int64))
    limits = jnp.array([rates.begin, rates.end], jnp.int32)
    # Padded to one shape, so that short and long rounds share a program.
    padded = np.full(len(edges), whole[-1])
    padded[: len(whole)] = whole
    found = _after(rounds.honest, limits, jnp.asarray(padded, jnp.int32))
    hits, risks = (np.asarray(x, np.float64) for x in found)
    measured = []
    for i, (low, high) in enumerate(pairwise(whole)):
        if risks[:, i].sum() == 0:
            continue
        ratio = estimate_ratio(hits[:, i], rates.x * risks[:, i], "success after")
        at = float((low + 1 + high) / 2 * rates.x)
        clipped = ratio._replace(low=max(ratio.low, 0.0))
        measured.append(
            Measurement("success_after", at, "mean intervals", clipped, "ratio to p")
        )
    return measured


def independence_measurements(
    key: Key[Array, ""],
    rounds: Rounds,
    rates: RoundRates,
    window_blocks: Sequence[float],
) -> list[Measurement]:
    """``dispersion`` and ``window_distance`` at each kp, and ``success_after``.

    Args:
        key: Draws the places of the windows.
        rounds: Success rounds of all replicas.
        rates: Their expectations per round.
        window_blocks: Window lengths as expected successful rounds kp.

    Raises:
        Refused: Below 20 replicas, or if every window is longer than half the horizon.
    """
    measured = []
    for window in window_counts(key, rounds, rates, window_blocks):
        for name, estimate, unit in (
            (DISPERSION, dispersion(window), "variance per mean"),
            ("window_distance", window_distance(window), "total variation"),
        ):
            measured.append(
                Measurement(name, window.blocks, "expected blocks", estimate, unit)
            )
    return measured + success_after(rounds, rates)


def _enough(window: WindowCounts):
    if len(window.counts) < _MINIMUM_REPLICAS:
        raise Refused(
            f"independence: at least {_MINIMUM_REPLICAS} replicas are needed, got "
            f"{len(window.counts)}"
        )
    return np.asarray(window.counts, np.float64)


def _frequent(counts, k: int, largest: int):
    """A: the values that are more frequent than in a binomial of the same mean."""
    if counts.sum() == 0:
        raise Refused(
            "window distance: no window of one half of the replicas has a success; use "
            "longer windows or rounds, or more replicas"
        )
    seen = np.bincount(counts.ravel(), minlength=largest + 1) / counts.size
    return seen > stats.binom.pmf(np.arange(largest + 1), k, counts.mean() / k)


def _binomial_share(values, mean: float, k: int) -> tuple[float, float]:
    """Pr[Bin(k, mean/k) ∈ A] and its derivative by the mean."""
    x, p = np.flatnonzero(values), mean / k
    pmf = stats.binom.pmf(x, k, p)
    slope = pmf @ (x - mean) / (mean * (1 - p)) if p < 1 else 0.0
    return float(pmf.sum()), float(slope)


@jax.jit
def _counts(key, honest, edges, windows):
    begin, end = edges
    keys = jax.random.split(key, honest.shape[0])

    def one(replica):
        key, rounds = replica
        total = jnp.cumsum(_distinct(rounds), dtype=jnp.int32)
        total = jnp.concatenate([jnp.zeros(1, jnp.int32), total])

        def starts_of(window):
            return jax.random.randint(key, (_STARTS,), begin, end - window + 1)

        starts = jax.vmap(starts_of)(windows)
        first = jnp.searchsorted(rounds, starts, side="left")
        last = jnp.searchsorted(rounds, starts + windows[:, None], side="left")
        return total[last] - total[first]

    return lax.map(one, (keys, honest), batch_size=batch_of(honest.shape[0], _BATCH))


@jax.jit
def _after(honest, limits, edges):
    begin, end = limits

    def one(rounds):
        # Of equal rounds only the last has a distance to the next; the others have 0
        # and are never at risk.
        distance = jnp.diff(rounds, append=jnp.full(1, ABSENT, rounds.dtype))
        # Rounds from the success to the end of the horizon, and none where it is no
        # success of it.
        watched = jnp.where((rounds >= begin) & (rounds < end), end - 1 - rounds, 0)
        reached = jnp.minimum(distance, watched)
        low, high = edges[:-1, None], edges[1:, None]
        at_risk = jnp.clip(reached[None, :], low, high) - low
        hit = (distance <= watched) & (distance > 0)
        hits = hit[None, :] & (distance[None, :] > low) & (distance[None, :] <= high)
        return hits.sum(axis=1), at_risk.sum(axis=1)

    return lax.map(one, honest, batch_size=batch_of(honest.shape[0], _BATCH))


def _distinct(rounds: Int[Array, " n"]):
    """Of sorted rounds: is it the round's first success?"""
    return jnp.concatenate([jnp.ones(1, bool), rounds[1:] != rounds[:-1]])
