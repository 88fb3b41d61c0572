"""Rounds as SLT23's Lemma 1 has them: independent trials, simulated.

Notation (that of ``windows.py``)
    p, E[Y], E[Z]   as measured of a real process; the trials have the same

Whatever is measured of a real chain's rounds can be measured of these too, with the
same windows: what remains between the two is the dependence alone.

Source: [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
Distributed Proof-of-Deep-Learning, NSS'23, Lemma 1.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Key

from ..estimation.estimate import (
    Refused,
)
from ..simulation.levels import batch_of
from .windows import RoundRates, Rounds

# Pads lists of success rounds, as in `rounds.py`.
ABSENT = 2**29
_BATCH = 256


def independent_rounds(
    key: Key[Array, ""], rates: RoundRates, *, replicas: int, places: int = 0
) -> Rounds:
    """Rounds as Lemma 1 has them: independent trials with the same E[X], E[Y], E[Z].

    Gaps between successes are geometric, a success is a single one with probability
    E[Y]/E[X], and Z is independent of both with at most one success a round.

    Args:
        key: Fixes every draw.
        rates: Expectations, and the rounds that must be covered.
        replicas: Independent replicas.
        places: Room for the successes of a replica, where that is more than they
            need: laws that share it share a program.

    Returns:
        Success rounds below ``rates.end``; to be judged with the same rates.

    Raises:
        Refused: If E[Z_r] > 1: the adversary has several successes in a round.

    Reference: [SLT23] Lemma 1.
    """
    if rates.z > 1:
        raise Refused(
            f"independent rounds: E[Z_r] = {rates.z:g} is above 1; use shorter rounds"
        )
    chances = jnp.array([rates.x, rates.y / rates.x, rates.z], jnp.float32)
    return _independent(
        key,
        chances,
        jnp.int32(rates.end),
        replicas=replicas,
        honest=max(_room(rates.x, rates.end), places),
        private=max(_room(rates.z, rates.end), places),
    )


def _room(p: float, rounds: int) -> int:
    """Places for the successes of a replica: nine standard deviations, a power of 2."""
    mean = p * rounds
    return 2 ** math.ceil(math.log2(mean + 9 * math.sqrt(mean + 1) + 16))


@partial(jax.jit, static_argnames=("replicas", "honest", "private"))
def _independent(key, chances, end, *, replicas, honest, private) -> Rounds:
    x, single, z = chances

    def trials(key, chance, places):
        draws = jax.random.exponential(key, (places,))
        # Geometric by inversion; no success at all where the chance is 0. Far gaps are
        # cut at the end, beyond which nothing is looked at.
        gaps = jnp.where(chance > 0, jnp.ceil(draws / -jnp.log1p(-chance)), jnp.inf)
        gaps = jnp.minimum(jnp.maximum(gaps, 1.0), end.astype(jnp.float32) + 1)
        # Sums stop at the end, so that int32 holds them.
        ends = lax.associative_scan(
            lambda a, b: jnp.minimum(a + b, end + 1), gaps.astype(jnp.int32)
        )
        return jnp.where(ends <= end, ends - 1, ABSENT)

    def one(key):
        honest_key, single_key, private_key = jax.random.split(key, 3)
        first = trials(honest_key, x, honest)
        several = jax.random.uniform(single_key, (honest,)) >= single
        # A round with more than one success stands in the list twice.
        again = jnp.where(several, first, ABSENT)
        return Rounds(
            honest=jnp.sort(jnp.concatenate([first, again])),
            adversarial=trials(private_key, z, private),
        )

    keys = jax.random.split(key, replicas)
    return lax.map(one, keys, batch_size=batch_of(replicas, _BATCH))
