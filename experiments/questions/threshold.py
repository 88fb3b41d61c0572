"""``dpodl threshold``: the largest adversary at which the target still holds."""

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.confirmations.depths import threshold_estimate
from ...analysis.confirmations.near_thresholds import depth_thresholds
from ...analysis.estimation.training_error import few_runs
from ...analysis.race.threshold import race_threshold
from ..config.experiment import Config
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..pipeline.branching import starts_of
from ..store.files import Progress
from ..world import translation
from ..world.situation import world_law
from .worlds import RACED, RACES, require_equal_provers


def write(
    tables: dict[str, pd.DataFrame], folder: Path, config: Config, *, command: str
) -> None:
    """Keep the tables: ``threshold``, and ``bracket`` of ``threshold_tiers.py``."""
    keep_answer(folder, "threshold", tables, command=command, config=config)


def threshold_table(
    config: Config, root: Path, depths: tuple[int, ...], progress: Progress
) -> pd.DataFrame:
    """β* of the config's law: at each depth, with and without a head start, and ever.

    Args:
        config: The experiment; its ``security.target`` is the risk allowed.
        root: Where trained curves are kept (``--output`` of ``dpodl run``).
        depths: k.
        progress: Told how far it is.

    Returns:
        Columns rule (``no head start``, ``head start``, ``any depth``), depth (NaN for
        the last), target, beta, low, high, count (resampled laws), method,
        runs_effective, warning; refusals have beta NaN and the reason as method.

    Raises:
        ConfigError: If config and data do not go together.
        Refused: If the runs cannot support a law, or the config's world is beyond equal
            provers of fresh models.
    """
    # With and without a head start are rows of the table.
    require_equal_provers(config, "threshold", attacks=RACES, known=RACED)
    curves = training.train(config, root, progress)
    costs = translation.costs_of(config, curves)
    law = world_law(config, curves, costs, starts_of(config, curves, root, progress))
    net, target = config.network, config.security.target
    corrupted = net.beta * net.provers
    basis = law.basis(net.provers - corrupted, corrupted)

    def at_depth(depth: int, premined: bool) -> Callable[[BlockTimeLaw], float]:
        return depth_thresholds(
            law,
            provers=net.provers,
            delay_steps=net.delay_steps,
            depth=depth,
            target=target,
            premined=premined,
            ties_win=config.security.criterion == "equal",
        )

    def ever(one) -> float:
        return race_threshold(
            one,
            provers=net.provers,
            delay_steps=net.delay_steps,
            adversary=law.against(one),
        ).beta

    cases = [("any depth", None, ever)]
    cases += [
        (
            "head start" if premined else "no head start",
            depth,
            at_depth(depth, premined),
        )
        for depth in depths
        for premined in (False, True)
    ]
    rows = []
    laws = 1 + len(law.resamples) + len(law.extremes)
    total = len(cases) * laws
    for place, (rule, depth, threshold) in enumerate(cases):

        def report(done: int, place: int = place) -> None:
            progress("thresholds", place * laws + done, total)

        estimate = threshold_estimate(law, threshold, basis=basis, progress=report)
        rows.append(
            {
                "rule": rule,
                "depth": math.nan if depth is None else depth,
                "target": math.nan if depth is None else target,
                "beta": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "count": estimate.count,
                "method": estimate.method,
                "runs_effective": basis.runs,
                "warning": few_runs(basis),
            }
        )
    progress("thresholds", total, total)
    return pd.DataFrame(rows)
