"""A law on the integers as a table: one random word, one look-up, one draw.

Notation
    C           cells, 2^12: consecutive integers           ``CELLS``
    w_i         weight of the i-th, of 2^32; Σ w_i = 2^32

Walker's alias method: the word's upper 12 bits pick a cell, the other 20 are a coin
that keeps it or takes the cell's alias. A cell is the integer itself, so that a chance
of 20 bits and an alias of 12 are all there is to a cell: an entry of 32 bits, and a
table of 16 KiB, which stays in any core's first cache. The weights are drawn exactly;
what they are rounded from is their caller's.

Reference: A. J. Walker, An efficient method for generating discrete random variables
with general distributions, ACM TOMS 3 (1977); M. Vose, IEEE TSE 17 (1991).
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

_CELL_BITS = 12
_COIN_BITS = 32 - _CELL_BITS
CELLS = 2**_CELL_BITS
WORDS = 2**32


class Table(NamedTuple):
    """A law on consecutive integers.

    Attributes:
        entries: Of each cell the chance to keep it, of 2^20, and then its alias.
        lowest: The integer that cell 0 stands for.
    """

    entries: UInt32[Array, " cells"]
    lowest: Int[Array, ""]


def drawn(table: Table, word: UInt32[Array, "*shape"]) -> Int[Array, "*shape"]:
    """The integer that a word draws."""
    cell = word >> _COIN_BITS
    entry = table.entries[cell.astype(jnp.int32)]
    alias = jnp.uint32(CELLS - 1)
    # Coin and chance both in the upper bits.
    taken = jnp.where((word << _CELL_BITS) < (entry & ~alias), cell, entry & alias)
    return table.lowest + taken.astype(jnp.int32)


def table(weights: Int[np.ndarray, " cells"], lowest: int) -> Table:
    """The table of lowest, lowest + 1, ... with weights that sum to 2^32."""
    full = 2**_COIN_BITS
    left = [int(w) for w in weights]
    keep, alias = np.zeros(CELLS, np.uint32), np.arange(CELLS, dtype=np.uint32)
    small = [cell for cell in range(CELLS) if left[cell] < full]
    large = [cell for cell in range(CELLS) if left[cell] > full]
    # A cell that is full is left to its alias, itself. In whole numbers what is missing
    # in some cells is to the unit what others have too much.
    while small:
        low, high = small.pop(), large[-1]
        keep[low], alias[low] = left[low], high
        left[high] -= full - left[low]
        if left[high] <= full:
            large.pop()
        if left[high] < full:
            small.append(high)
    entries = (keep << np.uint32(_CELL_BITS)) | alias
    return Table(jnp.asarray(entries), jnp.int32(lowest))


def rounded(
    mass: Float[np.ndarray, " points"], first: float, lowest: float
) -> tuple[Int[np.ndarray, " cells"], int]:
    """Masses at first, first + 1, ... as weights, the first of them that of ⌊lowest⌋.

    Places between two integers are shared by them, and their mean kept. The
    distribution function is right to 2^-33. What lies beyond the last cell goes there,
    what lies below the first or nowhere (a defective law) to that.
    """
    first = float(round(first)) if abs(first - round(first)) < 1e-6 else first
    low = math.floor(first)
    shared = np.convolve(mass, [1 - (first - low), first - low])
    # Rounded as sums from above: the roundings of single masses would add up.
    above = np.cumsum(np.maximum(shared, 0.0)[::-1])[::-1]
    bottom = math.floor(lowest)
    above = np.pad(above, (max(0, low - bottom), 0), mode="edge")
    above = above[max(0, bottom - low) :][:CELLS]
    whole = np.zeros(CELLS + 1, np.int64)
    whole[: len(above)] = np.rint(np.minimum(above, 1.0) * WORDS)
    whole[0] = WORDS
    return -np.diff(whole), bottom
