"""Bounds along diagonals of ages: the steps of ``upper_end.py``, whose words they are.

A table by cell of age is worth at least what the process could get there at any age of
the cell. Bounds that are valid each are combined by their least.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


class HazardEnds(NamedTuple):
    """Of both groups: ΔΛ of the cells, and the ends of a stretch that begins in one."""

    honest: Float[Array, " ages"]
    honest_least: Float[Array, " ages"]
    honest_most: Float[Array, " ages"]
    honest_slowest: Float[Array, " ages"]
    honest_fastest: Float[Array, " ages"]
    own: Float[Array, " ages"]
    own_least: Float[Array, " ages"]
    own_most: Float[Array, " ages"]
    own_slowest: Float[Array, " ages"]
    own_fastest: Float[Array, " ages"]
    gamma: Float[Array, ""]


def diagonals(ends: HazardEnds, adopt, publish, own, theirs, ended):
    """Bound on the value of every start, from what stopping and blocks are worth.

    Args:
        ends: Of the two groups.
        adopt: Worth of giving in, by cell of x.
        publish: Of publishing, by cell of y.
        own: Of a private block, by cell of x.
        theirs: Of an honest one, by cell of y.
        ended: Whether it has to stop at once.
    """
    ages = len(adopt)
    # What is only known by its cell at a step's beginning is in it or the next.
    either = {
        name: _or_next(t)
        for name, t in (
            ("adopt", adopt),
            ("publish", publish),
            ("own", own),
            ("theirs", theirs),
        )
    }
    exact = {"adopt": adopt, "publish": publish, "own": own, "theirs": theirs}

    def long(table):
        return jnp.append(table, jnp.full(ages, table[-1]))

    exact, either = ({n: long(t) for n, t in each.items()} for each in (exact, either))
    hazards = _tables(ends, long)

    def rows(name, k, exact_half):
        """By half and start: the exact age's cell k, or one of two cells."""
        known = jnp.broadcast_to(exact[name][k], (ages + 1,))
        loose = lax.dynamic_slice_in_dim(either[name], k, ages)
        loose = jnp.append(exact[name][k], loose)
        return jnp.stack([known, loose] if exact_half == 0 else [loose, known])

    def pair(name, k, exact_half):
        """Least and greatest of the step, by half and start."""
        found = []
        for known, loose in zip(*hazards[name], strict=True):
            slid = jnp.append(known[k], lax.dynamic_slice_in_dim(loose, k, ages))
            whole = jnp.broadcast_to(known[k], slid.shape)
            found.append(jnp.stack([whole, slid] if exact_half == 0 else [slid, whole]))
        return found

    def step(later, k):
        honest, mine = pair("honest", k, 0), pair("own", k, 1)
        of_honest, of_own = rows("theirs", k, 1), rows("own", k, 0)
        stop = jnp.maximum(rows("adopt", k, 0), rows("publish", k, 1))
        if later is None:
            # The open cells: the same step comes again and again.
            going = _forever(of_honest, of_own, honest, mine)
        else:
            going = _best(later, of_honest, of_own, honest, mine)
        slow_honest, fast_honest = pair("honest pace", k, 0)
        slow_own, fast_own = pair("own pace", k, 1)
        # Of the blocks of a step, the share that is the adversary's, by the paces.
        own_best = of_own > of_honest
        share = jnp.where(
            own_best,
            fast_own / (fast_own + slow_honest),
            slow_own / (slow_own + fast_honest),
        )
        mean = of_honest + share * (of_own - of_honest)
        none = [honest[0] * mine[0], honest[1] * mine[1]]
        if later is None:
            going = jnp.minimum(going, mean)
        else:
            going = jnp.minimum(going, _met(mean, none, later))
        # By the rate of what it gains until it stops, it stops at once, at the end,
        # or the rate can have either sign.
        most = least = jnp.zeros_like(stop)
        for to, slow, fast in (
            (of_honest, slow_honest, fast_honest),
            (of_own, slow_own, fast_own),
        ):
            gains = to > stop
            most = most + jnp.where(gains, fast, slow) * (to - stop)
            least = least + jnp.where(gains, slow, fast) * (to - stop)
        whole = _best(stop, of_honest, of_own, honest, mine)
        whole = jnp.minimum(whole, _met(mean, none, stop))
        part = [(jnp.ones_like(stop), ends[1]) for ends in (honest, mine)]
        mixed = _best(stop, of_honest, of_own, *part)
        mixed = jnp.minimum(mixed, stop + most)
        stopping = jnp.where(most <= 0, stop, jnp.where(least >= 0, whole, mixed))
        return jnp.where(ended, stop, jnp.maximum(stopping, going)), None

    last, _ = step(None, ages - 1)
    return lax.scan(step, last, jnp.arange(ages - 1), reverse=True)[0]


def _tables(ends: HazardEnds, long):
    """Chances to survive a step and paces in it: (least, greatest) where the age at
    its beginning is known, and where only its cell is."""
    found = {}
    for name in ("honest", "own"):
        cell, least, most, slow, fast = (
            getattr(ends, name + end)
            for end in ("", "_least", "_most", "_slowest", "_fastest")
        )
        # Finite where there are atoms and positive where nothing comes: 0 · ∞, 0/0.
        slow, fast = (jnp.clip(each, 1e-12, 1e6) for each in (slow, fast))
        low, high = cell.at[-1].set(least[-1]), cell.at[-1].set(most[-1])
        known = [long(jnp.exp(-each)) for each in (low, high)]
        loose = [long(jnp.exp(-each)) for each in (least, most)]
        found[name] = known, loose
        after = [jnp.append(each[1:], each[-1]) for each in (slow, fast)]
        loose = [jnp.minimum(slow, after[0]), jnp.maximum(fast, after[1])]
        found[f"{name} pace"] = [long(slow), long(fast)], [long(each) for each in loose]
    return found


def _best(then, of_honest, of_own, honest, mine):
    """Best value of a step over both orders of hazards and their ends."""

    own_first = _met(of_own, mine, _met(of_honest, honest, then))
    honest_first = _met(of_honest, honest, _met(of_own, mine, then))
    return jnp.maximum(own_first, honest_first)


def _met(first, ends, rest):
    """Best of a block worth ``first``, its chance between two ends, or ``rest``."""
    return first + (rest - first) * jnp.where(rest > first, ends[0], ends[1])


def _forever(of_honest, of_own, honest, mine):
    """Best value of the same step again and again until a block comes."""
    found = []
    for eh in honest:
        for ea in mine:
            gone = jnp.maximum(1 - eh * ea, 1e-12)
            own_first = of_own * (1 - ea) + ea * (1 - eh) * of_honest
            honest_first = of_honest * (1 - eh) + eh * (1 - ea) * of_own
            found += [own_first / gone, honest_first / gone]
    return jnp.stack(found).max(axis=0)


def _or_next(table):
    return jnp.maximum(table, jnp.append(table[1:], table[-1]))
