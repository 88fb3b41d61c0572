r"""The risk from one tree of the adversary's, on a grid: exponent and constant.

Notation (A, D, g, ρ are those of ``exponent.py``)
    Y           what the tree gains on the honest chain in a level, steps
    S_n, M      Y_1 + ... + Y_n; max_{n ≥ 0} S_n
    W           the tree's lead at the level before the block, its best root: M in law

The adversary leaves the chain at the best of all levels before the block, and comes
back at the best of all after its confirmation:

    Pr[W + S_n + M ≥ −Δ],   all independent.

``private``: the pre-mined private chain, Y = D + Δ − A, n = k + 1 (it must be longer).
``any``: the event whose exponent is ρ, Y = D − A + 2Δ with chance g and 2Δ else, n = k;
conditional on (c1) a bound on the risk from every adversary.

Both are of a block of a level that is named beforehand. Solved as in
``race/fourier.py``: under the tilt of min E e^{θY} the walk is even, M by Spitzer's
identity, and the tilt is taken back at the end.

Source: docs/science/any-adversary.md; W. Feller, vol. II, XII.7 and XVIII.3.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from scipy import fft, optimize

from ..block_time.law import BlockTimeLaw, Real
from ..estimation.estimate import Refused
from ..race.grid import Grid, finer, grid_for, on_grid, shift, transform
from ..race.walk import Race, Tilt, bounded, cumulant, tilts
from .clocks import fastest_child, hazard_windows, slowest_level

Event = Literal["private", "any"]


class OneTree(NamedTuple):
    """The risk of every depth from one tree.

    Attributes:
        event: Which of the two.
        log_rate: ln ρ, or that of the private chain.
        logs: ln of the risk at depths.
        errors: Relative numerical errors.
        depths: The depths.
    """

    event: Event
    log_rate: float
    logs: tuple[float, ...]
    errors: tuple[float, ...]
    depths: tuple[int, ...]


class _Walk(NamedTuple):
    """Y: a race without delay with chance g, nothing else, and a fixed part."""

    race: Race
    alone: float
    fixed: float
    delay: float
    more: int

    def cumulant(self, theta: float) -> float:
        """Logarithm of E e^{θY}."""
        gained = cumulant(self.race, theta)[0]
        if self.alone < 1:
            gained = math.log(self.alone * math.exp(gained) + 1 - self.alone)
        return gained + theta * self.fixed


def one_tree_risks(
    law: BlockTimeLaw,
    depths: Sequence[int],
    *,
    event: Event,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
    known_until: Real = math.inf,
) -> OneTree:
    """The risk at depths k.

    Args:
        law: X of one honest prover (steps).
        depths: k ≥ 1.
        event: ``private`` or ``any``.
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.
        known_until: As ``block_time.empirical.EmpiricalLaw``.

    Raises:
        ValueError: If a depth is below 1.
        Refused: As ``race.walk.tilts`` and ``race.grid.grid_for``; or if the walk does
            not fall: then every depth is reached.
    """
    if not depths or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")
    walk, tilt = _prepared(
        law, event, honest, adversarial, delay_steps, adversary, known_until
    )
    grid = grid_for(walk.race, tilt, max(depths) + walk.more)
    grids = [finer(grid, halvings) for halvings in range(3)]
    raw = [_logs(walk, tilt, each, depths) for each in grids]
    first, value = ((4 * b - a) / 3 for a, b in pairwise(raw))
    errors = np.abs(np.expm1(np.minimum(value - first, 1.0))) + 1e-12
    capped = np.minimum(value, 0.0)
    return OneTree(
        event,
        tilt.log_rate,
        tuple(capped.tolist()),
        tuple(errors.tolist()),
        tuple(int(k) for k in depths),
    )


def one_tree_depth(target: Real, law: BlockTimeLaw, **given) -> int:
    """Smallest k with a risk of at most ε, as ``one_tree_risks``.

    Raises:
        ValueError: If ε is not in (0, 1).
        Refused: As ``one_tree_risks``; a depth too great for the grid is refused there.
    """
    if not 0 < target < 1:
        raise ValueError(f"target must lie in (0, 1), got {target}")
    goal = math.log(target)
    high = 8
    while True:
        found = one_tree_risks(law, _spread(1, high), **given)
        inside = [
            k for k, log in zip(found.depths, found.logs, strict=True) if log <= goal
        ]
        if inside:
            break
        more = (found.logs[-1] - goal) / -found.log_rate
        high = math.ceil(high + 1.1 * more + 4)
    while True:
        place = found.depths.index(inside[0])
        low = found.depths[place - 1] if place else 0
        if inside[0] - low <= 1:
            return inside[0]
        found = one_tree_risks(law, _spread(low + 1, inside[0]), **given)
        inside = [
            k for k, log in zip(found.depths, found.logs, strict=True) if log <= goal
        ]


def _spread(first: int, last: int) -> list[int]:
    return sorted({round(x) for x in np.linspace(first, last, 24)})


def _prepared(law, event, honest, adversarial, delay, adversary, known):
    level = slowest_level(law, honest, delay)
    child = fastest_child(law if adversary is None else adversary, adversarial)
    delay = float(delay)
    late = bounded(Race(level, child, delay, ties_win=False, known_until=float(known)))
    own = tilts(late)
    race = late._replace(delay=0.0)
    if event == "private":
        walk = _Walk(race, 1.0, delay, delay, 1)
    else:
        alone = math.exp(-float(honest) * hazard_windows(law, delay).ever)
        walk = _Walk(race, alone, 2 * delay, delay, 0)
    found = optimize.minimize_scalar(
        walk.cumulant,
        bounds=(0.0, own.theta_star),
        method="bounded",
        options={"xatol": 1e-11 * own.theta_star},
    )
    theta, log_rate = float(found.x), float(found.fun)  # pyright: ignore
    if not log_rate < -1e-9:
        raise Refused(
            "any adversary: the walk of one tree does not fall, so that its risk is 1 "
            "at every depth; a shorter delay_steps or a smaller adversary"
        )
    star = own.theta_star
    if walk.cumulant(star) > 0:
        star = float(
            optimize.brentq(walk.cumulant, theta, star, rtol=1e-13)  # pyright: ignore
        )
    nudge = 1e-3 * min(theta, star - theta)
    spread = math.sqrt(
        max(
            walk.cumulant(theta + nudge) + walk.cumulant(theta - nudge) - 2 * log_rate,
            1e-300,
        )
    )
    tilt = Tilt(theta, log_rate, star, spread / nudge, own.drift, 0.0, own.scale)
    return walk, tilt


def _logs(walk: _Walk, tilt: Tilt, grid: Grid, depths: Sequence[int]) -> np.ndarray:
    """Logarithm of Pr[W + S_n + M + Δ ≥ 0] on one grid."""
    theta, step, n = tilt.theta_0, grid.step, grid.points
    race = walk.race
    interval = transform(on_grid(race.honest, theta, grid, until=race.until))
    draw = np.conj(transform(on_grid(race.adversary, -theta, grid)))
    apart = float(race.honest.offset) - float(race.adversary.offset)
    gained = cumulant(race, theta)[0]
    moved = interval * draw * shift(apart, grid) * math.exp(gained)
    moved = walk.alone * moved + (1 - walk.alone)
    moved = moved * shift(walk.fixed, grid) * math.exp(theta * walk.fixed)
    # e^{ln ρ} times a law; ln(1 − ·) by Spitzer makes the maximum's.
    logarithm = np.asarray(fft.irfft(np.log(1 - moved), n))  # pyright: ignore
    d = np.zeros(n)
    ahead = np.arange(1, (n + 1) // 2)
    d[ahead] = -logarithm[ahead]
    log_untilted = float((d[ahead] * np.exp(-theta * step * ahead)).sum())
    maximum = np.exp(transform(d) - log_untilted)
    weights = np.zeros(n)
    weights[: n // 2] = np.exp(-theta * step * np.arange(n // 2))
    weights[0] = 0.5
    rest = maximum**2 * shift(walk.delay, grid) * np.conj(transform(weights)) / n
    rest[1 : (n + 1) // 2] *= 2
    law = moved / math.exp(tilt.log_rate)
    logs = []
    for depth in depths:
        levels = depth + walk.more
        share = max(float(np.real(np.sum(rest * law**levels))), 1e-300)
        logs.append(math.log(share) + levels * tilt.log_rate + theta * walk.delay)
    return np.array(logs)
