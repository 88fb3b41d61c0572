r"""Growth and forks of many networks in one program, to a part of a percent each.

Notation (that of ``levels.py`` and ``kernel.py``)
    I           interval of a level, steps
    B           honest blocks of a level: 1, and its forks
    C           time of the fastest of n_h fresh provers, from the very draw that gives
                the group's first block
    Λ           cumulative hazard of a prover

A level's interval is nearly the delay and the fastest of n_h, whose mean a law knows.
So E[I] = mean of I − c (C − E[C]) with c by regression over all levels (control
variate), and E[B] likewise. And where t is a level's first block, the provers that did
not find it find theirs by t + Δ independently of each other, so that

    E[B − 1] = E[ Σ_{others i} 1 − exp(Λ(t − s_i) − Λ(t + Δ − s_i)) ],

s_i their starts: what was about to happen is averaged, not whether it did
(Rao–Blackwell). A few thousand levels then do what a hundred thousand do that are
counted. Laws with atoms are counted: where a tie is possible, "not before t" is more
than was seen.
"""

import math
from collections.abc import Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key
from scipy import special

from ..block_time.counter_draws import words_of
from ..block_time.inverse_hazard import InverseHazard, of_law, side_by_side
from ..block_time.law import KNOTS, BlockTimeLaw, fastest_of, mean, on_device
from ..estimation.estimate import COVERAGE, Estimate, Refused
from . import kernel
from .levels import BURN_IN, SLOTS

LEVELS, REPLICAS = 128, 16
# Networks of one call; a last call is filled up. Few sizes: each is a program.
_SIZES = (1, 8, 64)
# Finders a level that are followed at first, and at most.
_MOST_SLOTS = 512


class ChainRates(NamedTuple):
    """The public chain of a network.

    Attributes:
        interval: Mean time between two levels, steps.
        forks: Honest blocks a level beyond the first.
    """

    interval: Estimate
    forks: Estimate

    @property
    def growth(self) -> Estimate:
        """Levels per step."""
        found = self.interval
        return found._replace(
            value=1 / found.value, low=1 / found.high, high=1 / found.low
        )

    @property
    def stale(self) -> Estimate:
        """Share of honest blocks that are forks."""
        found = self.forks
        low = max(found.low, 0.0)
        return found._replace(
            value=found.value / (1 + found.value),
            low=low / (1 + low),
            high=found.high / (1 + found.high),
        )


class Case(NamedTuple):
    """A network whose chain is asked for.

    Attributes:
        law: Of one honest prover.
        honest: n_h.
        delay: Δ, steps.
        mean_time: Mean of the fastest of n_h; None: not known yet.
    """

    law: BlockTimeLaw
    honest: float
    delay: float
    mean_time: float | None = None


class _Sums(NamedTuple):
    """Sums over a replica's levels."""

    interval: Float[Any, "*laws replicas"]
    control: Float[Any, "*laws replicas"]
    product: Float[Any, "*laws replicas"]
    square: Float[Any, "*laws replicas"]
    forks: Float[Any, "*laws replicas"]
    crossed: Float[Any, "*laws replicas"]
    overflow: Bool[Any, "*laws replicas"]


def chain_rates(
    key: Key[Array, ""], cases: Sequence[Case], *, rounds: int = 1
) -> list[ChainRates | Refused]:
    """Mean interval and forks of each network, or why there is none.

    Args:
        key: Fixes every draw, the same for all networks.
        cases: Networks of equal provers.
        rounds: Times 16 replicas of 128 levels; no replica is run twice.
    """
    words = words_of(key)
    found: dict[int, ChainRates | Refused] = {}
    kinds = [bool(case.law.lattice) for case in cases]
    for lattice in set(kinds):
        mine = [n for n, kind in enumerate(kinds) if kind == lattice]
        while mine:
            size = next((s for s in _SIZES if s >= len(mine)), _SIZES[-1])
            some, mine = mine[:size], mine[size:]
            batch = [cases[n] for n in some]
            sums = _summed(words, batch, rounds, size, lattice)
            for row, n in enumerate(some):
                found[n] = _read(jax.tree.map(lambda x, r=row: x[r], sums), cases[n])
    return [found[n] for n in range(len(cases))]


def _summed(words, cases: Sequence[Case], rounds: int, size: int, lattice: bool):
    """Sums of every network, as wide as need be."""
    filled = [*cases, *([cases[0]] * (size - len(cases)))]
    inverses, tails = _inverses()(_stacked([case.law for case in filled]))
    honest = np.array([case.honest for case in filled], np.float32)
    delay = np.array([case.delay for case in filled], np.float32)
    slots = SLOTS
    while True:
        each = [
            _program()(
                words,
                np.int32(number * REPLICAS),
                inverses,
                tails,
                honest,
                delay,
                slots=slots,
                lattice=lattice,
            )
            for number in range(rounds)
        ]
        sums = jax.tree.map(
            lambda *x: np.concatenate(x, axis=-1), *jax.device_get(each)
        )
        # Wide networks are left out, not narrowed: their forks are many, not few.
        if not sums.overflow[: len(cases)].any() or slots >= _MOST_SLOTS:
            return sums
        slots *= 8


def _stacked(laws: Sequence[BlockTimeLaw]) -> BlockTimeLaw:
    fields: list[Any] = [np.stack(each) for each in zip(*laws, strict=True)]
    return on_device(BlockTimeLaw(*fields))


@cache
def _inverses() -> Any:
    def one(law: BlockTimeLaw) -> tuple[InverseHazard, Array]:
        return of_law(law), jnp.asarray(law.tail_hazard * law.spacing)

    return jax.jit(lambda laws: lax.map(one, laws))


@cache
def _program() -> Any:
    """``_run``, made when it is first called: only then is the device known."""
    return jax.jit(
        _run,
        static_argnames=("slots", "lattice"),
        compiler_options=kernel.compiler_options(),
    )


def _run(
    words,
    first: Int[Array, ""],
    inverses: InverseHazard,
    tails: Float[Array, " laws"],
    honest: Float[Array, " laws"],
    delay: Float[Array, " laws"],
    *,
    slots: int,
    lattice: bool,
) -> _Sums:
    count = len(honest)
    lane = jnp.arange(count * REPLICAS, dtype=jnp.int32)
    number = lane // REPLICAS
    law = side_by_side(inverses, number)
    size, wait = honest[number], delay[number]
    network = kernel.Rules(law, law, size, jnp.ones_like(size), wait)
    width = len(lane)
    level = partial(
        kernel.drawn_level,
        words=words,
        replicas=first + lane % REPLICAS,
        network=network,
        lattice=(lattice, lattice),
    )
    hazard_at = partial(_hazard_at, law, tails[number])
    time_at = partial(kernel.inverse_hazard.time_at, law, lattice=lattice)

    def one(carry: tuple[kernel.State, _Sums], step):
        before, sums = carry
        state, (interval, blocks, *_), drawn = level(before, step)
        control = time_at(drawn.hazard * drawn.size / size)
        if lattice:
            forks = blocks.astype(jnp.float32) - 1.0
        else:
            forks = _about_to(hazard_at, before, drawn, wait)
        counts = step >= BURN_IN
        added = (
            *(interval, control, interval * control, control**2),
            *(forks, forks * control),
        )
        parts = [
            total + jnp.where(counts, part, 0.0)
            for total, part in zip(sums[:6], added, strict=True)
        ]
        return (state, _Sums(*parts, overflow=state.overflow)), None

    nothing = jnp.zeros(width)
    state = kernel.State(
        lag=jnp.full((slots, width), jnp.inf),
        blocks=jnp.zeros(width, jnp.int32),
        used=jnp.int32(0),
        overflow=jnp.zeros(width, bool),
    )
    sums = _Sums(*[nothing] * 6, overflow=state.overflow)
    steps = jnp.arange(BURN_IN + LEVELS, dtype=jnp.int32)
    (_, sums), _ = lax.scan(one, (state, sums), steps)
    return jax.tree.map(lambda each: each.reshape(count, REPLICAS), sums)


def _about_to(hazard_at, before: kernel.State, drawn: kernel.Draws, wait):
    """Σ over all but the finder of the chance to find a block within Δ."""
    first = drawn.first
    known = first + wait

    def early(carry):
        slot, total, finder = carry
        start = before.lag[slot] - wait
        chance = -jnp.expm1(hazard_at(first - start) - hazard_at(known - start))
        # Only a slot with somebody in it has a finite start.
        mine = drawn.own[slot] <= first
        chance = jnp.where(jnp.isfinite(start) & ~mine, chance, 0.0)
        return slot + 1, total + chance, finder | mine

    nobody = jnp.zeros(first.shape, bool)
    _, total, found = lax.while_loop(
        lambda carry: carry[0] < before.used,
        early,
        (jnp.int32(0), jnp.zeros_like(first), nobody),
    )
    others = drawn.size - jnp.where(found, 0.0, 1.0)
    chance = -jnp.expm1(hazard_at(first) - hazard_at(known))
    return total + others * chance


def _hazard_at(
    law: InverseHazard, tail: Float[Array, " lanes"], time: Float[Array, " lanes"]
) -> Float[Array, " lanes"]:
    """Λ of each lane's law at a time, linear between the knots."""
    place = jnp.maximum((time - law.offset) / law.spacing, 0.0)
    inside = jnp.minimum(place, KNOTS - 1.0)
    low = jnp.minimum(jnp.floor(inside), KNOTS - 2.0)
    index = low.astype(jnp.int32) + KNOTS * law.number
    left = jnp.take(law.knots, index, mode="clip")
    right = jnp.take(law.knots, index + 1, mode="clip")
    return left + (right - left) * (inside - low) + tail * (place - inside)


def _read(sums: _Sums, case: Case) -> ChainRates | Refused:
    """Estimates of one network from its replicas' sums."""
    if sums.overflow.any():
        return Refused(
            f"more than {_MOST_SLOTS} provers find a block at one level: a shorter "
            "delay_steps or rarer blocks leave a chain"
        )
    interval, control, product, square, forks, crossed = (
        np.asarray(each, float) / LEVELS for each in sums[:6]
    )
    if not np.isfinite(interval).all():
        return Refused(
            "the block-time law may never end, and with it the chain; set "
            "abandon_steps or lengthen the horizon"
        )
    exact = case.mean_time
    if exact is None:
        exact = mean(fastest_of(case.law, case.honest))
    off = control - exact
    spread = square.mean() - control.mean() ** 2
    shares = [0.0, 0.0]
    if spread > 0:
        shares = [
            (together.mean() - each.mean() * control.mean()) / spread
            for together, each in ((product, interval), (crossed, forks))
        ]
    return ChainRates(
        _estimate(interval - shares[0] * off, "simulated, control variate"),
        _estimate(forks - shares[1] * off, "simulated, conditional"),
    )


def _estimate(values: Float[np.ndarray, " replicas"], method: str) -> Estimate:
    count = len(values)
    half = float(special.stdtrit(count - 1, 0.5 + COVERAGE / 2))
    half *= float(values.std(ddof=1)) / math.sqrt(count)
    value = float(values.mean())
    return Estimate(value, value - half, value + half, count * LEVELS, method)
