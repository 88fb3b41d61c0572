"""Points with some of the quantities alone, each by the fastest way that has it.

``[sweep] quantities``. Block times, growth, forks and confirmations are those of
``assessment.quick``; for persistence, good periods, quality and liveness the network is
simulated as ever, without what is not asked for. Worlds that ``assessment.quick`` does
not know (another engine's, a corrupted prover's own law, references, ``s_min``, the
criterion of a longer chain) are simulated for all. Where persistence is asked for,
confirmations are read off the same curve. Tiers are of their own law
(``tier_rows.py``).
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from ...analysis.assessment.quick import Found, Point, quick_figures
from ...analysis.estimation.estimate import Refused
from ...analysis.estimation.quantities import (
    ANY_ADVERSARY_DEPTH,
    BEST_ATTACK_DEPTH,
    BLOCK_INTERVAL_CV,
    BLOCK_INTERVAL_MEAN,
    BLOCK_TIME_CV,
    BLOCK_TIME_MEAN,
    CHAIN_GROWTH,
    CHAIN_QUALITY,
    GOOD_PERIOD,
    GOOD_PERIOD_ALL,
    LIVENESS_QUANTILE,
    PERSISTENCE_SIMULATED,
    PERSISTENCE_VIOLATION,
    PRIVATE_CHAIN_DEPTH,
    PRIVATE_GROWTH,
    REVENUE,
    ROUND_ADVERSARIAL,
    ROUND_SINGLE_SUCCESS,
    ROUND_SUCCESS,
    SAFE_DEPTH,
    SAFE_DEPTH_PREMINED,
    STALE_RATE,
    STRICT,
    UNSAFE_DEPTH,
)
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..config.sweep import QUICK, TIERS
from ..world.engines import chosen_engine
from ..world.persistence import targets_of
from ..world.situation import NO_STARTS, WarmStarts, own_laws
from ..world.translation import lottery_of, require_known
from . import evaluation
from .evaluation import Outcome, row_of
from .tier_rows import tier_outcomes


def _either(*names: str) -> tuple[str, ...]:
    """Rows of both criteria."""
    return (*names, *(name + STRICT for name in names))


ROWS = {
    "block_times": (BLOCK_TIME_MEAN, BLOCK_TIME_CV),
    "growth": (CHAIN_GROWTH, BLOCK_INTERVAL_MEAN, BLOCK_INTERVAL_CV),
    "forks": (STALE_RATE,),
    "confirmations": (
        *_either(SAFE_DEPTH, SAFE_DEPTH_PREMINED, PERSISTENCE_VIOLATION),
        *(UNSAFE_DEPTH, PRIVATE_GROWTH),
    ),
    "persistence": (
        *_either(PERSISTENCE_VIOLATION, PERSISTENCE_SIMULATED),
        *(UNSAFE_DEPTH, PRIVATE_GROWTH),
    ),
    "good_periods": (
        *(GOOD_PERIOD, GOOD_PERIOD_ALL),
        *(ROUND_SUCCESS, ROUND_SINGLE_SUCCESS, ROUND_ADVERSARIAL),
    ),
    "quality": (CHAIN_QUALITY, REVENUE),
    "liveness": (LIVENESS_QUANTILE,),
    TIERS: (PRIVATE_CHAIN_DEPTH, BEST_ATTACK_DEPTH, ANY_ADVERSARY_DEPTH),
}
"""Name of ``[sweep] quantities`` → the rows that it asks for."""


class Quantities(NamedTuple):
    """As ``evaluation.evaluate``, for some quantities alone.

    Attributes:
        names: Some of ``config.sweep.NAMES``.
    """

    names: tuple[str, ...]

    def __call__(
        self,
        configs: Sequence[Config],
        curves: CurveSet,
        costs: np.ndarray | None,
        starts: Sequence[WarmStarts] = (),
    ) -> list[Outcome]:
        """One outcome a point, in their order."""
        return evaluate(configs, curves, costs, starts, asked=self.names)


def evaluate(
    configs: Sequence[Config],
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: Sequence[WarmStarts] = (),
    *,
    asked: Collection[str] = QUICK,
) -> list[Outcome]:
    """As ``evaluation.evaluate``, for the quantities asked for alone."""
    given = starts or [NO_STARTS] * len(configs)
    if TIERS in asked:
        beside = [name for name in asked if name != TIERS]
        tiers = tier_outcomes(configs, curves, costs, given)
        if not beside:
            return tiers
        rest = evaluate(configs, curves, costs, given, asked=beside)
        return [_joined(*both) for both in zip(rest, tiers, strict=True)]
    curve = "persistence" in asked
    quickly = [n for n in asked if n in QUICK and not (curve and n == "confirmations")]
    sampled = [name for name in asked if name not in quickly]
    found: dict[int, Outcome] = {}
    known: list[int] = []
    others: list[int] = []
    for place, config in enumerate(configs):
        try:
            require_known(config)
            (known if answers_quickly(config) else others).append(place)
        except Refused as refusal:
            found[place] = Outcome((), str(refusal))
    # Points that are computed together share their laws.
    for places, names in ((known, sampled), (others, list(asked))):
        if not (places and names):
            continue
        wanted = {row for name in names for row in ROWS[name]}
        some, begun = [configs[p] for p in places], [given[p] for p in places]
        whole = evaluation.evaluate(some, curves, costs, begun, asked=names)
        for place, outcome in zip(places, whole, strict=True):
            rows = tuple(r for r in outcome.rows if r["quantity"] in wanted)
            found[place] = outcome._replace(rows=rows)
    if quickly:
        figures = _quick_outcomes([configs[p] for p in known], curves, costs, quickly)
        for place, one in zip(known, figures, strict=True):
            found[place] = _joined(one, found.get(place))
    return [found[place] for place in range(len(configs))]


def _quick_outcomes(configs, curves, costs, asked) -> list[Outcome]:
    """Those of points that ``assessment.quick`` knows, in their order."""
    kinds: dict[tuple[int, int], list[int]] = {}
    for place, config in enumerate(configs):
        kind = config.seed, config.security.bootstraps
        kinds.setdefault(kind, []).append(place)
    found: dict[int, Outcome] = {}
    for (seed, resamples), places in kinds.items():
        each = quick_figures(
            seed_key(seed),
            seed,
            curves,
            [_point(configs[place]) for place in places],
            resamples,
            figures=asked,
            step_costs=costs,
        )
        for place, figures in zip(places, each, strict=True):
            if isinstance(figures, Found):
                rows = tuple(map(row_of, figures.measurements))
                reasons = [*figures.refusals, "nothing that is asked for is there"]
                found[place] = Outcome(rows, "" if rows else reasons[0])
            else:
                found[place] = Outcome((), str(figures))
    return [found[place] for place in range(len(configs))]


def _joined(one: Outcome, other: Outcome | None) -> Outcome:
    """Rows of both; without any, why the first has none."""
    if other is None:
        return one
    rows = one.rows + other.rows
    return Outcome(rows, "" if rows else one.error)


def answers_quickly(config: Config) -> bool:
    """Whether ``assessment.quick`` knows the config's world."""
    level = chosen_engine(config).name == "level"
    equal = config.security.criterion == "equal"
    fresh = not own_laws(config) and not config.protocol.s_min
    return level and equal and fresh and config.law.has_curves


def _point(config: Config) -> Point:
    net, security = config.network, config.security
    return Point(
        lottery_of(config, config.scheme),
        net.provers - config.attackers,
        config.attackers,
        float(net.delay_steps),
        tuple(targets_of(config)),
        security.depths,
        config.adversary.attack == "private_premined",
    )
