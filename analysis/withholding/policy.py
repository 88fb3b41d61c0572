"""A withholding policy as arrays that another program can replay.

Notation (``process.py``)
    a, h    blocks of the private and of the public branch since the fork, ≤ T
    x, y    age of honest work, of the adversary's own, steps
    cell    of an age: floor(age/d), at most G − 1                  ``edges``

How it is played. Both ages grow with time. When a private block is found: a + 1 and
y = 0. When an honest one is: h + 1, x = 0, and the branches are split if ``match`` of
(a, h, cell of y) says so, else no longer; where they were split and the finder was one
of the γ, the h public blocks before it are the adversary's, and a − h and 1 remain.
After every event, after every action, and whenever either age enters another cell, the
action of (fork, a, h, cell of x, cell of y) is taken:

    0       wait
    1       adopt: h blocks are the others'; a = h = 0, y = 0
    2 + j   override: publish j blocks, the adversary's; a − j, h = 0, x = 0, no fork

Of things at one moment the order is: private block, honest block, entering a cell.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, UInt8

from ..block_time.law import Real
from .ages import Ages
from .process import Hazards, actions

WAIT, ADOPT, OVERRIDE = 0, 1, 2
"""Codes; ``OVERRIDE + j`` publishes j blocks."""
ORDER = ("private block", "honest block", "entering a cell")


class Policy(NamedTuple):
    """What to do, by fork, branches and ages.

    Attributes:
        actions: Codes by fork (0 none, 1 split), a, h, cell of x, cell of y.
        match: Whether to publish h blocks at an honest one, by a, h, cell of y.
        edges: Lower ends of the cells of age, steps; the last cell is open.
        honest: n_h.
        own: n_a.
        gamma: γ.
        price: ρ at which it was found to break even, on the grid.
    """

    actions: UInt8[np.ndarray, "forks a h x y"]
    match: Bool[np.ndarray, "a h y"]
    edges: Float[np.ndarray, " ages"]
    honest: float
    own: float
    gamma: float
    price: float

    @property
    def width(self) -> float:
        """d, steps."""
        return float(self.edges[1])


def policy_of(
    hazards: Hazards, ages: Ages, price, values, *, honest: Real, own: Real
) -> Policy:
    """The best actions of a solved process.

    Args:
        hazards: As it was solved with.
        ages: Its grid.
        price: ρ.
        values: U.
        honest: n_h.
        own: n_a.
    """
    ties = bool(hazards.gamma > 0)
    codes, match = jax.device_get(actions(hazards, price, values, ties=ties))
    x, y = np.indices(2 * (len(ages.hazards),))
    along = np.minimum(x, y), np.where(y >= x, 0, 1), np.abs(x - y)
    return Policy(
        codes[:, :, :, *along],
        match & ties,
        ages.edges,
        float(honest),
        float(own),
        float(hazards.gamma),
        float(price),
    )


def to_arrays(policy: Policy) -> dict[str, np.ndarray]:
    """Named arrays that hold all of a policy, for one npz."""
    return {
        **{name: np.asarray(value) for name, value in policy._asdict().items()},
        "order": np.array(ORDER),
        "axes": np.array(["fork", "a", "h", "x", "y"]),
        "codes": np.array(["wait", "adopt", "override by code - 2"]),
    }


def from_arrays(arrays: dict[str, np.ndarray]) -> Policy:
    """The policy that ``to_arrays`` gave.

    Raises:
        ValueError: If an array is missing, or shapes or codes do not fit together.
    """
    lacking = [name for name in Policy._fields if name not in arrays]
    if lacking:
        raise ValueError(f"a policy needs {', '.join(lacking)}, which are missing")
    given = {name: np.asarray(arrays[name]) for name in Policy._fields}
    found = Policy(
        given["actions"],
        given["match"],
        given["edges"],
        *(float(given[name]) for name in ("honest", "own", "gamma", "price")),
    )
    forks, blocks, _, ages, _ = found.actions.shape
    fits = (
        found.actions.shape == (forks, blocks, blocks, ages, ages)
        and found.match.shape == (blocks, blocks, ages)
        and found.edges.shape == (ages,)
    )
    if not fits:
        raise ValueError(
            "a policy's actions are [fork, a, h, x, y], its match [a, h, y] and its "
            f"edges [x], got {found.actions.shape}, {found.match.shape} and "
            f"{found.edges.shape}"
        )
    a, h = np.indices((blocks, blocks))[:, None, :, :, None, None]
    code = found.actions
    legal = (code == WAIT) | ((code == ADOPT) & (h > 0))
    legal |= (code > OVERRIDE + h) & (code <= OVERRIDE + a)
    if not legal.all():
        raise ValueError(
            "a policy adopts only where h > 0 and overrides only by h < j ≤ a blocks, "
            f"got {int((~legal).sum())} other actions"
        )
    return found
