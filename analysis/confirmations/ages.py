"""Risk of a payment by its age: paths simulated until what is left out is known."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Key
from scipy import stats

from ..estimation.estimate import estimate_probability
from ..estimation.measurement import Measurement
from ..estimation.quantities import PREMINED, STRICT, TIME_RULE_VIOLATION
from ..simulation.levels import Levels, batch_of
from ..simulation.properties import LOWER_BOUND

_UNDECIDED = 0.02


class Ages(NamedTuple):
    """Until which age a block is violated (arrays over replicas; ties win, strict).

    Attributes:
        age: Largest violated age, steps; −inf if none.
        late: Whether it comes from the last quarter of the race's levels.
    """

    age: Float[Array, "replicas rules"]
    late: Bool[Array, "replicas rules"]


def follow_age(
    key: Key[Array, ""], levels: Levels, *, delay_steps: float, premined: bool = False
) -> Ages:
    """The largest violated age along each replica, by plain Monte Carlo.

    Classic, the race starts from a tip at time 0. Pre-mined, the transaction comes at a
    random moment after half the levels, until when the adversary forked anew whenever
    it fell behind; from then on it never gives up.

    Args:
        key: Draws the moments; classic races need none.
        levels: Replicas of the network.
        delay_steps: Δ.
        premined: Whether the adversary starts with the lead it has by then.
    """
    return _follow(
        key,
        levels.interval,
        levels.private,
        jnp.float32(delay_steps),
        jnp.asarray(premined),
    )


def time_rule_measurements(
    ages: Ages, times: Sequence[float | int], *, premined: bool = False
) -> list[Measurement]:
    """Pr[a block of age t is replaced], both tie rules, for each t.

    As in ``properties.persistence_measurements`` the share of replicas that still
    crossed in the last quarter of the levels raises the interval.

    Args:
        ages: Followed replicas.
        times: Ages t ≥ 0, steps.
        premined: Names the figures.

    Raises:
        ValueError: If an age is negative or infinite.
    """
    check_times(times)
    measured = []
    suffix = PREMINED if premined else ""
    for rule, name in enumerate((TIME_RULE_VIOLATION, TIME_RULE_VIOLATION + STRICT)):
        age = np.asarray(ages.age)[:, rule]
        late = float(np.mean(np.asarray(ages.late)[:, rule]))
        for t in times:
            count = int((age >= t).sum())
            estimate = estimate_probability(count, len(age), name)
            raised = estimate._replace(high=min(1.0, estimate.high + late))
            if late > _UNDECIDED * estimate.value > 0:
                raised = raised._replace(method=f"{raised.method}; {LOWER_BOUND}")
            measured.append(
                Measurement(
                    name + suffix, float(t), "steps", raised, "probability", "tail"
                )
            )
    return measured


def memoryless_time_risk(
    q: float | int,
    time: float | int,
    *,
    ties_win: bool = True,
    premined: bool = False,
) -> float:
    """Exact Pr[violation at age t] of exponential laws without delay.

    With P ~ Pois(pt), Q ~ Pois(qt), G ~ Geom_0(p) (and L ~ Geom_0(ρ) if pre-mined) it
    is E[ρ^{(1 + P − Q − G − L)⁺}] (strict: 2 in place of 1); all terms are positive.

    Args:
        q: The adversary's share, in [0, 1]; from ½ on the answer is 1.
        time: t ≥ 0 in mean block intervals of everybody.
        ties_win: Whether a private chain of equal length reverts.
        premined: Whether the adversary has its stationary lead.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q must lie in [0, 1], got {q}")
    check_times([time])
    if q >= 0.5:
        return 1.0
    if q == 0:
        return 0.0
    p, ratio = 1 - q, q / (1 - q)
    # Pois(pt) ρ^n is Pois(qt) but for a factor: neither sum reaches beyond pt.
    most = math.ceil(p * time + 12 * math.sqrt(p * time) + 60)
    blocks = np.arange(most + 1)
    public = stats.poisson.pmf(blocks, p * time)
    private = stats.poisson.pmf(blocks, q * time)
    # h(d) = E[ρ^{(d − G − L)⁺}] for a deficit of d blocks, by the law of G + L.
    deficit = blocks[:, None] - blocks[None, :] + (1 if ties_win else 2)
    lead = np.arange(int(deficit.max()) + 1)
    law = p * q ** lead.astype(float)
    if premined:
        law = np.convolve(law, (1 - ratio) * ratio ** lead.astype(float))[: len(lead)]
    d = np.arange(1, int(deficit.max()) + 1)
    beyond = np.concatenate([[1.0], _beyond(q, ratio, len(lead), premined)])
    made = np.array(
        [beyond[n] + law[:n] @ ratio ** (n - np.arange(n, dtype=float)) for n in d]
    )
    chance = np.concatenate([[1.0], made])[np.maximum(deficit, 0)]
    return min(1.0, float(public @ chance @ private))


def _beyond(q: float, ratio: float, most: int, premined: bool) -> np.ndarray:
    """Pr[G ≥ n] or Pr[G + L ≥ n] for n = 1 ... most."""
    n = np.arange(1, most + 1, dtype=float)
    if not premined:
        return q**n
    # Geom_0 of ratios q < ρ: (ρ^{n+1}(1 − q) − q^{n+1}(1 − ρ)) / (ρ − q), as a sum of
    # positive terms: Pr[L ≥ n] + Σ_{l<n} Pr[L = l] q^{n−l}.
    powers = (1 - ratio) * ratio ** np.arange(most, dtype=float)
    return ratio**n + np.convolve(powers, q**n)[:most]


@jax.jit
def _follow(key, intervals, privates, delay, premined) -> Ages:
    count = intervals.shape[1]
    mean_interval = intervals.mean()
    uniform = jax.random.uniform(key, (intervals.shape[0],))
    # All come in one stretch of time: long intervals as often as they last.
    moments = mean_interval * (count // 2 + (count // 8) * uniform)
    place = jnp.arange(count)

    def one(replica):
        interval, private, moment = replica
        private = jnp.minimum(private, 1e30)
        times = jnp.cumsum(interval)

        def withhold(behind, gaps):
            behind = jnp.minimum(behind, 0.0) + gaps[1] - gaps[0]
            return behind, behind

        # Block b is the last before the moment; 0: the race of a tip.
        b = jnp.where(premined, (times <= moment).sum(), 0)
        _, behind = lax.scan(withhold, jnp.float32(0), (interval, private))
        done = jnp.maximum(b - 1, 0)
        lead = jnp.where(b > 0, jnp.minimum(behind[done], 0.0), 0.0)
        racing = place >= b
        walk = lead + jnp.cumsum(jnp.where(racing, private - interval, 0.0))
        # walk[i] = α − τ after block i + 1, the (i + 1 − b)-th of the race; a crossing
        # there violates ages up to the public block after it.
        tie = racing[:-1] & (walk[:-1] <= interval[1:] + delay)
        strict = (place > b) & (walk <= delay)
        last = jnp.stack(
            [
                jnp.max(jnp.where(tie, place[1:], -1)),
                jnp.max(jnp.where(strict, place, -1)),
            ]
        )
        begun = times[jnp.minimum(b, count - 1)]
        age = jnp.where(last > 0, times[last] - begun, -jnp.inf)
        return Ages(age=age, late=last >= b + 3 * (count - b) // 4)

    batch = batch_of(intervals.shape[0])
    return lax.map(one, (intervals, privates, moments), batch_size=batch)


def check_times(times: Sequence[float | int]) -> None:
    """Refuse elapsed times that are none.

    Raises:
        ValueError: If there is none, or one is negative or not finite.
    """
    if len(times) == 0 or not all(0 <= t < math.inf for t in times):
        raise ValueError(f"times must be ≥ 0 and finite, got {list(times)}")
