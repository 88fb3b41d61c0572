"""Points with a law's figures, growth, forks and confirmations alone, found quickly.

``[sweep] quantities = "quick"``. Worlds that ``assessment.quick`` does not know (the
event engine's, a corrupted prover's own law, references, ``s_min``) are evaluated as
ever, and of their rows those with the same names are kept.
"""

from collections.abc import Sequence

import numpy as np

from ...analysis.assessment.quick import Found, Point, quick_figures
from ...analysis.estimation.estimate import Refused
from ...analysis.estimation.quantities import (
    BLOCK_TIME_CV,
    BLOCK_TIME_MEAN,
    CHAIN_GROWTH,
    SAFE_DEPTH,
    SAFE_DEPTH_PREMINED,
    STALE_RATE,
)
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..world.engines import chosen_engine
from ..world.situation import NO_STARTS, WarmStarts, own_laws
from ..world.translation import lottery_of, require_known
from . import evaluation
from .evaluation import Outcome, row_of

QUANTITIES = (
    *(BLOCK_TIME_MEAN, BLOCK_TIME_CV, CHAIN_GROWTH),
    *(STALE_RATE, SAFE_DEPTH, SAFE_DEPTH_PREMINED),
)
# Beside the target of the config.
_RARE = 1e-9


def evaluate(
    configs: Sequence[Config],
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: Sequence[WarmStarts] = (),
) -> list[Outcome]:
    """As ``evaluation.evaluate``, for ``QUANTITIES`` alone."""
    given = starts or [NO_STARTS] * len(configs)
    found: dict[int, Outcome] = {}
    quick: dict[tuple[int, int], list[int]] = {}
    for place, (config, start) in enumerate(zip(configs, given, strict=True)):
        try:
            require_known(config)
        except Refused as refusal:
            found[place] = Outcome((), str(refusal))
            continue
        if _known(config):
            kind = config.seed, config.security.bootstraps
            quick.setdefault(kind, []).append(place)
            continue
        (whole,) = evaluation.evaluate([config], curves, costs, [start])
        kept = tuple(row for row in whole.rows if row["quantity"] in QUANTITIES)
        found[place] = whole._replace(rows=kept)
    for (seed, resamples), places in quick.items():
        each = quick_figures(
            seed_key(seed),
            seed,
            curves,
            [_point(configs[place]) for place in places],
            resamples,
            step_costs=costs,
        )
        for place, figures in zip(places, each, strict=True):
            if isinstance(figures, Found):
                rows = tuple(map(row_of, figures.measurements))
                found[place] = Outcome(rows, "" if rows else figures.refusals[0])
            else:
                found[place] = Outcome((), str(figures))
    return [found[place] for place in range(len(configs))]


def _known(config: Config) -> bool:
    level = chosen_engine(config).name == "level"
    fresh = not own_laws(config) and not config.protocol.s_min
    return level and fresh and config.law.has_curves


def _point(config: Config) -> Point:
    net, target = config.network, config.security.target
    return Point(
        lottery_of(config, config.scheme),
        net.provers - config.attackers,
        config.attackers,
        float(net.delay_steps),
        tuple(sorted({target, _RARE}, reverse=True)),
    )
