"""The largest share in tiers, beside the thresholds of ``dpodl threshold``."""

import math
from pathlib import Path

import pandas as pd

from ...analysis.adversary.shares_by_tier import Share, tier_shares
from ...analysis.adversary.tiers import criterion
from ...analysis.estimation.estimate import Estimate
from ...analysis.estimation.training_error import Basis, few_runs
from ..config.experiment import Config
from ..pipeline import training
from ..pipeline.branching import starts_of
from ..store.files import Progress
from ..world import translation
from ..world.situation import world_law
from ..world.tiers import beyond_tiers, some_resamples

# A share is found by half a dozen solutions of a walk for each law.
_RESAMPLES = 8
COLUMNS = (
    *("tier", "grade", "depth", "target", "beta", "low", "high", "count", "method"),
    *("refusal", "runs_effective", "warning"),
)


def bracket_table(
    config: Config, root: Path, depths: tuple[int, ...], progress: Progress
) -> pd.DataFrame:
    """Shares that an attack needs, and up to which nobody succeeds.

    Args:
        config: The experiment; its ``security.target`` is the risk allowed.
        root: Where trained curves are kept (``--output`` of ``dpodl run``).
        depths: k.
        progress: Told how far it is.

    Returns:
        Columns tier, grade (``attack``, ``proved``, ``conditional``, ``none``), depth
        (NaN: any), target (NaN there), beta, low, high, count (resampled laws), method,
        refusal, runs_effective, warning. Empty where the tiers are not of such a world.

    Raises:
        ConfigError: If config and data do not go together.
        Refused: If the runs cannot support a law.
    """
    if beyond_tiers(config):
        return pd.DataFrame(columns=list(COLUMNS))
    curves = training.train(config, root, progress)
    costs = translation.costs_of(config, curves)
    law = world_law(config, curves, costs, starts_of(config, curves, root, progress))
    net = config.network
    corrupted = net.beta * net.provers
    basis = law.basis(net.provers - corrupted, corrupted)
    found = tier_shares(
        some_resamples(law, _RESAMPLES),
        depths,
        provers=net.provers,
        delay_steps=net.delay_steps,
        target=config.security.target,
        basis=basis,
        ties=config.protocol.adopted,
        progress=lambda done, total: progress("shares by tier", done, total),
    )
    rows = [_row(config, basis, share) for share in found]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(config: Config, basis: Basis, share: Share) -> dict:
    nothing = Estimate(math.nan, math.nan, math.nan, 0, "")
    beta = share.beta or nothing
    method = beta.method
    ever = math.isinf(share.depth)
    if beta.method and not ever:
        method = f"{method}; {criterion(config.protocol.adopted)}"
    return {
        "tier": share.tier,
        "grade": share.grade,
        "depth": math.nan if ever else share.depth,
        "target": math.nan if ever else config.security.target,
        "beta": beta.value,
        "low": beta.low,
        "high": beta.high,
        "count": beta.count,
        "method": method,
        "refusal": share.reason,
        "runs_effective": basis.runs,
        "warning": few_runs(basis),
    }
