"""A run's tidy tables as what its page draws: charts, and tables to download."""

import math
from typing import Any

import numpy as np
import pandas as pd

from ..parts.tables import Tables, optional_table, table
from . import sentences
from .charts import line_chart
from .quantities import MAIN, chart_order, label_of, order_of, shared_chart, unit_of
from .scales import Spec, spread
from .sweep import ROW

_HORIZON_MEANS, _LAW_POINTS, _RUNS_SHOWN, _LOOKS_SHOWN = 4.0, 160, 24, 100
# A curve of fewer places is read from the table.
_LEAST_PLACES = 3
_COLUMNS = ("series", "kind", "x", "value", "low", "high", "count", "method", "run")


def run_data(tables: Tables) -> dict[str, Any]:
    """What the script needs of a run: charts, and the tables to download.

    Raises:
        ValueError: If a table is missing or empty, or lacks a column.
    """
    estimates: Any = table(tables, "estimates", ROW)
    references = optional_table(
        tables, "references", ("quantity", "at", "name", "value")
    )
    shared = _shared_charts(estimates, references)
    # Measured times and formulas have no learning curves.
    without = "curves" in tables and tables["curves"].empty
    charts = [
        *(chart for chart in shared if chart["title"] in MAIN),
        _law_chart(tables),
        *([] if without else [_learning_chart(tables)]),
        *(chart for chart in shared if chart["title"] not in MAIN),
    ]
    shown = {name: tables[name] for name in ("law_summary", "notes")}
    shown = {"estimates": estimates, "references": references, **shown}
    return {
        "kind": "run",
        "charts": [chart for chart in charts if chart is not None],
        "tables": {
            name: {column: frame[column].to_list() for column in frame}
            for name, frame in shown.items()
        },
    }


def _shared_charts(estimates: Any, references: Any) -> list[dict]:
    """One chart for what is over one thing and in one unit: an axis has one unit."""
    over = estimates.loc[estimates["at"].notna()]
    over = over.assign(
        at_unit=over["at_unit"].fillna("").astype(str),
        unit=[
            unit_of(name, "" if pd.isna(unit) else str(unit))
            for name, unit in zip(over["quantity"], over["unit"], strict=True)
        ],
    )
    places = over.groupby(["at_unit", "unit", "quantity"])["at"].transform("nunique")
    groups = over.loc[places >= _LEAST_PLACES].groupby(["at_unit", "unit"])
    found = sorted(groups, key=lambda group: chart_order(group[0]))
    return [_shared(units, rows, estimates, references) for units, rows in found]


def _shared(units: Any, wanted: Any, estimates: Any, references: Any) -> dict:
    at_unit, unit = units
    about = shared_chart(at_unit, unit)
    parts, curves, names = [], [], []
    for name, rows in sorted(wanted.groupby("quantity"), key=lambda g: order_of(g[0])):
        label = label_of(str(name))[0]
        names.append((label, "estimate"))
        curves.append((label, rows))
        parts.append(_rows(rows, label, "estimate"))
    known: Any = references.loc[
        references["quantity"].isin(set(wanted["quantity"])) & references["at"].notna()
    ]
    of = [label_of(str(name))[0] for name in known["quantity"].unique()]
    for (quantity, name), rows in known.groupby(["quantity", "name"], sort=False):
        # The table has these; on the chart a bracket's upper end says enough.
        if str(name).endswith(": lower bound"):
            continue
        series = f"{name}: {label_of(str(quantity))[0]}" if len(of) > 1 else str(name)
        names.append((series, "reference"))
        parts.append(_rows(rows, series, "reference"))
    # A decay that is exponential in the depth shall be a straight line.
    scale = "linear" if at_unit == "blocks" else spread(wanted["at"])
    says = sentences.from_to(curves, at_unit)
    if about.title == "Persistence":
        says = sentences.of_risk(curves, estimates)
    hint = "Bars: 95 % interval."
    if about.scale in ("log", "logit"):
        hint += " ▽ or △: none or all seen, the limit is the interval's other end."
    if any(kind == "reference" for _, kind in names):
        hint += " Dashed without marks: closed forms"
        hint += f" for {of[0]}." if len(of) == 1 else "."
    return _chart(
        about.title,
        says,
        hint,
        line_chart(names, (about.x, scale), (about.y, about.scale)),
        parts,
        about.x,
    )


def _law_chart(tables: Tables) -> dict | None:
    laws = table(tables, "laws", ("setting", "time", "survival"))
    summary: Any = table(tables, "law_summary", ("setting", "mean"))
    means = dict(zip(summary["setting"], summary["mean"], strict=True))
    parts, names = [], []
    for setting, rows in laws.groupby("setting", sort=False):
        mean = float(means.get(setting, math.nan))
        curve = rows.sort_values("time")
        scaled = curve["time"].to_numpy(float) / mean
        kept = _thinned(int(np.sum(scaled <= _HORIZON_MEANS)), _LAW_POINTS)
        if not math.isfinite(mean) or not len(kept):
            continue
        survival = curve["survival"].to_numpy(float)[kept]
        drawn = {"at": [0.0, *scaled[kept]], "value": [1.0, *survival]}
        names.append((str(setting), "line"))
        parts.append(_rows(pd.DataFrame(drawn), str(setting), "line"))
    if not parts:
        return None
    label = "t / mean block time"
    return _chart(
        "Block time of one prover",
        sentences.of_laws([name for name, _ in names], tables["law_summary"]),
        "Each law in units of its own mean, so that shapes compare; means and CVs with "
        "intervals are in the table below.",
        line_chart(names, (label, "linear"), ("Pr[block time > t]", "linear")),
        parts,
        label,
    )


def _learning_chart(tables: Tables) -> dict:
    curves = table(tables, "curves", ("run", "architecture", "step", "accuracy"))
    targets = table(tables, "law_summary", ("t_acc",))["t_acc"].dropna().unique()
    parts, names = [], []
    for name, rows in curves.groupby("architecture"):
        runs = rows.pivot(index="step", columns="run", values="accuracy")
        looks = runs.iloc[_thinned(len(runs), _LOOKS_SHOWN, even_in_log=True)].dropna()
        low, median, high = np.quantile(looks.to_numpy(float), (0.1, 0.5, 0.9), axis=1)
        few = looks.iloc[:, _thinned(looks.shape[1], _RUNS_SHOWN)]
        series = f"{name} (n = {looks.shape[1]})"
        names.append((series, "spread"))
        band = {"at": looks.index, "value": median, "low": low, "high": high}
        parts.append(_rows(pd.DataFrame(band), series, "spread"))
        for run in few:
            each = pd.DataFrame({"at": looks.index, "value": few[run].to_numpy()})
            parts.append(_rows(each, series, "run").assign(run=run))
    for target in targets:
        one = pd.DataFrame({"at": [math.nan], "value": [target]})
        parts.append(_rows(one, f"T_acc = {target:.6g}", "target"))
    label = "Training time (steps)"
    return _chart(
        "Learning curves",
        sentences.of_learning(tables["law_summary"]),
        "Median and 10–90 % band of each architecture's training runs (not a "
        f"confidence interval); thin: at most {_RUNS_SHOWN} of its runs, at most "
        f"{_LOOKS_SHOWN} looks. Horizontal: targets T_acc.",
        line_chart(names, (label, "log"), ("Training accuracy", "accuracy")),
        parts,
        label,
    ) | {"spread": "10–90 %"}


def _rows(rows: pd.DataFrame, series: str, kind: str) -> pd.DataFrame:
    renamed = rows.rename(columns={"at": "x"}).assign(series=series, kind=kind)
    return renamed.reindex(columns=list(_COLUMNS)).sort_values("x")


def _chart(
    title: str, says: str, note: str, spec: Spec, parts: list[pd.DataFrame], x: str
) -> dict[str, Any]:
    # Columns that a part lacks are empty, which pandas is told so that it need not ask.
    rows = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    kept = rows.where(rows.notna(), None).dropna(axis=1, how="all")
    return {
        "title": title,
        "says": says,
        "note": note,
        "spec": spec,
        "x": x,
        "rows": {column: kept[column].to_list() for column in kept},
    }


def _thinned(count: int, most: int, *, even_in_log: bool = False) -> np.ndarray:
    """At most ``most`` of ``count`` places, the first and the last among them."""
    if count <= most:
        return np.arange(count)
    if even_in_log:
        return np.unique(np.geomspace(1, count, most).round().astype(int)) - 1
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))
