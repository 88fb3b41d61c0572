"""An honest network of provers with bounded delay, level by level.

Notation:
    n_h         honest provers                        ``honest``
    Δ           every honest message takes this long  ``delay``
    f_i         time at which prover i finds a block
    t1          first of them: the level's block      ``Levels.interval`` (gaps of t1)
    E_j         independent Exp(1)

Provers restart on each new tip (h_1 covers prevBK). The finder of a block knows it at
once, all others Δ later, so prover i starts the next level at min(f_i, t1 + Δ) and
every f_i ≤ t1 + Δ is a block: one extends the chain, the others are forks. The state
is the few early finders and one homogeneous group that starts at t1 + Δ. The group's
order statistics are drawn by Rényi's representation, Λ⁻¹(E_1/m + E_2/(m−1) + ...),
until they pass t1 + Δ, so a level costs draws in proportion to its blocks, whatever n_h
is. If more than ``slots`` provers find a block at one level, the replica says so
(``overflow``) and is simulated again wider: nothing is dropped.

The law, n_h, n_a and Δ are traced: one compilation serves a whole sweep.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ..block_time.counter_draws import words_of
from ..block_time.law import BlockTimeLaw, time_of_hazard
from ..estimation.estimate import Refused
from . import kernel

# Replicas that run side by side inside one call: wide enough for vector units and
# small enough that a batch's random numbers stay in the cache of a CPU core.
BATCH = 1024
# What ``simulate`` does unless told otherwise.
BURN_IN, SLOTS = 16, 8
# Fewer of them, where there are no more.
_FEW = 256
# Levels of a call: enough that calling takes no time to speak of.
_STRETCH = 64
# Beyond that many finders a level, draws would fill the memory.
MAXIMUM_SLOTS = 2048


class Network(NamedTuple):
    """Who takes part, all traced.

    Attributes:
        law: Block-time law of one prover (time unit: steps).
        honest: n_h, honest provers.
        adversarial: n_a, corrupted provers, which share what they find at once.
        delay: Δ, steps.
        adversary: Block-time law of a corrupted prover, which its attack may change;
            None: the honest one.
    """

    law: BlockTimeLaw
    honest: float | Float[Array, ""]
    adversarial: float | Float[Array, ""]
    delay: float | Float[Array, ""]
    adversary: BlockTimeLaw | None = None

    @property
    def private_law(self) -> BlockTimeLaw:
        """Block-time law of a corrupted prover."""
        return self.law if self.adversary is None else self.adversary


class Levels(NamedTuple):
    """One replica: the honest chain and the adversary's private one, by level.

    Attributes:
        interval: Time between the first block of level j−1 and that of level j.
        blocks: Honest blocks at level j; all but one are forks.
        lag: Times of these blocks after the level's first; inf in empty slots.
        private: The adversary's time for its j-th block on a chain of its own.
        overflow: Whether a level had more finders than slots (replica not usable).
    """

    interval: Float[Array, "*replicas levels"]
    blocks: Int[Array, "*replicas levels"]
    lag: Float[Array, "*replicas levels slots"]
    private: Float[Array, "*replicas levels"]
    overflow: Bool[Array, "*replicas"]


class Early(NamedTuple):
    """Provers that found a block of the last level before they heard of the first.

    Attributes:
        start: When they started the next level, relative to the others; inf: no one.
        overflow: Whether there were more of them than slots.
    """

    start: Float[Array, " slots"]
    overflow: Bool[Array, ""]


def network(
    law: BlockTimeLaw,
    *,
    provers: int,
    beta: float,
    delay_steps: float,
    adversary: BlockTimeLaw | None = None,
) -> Network:
    """A network of n equal provers of which the adversary holds βn.

    Args:
        law: Block-time law of one prover.
        provers: n ≥ 1.
        beta: β in [0, 1); βn must be whole, the split of compute is by provers.
        delay_steps: Δ ≥ 0.
        adversary: Law of a corrupted prover; None: the same.

    Raises:
        ValueError: If a parameter is out of range.
    """
    if provers < 1:
        raise ValueError(f"provers must be ≥ 1, got {provers}")
    if not 0 <= beta < 1:
        raise ValueError(f"beta must be in [0, 1), got {beta}")
    adversarial = round(beta * provers)
    if abs(adversarial - beta * provers) > 1e-6:
        below = int(beta * provers)
        raise ValueError(
            f"beta × provers must be whole: with {provers} provers the nearest betas "
            f"are {below / provers:g} and {(below + 1) / provers:g}, got {beta:g}"
        )
    if not delay_steps >= 0:
        raise ValueError(f"delay_steps must be ≥ 0, got {delay_steps}")
    return Network(law, provers - adversarial, adversarial, delay_steps, adversary)


def simulate(
    key: Key[Array, ""],
    network: Network,
    *,
    levels: int,
    replicas: int,
    burn_in: int = BURN_IN,
    slots: int = SLOTS,
) -> Levels:
    """Simulate independent replicas of the network.

    Args:
        key: Fixes every draw.
        network: Law, provers, adversary's provers, delay.
        levels: Levels recorded a replica.
        replicas: Independent replicas.
        burn_in: Levels run and forgotten, so that forks are in their stationary law.
        slots: Finders a level that are followed at first; widened where too few.

    Returns:
        Device arrays [replicas, levels, ...], without overflow.

    Raises:
        Refused: If some honest block time is infinite (the law may never end), or
            more than 2048 provers find a block at one level.
    """
    rules, words = _rules()(traced(network)), words_of(key)
    lattice = bool(network.law.lattice), bool(network.private_law.lattice)

    def run(numbers: Int[np.ndarray, " n"], slots: int) -> _Drawn:
        blocks = [
            _block(words, block, rules, burn_in + levels, slots, lattice)
            for block in _blocks(numbers.astype(np.int32))
        ]
        return _joined(blocks, len(numbers), burn_in, levels)

    drawn = run(np.arange(replicas), slots)
    while len(again := np.flatnonzero(drawn.overflow)):
        slots *= 2
        if slots > MAXIMUM_SLOTS:
            raise Refused(
                f"the network: more than {slots // 2} provers find a block at "
                "one level; with so many forks there is no chain to speak of (fewer "
                "provers, a shorter delay_steps or a rarer post-hash)"
            )
        drawn = _replaced(drawn, again, run(again, slots))
    if not np.isfinite(drawn.interval).all():
        raise Refused(
            "block intervals: some level never got a block, since the law leaves mass "
            "that never ends; set abandon_steps or lengthen the horizon"
        )
    return Levels(*map(jnp.asarray, drawn))


class _Drawn(NamedTuple):
    """``Levels`` on the host, where lengths are no part of a compiled program."""

    interval: Float[np.ndarray, "replicas levels"]
    blocks: Int[np.ndarray, "replicas levels"]
    lag: Float[np.ndarray, "replicas levels slots"]
    private: Float[np.ndarray, "replicas levels"]
    overflow: Bool[np.ndarray, " replicas"]


@cache
def _rules() -> Callable[[Network], kernel.Rules]:
    """The kernel's network, made once for all blocks."""

    def rules(network: Network) -> kernel.Rules:
        return kernel.rules(
            network.law,
            network.private_law,
            network.honest,
            network.adversarial,
            network.delay,
        )

    return jax.jit(rules)


@cache
def _program() -> Callable[..., tuple[kernel.State, kernel.Record]]:
    """``_simulate``, made when it is first called: only then is the device known."""
    return jax.jit(
        _simulate,
        static_argnames=("room", "lattice"),
        compiler_options=kernel.compiler_options(),
    )


def _simulate(words, numbers, rules, state, first, count, *, room, lattice):
    return kernel.stretch(
        words, numbers, rules, state, first, count, room=room, lattice=lattice
    )


def _blocks(numbers: Int[np.ndarray, " n"]) -> list[Int[np.ndarray, " width"]]:
    """The replicas side by side, in blocks of two widths: two shapes for every run."""
    found = []
    while len(numbers):
        width = BATCH if len(numbers) > BATCH - _FEW else _FEW
        block, numbers = numbers[:width], numbers[width:]
        found.append(np.resize(block, width))
    return found


def _block(words, numbers, rules, levels: int, slots: int, lattice):
    """Stretch after stretch of replicas side by side; the device works on them."""
    state, records = _fresh(slots, len(numbers)), []
    for first in range(0, levels, _STRETCH):
        state, record = _program()(
            words,
            numbers,
            rules,
            state,
            np.int32(first),
            np.int32(min(_STRETCH, levels - first)),
            room=_STRETCH,
            lattice=lattice,
        )
        records.append(record)
    return records


@cache
def _fresh(slots: int, width: int) -> kernel.State:
    return jax.jit(kernel.fresh, static_argnums=(0, 1))(slots, width)


def _joined(blocks, replicas: int, burn_in: int, levels: int) -> _Drawn:
    """All blocks, without their padding and the levels before the recorded ones."""
    slots = blocks[0][0].lag.shape[-1]
    drawn = _Drawn(
        np.empty((replicas, levels), np.float32),
        np.empty((replicas, levels), np.int32),
        np.empty((replicas, levels, slots), np.float32),
        np.empty((replicas, levels), np.float32),
        np.empty(replicas, bool),
    )
    row = 0
    for records in blocks:
        width = min(len(records[0].overflow), replicas - row)
        rows = slice(row, row + width)
        for number, record in enumerate(records):
            # Levels of the record are those from ``begin``, relative to the first kept.
            begin = number * _STRETCH - burn_in
            kept = slice(max(begin, 0), min(begin + _STRETCH, levels))
            source = slice(kept.start - begin, kept.stop - begin)
            for whole, part in zip(drawn[:-1], record[:-1], strict=True):
                if kept.start < kept.stop:
                    whole[rows, kept] = np.asarray(part)[:width, source]
        drawn.overflow[rows] = np.asarray(records[-1].overflow)[:width]
        row += width
    return drawn


def _replaced(drawn: _Drawn, which: Int[np.ndarray, " n"], wider: _Drawn) -> _Drawn:
    """The same replicas, some of them from a wider run."""
    missing = wider.lag.shape[-1] - drawn.lag.shape[-1]
    padding = ((0, 0), (0, 0), (0, missing))
    drawn = drawn._replace(lag=np.pad(drawn.lag, padding, constant_values=np.inf))
    for old, new in zip(drawn, wider, strict=True):
        old[which] = new
    return drawn


def next_level(early: Early, draws, *, network: Network):
    """One level, with times relative to the group's start t1 + Δ of the last one."""
    slots = early.start.shape[0]
    group = network.honest - jnp.isfinite(early.start).sum()
    left = group - jnp.arange(slots)
    gaps = jnp.where(left > 0, draws[1] / jnp.where(left > 0, left, 1), jnp.inf)
    # One look-up for both halves: it is most of the program, to compile and to run.
    hazards = jnp.concatenate([draws[0], jnp.cumsum(gaps)])
    start = jnp.concatenate([early.start, jnp.zeros(slots)])
    finish = start + time_of_hazard(network.law, hazards)
    first = finish.min()
    known = first + network.delay
    # ≤: a block found in the very moment the other arrives still counts as a fork.
    # A law that may never end has infinite times, which are no blocks.
    # Float32 must not break the ties of a lattice law.
    slack = jnp.where(network.law.lattice, 1e-3 * network.law.spacing, 0.0)
    found = (finish <= known + slack) & jnp.isfinite(finish)
    overflow = (found.sum() > slots) | (found[-1] & (left[-1] > 1))

    # The group's finders are its first; they go to the slots that are free, in order.
    finish = jnp.where(found, finish, jnp.inf)
    own, others = finish[:slots], finish[slots:]
    free = jnp.isinf(own)
    rank = jnp.maximum(jnp.cumsum(free) - 1, 0)
    mine = jnp.where(free, others[rank], own)
    info = (network.delay + first, found.sum(), mine - first)
    return Early(mine - known, early.overflow | overflow), info


def traced(network: Network) -> Network:
    """The network as compiled code takes it: two laws, always, in float32.

    Arrays are the host's: a call brings them to the device in less time than it takes
    to do so one by one.
    """

    def single(x) -> Any:
        return np.asarray(x, np.float32)

    def arrays(law: BlockTimeLaw) -> BlockTimeLaw:
        found = BlockTimeLaw(*map(single, law))
        return found._replace(lattice=np.asarray(law.lattice))

    law, adversary = arrays(network.law), network.adversary
    return Network(
        law,
        single(network.honest),
        single(network.adversarial),
        single(network.delay),
        law if adversary is None else arrays(adversary),
    )


def batch_of(replicas: int, limit: int = BATCH) -> int:
    """Replicas side by side in ``lax.map``: a divisor, if a fair one exists.

    A remainder would be compiled as a second program of its own.
    """
    divisor = next(d for d in range(min(limit, replicas), 0, -1) if replicas % d == 0)
    return divisor if 4 * divisor >= min(limit, replicas) else min(limit, replicas)


def compilations() -> int:
    """How many distinct programs the simulation has been compiled to so far."""
    return _program()._cache_size()  # pyright: ignore[reportFunctionMemberAccess]
