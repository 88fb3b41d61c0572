r"""No withholding strategy that knows ages earns more: an upper end on cells of ages.

Notation as in ``process.py``; d, G, ΔΛ in ``ages.py``. A state that
something has just led to is (0, y) or (x, 0) with the other age *anywhere in a cell*;
``start`` 0 is (0, 0) itself, start 1 + c the cell c. Within a step of length d,

* the adversary decides before it sees: it knows what has come, not what will;
* what it publishes or gives up, it may do at whichever moment of the step is best for
  it, having outrun the honest hazard up to then: a cell of grace;
* a block of either comes at the moment of the step that is best for the adversary
  (the age that goes on is in either of two cells), and of the orders in which the two
  hazards can be met, the better one counts;
* the hazard of the age that is only known by its cell is the least or the greatest
  that a stretch of length d from that cell can have.

Each of these only adds to what the adversary can do, so that U exceeds the value of
every strategy at the price ρ, and where the fresh start is worth nothing, no strategy
earns more than ρ. To let the adversary *see* the next block of its cell would be no
use: who sees the honest block coming publishes just before it.

Within a step the bounds are of the second order in d; what stays of the first is that
an age is only known by its cell. The strategies that are bounded are those that settle
a fork at the latest when either branch has T blocks and, γ > 0, stay on their branch
from a match until the next block. T is part of the statement: what longer forks would
add falls geometrically with T.
"""

from functools import partial

import jax.numpy as jnp
from jax import lax

from .break_even import Solved, break_even
from .relaxed_diagonals import HazardEnds, diagonals

_NEVER = -1e9


def upper_values(ends: HazardEnds, price, values, *, ties: bool) -> Solved:
    """The relaxed process at its break-even price.

    Args:
        ends: Hazards of the two groups.
        price: ρ to begin with.
        values: U to begin with: fork, a, h ≤ T, half, start (G + 1 of them).
        ties: Whether matches are tried (γ > 0).
    """
    return break_even(partial(_sweep, ties=ties), ends, price, values)


def _sweep(ends: HazardEnds, price, values, *, ties: bool):
    """One sweep: U, and what the fresh start is worth, honest work just begun."""
    blocks = values.shape[1]

    def one(turn, state):
        values, worth = state
        n = blocks * blocks - 1 - turn
        a, h = n // blocks, n % blocks
        for fork in (1, 0) if ties else (0,):
            tables = _outcomes(ends, price, values, fork, a, h)
            ended = (a == blocks - 1) | (h == blocks - 1)
            if fork == 1:
                # A match needs as many blocks, and at least one.
                ended = ended | (a < h) | (h < 1)
            new = diagonals(ends, *tables, ended)
            fresh = (n == 0) & (fork == 0)
            worth = jnp.where(fresh, new[1, 1], worth)
            new = jnp.where(fresh, new.at[1, 1].set(0.0), new)
            values = values.at[fork, a, h].set(new)
        return values, worth

    worth = jnp.zeros((), values.dtype)
    return lax.fori_loop(0, blocks * blocks, one, (values, worth))


def _outcomes(ends: HazardEnds, price, values, fork, a, h):
    """What giving in, publishing and a block of either are worth, by cell of age."""
    most = values.shape[1] - 1
    split = fork == 1
    take = jnp.arange(1, most + 1)
    left = values[0, jnp.maximum(a - take, 0), 0, 0, 1:]
    override = (1 - price) * take[:, None] + left
    override = jnp.where(((take > h) & (take <= a))[:, None], override, _NEVER)
    may_adopt = (h > 0) & (not split)
    adopt = jnp.where(may_adopt, values[0, 0, 0, 1, 1:] - price * h, _NEVER)
    own = values[fork, jnp.minimum(a + 1, most), h, 1, 1:]
    theirs = _at_block(values, a, jnp.minimum(h + 1, most))
    if split:
        joined = _at_block(values, jnp.maximum(a - h, 0), 1) + (1 - price) * h
        theirs = ends.gamma * joined + (1 - ends.gamma) * theirs
    return adopt, override.max(axis=0), own, theirs


def _at_block(values, a, h):
    """Value at an honest block by the cell of y, a match included."""
    most = values.shape[1] - 1
    may = (a >= h) & (h >= 1) & (a < most) & (h < most)
    quiet = values[0, a, h, 0, 1:]
    return jnp.where(may, jnp.maximum(quiet, values[1, a, h, 0, 1:]), quiet)
