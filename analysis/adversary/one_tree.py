r"""The risk from one tree of the adversary's, on a grid: exponent and constant.

Notation (A, D, g, ρ are those of ``exponent.py``)
    Y           what the tree gains on the honest chain in a level, steps
    S_n, M      Y_1 + ... + Y_n; max_{n ≥ 0} S_n
    W           the tree's lead at the level before the block, its best root: M in law

The adversary leaves the chain at the best of all levels before the block, and comes
back at the best of all after its confirmation:

    Pr[W + S_n + M ≥ −Δ],   all independent.

``private``: the pre-mined private chain, Y = H + Δ − A, n = k + 1 (it must be longer),
of the fastest of fresh machines on both sides.
``tie``: the same chain where an equal one is adopted: it may be shown until the public
chain is a block longer, so that n = k and one more interval H + Δ is on the left.
``any``: the event whose exponent is ρ, Y = D − A + 2Δ with chance g and 2Δ else, n = k;
conditional on (c1) a bound on the risk from every adversary.

Both are of a block of a level that is named beforehand. Solved as in
``race/fourier.py``: under the tilt of min E e^{θY} the walk is even, M by Spitzer's
identity, and the tilt is taken back at the end.

Source: docs/science/any-adversary.md; W. Feller, vol. II, XII.7 and XVIII.3.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from scipy import fft, optimize

from ..block_time.law import BlockTimeLaw, Real, fastest_of
from ..block_time.tilt import log_moment
from ..bounds.arguments import require
from ..estimation.estimate import Refused
from ..race.grid import Grid, finer, grid_for, on_grid, shift, transform
from ..race.walk import OUTGROWN, Race, Tilt, bounded, cumulant, tilts
from .clocks import NOTHING, bounding_race, hazard_windows

Event = Literal["private", "tie", "any"]


_LEAST_ODDS, _FIRST_STEP = 1e-3, 0.06
_EVEN = (
    "any adversary: the walk of one tree does not fall, so that its risk is 1 at every "
    "depth; a shorter delay_steps or a smaller adversary"
)


class OneTree(NamedTuple):
    """The risk of every depth from one tree.

    Attributes:
        event: Which of the three.
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
    """Y: a race without delay with chance g, nothing else, and a fixed part; ``late``:
    whether the adversary has an interval more."""

    race: Race
    alone: float
    fixed: float
    delay: float
    more: int
    late: bool = False

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
        event: ``private``, ``tie`` or ``any``.
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.
        known_until: As ``block_time.empirical.EmpiricalLaw``.

    Raises:
        ValueError: If a depth is below 1.
        Refused: As ``bounding_race``, ``race.walk.tilts`` and ``race.grid.grid_for``;
            or if the walk does not fall: then every depth is reached.
    """
    if not depths or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")
    solved = _solved(
        law,
        event,
        max(depths),
        honest,
        adversarial,
        delay_steps,
        adversary,
        known_until,
    )
    logs, errors = solved.risks(depths)
    return OneTree(
        event,
        solved.tilt.log_rate,
        tuple(np.minimum(logs, 0.0).tolist()),
        tuple(errors.tolist()),
        tuple(int(k) for k in depths),
    )


def one_tree_depth(
    target: Real,
    law: BlockTimeLaw,
    *,
    event: Event,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
    known_until: Real = math.inf,
) -> int:
    """Smallest k with a risk of at most ε, as ``one_tree_risks``.

    Raises:
        ValueError: If ε is not in (0, 1).
        Refused: As ``one_tree_risks``; a depth too great for the grid is refused there.
    """
    if not 0 < target < 1:
        raise ValueError(f"target must lie in (0, 1), got {target}")
    solved = _solved(
        law, event, target, honest, adversarial, delay_steps, adversary, known_until
    )

    def safe(depth: int) -> bool:
        return float(solved.risks([depth])[0][0]) <= math.log(target)

    low, high = 0, 1
    while not safe(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if safe(middle):
            high = middle
        else:
            low = middle
    return high


def one_tree_threshold(
    target: Real,
    depth: int,
    law: BlockTimeLaw,
    *,
    event: Event,
    provers: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
    known_until: Real = math.inf,
    near: Real = 0.2,
) -> float:
    r"""Share β of n machines at which the risk of depth k is ε, to 1e-4.

    Args:
        target: ε in (0, 1).
        depth: k ≥ 1.
        law: X of one honest prover (steps).
        event: ``private``, ``tie`` or ``any``.
        provers: n > 0; a share need not be whole machines.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.
        known_until: As ``block_time.empirical.EmpiricalLaw``.
        near: A share in (0, 1) to begin with.

    Raises:
        ValueError: If an argument is out of range.
        Refused: If the least share that is tried has a greater risk; or as
            ``one_tree_risks`` where the risk is not known.
    """
    require("target", target, 0 < target < 1, "(0, 1)")
    require("near", near, 0 < near < 1, "(0, 1)")
    refused: dict[float, Refused] = {}
    known: dict[float, float] = {}
    goal = math.log(float(target))
    what = "the bound on the risk" if event == "any" else "the risk"

    def excess(share: float) -> float:
        if share not in known:
            known[share] = solve(share)
        return known[share]

    def solve(share: float) -> float:
        given = (1 - share) * provers, share * provers, delay_steps
        try:
            solved = _solved(law, event, depth, *given, adversary, known_until)
        except Refused as refusal:
            # From where a tree outgrows the chain, and a little before, no grid serves.
            refused[share] = refusal
            return -goal
        return float(min(solved.risks([depth])[0][0], 0.0)) - goal

    low, high = _around(excess, float(near))
    if excess(low) > 0:
        if low in refused:
            raise refused[low]
        raise Refused(
            f"at depth {depth} {what} of a share of {low:g} is already above "
            f"{target:g}; more confirmations or a larger target"
        )
    # With hardly an honest machine left the adversary outgrows the chain: high is high.
    root = float(optimize.brentq(excess, low, high, xtol=1e-4))  # pyright: ignore
    beyond = min(refused, default=math.inf)
    if beyond - root < 1e-3 and not _grows(refused[beyond]):
        raise refused[beyond]
    return root


def _around(excess: Callable[[float], float], near: float) -> tuple[float, float]:
    """Shares below and above a root, by steps in the odds that double."""
    odds = near / (1 - near)
    sign = -1 if excess(near) > 0 else 1
    step, last, end = _FIRST_STEP, odds, _LEAST_ODDS**-sign
    while last != end:
        following = last * math.exp(sign * step)
        following = min(following, end) if sign > 0 else max(following, end)
        crossed = (excess(following / (1 + following)) > 0) == (sign > 0)
        ends = sorted((last, following))
        if crossed:
            break
        last, step = following, 2 * step
    else:
        ends = sorted((odds, end))
    low, high = (each / (1 + each) for each in ends)
    return low, high


def _grows(refusal: Refused) -> bool:
    """Whether it says that the adversary grows too fast, at which no depth is safe."""
    return str(refusal) in (OUTGROWN, _EVEN) or str(refusal).startswith(NOTHING)


class _Solved(NamedTuple):
    """A walk on its grids, coarsest first: Y's law, and all else that the risk has."""

    walk: _Walk
    tilt: Tilt
    laws: list[np.ndarray]
    rests: list[np.ndarray]

    def risks(self, depths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Logarithms of the risks, and their relative errors."""
        raw = []
        for law, rest in zip(self.laws, self.rests, strict=True):
            logs = []
            for depth in depths:
                levels = depth + self.walk.more
                share = max(float(np.real(np.sum(rest * law**levels))), 1e-300)
                tilted = levels * self.tilt.log_rate
                logs.append(math.log(share) + tilted)
            raw.append(np.array(logs) + self.tilt.theta_0 * self.walk.delay)
        first, value = ((4 * b - a) / 3 for a, b in pairwise(raw))
        return value, np.abs(np.expm1(np.minimum(value - first, 1.0))) + 1e-12


def _solved(law, event, reach, honest, adversarial, delay, adversary, known) -> _Solved:
    """The walk solved up to a depth, or up to that of a target below 1."""
    walk, tilt = _prepared(law, event, honest, adversarial, delay, adversary, known)
    if reach < 1:
        # e^{θΔ} ρ^k / (1 − ρ)² is above the risk; twice as deep while doubling.
        log_start = tilt.theta_0 * walk.delay - 2 * math.log(-math.expm1(tilt.log_rate))
        reach = 2 + 2 * math.ceil((log_start - math.log(reach)) / -tilt.log_rate)
    grid = grid_for(walk.race, tilt, int(reach) + walk.more)
    both = [_on(walk, tilt, finer(grid, halvings)) for halvings in range(3)]
    return _Solved(walk, tilt, [each[0] for each in both], [each[1] for each in both])


def _prepared(law, event, honest, adversarial, delay, adversary, known):
    own = law if adversary is None else adversary
    if event != "any":
        fresh = fastest_of(law, honest), fastest_of(own, adversarial)
        late = Race(*fresh, float(delay), ties_win=False, known_until=float(known))
        late = bounded(late)
        alone, fixed, more = 1.0, float(delay), int(event == "private")
    else:
        late = bounding_race(
            law,
            honest=honest,
            adversarial=adversarial,
            delay_steps=delay,
            adversary=adversary,
            known_until=known,
        )
        alone = math.exp(-float(honest) * hazard_windows(law, delay).ever)
        fixed, more = 2 * float(delay), 0
    race_tilt = tilts(late)
    walk = _Walk(
        late._replace(delay=0.0), alone, fixed, float(delay), more, event == "tie"
    )
    found = optimize.minimize_scalar(
        walk.cumulant,
        bounds=(0.0, race_tilt.theta_star),
        method="bounded",
        options={"xatol": 1e-11 * race_tilt.theta_star},
    )
    theta, log_rate = float(found.x), float(found.fun)  # pyright: ignore
    if not log_rate < -1e-9:
        raise Refused(_EVEN)
    star = race_tilt.theta_star
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
    tilt = Tilt(
        theta, log_rate, star, spread / nudge, race_tilt.drift, 0.0, race_tilt.scale
    )
    return walk, tilt


def _on(walk: _Walk, tilt: Tilt, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Transforms of Y under the tilt, and of all else with the weights e^{−θu}."""
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
    if walk.late:
        known = log_moment(race.honest, theta, race.until)[0] + theta * walk.fixed
        apart = float(race.honest.offset) + walk.fixed
        rest = rest * interval * shift(apart, grid) * math.exp(known)
    return moved / math.exp(tilt.log_rate), rest
