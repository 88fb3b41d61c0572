r"""Slow stretches of the chain: too little growth, or no honest block at all.

Notation (SLT23 Def. 1)

| symbol | name here | meaning |
|---|---|---|
| s | `spans` | length of a stretch of time, steps |
| N(s) | | levels whose first block comes in it |
| τ | `tau` | growth that is asked for, blocks per step |
| taken_j | `taken` | level j is the adversary's (`security`, withholding adversary) |

    growth shortfall    Pr[N(s) < τs]
    quality gap         Pr[no level within s steps that is not taken]

Chain growth with parameters (τ, s) and existential chain quality with parameter s are
the negations, for every stretch; here a stretch is one at a random time. An honest
prover sees each level at most Δ after its first block, the same for all of them under
worst-case delay, so its chain's growth has the law of N(s).

For exponential laws without delay N(s) is Poisson(λ_h s). Without an adversary the
quality gap is Pr[N(s) = 0], then e^{−λ_h s}.

Source
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23, Def. 1 and Lemma 2.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Key

from ..bounds.rounds import greatest_below
from ..estimation.estimate import Refused, estimate_mean_share
from ..estimation.measurement import Measurement
from ..estimation.quantities import GROWTH_SHORTFALL, QUALITY_GAP
from ..simulation.levels import Levels, batch_of

# Stretches looked at in each replica; they share a path, so a replica counts as one
# sample.
_STARTS = 16
_BATCH = 256


def shortfall_shares(
    key: Key[Array, ""],
    levels: Levels,
    spans: Sequence[float],
    rates: Sequence[float],
) -> Float[np.ndarray, "replicas points"]:
    """Share of random stretches of each replica that grow by less than asked.

    Stretches lie in the time that all replicas cover, after a tenth of it. Shares of
    several calls may be joined along the replicas.

    Args:
        key: Draws the places of the stretches.
        levels: Replicas of the network.
        spans: s of each point, steps.
        rates: τ of each point, blocks per step.

    Raises:
        ValueError: If a span or rate is not positive, or their numbers differ.
        Refused: If a span is longer than half the common time.
    """
    _require_positive("rates", rates)
    _require_positive("spans", spans)
    if len(rates) != len(spans):
        raise ValueError(f"rates must be one for each of {len(spans)}, got {rates}")
    # N < τs for whole N; a τs that is whole but for rounding is taken as whole.
    needed = [greatest_below(r * s) + 1 for r, s in zip(rates, spans, strict=True)]
    every = jnp.ones(levels.interval.shape, bool)
    return _shares(key, levels, every, spans, needed, run_in=0.1, what="growth")


def gap_shares(
    key: Key[Array, ""],
    levels: Levels,
    taken: Bool[Array, "replicas levels"],
    spans: Sequence[float],
) -> Float[np.ndarray, "replicas points"]:
    """Share of random stretches of each replica without an honest level.

    The adversary's lead reaches its stationary law in the first half of the common
    time; stretches lie in the second.

    Args:
        key: Draws the places of the stretches.
        levels: Replicas of the network.
        taken: Whether the adversary has the level.
        spans: s of each point, steps.

    Raises:
        ValueError: If a span is not positive.
        Refused: If a span is longer than half the second half.
    """
    once = [1] * len(spans)
    return _shares(key, levels, ~taken, spans, once, run_in=0.5, what="quality gaps")


def shortfall_measurements(
    shares: Float[np.ndarray, "replicas points"], spans: Sequence[float]
) -> list[Measurement]:
    """``growth_shortfall`` at each s, from the shares at one τ.

    Raises:
        Refused: Below 10 replicas.
    """
    return _measurements(GROWTH_SHORTFALL, shares, spans, "steps")


def shortfall_curve(
    shares: Float[np.ndarray, "replicas points"], rates: Sequence[float]
) -> list[Measurement]:
    """``growth_shortfall_rate`` at each τ, from the shares at one s.

    Raises:
        Refused: Below 10 replicas.
    """
    return _measurements("growth_shortfall_rate", shares, rates, "blocks per step")


def gap_measurements(
    shares: Float[np.ndarray, "replicas points"], spans: Sequence[float]
) -> list[Measurement]:
    """``quality_gap`` at each s.

    Raises:
        Refused: Below 10 replicas.
    """
    return _measurements(QUALITY_GAP, shares, spans, "steps")


def _measurements(quantity, shares, places, unit) -> list[Measurement]:
    return [
        Measurement(
            quantity,
            float(at),
            unit,
            estimate_mean_share(np.asarray(column, np.float64), quantity),
            "probability",
        )
        for at, column in zip(places, shares.T, strict=True)
    ]


def _shares(
    key, levels: Levels, marks, spans, needed, *, run_in: float, what: str
) -> Float[np.ndarray, "replicas points"]:
    _require_positive("spans", spans)
    end = float(levels.interval.sum(axis=1).min())
    begin = run_in * end
    if max(spans) > (end - begin) / 2:
        raise Refused(
            f"{what}: stretches of {max(spans):g} steps need twice their length, the "
            f"replicas share {end - begin:g} steps: simulate more levels"
        )
    points = jnp.array([spans, needed], jnp.float32)
    edges = jnp.array([begin, end], jnp.float32)
    return np.asarray(_short(key, levels.interval, marks, points, edges), np.float64)


@jax.jit
def _short(key, interval, marks, points, edges):
    spans, needed = points
    begin, end = edges
    keys = jax.random.split(key, interval.shape[0])

    def one(replica):
        key, interval, marks = replica
        times = jnp.cumsum(interval)
        total = jnp.concatenate(
            [jnp.zeros(1, jnp.int32), jnp.cumsum(marks, dtype=jnp.int32)]
        )

        def before(moments):
            return total[jnp.searchsorted(times, moments, side="left")]

        # One uniform serves all spans: a longer stretch has common random numbers.
        place = jax.random.uniform(key, (_STARTS, 1))
        starts = begin + place * (end - spans - begin)[None, :]
        grown = before(starts + spans[None, :]) - before(starts)
        return (grown < needed[None, :]).mean(axis=0)

    return lax.map(
        one, (keys, interval, marks), batch_size=batch_of(interval.shape[0], _BATCH)
    )


def _require_positive(name: str, values: Sequence[float]) -> None:
    if not len(values) or not all(0 < v < math.inf for v in values):
        raise ValueError(f"{name} must be positive and finite, got {list(values)}")
