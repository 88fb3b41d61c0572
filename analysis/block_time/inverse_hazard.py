"""Λ⁻¹ as a table over the bits of its argument: a draw without a search.

Notation (``law.py`` for the law)
    E           a cumulative hazard, float32: 2^e (1 + m), m in [0, 1)
    K           octave's knots, 512                       ``_KNOTS``
    r(E)        Λ⁻¹(E) in knot spacings after the offset  ``place``
    R           the atom of a lattice law: least k with Λ_k ≥ E

Exponent and leading mantissa bits of E number the table's entries, so the relative
resolution is 1/512 from 2^-32, far below what the fastest of 10^6 provers needs, to
2^12, which no draw reaches; from there on E is infinite. At the entries the table is
Λ⁻¹ itself; between two of them it is linear, which is exact where Λ is, and elsewhere
moves Λ by less than 1/512 of itself, and back within the same 1/512. An atom of a
lattice law is decided by Λ at its own knot, so that ties have their true probability;
where more than two atoms share an entry, the inner ones are shared out evenly.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from .law import KNOTS, BlockTimeLaw, time_of_hazard

_LOWEST, _HIGHEST = -32, 12
_MANTISSA = 23
_BITS = 9
_KNOTS = 1 << _BITS
_FIRST = (_LOWEST + 127) << _BITS
_ENTRIES = (_HIGHEST - _LOWEST) << _BITS


class InverseHazard(NamedTuple):
    """A law ready to be drawn from; ``of_law`` makes it, traced.

    Attributes:
        place: r at the entries; inf where the law never gets there.
        knots: Λ at the law's knots.
        offset: Dead time, steps.
        spacing: Steps between knots.
        number: Of many laws' tables, one after the other, which is meant.
    """

    place: Float[Array, " entries"]
    knots: Float[Array, " knots"]
    offset: Float[Array, "*lanes"]
    spacing: Float[Array, "*lanes"]
    number: int | Int[Array, "*lanes"] = 0


def of_law(law: BlockTimeLaw) -> InverseHazard:
    """The inverse of a law that lives on the device (``law.on_device``)."""
    index = np.arange(_FIRST, _FIRST + _ENTRIES, dtype=np.uint32)
    hazards = (index << (_MANTISSA - _BITS)).view(np.float32)
    in_knots = law._replace(
        offset=jnp.zeros_like(law.offset),
        spacing=jnp.ones_like(law.spacing),
        tail_hazard=law.tail_hazard * law.spacing,
        lattice=jnp.zeros_like(law.lattice),
    )
    place = time_of_hazard(in_knots, jnp.asarray(hazards))
    return InverseHazard(
        place,
        jnp.asarray(law.cumulative_hazard),
        jnp.asarray(law.offset),
        jnp.asarray(law.spacing),
    )


def side_by_side(laws: InverseHazard, number: Int[Array, " lanes"]) -> InverseHazard:
    """A law for each lane.

    Args:
        laws: All laws, on the first axis.
        number: Which of them each lane draws from.
    """
    return InverseHazard(
        laws.place.ravel(),
        laws.knots.ravel(),
        laws.offset[number],
        laws.spacing[number],
        number,
    )


def time_at(
    inverse: InverseHazard, hazard: Float[Array, "*shape"], *, lattice: bool
) -> Float[Array, "*shape"]:
    """Λ⁻¹ of cumulative hazards, as ``law.time_of_hazard``, by the table.

    Args:
        inverse: Of the law.
        hazard: E ≥ 0; below 2^-32 as there.
        lattice: Whether the law is one; static, since atoms cost two more look-ups.
    """
    # Without the sign: a 0 of either one is the first moment with any hazard.
    bits = lax.bitcast_convert_type(hazard, jnp.uint32) & jnp.uint32(0x7FFFFFFF)
    entry = (bits >> (_MANTISSA - _BITS)).astype(jnp.int32) - _FIRST
    rest = (bits & jnp.uint32((1 << (_MANTISSA - _BITS)) - 1)).astype(jnp.float32)
    share = rest * 2.0 ** (_BITS - _MANTISSA)
    share = jnp.where(entry < 0, 0.0, share)
    ever = entry < _ENTRIES - 1
    entry = jnp.clip(entry, 0, _ENTRIES - 2) + _ENTRIES * inverse.number
    low = jnp.take(inverse.place, entry, mode="clip")
    high = jnp.take(inverse.place, entry + 1, mode="clip")
    # ∞ − finite and 0 · ∞ have no place on a line between two entries.
    place = jnp.where(jnp.isinf(high), high, low + (high - low) * share)
    if lattice:
        # At a hazard of 0 nothing has ended yet.
        least = jnp.maximum(hazard, jnp.float32(2.0**_LOWEST))
        place = _atom(inverse, least, low, high, place)
    return jnp.where(ever, inverse.offset + inverse.spacing * place, jnp.inf)


def _atom(inverse: InverseHazard, hazard, low, high, between):
    """R, exactly where at most two atoms share the entries' interval."""
    last = KNOTS - 1

    def ended(atom):
        index = jnp.clip(atom, 0, last).astype(jnp.int32) + KNOTS * inverse.number
        return hazard <= jnp.take(inverse.knots, index, mode="clip")

    first, final = jnp.ceil(low), jnp.ceil(high)
    inner = jnp.clip(jnp.ceil(between), first, jnp.maximum(final - 1.0, first))
    atom = jnp.where(ended(final - 1.0), inner, final)
    atom = jnp.where(ended(first), first, atom)
    # A place is float32: next to a knot it may have been rounded onto, or over, it.
    atom = jnp.where(
        ended(atom - 1.0), atom - 1.0, jnp.where(ended(atom), atom, atom + 1.0)
    )
    return jnp.where(jnp.ceil(low) > last, jnp.ceil(between), atom)
