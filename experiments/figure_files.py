"""From a run folder or a sweep's store to files of figures and tables."""

import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import pandas as pd

from ..figures import FIGURES, MORE_FIGURES
from ..figures.parts.needs import NEEDS, Lacking, lacking
from ..figures.parts.parameters import few
from ..figures.parts.svg import save_svg
from ..figures.style import COLUMN_INCHES, page_width, save
from ..models.learning.curves import CurveSet
from ..models.learning.files import write_atomically
from . import report
from .config.experiment import Config
from .config.hash_targets import format_target
from .config.loading import parse_config
from .config.section import ConfigError
from .pipeline import stages, training
from .questions.threshold_map import P_2, telling_accuracies, threshold_map
from .store.files import Progress, table_bytes
from .store.locks import exclusive
from .store.run_folder import RunFolder, how_again
from .world import translation

# Tables that other commands write; they are shown if they lie in the target.
_BESIDE = (
    *("thresholds", "bracket", "tier_risks", "verification_cost", "attacks"),
    *("mined_intervals", "agreement", "domination", "memorylessness"),
)
_STORE = ("points.parquet", "results.parquet", "results.csv.gz", "results.csv")
_MAP = "security_map"
_MOST_VALUES = 8


class Made(NamedTuple):
    """What became of each figure.

    Attributes:
        files: Name → its files.
        left_out: Name → why it has none.
        changed: What was drawn though it is not as it was computed.
    """

    files: Mapping[str, Sequence[Path]]
    left_out: Mapping[str, str]
    changed: Sequence[str]


def write(
    target: Path,
    names: Sequence[str],
    folder: Path,
    progress: Progress,
    *,
    accept_changed: bool = False,
    width: float = COLUMN_INCHES,
) -> Made:
    """Draw what the target has the numbers for.

    Args:
        target: A run folder, a sweep's store, or the folder of ``dpodl attack``,
            ``compare``, ``risk`` or ``threshold``.
        names: Of figures; none: all. ``security_map`` by name is computed if its table
            is not there, and then kept as ``thresholds.csv`` in the target.
        folder: Where to.
        progress: Told of each figure.
        accept_changed: Whether what was changed is drawn, with a note on each figure.
        width: Of each figure, inches; texts keep their sizes.

    Raises:
        ConfigError: If a name is unknown, or the target is none of these.
        Changed: If a table is not what was written, or holds what cannot be.
    """
    unknown = [name for name in names if name not in NEEDS]
    if unknown:
        raise ConfigError(
            f"no figure is called {', '.join(unknown)}; there are {', '.join(NEEDS)}"
        )
    source = RunFolder(target, accept_changed=accept_changed)
    tables, unlisted = read_tables(source)
    if _MAP in names and "thresholds" not in tables:
        tables["thresholds"] = _thresholds(source, tables, progress)
    wanted = [name for name in NEEDS if name in names or not names]
    modules = {**FIGURES, **MORE_FIGURES}
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[Path]] = {}
    left_out: dict[str, str] = {}
    for done, name in enumerate(wanted):
        progress("figures", done, len(wanted))
        reason = lacking(name, tables)
        if reason:
            reason = next(
                (unlisted[t] for t in NEEDS[name].tables if t in unlisted), reason
            )
        else:
            words = ["dpodl", "figures", str(target), name]
            words += ["--width", f"{width:g}"] if width != COLUMN_INCHES else []
            words += ["--accept-changed"] if accept_changed else []
            command = shlex.join(words)
            stem = folder / name
            try:
                with report.shown(source), page_width(width):
                    made[name] = _draw(
                        modules[name], tables, stem, command, source.changed
                    )
            except ConfigError as error:
                if not isinstance(error.__cause__, Lacking):
                    raise ConfigError(f"{name}: {error}") from error
                reason = str(error.__cause__)
        if reason:
            left_out[name] = reason
    progress("figures", len(wanted), len(wanted))
    return Made(made, left_out, tuple(source.changed))


def read_tables(
    folder: RunFolder,
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The tables of a folder, and those that lie beside them.

    A run is a sweep of one point: its ``points`` are its estimates.

    Returns:
        Tables by name; and why other tables that lie there are not used.

    Raises:
        ConfigError: If the folder has no such tables.
        Changed: If one is not what was written, or holds what cannot be.
    """
    target = folder.path
    run = (target / "config.toml").is_file() and (
        (target / "curves.npz").is_file() or folder.lists("curves.npz")
    )
    store = any((target / name).is_file() for name in _STORE)
    if not run and not store and not (target / "manifest.json").is_file():
        raise ConfigError(
            "TARGET must be a run folder (with config.toml) or a sweep's store (with "
            f"{' or '.join(_STORE)}), got {target}"
        )
    could = (*stages.TABLES, *_BESIDE) if run else _BESIDE
    names = [name for name in could if (target / f"{name}.csv").is_file()]
    unlisted = {
        name: f"{target / name}.csv is missing, or no regular file: "
        + how_again(target, f"{name}.csv")
        for name in could
        if name not in names and folder.lists(f"{name}.csv")
    } | {
        name: f"{name}.csv is not in the folder's manifest.json: draw it in the folder "
        "that it was computed in, or --accept-changed draws it here"
        for name in names
        if name in _BESIDE
        and not folder.accept_changed
        and not folder.lists(f"{name}.csv")
    }
    with report.shown(folder):
        tables = {
            name: folder.table(f"{name}.csv") for name in names if name not in unlisted
        }
        if run:
            config = _frozen(folder, "config.toml")
            if "estimates" in tables:
                tables["points"] = _one_point(config, tables["estimates"])
        elif store:
            tables["points"] = _with_settings(_results(folder), folder)
    return tables, unlisted


def _results(folder: RunFolder) -> pd.DataFrame:
    if (folder.path / "points.parquet").is_file():
        from .sweep.results import results_frame
        from .sweep.store import SweepStore

        store = SweepStore(folder.path)
        store.folder = folder
        return results_frame(store)
    return report.read_store(folder)


def _with_settings(points: pd.DataFrame, folder: RunFolder) -> pd.DataFrame:
    """ε draws the fitted decay, a criterion names the risk; unless they are swept."""
    names = ("epsilon", "criterion")
    lacking = [name for name in names if f"security.{name}" not in points]
    if not lacking or not (folder.path / "sweep.toml").is_file():
        return points
    security = _frozen(folder, "sweep.toml").security
    said = {f"security.{name}": getattr(security, name) for name in lacking}
    return points.assign(**said)


def _frozen(folder: RunFolder, name: str) -> Config:
    return parse_config(report.text_of(folder, name), str(folder.path / name))


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
        "security.criterion": config.security.criterion,
    }
    if not net.equal_speeds:
        head["network.beta_of_speed"] = net.beta_of_speed
    return estimates.assign(**head)


def _draw(
    module, tables, stem: Path, command: str, changed: Sequence[str]
) -> list[Path]:
    df = module.data(tables)
    note = f"Not as it was computed: {'; '.join(changed)}" if changed else ""
    numbers = stem.with_name(f"{stem.name}.csv")
    if hasattr(module, "latex"):
        paths = [stem.with_name(f"{stem.name}.tex")]
        text = f"% Reproduce with: {command}\n{module.latex(df)}"
        if note:
            text = f"% {note}\n{text}\n\\par\\textbf{{{_latex(note)}}}\n"
        write_atomically(paths[0], text.encode())
    else:
        figure = module.draw(df)
        if note:
            _write_on(figure, note)
        paths = save(figure, stem, command=command)
        vector = stem.with_name(f"{stem.name}.svg")
        paths.append(save_svg(figure, vector, command=command))
    write_atomically(numbers, table_bytes(df.assign(changed=note) if note else df))
    return [*paths, numbers]


def _write_on(figure, note: str) -> None:
    """Put a note over a figure, within its width."""
    width = max(40, int(figure.get_figwidth() * 24))
    text = textwrap.fill(note, width)
    style = {"fontsize": 5, "color": "#D55E00", "ha": "center", "va": "top"}
    figure.text(0.5, 0.999, text, zorder=10, **style, backgroundcolor="#FFFFFFC0")


def _latex(text: str) -> str:
    return re.sub(r"([\\{}$&#%_^~])", lambda found: f"\\char{ord(found[1])}{{}}", text)


# ---------------------------------------------------------------- the table thresholds


def _thresholds(folder: RunFolder, tables, progress: Progress) -> pd.DataFrame:
    """β* over what the sweep has of T_acc and p_2, or over telling values."""
    target = folder.path
    run = (target / "config.toml").is_file()
    toml = "config.toml" if run else "sweep.toml"
    if not (target / toml).is_file():
        raise ConfigError(
            f"{_MAP} needs thresholds.csv, or a frozen config to compute it from; "
            f"{target} has neither"
        )
    config = _frozen(folder, toml)
    # A sweep's curves lie beside its store; what is missing there is trained.
    curves = (
        _run_curves(folder, config)
        if run
        else training.train(config, target.parent, progress)
    )
    points = tables["points"]
    t_accs = _swept(points, "scheme.t_acc") or telling_accuracies(curves)
    p_2s = _swept(points, "p_2") or list(P_2)
    table = threshold_map(
        config,
        curves,
        translation.costs_of(config, curves),
        progress,
        t_accs=t_accs,
        p_2s=p_2s,
    )
    content = table_bytes(table)
    if folder.changed:  # nobody shall take it for what this folder computed
        write_atomically(target / "thresholds.csv", content)
        return table
    with exclusive(target):
        folder.finish("thresholds", config.digest(), {"thresholds.csv": content})
    return table


def _swept(points: pd.DataFrame, name: str) -> list[float]:
    values = sorted(map(float, points[name].dropna().unique()))
    if len(values) < 2:
        return []
    # Of a spread design every point has a value of its own.
    return few(values, _MOST_VALUES)


def _run_curves(folder: RunFolder, config: Config) -> CurveSet:
    try:
        return training.stored_curves(folder, config)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        path = folder.path / "curves.npz"
        raise ConfigError(f"{path} cannot be read: {error}") from error
