"""From a run folder or a sweep's store to files of figures and tables."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..figures import FIGURES, MORE_FIGURES
from ..figures.needs import NEEDS, Lacking, lacking
from ..figures.parameters import few
from ..figures.style import save
from ..figures.svg import save_svg
from ..models.curves import CurveSet, draw_runs
from . import evaluation, report, runner
from .config import Config, ConfigError, load_config, parse_config
from .datasets import config_dataset
from .sections import format_target
from .store import Progress, RunFolder, table_bytes, write_atomically
from .threshold_map import P_2, telling_accuracies, threshold_map

# Tables that other commands write; they are shown if they lie in the target.
_BESIDE = ("thresholds", "verification_cost", "attacks", "mined_intervals", "agreement")
_STORE = ("points.parquet", "results.parquet", "results.csv.gz", "results.csv")
_MAP = "security_map"
_MOST_VALUES = 8


class Made(NamedTuple):
    """What became of each figure.

    Attributes:
        files: Name → its files.
        left_out: Name → why it has none.
    """

    files: dict[str, list[Path]]
    left_out: dict[str, str]


def write(target: Path, names: Sequence[str], folder: Path, progress: Progress) -> Made:
    """Draw what the target has the numbers for.

    Args:
        target: A run folder or a sweep's store.
        names: Of figures; none: all. ``security_map`` by name is computed if its table
            is not there, and then kept as ``thresholds.csv`` in the target.
        folder: Where to.
        progress: Told of each figure.

    Raises:
        ConfigError: If a name is unknown, the target is neither, or its tables are
            damaged.
    """
    unknown = [name for name in names if name not in NEEDS]
    if unknown:
        raise ConfigError(
            f"no figure is called {', '.join(unknown)}; there are {', '.join(NEEDS)}"
        )
    tables = read_tables(target)
    if _MAP in names and "thresholds" not in tables:
        tables["thresholds"] = _thresholds(target, tables, progress)
    wanted = [name for name in NEEDS if name in names or not names]
    modules = {**FIGURES, **MORE_FIGURES}
    folder.mkdir(parents=True, exist_ok=True)
    made = Made({}, {})
    for done, name in enumerate(wanted):
        progress("figures", done, len(wanted))
        reason = lacking(name, tables)
        if not reason:
            command = shlex.join(["dpodl", "figures", str(target), name])
            try:
                made.files[name] = _draw(modules[name], tables, folder / name, command)
            except Lacking as error:
                reason = str(error)
            except ValueError as error:
                raise ConfigError(f"{name} of {target}: {error}") from error
        if reason:
            made.left_out[name] = reason
    progress("figures", len(wanted), len(wanted))
    return made


def read_tables(target: Path) -> dict[str, pd.DataFrame]:
    """The tables of a run folder or a store, and those that lie beside them.

    A run is a sweep of one point: its ``points`` are its estimates.

    Raises:
        ConfigError: If the target is neither, or its tables cannot be read.
    """
    run = (target / "config.toml").is_file()
    if not run and not any((target / name).is_file() for name in _STORE):
        raise ConfigError(
            "TARGET must be a run folder (with config.toml) or a sweep's store (with "
            f"{' or '.join(_STORE)}), got {target}"
        )
    reader = RunFolder(target)
    names = (*runner.TABLES, *_BESIDE) if run else _BESIDE
    try:
        tables = {
            name: reader.table(f"{name}.csv")
            for name in names
            if (target / f"{name}.csv").is_file()
        }
    except ValueError as error:
        raise ConfigError(f"a table of {target} cannot be read: {error}") from error
    if run:
        config = load_config(str(target / "config.toml"))
        if "estimates" in tables:
            tables["points"] = _one_point(config, tables["estimates"])
    else:
        points = _results(target)
        tables["points"] = _with_epsilon(points, target / "sweep.toml")
    return tables


def _results(store: Path) -> pd.DataFrame:
    if (store / "points.parquet").is_file():
        from .sweep_store import read_results

        return read_results(store)
    return report.read_store(store)


def _with_epsilon(points: pd.DataFrame, toml: Path) -> pd.DataFrame:
    """ε is needed to draw the fitted decay; a sweep over it has it already."""
    if "security.epsilon" in points or not toml.is_file():
        return points
    epsilon = _frozen(toml).security.epsilon
    return points.assign(**{"security.epsilon": epsilon})


def _frozen(toml: Path) -> Config:
    return parse_config(toml.read_text("utf-8"), str(toml))


def _one_point(config: Config, estimates: pd.DataFrame) -> pd.DataFrame:
    scheme, net = config.scheme, config.network
    head = {
        "point": 0,
        "status": "done",
        "error": "",
        "scheme.t_acc": scheme.t_acc,
        "scheme.t_1": format_target(scheme.t_1),
        "scheme.t_2": format_target(scheme.t_2),
        "p_1": scheme.p_1,
        "p_2": scheme.p_2,
        "network.provers": net.provers,
        "network.beta": net.beta,
        "network.delay_steps": net.delay_steps,
        "security.epsilon": config.security.epsilon,
    }
    return estimates.assign(**head)


def _draw(module, tables, stem: Path, command: str) -> list[Path]:
    df = module.data(tables)
    numbers = stem.with_name(f"{stem.name}.csv")
    if hasattr(module, "latex"):
        paths = [stem.with_name(f"{stem.name}.tex")]
        text = f"% Reproduce with: {command}\n{module.latex(df)}"
        write_atomically(paths[0], text.encode())
    else:
        figure = module.draw(df)
        paths = save(figure, stem, command=command)
        vector = stem.with_name(f"{stem.name}.svg")
        paths.append(save_svg(figure, vector, command=command))
    write_atomically(numbers, table_bytes(df))
    return [*paths, numbers]


# ---------------------------------------------------------------- the table thresholds


def _thresholds(target: Path, tables, progress: Progress) -> pd.DataFrame:
    """β* over what the sweep has of T_acc and p_2, or over telling values."""
    run = (target / "config.toml").is_file()
    toml = target / ("config.toml" if run else "sweep.toml")
    if not toml.is_file():
        raise ConfigError(
            f"{_MAP} needs thresholds.csv, or a frozen config to compute it from; "
            f"{target} has neither"
        )
    config = _frozen(toml)
    # A sweep's curves lie beside its store; what is missing there is trained.
    curves = (
        _run_curves(target, config)
        if run
        else runner.train(config, target.parent, progress)
    )
    points = tables["points"]
    t_accs = _swept(points, "scheme.t_acc") or telling_accuracies(curves)
    p_2s = _swept(points, "p_2") or list(P_2)
    table = threshold_map(
        config, curves, _costs(config, curves), progress, t_accs=t_accs, p_2s=p_2s
    )
    write_atomically(target / "thresholds.csv", table_bytes(table))
    return table


def _swept(points: pd.DataFrame, name: str) -> list[float]:
    values = sorted(map(float, points[name].dropna().unique()))
    if len(values) < 2:
        return []
    # Of a spread design every point has a value of its own.
    return few(values, _MOST_VALUES)


def _run_curves(folder: Path, config: Config) -> CurveSet:
    try:
        with np.load(folder / "curves.npz", allow_pickle=False) as file:
            return CurveSet(
                draw_runs(config.seed, config.training.runs, config.menu.build()),
                file["steps"],
                file["correct"],
                file["loss"],
                int(file["eval_samples"]),
                int(file["population"]),
            )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{folder / 'curves.npz'} cannot be read: {error}") from error


def _costs(config: Config, curves: CurveSet) -> np.ndarray | None:
    if config.clock.unit == "steps":
        return None
    dataset = config_dataset(config)
    height, width = dataset.x_train.shape[1:]
    return evaluation.step_costs(config, curves, (height, width), dataset.n_classes)
