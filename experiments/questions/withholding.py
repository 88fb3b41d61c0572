"""``dpodl withholding``: the best withholding strategy on a config's own law."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...analysis.attacks.sm1 import sm1_revenue
from ...analysis.block_time.law import fastest_of, mean
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.withholding.best import best_withholding, withholding_upper_end
from ...analysis.withholding.policy import ADOPT, OVERRIDE, WAIT, Policy, to_arrays
from ...figures.questions import policy as policy_figure
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..config.section import ConfigError
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..store.files import Progress
from ..world import translation
from .worlds import require_equal_provers

_SHOWN = 2


class Found(NamedTuple):
    """What was found.

    Attributes:
        revenue: One row a strategy or bound: name, value, low, high, count, method.
        policy: The figure's table.
        arrays: The policy, to be replayed by another program.
    """

    revenue: pd.DataFrame
    policy: pd.DataFrame
    arrays: dict[str, np.ndarray]


def withholding(
    config: Config,
    root: Path,
    progress: Progress,
    *,
    depth: int = 7,
    cells: int = 108,
    upper_cells: int = 216,
) -> Found:
    """Best withholding against SM1 and the share, with a bound against all of them.

    Args:
        config: The experiment: its law, n, β and adversary.gamma; no delay.
        root: Where trained curves are kept (``--output`` of ``dpodl run``).
        progress: Told how far it is.
        depth: T, longest branch of a fork.
        cells: G of the policy.
        upper_cells: G of the upper end; 0: none.

    Raises:
        ConfigError: If nobody is corrupted, or not a minority is.
        Refused: If the runs cannot support a law, or the config's world is beyond equal
            provers of fresh models.
    """
    require_equal_provers(config, "withholding", s_min=False)
    net = config.network
    own = round(net.beta * net.provers)
    honest = net.provers - own
    if not 0 < own < honest:
        raise ConfigError(
            f"network.beta must leave a corrupted minority, got {own} of {net.provers}"
        )
    curves = training.train(config, root, progress)
    costs = translation.costs_of(config, curves)
    law = translation.law_of(config, curves, costs, resamples=0).law
    gamma, key = config.adversary.gamma, seed_key(config.seed)
    progress("best policy", 0, 3)
    found = best_withholding(
        key, law, honest=honest, own=own, gamma=gamma, depth=depth, cells=cells
    )
    progress("SM1", 1, 3)
    share = own / net.provers
    named = sm1_revenue(
        key, law, provers=net.provers, beta=share, gamma=gamma, replicas=512
    )
    rows: list[tuple[str, Estimate | float, str]] = [
        ("honest", share, "β, exact"),
        ("sm1", named, ""),
        ("best_withholding", found.revenue, ""),
        ("best_withholding_on_grid", found.on_grid, "grid value, no bound"),
    ]
    progress("upper end", 2, 3)
    if upper_cells:
        about = f"no strategy that knows ages, forks ≤ {depth} blocks, exceeds it"
        try:
            upper = withholding_upper_end(
                law, honest=honest, own=own, gamma=gamma, depth=depth, cells=upper_cells
            )
            rows.append(("upper_end", upper, about))
        except Refused as refusal:
            rows.append(("upper_end", float("nan"), str(refusal)))
    progress("upper end", 3, 3)
    means = mean(fastest_of(law, honest)), mean(fastest_of(law, own))
    return Found(_revenue(rows), _cells(found.policy, *means), to_arrays(found.policy))


def write(found: Found, folder: Path, config: Config, *, command: str) -> None:
    """Keep tables, figure, and the policy as ``policy.npz``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **found.arrays)  # pyright: ignore[reportArgumentType]
    keep_answer(
        folder,
        "withholding",
        {"withholding": found.revenue, "policy": found.policy},
        command=command,
        config=config,
        figures={"policy": policy_figure},
        others={"policy.npz": buffer.getvalue()},
    )


def _revenue(rows: list[tuple[str, Estimate | float, str]]) -> pd.DataFrame:
    flat = []
    for name, number, method in rows:
        if isinstance(number, Estimate):
            flat.append((name, *number))
        else:
            flat.append((name, number, number, number, 0, method))
    columns = ["strategy", "value", "low", "high", "count", "method"]
    return pd.DataFrame(flat, columns=columns)


def _cells(policy: Policy, honest_mean: float, own_mean: float) -> pd.DataFrame:
    """Actions of small branches without a split, one row a cell."""
    few = _SHOWN + 1
    codes = policy.actions[0, :few, :few]
    a, h, x, y = (each.ravel() for each in np.indices(codes.shape))
    flat = codes.ravel()
    names = np.select([flat == WAIT, flat == ADOPT], ["wait", "adopt"], "override")
    return pd.DataFrame(
        {
            "a": a,
            "h": h,
            "x": policy.edges[x],
            "y": policy.edges[y],
            "action": names,
            "blocks": np.where(flat > OVERRIDE, flat.astype(int) - OVERRIDE, 0),
            "honest_mean": honest_mean,
            "own_mean": own_mean,
        }
    )
