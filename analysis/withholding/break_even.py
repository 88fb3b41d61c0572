"""The price at which the best policy of a decision process breaks even.

Notation
    ρ       price: the process pays (1 − ρ)·own − ρ·others   ``price``
    U       values of a sweep, 0 at the fresh start          ``values``
    f(ρ)    what a fresh start is worth                      ``worth``

f is convex and falls; its root is the best ratio own/(own + others). Values and their
slope in ρ are swept side by side, and each sweep moves ρ by −f/f' and U by as much as
that changes it: Newton's method (Dinkelbach's) with one sweep a step. A policy that
shuns the fresh start would have no value at a lower price, which is why ρ does not
wait until values have settled.

Source: W. Dinkelbach, On nonlinear fractional programming (1967); D. P. Bertsekas, A
new value iteration method for the average cost problem (1998).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

# ρ has settled when so many steps in a row have been this small.
_STEP = 3e-7
_QUIET = 5
_LONGEST = 0.05


class Solved(NamedTuple):
    """A process at its break-even price.

    Attributes:
        price: ρ.
        values: U.
        sweeps: Sweeps made.
        steps: Last step of ρ.
    """

    price: Float[Array, ""]
    values: Float[Array, "..."]
    sweeps: Int[Array, ""]
    steps: Float[Array, ""]


class _State(NamedTuple):
    price: Array
    values: Array
    slopes: Array
    sweeps: Array
    quiet: Array
    step: Array


@partial(jax.jit, static_argnames=("sweep", "most"))
def break_even(
    sweep: Callable[[Any, Array, Array], tuple[Array, Array]],
    process: Any,
    price: Float[Array, ""],
    values: Float[Array, "..."],
    *,
    most: int = 400,
) -> Solved:
    """Sweep until the price has settled.

    Args:
        sweep: (process, ρ, U) → (new U, f).
        process: What the sweep needs, arrays.
        price: ρ to begin with.
        values: U to begin with.
        most: Sweeps at most.
    """

    def body(now: _State) -> _State:
        (new, worth), (slopes, slope) = jax.jvp(
            partial(sweep, process),
            (now.price, now.values),
            (jnp.ones_like(now.price), now.slopes),
        )
        step = jnp.where(slope < 0, -worth / jnp.minimum(slope, -0.5), 0.0)
        step = jnp.clip(step, -_LONGEST, _LONGEST)
        still = jnp.where(jnp.abs(step) < _STEP, now.quiet + 1, 0)
        return _State(
            now.price + step, new + step * slopes, slopes, now.sweeps + 1, still, step
        )

    zero = jnp.zeros((), jnp.int32)
    first = _State(price, values, jnp.zeros_like(values), zero, zero, price + jnp.inf)
    last = lax.while_loop(
        lambda now: (now.quiet < _QUIET) & (now.sweeps < most), body, first
    )
    return Solved(last.price, last.values, last.sweeps, last.step)
