"""How long a transaction waits on a chain whose levels and their finders are known."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from ..simulation.properties import Paths


def waits(
    key: Key[Array, ""],
    interval: Float[np.ndarray, "replicas levels"],
    settled: Float[np.ndarray, "replicas levels"],
    own: Bool[np.ndarray, "replicas levels"],
    *,
    confirmations: int,
    delay_steps: float,
) -> Float[np.ndarray, " replicas"]:
    """Time from a random moment until a transaction is k deep for all; inf: too late.

    As ``simulation.properties.follow``: it enters the next level that is not the
    adversary's, and is final when the k-th level is settled and heard of, Δ later.

    Args:
        key: Draws the moments, which lie in the same stretch of time for all.
        interval: Time between levels.
        settled: When each level's settled block is public, from the same start.
        own: Whether that block is the adversary's.
        confirmations: k ≥ 1.
        delay_steps: Δ.
    """
    replicas, levels = interval.shape
    place = np.asarray(jax.random.uniform(key, (replicas,)), float)
    moments = interval.mean() * (levels // 2 + (levels // 8) * place)
    opens = (settled > moments[:, None]) & ~own
    entered = opens.argmax(axis=1)
    final = entered + confirmations - 1
    rows = np.arange(replicas)
    done = settled[rows, np.minimum(final, levels - 1)]
    fits = opens[rows, entered] & (final < levels)
    return np.where(fits, done - moments + delay_steps, np.inf)


def paths_of(
    interval: Float[np.ndarray, "replicas levels"],
    own: Bool[np.ndarray, "replicas levels"],
    blocks: np.ndarray,
    wait: Float[np.ndarray, " replicas"],
) -> Paths:
    """The same as ``Paths``, without a race."""
    nothing = jnp.full(len(interval), jnp.nan)
    levels = interval.shape[1]
    return Paths(
        duration=jnp.asarray(interval.sum(axis=1)),
        square=jnp.asarray((interval**2).sum(axis=1)),
        blocks=jnp.asarray(blocks),
        taken=jnp.asarray(own[:, levels // 2 :].sum(axis=1)),
        last_tie=nothing,
        last_strict=nothing,
        wait=jnp.asarray(wait),
    )
