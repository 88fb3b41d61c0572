"""Settings are tried by their laws alone, and the promising ones kept."""

import math
from typing import NamedTuple

import jax
import numpy as np

from ...analysis.attacks.situation import Situation, plain
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.calibration.choice import Choice, at_choice, party_of, solve_interval
from ...analysis.calibration.on_network import simulated
from ...analysis.calibration.quantities import figures, known_law
from ...analysis.calibration.targets import (
    BETTER,
    Target,
    pareto,
    slack,
)
from ...analysis.estimation.estimate import Estimate, Refused
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..config.hash_targets import (
    success_probability,
    target_of_probability,
)
from .design_targets import Asked, Scan
from .rational_game import Asked as RationalAsked, epsilon

FINALISTS, NEAREST = 10, 5


_QUICK = 0.15  # ln: what the quick figures may be off without costing a setting


_GLANCE = 200  # replicas
_GLANCE_SLOTS = 1024


_HALVINGS, _MOST_HALVINGS, _RARITIES = 16, 40, 9  # of T_2


class Candidate(NamedTuple):
    """A setting of the scan: its quick figures, or why it has none."""

    choice: Choice
    t_1: int
    t_2: int
    figures: dict[str, float]
    slacks: tuple[float, ...]
    error: str = ""

    @property
    def room(self) -> float:
        """The least slack."""
        return min(self.slacks, default=0.0)


def _rows(config: Config, at: Situation, asked: Asked, scan: Scan) -> list[tuple]:
    """(T_acc, T_1, T_2, S_min) to try; defaults for what the command line leaves."""
    own = config.scheme.t_acc
    best = at.curves.accuracy.max(axis=1)
    # What 95 % … 50 % of the runs reach, to three digits.
    reached = np.floor(1e3 * np.quantile(best, (0.05, 0.15, 0.3, 0.5))) / 1e3
    accuracies = scan.t_acc or sorted({own, *map(float, reached[reached > 0])})
    first = at.curves.steps[np.argmax(at.curves.accuracy >= own, axis=1)]
    late = np.quantile(first[best >= own], (0.25, 0.75)) if (best >= own).any() else ()
    look, horizon = at.check_every, int(at.curves.steps[-1])
    typical = {min(look * round(x / look), horizon // 2 // look * look) for x in late}
    s_min = scan.s_min or sorted({0, config.protocol.s_min, *typical})
    return [
        (t_acc, t_1, t_2, least)
        for t_acc in accuracies
        for t_1 in scan.t_1 or (config.scheme.t_1,)
        for t_2 in scan.t_2 or _rarities(config, at, asked, t_acc)
        for least in s_min
    ]


def _rarities(config: Config, at: Situation, asked: Asked, t_acc: float) -> list[int]:
    """T_2 from no lottery to the rarest power of 2 that the interval has time for."""
    rarest = _HALVINGS
    if asked.interval_steps is not None:
        low, high = 0, _MOST_HALVINGS
        while low < high:
            middle = (low + high + 1) // 2
            choice = Choice(t_acc, 1.0, 2.0**-middle, 0)
            try:
                solve_interval(at, choice, asked.interval_steps)
                low = middle
            except Refused:
                high = middle - 1
        rarest = low
    halvings = {round(each) for each in np.linspace(0, rarest, _RARITIES)}
    return sorted({config.scheme.t_2, *(1 << 256 - each for each in halvings)})


def scanned(config, at, terms, asked: Asked, scan: Scan, progress) -> list[Candidate]:
    """Every setting of the scan with its figures, or why it has none."""
    rows = _rows(config, at, asked, scan)
    found = []
    for done, row in enumerate(rows):
        progress("scanning settings", done, len(rows))
        found.append(_candidate(config, at, terms, asked, *row))
    progress("scanning settings", len(rows), len(rows))
    return found


def _candidate(config, at, terms, asked: Asked, t_acc, t_1, t_2, s_min) -> Candidate:
    choice = Choice(t_acc, success_probability(t_1), success_probability(t_2), s_min)
    try:
        if asked.interval_steps is not None:
            choice = solve_interval(at, choice, asked.interval_steps)
            t_1 = target_of_probability(choice.p_1)
            choice = choice._replace(p_1=success_probability(t_1))
        one = at_choice(at, choice)
        known_law(one)
        reasons: dict[str, str] = {}
        law = plain(one).law
        quick = figures(one, law, party_of(one), terms, reasons=reasons)
        wanted = {each.figure for each in asked.targets}
        if wanted & {"quality", "stale"}:
            drawn = _glance(one, law)
            quick |= {name: drawn[name].value for name in ("quality", "stale")}
        if "honest_epsilon" in wanted:
            few = RationalAsked(slots=_GLANCE_SLOTS)
            quick["honest_epsilon"] = epsilon(config, one, (), few).value
    except (Refused, ValueError) as error:
        missed = (-math.inf,) * len(asked.targets)
        return Candidate(choice, t_1, t_2, {}, missed, str(error))
    quick["liveness"] = _quick_liveness(quick, asked.level, at.delay_steps)
    slacks = tuple(
        slack(each, quick[each.figure]) for each in in_steps(asked, quick["interval"])
    )
    error = "; ".join(why for name, why in reasons.items() if name in wanted)
    return Candidate(choice, t_1, t_2, quick, slacks, error)


def _glance(at: Situation, law: BlockTimeLaw) -> dict[str, Estimate]:
    """A short look at the simulated network, for quality and stale blocks."""
    # 1 − E[C]/E[A] is far below quality where X has dead time: good settings would be
    # thrown away.
    return simulated(seed_key(0), at, law, confirmations=1, level=0.5, replicas=_GLANCE)


def _quick_liveness(quick: dict[str, float], level: float, delay: float) -> float:
    """Intervals k + 1/quality, and as many standard deviations as the level has."""
    if not math.isfinite(quick["depth"]) or quick["quality"] <= 0:
        return math.inf
    blocks = quick["depth"] + 1 / quick["quality"]
    more = float(jax.scipy.stats.norm.ppf(level)) * quick["cv"] * math.sqrt(blocks)
    return quick["interval"] * max(1.0, blocks + more) + delay


def in_steps(asked: Asked, interval: float) -> list[Target]:
    """The targets with the liveness bound in steps."""
    return [
        each._replace(bound=each.bound * interval)
        if each.figure == "liveness" and asked.liveness_blocks
        else each
        for each in asked.targets
    ]


def finalists_of(candidates: list[Candidate]) -> list[Candidate]:
    """The best of those that may meet all targets, or else the nearest ones."""
    known = sorted((c for c in candidates if c.figures), key=lambda c: -c.room)
    able = [c for c in known if c.room >= -_QUICK]
    if not able:
        return known[:NEAREST]
    front = [c for c, keep in zip(able, pareto([c.figures for c in able]), strict=True)
             if keep]  # fmt: skip
    # The one with most room, the best in each respect, then by room.
    first = [able[0]]
    for name, sign in BETTER.items():
        scored = [c for c in front if not math.isnan(c.figures.get(name, math.nan))]
        first += [max(scored, key=lambda c: sign * c.figures[name])] if scored else []
    unique: list[Candidate] = []
    for one in [*first, *front]:
        if one not in unique:
            unique.append(one)
    return unique[:FINALISTS]
