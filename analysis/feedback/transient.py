r"""Blocks while the target is wrong: good levels and persistence after an event.

Notation
    j       height, from the event on
    k       depth
    H_m     Σ over m levels of an honest network's interval, and Δ each
    A_m     Σ of the adversary's

A level is good if the honest block that comes first is Δ ahead of the next: all have
heard of it before another is found. A block k deep is reverted if the private chain
that began before it is as long at some time after, A_m ≤ H_{m+1} for some m ≥ k. Both
chains meet the targets that the loop gave to heights j, j + 1, …: what the adversary
gains by timestamps of its own is ``closed_forms.forward_gain``.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ..block_time.law import Real
from ..estimation.estimate import Estimate, estimate_mean_share
from .laws import Laws
from .loop import Paths
from .scenarios import Scenario

# A race that is not decided so many depths later counts as the honest chain's.
_DEPTHS_ON = 4


def good_levels(
    key: Key[Array, ""],
    laws: Laws,
    paths: Paths,
    scenario: Scenario,
    places: list[int],
    *,
    honest: int,
    share: Real,
    delay: Real,
    per_chain: int = 32,
) -> list[Estimate]:
    """Pr[a level is good] at heights of simulated chains.

    Args:
        key: Fixes the draws.
        laws: Of the interval of all provers.
        paths: Chains.
        scenario: Theirs.
        places: Heights.
        honest: Number of honest provers, ≥ 2.
        share: Of the provers that are honest.
        delay: Δ, in T.
        per_chain: Levels drawn on each chain, which is one sample.

    Raises:
        ValueError: For fewer than two honest provers.
        Refused: For fewer than 10 chains.
    """
    if honest < 2:
        raise ValueError(f"honest must be ≥ 2, got {honest}")
    found = []
    for place in places:
        target, provers, speed, task = _at(paths, scenario, place, 1)
        first, second = jax.random.exponential(
            jax.random.fold_in(key, place), (2, len(target), per_chain)
        )
        counted = provers * share
        one = _intervals(laws, target, first, counted, task)
        # Of n, the next hazard is E/(n − 1) on: in hazards of the first, n/(n − 1).
        on = first + second * honest / (honest - 1)
        two = _intervals(laws, target, on, counted, task)
        good = np.asarray((two - one) / speed > delay)
        found.append(estimate_mean_share(good.mean(axis=1), "good level"))
    return found


def persistence(
    key: Key[Array, ""],
    laws: Laws,
    paths: Paths,
    scenario: Scenario,
    places: list[int],
    *,
    depth: int,
    beta: Real,
    delay: Real,
    per_chain: int = 8,
) -> list[Estimate]:
    """Pr[a block k deep is reverted], for blocks at heights of simulated chains.

    Args:
        key: Fixes the draws.
        laws: Of the interval of all provers.
        paths: Chains; 5 k blocks from each height on are raced.
        scenario: Theirs.
        places: Heights.
        depth: k.
        beta: The adversary's share of the provers, in (0, 1).
        delay: Δ, in T.
        per_chain: Races on each chain, which is one sample: they share its targets.

    Raises:
        ValueError: If a race does not fit, or a number is out of range.
    """
    levels = (1 + _DEPTHS_ON) * depth + 1
    length = paths.interval.shape[1]
    if depth < 1 or max(places) + levels > length:
        raise ValueError(
            f"depth must be ≥ 1 and {1 + _DEPTHS_ON} depths from each height within "
            f"{length} blocks, got {depth} at height {max(places)}"
        )
    if not 0 < beta < 1:
        raise ValueError(f"beta must be in (0, 1), got {beta}")
    found = []
    for place in places:
        at = _at(paths, scenario, place, levels)
        keys = jax.random.split(jax.random.fold_in(key, place), per_chain)
        lost = [_reverted(each, laws, at, beta, delay, depth) for each in keys]
        shares = np.mean(np.asarray(lost, float), axis=0)
        found.append(estimate_mean_share(shares, "reverted"))
    return found


@partial(jax.jit, static_argnames="depth")
def _reverted(key, laws, at, beta, delay, depth):
    target, provers, speed, task = at
    mine, theirs = jax.random.split(key)

    def took(key, share):
        draws = jax.random.exponential(key, target.shape)
        return laws.interval(target, draws, provers * share, task) / speed

    honest = jnp.cumsum(took(mine, 1 - beta) + delay, axis=1)
    private = jnp.cumsum(took(theirs, beta), axis=1)
    return (private[:, :-1] <= honest[:, 1:])[:, depth - 1 :].any(axis=1)


@jax.jit
def _intervals(laws, target, draws, provers, task):
    return laws.interval(target, draws, provers, task)


def _at(paths: Paths, scenario: Scenario, place: int, levels: int):
    part = slice(place, place + levels)
    target = jnp.asarray(paths.log_target[:, part])
    shape = target.shape
    return (
        target,
        jnp.asarray(paths.provers[:, part]),
        jnp.broadcast_to(jnp.asarray(scenario.speed[part]), shape),
        jnp.broadcast_to(jnp.asarray(scenario.task[part]), shape),
    )
