"""Three tiers of confirmations at a sweep's points, where they are asked for.

Two solutions of a walk for each law of a point: about a second. Points that differ in
the network alone share their laws.
"""

import math
from collections.abc import Sequence

import numpy as np

from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Estimate, Refused
from ...models.learning.curves import CurveSet
from ..config.experiment import Config
from ..world.situation import WarmStarts, own_laws, world_law
from ..world.tiers import TIERS, tier_measurements
from ..world.translation import lottery_of, require_known
from .evaluation import Outcome, row_of


def tier_outcomes(
    configs: Sequence[Config],
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: Sequence[WarmStarts],
) -> list[Outcome]:
    """``tier_measurements`` of every point, a row for each tier; or why it has none.

    A tier that is not known is a row without a number, whose method is the reason.

    Args:
        configs: Points of one group.
        curves: Their learning curves.
        costs: ``translation.costs_of`` the points.
        starts: The warm starts that each needs.
    """
    known: dict[tuple, UncertainLaw] = {}
    return [
        _outcome(config, curves, costs, begun, known)
        for config, begun in zip(configs, starts, strict=True)
    ]


def _outcome(config: Config, curves, costs, starts, known) -> Outcome:
    try:
        require_known(config)
        lottery = lottery_of(config, config.scheme)
        name = lottery, config.seed, config.security.bootstraps, config.protocol.s_min
        shared = not own_laws(config)
        law = known.get(name) if shared else None
        if law is None:
            law = world_law(config, curves, costs, starts, lottery=lottery)
        if shared:
            known[name] = law
        rows, reasons = tier_measurements(config, law)
    except Refused as refusal:
        return Outcome((), str(refusal))
    if not rows:
        return Outcome((), reasons[0] if reasons else "tiers: nobody is corrupted")
    there = {m.quantity: m for m in rows}
    refused = f"refused: {'; '.join(reasons)}"
    unknown = rows[0]._replace(
        estimate=Estimate(math.nan, math.nan, math.nan, 0, refused)
    )
    every = [there.get(name, unknown._replace(quantity=name)) for name in TIERS]
    return Outcome(tuple(map(row_of, every)), "")
