"""An experiment from Python, a line each: train, law, simulate, security, sweep, draw.

    config → ``train`` → CurveSet
    CurveSet → ``block_time_law`` → EmpiricalLaw → ``simulate_chain`` → Levels
    CurveSet → ``security_table``, ``result_tables`` → DataFrame → ``draw`` → Figure
    config → ``sweep_table`` → DataFrame

Numbers are those of the commands: the same config and seed give the same bytes. What a
command writes to a folder is returned instead; only trained curves, the costly part,
are kept in ``root``, where commands and sweeps find them.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from ..analysis.block_time.empirical import EmpiricalLaw, empirical_law
from ..analysis.estimation.estimate import Refused
from ..analysis.simulation.levels import Levels, simulate
from ..figures import FIGURES, MORE_FIGURES
from ..models.learning.curves import CurveSet
from ..models.learning.pins import pinned, seed_key
from .config.experiment import Config
from .pipeline import estimates, training
from .pipeline.laws import curve_table, law_tables
from .store.files import Progress
from .sweep import evaluation as points
from .sweep.driver import sweep as sweep_table
from .world import translation

__all__ = [
    "block_time_law",
    "draw",
    "result_tables",
    "security_table",
    "simulate_chain",
    "sweep_table",
    "train",
]


def _silent(what: str, done: int, total: int) -> None:
    pass


def train(
    config: Config, *, root: Path | str = Path("runs"), progress: Progress = _silent
) -> CurveSet:
    """Learning curves of the config's runs; those that ``root`` has are read.

    Args:
        config: The experiment (``load_config``).
        root: Folder of all results; curves are shared in it.
        progress: Told how many models are trained.

    Raises:
        ConfigError: If config and data do not go together.
        DataError: If the data set cannot be read.
    """
    return training.train(config, Path(root), progress)


@pinned()
def block_time_law(config: Config, curves: CurveSet) -> EmpiricalLaw:
    """The law of one prover's block time under the config's scheme and clock.

    Pr[X > t] of the policies ``continue`` and ``restart``:
    ``analysis.block_time.empirical``.

    Args:
        config: Whose [scheme] and [clock] count.
        curves: Learning curves (``train``).

    Raises:
        Refused: If fewer than 5 runs reached ``scheme.t_acc``.
    """
    lottery = translation.lottery_of(config, config.scheme)
    costs = translation.costs_of(config, curves)
    return empirical_law(curves, lottery, step_costs=costs)


@pinned()
def simulate_chain(
    config: Config, law: EmpiricalLaw, *, replicas: int | None = None
) -> Levels:
    """Replicas of the config's network: its honest chain and the private one.

    Args:
        config: Whose [network], seed and ``security.levels`` count.
        law: Block-time law of one prover (``block_time_law``).
        replicas: Independent replicas; None: ``security.replicas``. All of them are
            kept in memory, 10 numbers a level or more.

    Raises:
        Refused: If the law may never end, so that there is no chain.
        ValueError: If replicas is below 1.
    """
    if replicas is None:
        replicas = config.security.replicas
    if replicas < 1:
        raise ValueError(f"replicas must be ≥ 1, got {replicas}")
    return simulate(
        seed_key(config.seed),
        translation.network_of(config, law.law),
        levels=config.security.levels,
        replicas=replicas,
    )


@pinned()
def security_table(config: Config, curves: CurveSet) -> pd.DataFrame:
    """The config's security quantities, as a sweep computes them for a point.

    Growth, forks, quality, persistence, liveness, rounds and good periods; the rest of
    what ``dpodl run`` measures, and its closed forms, are in ``result_tables``.

    Args:
        config: The experiment; ``security.rel_error`` is the run's and not used.
        curves: Learning curves (``train``).

    Returns:
        A row a figure: quantity, at, at_unit, value, low, high, count, method, unit.
        Intervals are of 95 % and hold the training's sampling error.

    Raises:
        Refused: If the runs cannot support a law, or the chain cannot be simulated.
    """
    costs = translation.costs_of(config, curves)
    (outcome,) = points.evaluate([config], curves, costs)
    if outcome.error:
        raise Refused(outcome.error)
    return pd.DataFrame(list(outcome.rows))


@pinned()
def result_tables(
    config: Config, curves: CurveSet, *, progress: Progress = _silent
) -> dict[str, pd.DataFrame]:
    """Everything that ``dpodl run`` tabulates, by name; takes as long as it does.

    Args:
        config: The experiment.
        curves: Learning curves (``train``).
        progress: Told how many resampled laws are assessed.

    Returns:
        ``curves``, ``laws``, ``law_summary``, ``estimates`` (quantity, at, value, low,
        high, count, method, unit: intervals are of 95 % and hold the training's
        sampling error), ``references`` (closed forms), ``notes``.

    Raises:
        Refused: If the runs cannot support a law.
    """
    costs = translation.costs_of(config, curves)
    lawful, law_summary = law_tables(config, curves, costs)
    found = estimates.estimate_tables(config, curves, costs, progress)
    # For a comparison of runs, which have folders.
    del found["resamples"]
    return {
        "curves": curve_table(curves),
        "laws": lawful,
        "law_summary": law_summary,
        **found,
    }


def draw(name: str, tables: Mapping[str, pd.DataFrame]) -> Figure:
    """A figure of a run's tables, or of a sweep's.

    Args:
        name: Of ``figures.FIGURES`` or ``figures.MORE_FIGURES``.
        tables: ``result_tables``, or what the figure's ``data`` asks for.

    Returns:
        A figure that ``figures.style.save`` writes as PNG and PDF.

    Raises:
        ValueError: If there is no such figure, or the tables have nothing for it.
    """
    known = {**FIGURES, **MORE_FIGURES}
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known)}, got {name!r}")
    return known[name].draw(known[name].data(tables))
