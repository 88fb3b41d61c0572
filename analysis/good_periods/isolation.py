r"""Isolated blocks: how many honest blocks come alone, as the weight rule needs.

Notation (SLT23 Def. 4)

| symbol | name here | meaning |
|---|---|---|
| Δ | `delay_steps` | bound on message delay, steps |
| acc | `threshold` | accuracy from which a block counts at all |
| left-isolated | `left` | no other counted block in [t − Δ, t] |
| isolated | `alone` | none in [t − Δ, t + Δ] |
| λ_h | | rate of all honest provers |

Def. 4 forbids any block in these intervals; here those of honest provers, forks
included, are looked at. That is what an adversary which keeps its own blocks back for
the race leaves, and what the closed forms are about: where honest blocks are a Poisson
process (exponential laws, whatever the network's delay, since restarting changes
nothing), isolated blocks come at λ_h e^{−2λ_hΔ} (loners, convergence opportunities)
and left-isolated ones at λ_h e^{−λ_hΔ} (non-tailgaters): `bounds.delays.loner_rate` and
`bounds.delays.nontailgater_rate`.

Counted in a stretch of time that is the same for all replicas of a call: one that ends
with a block would count it too often. Times are whole ticks, 2^-30 of the longest
replica, because a float32 sum of intervals forgets gaps between late blocks.

Sources
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23, Def. 4 and Theorem 2.
    [PSS17] Pass, Seeman, Shelat, Analysis of the Blockchain Protocol in
            Asynchronous Networks, EUROCRYPT'17.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from ..bounds.arguments import Real
from ..estimation.estimate import Refused, estimate_ratio
from ..estimation.measurement import Measurement
from ..simulation.levels import Levels, batch_of

_TICKS = 2**30
_NEVER = 2**31 - 1
# Intervals are rounded to ticks; a distance of exactly Δ must still count as within.
_SLACK = 2
# Both edges of the observed time are moved by as much, off the points of a lattice law,
# which rounding would put on either side of them.
_OFF = 2**10
_BATCH = 256


class Isolation(NamedTuple):
    """Blocks of each replica within the observed time.

    Attributes:
        blocks: Honest blocks that count, forks included.
        left: Those that are left-isolated.
        alone: Those that are isolated.
        span: Observed time, steps.
    """

    blocks: Int[np.ndarray, " replicas"]
    left: Int[np.ndarray, " replicas"]
    alone: Int[np.ndarray, " replicas"]
    span: Float[np.ndarray, " replicas"]


def count_isolated(
    levels: Levels,
    *,
    delay_steps: Real,
    accuracy: Float[Array, "replicas levels slots"] | None = None,
    threshold: Real = 0.0,
) -> Isolation:
    """Count isolated and left-isolated honest blocks.

    The first tenth of the common time is a run-in. Blocks of several calls may be
    joined by concatenating the fields.

    Args:
        levels: Replicas of the network.
        delay_steps: Δ ≥ 0 of Def. 4, which need not be that of the network.
        accuracy: acc of each block, in the slots of ``levels.lag``; None: all count.
        threshold: Blocks below it neither count nor disturb others.

    Raises:
        ValueError: If Δ is negative, or a threshold comes without accuracies.
        Refused: If the replicas' common time is not ten times Δ.
    """
    if not 0 <= delay_steps < np.inf:
        raise ValueError(f"delay_steps must be ≥ 0 and finite, got {delay_steps}")
    if accuracy is None and threshold:
        raise ValueError(f"threshold must be 0 without accuracies, got {threshold}")
    length = np.asarray(levels.interval.sum(axis=1))
    shortest, longest = float(length.min()), float(length.max())
    if shortest < 10 * delay_steps:
        raise Refused(
            f"isolated blocks: a replica lasts {shortest:g} steps, not ten times the "
            f"delay of {delay_steps:g}; simulate more levels"
        )
    tick = longest / _TICKS
    # Forks of the level before the first recorded one end within Δ, and no unrecorded
    # block comes before the last level's first.
    begin, end = max(shortest / 10, 2 * delay_steps), shortest - delay_steps
    lag = levels.lag
    if accuracy is not None:
        lag = jnp.where(accuracy >= threshold, lag, jnp.inf)
    # Arrays, since a whole number of steps would compile anew.
    times = jnp.array([tick, delay_steps, begin, end], jnp.float32)
    counts = _count(levels.interval, lag, times)
    blocks, left, alone = (np.asarray(x) for x in counts)
    return Isolation(blocks, left, alone, np.full(len(blocks), end - begin))


def isolation_measurements(found: Isolation) -> list[Measurement]:
    """Rates and shares of isolated and left-isolated blocks.

    Returns:
        ``isolated_rate`` and ``left_isolated_rate`` (blocks per step), and
        ``isolated_share`` and ``left_isolated_share`` of the honest blocks.

    Raises:
        Refused: Below 10 replicas, or if no honest block counts.
    """
    blocks, left, alone, span = (np.asarray(x, np.float64) for x in found)
    measured = []
    for name, count in (("isolated", alone), ("left_isolated", left)):
        rate = estimate_ratio(count, span, f"{name} blocks")
        share = estimate_ratio(count, blocks, f"{name} blocks").clipped(0, 1)
        measured += [
            Measurement(f"{name}_rate", None, "", rate, "blocks per step"),
            Measurement(f"{name}_share", None, "", share, "share"),
        ]
    return measured


@jax.jit
def _count(interval, lag, times):
    tick, delay_steps, begin, end = times

    def ticks(steps):
        whole = jnp.round(steps / tick)
        return jnp.where(jnp.isfinite(steps), whole, 0).astype(jnp.int32)

    def one(replica):
        interval, lag = replica
        times = jnp.cumsum(ticks(interval))[:, None] + ticks(lag)
        times = jnp.sort(jnp.where(jnp.isfinite(lag), times, _NEVER).ravel())
        # Differences of non-negative numbers: no overflow, and empty slots are far.
        far = jnp.diff(times) > ticks(delay_steps) + _SLACK
        edge = jnp.ones(1, bool)
        left = jnp.concatenate([edge, far])
        right = jnp.concatenate([far, edge])
        inside = (times >= ticks(begin) - _OFF) & (times < ticks(end) - _OFF)
        marks = (inside, inside & left, inside & left & right)
        return tuple(mark.sum() for mark in marks)

    replicas = interval.shape[0]
    return lax.map(one, (interval, lag), batch_size=batch_of(replicas, _BATCH))
