"""A block-time law under an exponential tilt: its cells, its moments, its draws.

Notation
    θ           tilt, of either sign, below the hazard of the law's tail
    x − D       time after the law's dead time D (``offset``); tables are relative to
                it, since the dead times of two racing laws cancel exactly
    Λ_c, ΔΛ     cumulative hazard at a cell's left end, and what the cell adds
    g, π        knot spacing and tail hazard
    φ(a)        ∫_0^1 e^{−au} du
    u           beyond it the law is left out, time after the dead time (``until``)

A law that is left out beyond u has a moment at any tilt, also above its tail's hazard;
what is lost is e^{−Λ(u)}, which the caller must not need.

The tilted law e^{θx} dF(x)/M(θ), M(θ) = E[e^{θX}], is exact cell by cell: the hazard is
constant in each, so its density there is an exponential of slope h − θ (rising where
θ exceeds the hazard), a lattice law has one atom, and the tail is an exponential (a
geometric) of rate π − θ. Draws pick the cell by Walker's alias method and then invert
within it: no search, and no error beyond the 2^-28 of a coin.
"""

import math
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from .law import KNOTS, BlockTimeLaw, Real


class Cells(NamedTuple):
    """An exponentially tilted law, cell by cell of its table and then the tail.

    Attributes:
        log_mass: ln ∫_cell e^{θ(x − offset)} dF; −inf for an empty cell.
        place: Mean of x − offset in the cell under the tilt.
        slope: ΔΛ − θg, the tilted density's fall over the cell (the tail: π − θ).
    """

    log_mass: Float[np.ndarray, " knots"]
    place: Float[np.ndarray, " knots"]
    slope: Float[np.ndarray, " knots"]


class Sampler(NamedTuple):
    """A tilted law as an alias table over its cells, relative to the law's offset.

    Attributes:
        keep: Chance to keep a cell that was picked, of 2^28.
        alias: Cell taken otherwise.
        base: A cell's end where its tilted density is larger.
        scale: Signed g/|a|; 0 for an atom.
        mass: 1 − e^{−|a|} with a the fall of the tilted density over the cell.
        lattice: Spacing to which the tail is rounded up; 0: none.
        place: Mean of the cell.
    """

    keep: UInt32[Array, " knots"]
    alias: Int[Array, " knots"]
    base: Float[Array, " knots"]
    scale: Float[Array, " knots"]
    mass: Float[Array, " knots"]
    lattice: Float[Array, ""]
    place: Float[Array, " knots"]


def tilted(law: BlockTimeLaw, theta: Real, until: Real = math.inf) -> Cells:
    """The cells of a law under e^{θx}, θ of either sign below the tail's hazard.

    A cell of constant hazard has mass e^{θx_c − Λ_c} ΔΛ φ(ΔΛ − θg) with
    φ(a) = ∫_0^1 e^{−au} du; a lattice cell has its atom at its right end. Of a table
    that ends beyond ``until`` whole cells are left out; a tail that does is a last
    cell, from the table's end to there.

    Raises:
        ValueError: If θ is not below the tail's hazard, where the mean is infinite,
            and nothing is left out.
    """
    knots, g = np.asarray(law.cumulative_hazard, float), float(law.spacing)
    step = np.diff(knots)
    left = g * np.arange(len(step))
    end, rate = g * len(step), float(law.tail_hazard)
    with np.errstate(divide="ignore"):
        if law.lattice:
            slope = np.zeros_like(step)
            place = left + g
            log_mass = theta * place - knots[:-1] + np.log(-np.expm1(-step))
        else:
            slope = step - theta * g
            place = left + g * centre(slope)
            log_mass = theta * left - knots[:-1] + np.log(step) + log_phi(slope)
    tail, tail_place = -math.inf, end
    if until < math.inf:
        log_mass[g * np.arange(1, len(step) + 1) > until * (1 + 1e-9)] = -math.inf
        tail, tail_place = _cut_tail(law, theta, until)
        fall = rate - theta
        return Cells(
            np.append(log_mass, tail),
            np.append(place, tail_place),
            np.append(slope, fall),
        )
    if 0 < rate <= theta:
        raise ValueError(f"theta must be below the tail's hazard {rate}, got {theta}")
    if rate > 0:
        tail = theta * end - knots[-1]
        if law.lattice:
            gone = -math.expm1((theta - rate) * g)
            tail += theta * g + math.log(-math.expm1(-rate * g) / gone)
            tail_place = end + g / gone
        else:
            tail += math.log(rate / (rate - theta))
            tail_place = end + 1 / (rate - theta)
    return Cells(
        np.append(log_mass, tail),
        np.append(place, tail_place),
        np.append(slope, rate - theta),
    )


def _cut_tail(law: BlockTimeLaw, theta: Real, until: Real) -> tuple[float, float]:
    """Log mass and mean place of the tail up to ``until``."""
    g, rate, length = (
        float(law.spacing),
        float(law.tail_hazard),
        tail_length(law, until),
    )
    end = g * (len(law.cumulative_hazard) - 1)
    start = theta * end - float(law.cumulative_hazard[-1])
    if length <= 0 or rate <= 0:
        return -math.inf, end
    if law.lattice:
        atoms = g * np.arange(1, round(length / g) + 1)
        logs = (theta - rate) * atoms + math.log(math.expm1(rate * g))
        weight = np.exp(logs - logs.max())
        mass = start + float(logs.max()) + math.log(weight.sum())
        return mass, end + float((weight * atoms).sum()) / float(weight.sum())
    fall = np.array([(rate - theta) * length])
    mass = start + math.log(rate * length) + float(log_phi(fall)[0])
    return mass, end + length * float(centre(fall)[0])


def tail_length(law: BlockTimeLaw, until: Real) -> float:
    """Time from the table's end to ``until``, in whole knots of a lattice law."""
    g = float(law.spacing)
    length = max(0.0, float(until) - g * (len(law.cumulative_hazard) - 1))
    if length < math.inf and law.lattice:
        return g * math.floor(length / g + 1e-9)
    return length


def log_moment(
    law: BlockTimeLaw, theta: Real, until: Real = math.inf
) -> tuple[float, float]:
    """Cumulant ln E[e^{θX}] and its derivative, the mean of X under the tilt."""
    cells = tilted(law, theta, until)
    top = float(cells.log_mass.max())
    weight = np.exp(cells.log_mass - top)
    total = float(weight.sum())
    offset = float(law.offset)
    value = theta * offset + top + math.log(total)
    return value, offset + float((weight * cells.place).sum()) / total


def sampler(
    law: BlockTimeLaw,
    theta: Real,
    *,
    unit: Real = 1.0,
    longer_by: Real | None = None,
    until: Real = math.inf,
) -> Sampler:
    """The draws of X − offset under e^{θx}, in multiples of ``unit``.

    Args:
        law: The law of X.
        theta: θ.
        unit: Unit of the draws, steps.
        longer_by: If given, cells are also weighted by the mean of X − offset + this
            in them (an interval drawn by length; within a cell the caller weighs).
        until: As for ``tilted``.

    Raises:
        ValueError: If the law has not 8192 knots.
    """
    cells = tilted(law, theta, until)
    if len(cells.log_mass) != KNOTS:
        raise ValueError(f"a law must have {KNOTS} knots, got {len(cells.log_mass)}")
    weight = np.exp(cells.log_mass - cells.log_mass.max())
    if longer_by is not None:
        weight = weight * (cells.place + longer_by)
    keep, alias = _alias_table(weight / weight.sum())
    g, rate = float(law.spacing), float(law.tail_hazard)
    left = g * np.arange(KNOTS)
    # Below 1e-6 the fall over a cell is none; 0/0 is not.
    fall = np.maximum(np.abs(cells.slope), 1e-6)
    base, scale = np.where(cells.slope < 0, left + g, left), g / fall
    scale = np.where(cells.slope < 0, -scale, scale)
    mass = -np.expm1(-fall)
    if law.lattice:
        base, scale, mass = left + g, np.zeros(KNOTS), np.zeros(KNOTS)
    base[-1], mass[-1], scale[-1] = left[-1], 1.0, 0.0
    if weight[-1] > 0:
        length = tail_length(law, until)
        fall = (rate - theta) * length
        fall = math.copysign(max(abs(fall), 1e-6), fall)
        base[-1] = left[-1] + (length if fall < 0 else 0.0)
        mass[-1] = -math.expm1(-abs(fall))
        scale[-1] = 1 / (rate - theta) if length == math.inf else length / fall
    single = partial(jnp.asarray, dtype=jnp.float32)
    return Sampler(
        keep=jnp.asarray(keep),
        alias=jnp.asarray(alias),
        base=single(base / unit),
        scale=single(scale / unit),
        mass=single(mass),
        lattice=single(g / unit if law.lattice else 0.0),
        place=single(cells.place / unit),
    )


def draw(law: Sampler, words: UInt32[Array, "lanes 2"]) -> Float[Array, " lanes"]:
    """One draw a lane, from 13 bits for the cell, 28 for the coin, 23 in the cell."""
    return draw_in_cell(law, words)[0]


def draw_in_cell(
    law: Sampler, words: UInt32[Array, "lanes 2"]
) -> tuple[Float[Array, " lanes"], Float[Array, " lanes"]]:
    """As ``draw``, with the mean of the cell that was drawn."""
    first, second = words[:, 0], words[:, 1]
    picked = (first >> 19).astype(jnp.int32)
    coin = ((first & 0x7FFFF) << 9) | (second & 0x1FF)
    cell = jnp.where(coin < law.keep[picked], picked, law.alias[picked])
    u = ((second >> 9).astype(jnp.float32) + 0.5) * 2.0**-23
    within = -law.scale[cell] * jnp.log1p(-u * law.mass[cell])
    g = jnp.where(law.lattice > 0, law.lattice, 1.0)
    rounded = jnp.where(law.lattice > 0, g * jnp.ceil(within / g), within)
    return law.base[cell] + rounded, law.place[cell]


def log_phi(a: np.ndarray) -> np.ndarray:
    """Logarithm of φ(a) for a of either sign."""
    size = np.abs(a)
    safe = np.maximum(size, 1e-4)
    value = np.where(
        size < 1e-4, np.log1p(-size / 2 + size**2 / 6), np.log(-np.expm1(-safe) / safe)
    )
    return value + np.maximum(-a, 0.0)


def centre(a: np.ndarray) -> np.ndarray:
    """∫ u e^{−au} du / ∫ e^{−au} du over [0, 1], for a of either sign."""
    size = np.abs(a)
    safe = np.clip(size, 1e-3, 700.0)
    value = np.where(size < 1e-3, 0.5 - size / 12, 1 / safe - 1 / np.expm1(safe))
    return np.where(a < 0, 1 - value, value)


def _alias_table(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias table by Vose's method: (chance to keep of 2^28, alias)."""
    share = probability * len(probability)
    keep, alias = np.ones_like(share), np.arange(len(share))
    small = [int(i) for i in np.flatnonzero(share < 1)]
    large = [int(i) for i in np.flatnonzero(share >= 1)]
    while small and large:
        low, high = small.pop(), large[-1]
        keep[low], alias[low] = share[low], high
        share[high] -= 1 - share[low]
        if share[high] < 1:
            small.append(large.pop())
    return np.round(keep * 2**28).astype(np.uint32), alias.astype(np.int32)
