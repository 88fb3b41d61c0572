r"""Best withholding as a decision process on a grid of ages, one sweep after the other.

Notation (``ages.py`` has d, G, ΔΛ)

| symbol | name here | meaning |
|---|---|---|
| a, h | `a`, `h` | blocks of the private and of the public branch since the fork |
| x, y | | age of honest work, of the adversary's, in cells |
| fork | first axis | 0: all honest provers on the public branch; 1: split by a match |
| ρ | `price` | share that the adversary is held to |
| w | | (1 − ρ)·own − ρ·others, of the blocks that are settled |
| U | `values` | best expected w from a state until the next fresh start |

Both ages grow together, and every event and every action sets one of them to 0. So a
state that something has just led to is (0, y) or (x, 0), two families ("halves") of G
each; from there the ages run along a diagonal until the next event, or until the
adversary stops waiting. U is only kept for these starts. Along a diagonal,

    V_k = max(S_k, P_H J_H + P_A J_A + (1 − P_H − P_A) V_{k+1}),

with S the best of giving in and publishing, J_H, J_A the values after a block of
either (mid-cell, so between two starts), P_H, P_A its chance within the cell. Blocks
are gone through with a and h descending: what an event leads to is known in the same
sweep, only settling looks back. ρ is right when the fresh start is worth 0.

A fork is settled at the latest with T blocks in either branch. Source: [SSZ16] for
the memoryless process; ages and their order: docs/science/adversary.md.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, UInt8

from .break_even import Solved, break_even

WAIT, ADOPT, MATCH = 0, 1, 2
"""Actions; override by j blocks is ``MATCH + j``."""
_NEVER = -1e9


class Hazards(NamedTuple):
    """ΔΛ by cells of both groups, n_h and n_a provers, γ, and what is wanted: arrays,
    so that one compiled program serves every law, every share and either aim.

    Attributes:
        honest: Of n_h provers.
        own: Of n_a provers.
        gamma: γ.
        worth: What a settled block of one's own is worth; a settled block costs ρ.
        prize: What it is worth to replace h public blocks, by h ≤ T.
    """

    honest: Float[Array, " ages"]
    own: Float[Array, " ages"]
    gamma: Float[Array, ""]
    worth: Float[Array, ""]
    prize: Float[Array, " blocks"]


def solved(hazards: Hazards, price, values, *, ties: bool) -> Solved:
    """The best policy's values, and the price at which it breaks even.

    Args:
        hazards: Of the two groups.
        price: ρ to begin with.
        values: U to begin with: fork, a, h ≤ T, half, start.
        ties: Whether matches are tried (γ > 0).
    """
    return break_even(partial(_sweep, ties=ties), hazards, price, values)


@partial(jax.jit, static_argnames=("ties",))
def actions(
    hazards: Hazards, price, values, *, ties: bool
) -> tuple[UInt8[Array, "..."], Bool[Array, "a h y"]]:
    """Best action of every state, waiting where nothing is better.

    Returns:
        By fork, a, h, step, half, start along each diagonal; and whether to match
        at an honest block, by a, h, y.
    """
    blocks = values.shape[1]

    def of(fork, n):
        a, h = n // blocks, n % blocks
        return _diagonals(hazards, price, values, fork, a, h, codes=True)[1]

    each = jnp.arange(blocks * blocks)
    forks = range(2 if ties else 1)
    codes = jnp.stack([lax.map(partial(of, fork), each) for fork in forks])
    match = values[1, :, :, 0] > values[0, :, :, 0]
    match = match & _matchable(blocks)[:, :, None]
    return codes.reshape(len(codes), blocks, blocks, *codes.shape[2:]), match


def _matchable(blocks: int):
    a, h = jnp.indices((blocks, blocks))
    return (a >= h) & (h >= 1) & (a < blocks - 1) & (h < blocks - 1)


def _sweep(hazards, price, values, *, ties):
    blocks = values.shape[1]

    def one(turn, state):
        values, start = state
        n = blocks * blocks - 1 - turn
        a, h = n // blocks, n % blocks
        for fork in (1, 0) if ties else (0,):
            new, _ = _diagonals(hazards, price, values, fork, a, h, codes=False)
            fresh = (n == 0) & (fork == 0)
            start = jnp.where(fresh, new[0, 0], start)
            # A fresh start is the end of what U counts.
            new = jnp.where(fresh, new.at[:, 0].set(0.0), new)
            values = values.at[fork, a, h].set(new)
        return values, start

    start = jnp.zeros((), values.dtype)
    return lax.fori_loop(0, blocks * blocks, one, (values, start))


def _diagonals(hazards, price, values, fork, a, h, *, codes):
    """V of one (a, h) along every diagonal, backward; its actions too, if asked."""
    blocks, ages = values.shape[1], values.shape[-1]
    most = blocks - 1
    split = fork == 1
    # --- what stopping gives, by y (publishing) and by x (giving in)
    take = jnp.arange(1, blocks)
    left = values[0, jnp.maximum(a - take, 0), 0, 0]
    gain = hazards.worth - price
    override = gain * take[:, None] + left + hazards.prize[h]
    override = jnp.where(((take > h) & (take <= a))[:, None], override, _NEVER)
    publish, by = override.max(axis=0), override.argmax(axis=0)
    may_adopt = (h > 0) & (not split)
    adopt = jnp.where(may_adopt, values[0, 0, 0, 1] - price * h, _NEVER)
    # --- what a block leads to
    own = values[fork, jnp.minimum(a + 1, most), h, 1]
    further = _at_block(values, a, jnp.minimum(h + 1, most))
    joined = _at_block(values, jnp.maximum(a - h, 0), 1) + gain * h + hazards.prize[h]
    theirs = further
    if split:
        theirs = hazards.gamma * joined + (1 - hazards.gamma) * further
    own, theirs = _between(own), _between(theirs)
    ended = (a == most) | (h == most)
    if split:
        ended = ended | (a < h) | (h < 1)

    def rows(table, k, scalar_half):
        """A table at step k: its own cell k in one half, k + start in the other."""
        slid = lax.dynamic_slice_in_dim(padded[table], k, ages)
        fixed = jnp.broadcast_to(padded[table][k], slid.shape)
        return jnp.stack([fixed, slid] if scalar_half == 0 else [slid, fixed])

    tables = {
        "adopt": adopt,
        "own": own,
        "honest": hazards.honest,
        "publish": publish,
        "theirs": theirs,
        "rate": hazards.own,
        "by": by,
    }
    padded = {name: jnp.append(t, jnp.full(ages, t[-1])) for name, t in tables.items()}

    def step(later, k):
        honest, mine = rows("honest", k, 0), rows("rate", k, 1)
        both = honest + mine
        none = jnp.exp(-both)
        share = -jnp.expm1(-both) / jnp.maximum(both, 1e-30)
        block = share * (honest * rows("theirs", k, 1) + mine * rows("own", k, 0))
        if later is None:
            # The open cells: the same step comes again and again.
            wait = block / jnp.maximum(-jnp.expm1(-both), 1e-30)
        else:
            wait = block + none * later
        wait = jnp.where(ended, _NEVER, wait)
        giving, showing = rows("adopt", k, 0), rows("publish", k, 1)
        value = jnp.maximum(jnp.maximum(giving, showing), wait)
        if not codes:
            return value, None
        code = jnp.where(giving >= showing, ADOPT, MATCH + 1 + rows("by", k, 1))
        code = jnp.where(wait >= jnp.maximum(giving, showing), WAIT, code)
        return value, code.astype(jnp.uint8)

    last, last_code = step(None, ages - 1)
    first, code = lax.scan(step, last, jnp.arange(ages - 1), reverse=True)
    if code is None or last_code is None:
        return first, None
    return first, jnp.concatenate([code, last_code[None]])


def _at_block(values, a, h):
    """Value at an honest block, the moment at which a match is possible."""
    most = values.shape[1] - 1
    may = (a >= h) & (h >= 1) & (a < most) & (h < most)
    quiet = values[0, a, h, 0]
    return jnp.where(may, jnp.maximum(quiet, values[1, a, h, 0]), quiet)


def _between(table):
    """Mean of neighbouring starts: a block comes within its cell."""
    return (table + jnp.append(table[1:], table[-1])) / 2
