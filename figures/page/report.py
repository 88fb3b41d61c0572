"""One self-contained HTML page: a run's figures, or those of a whole sweep.

Notation:
    at          what a quantity is a curve over: depth k, window length kp
    chart       series over an axis, each with its intervals, counts and methods

The page reads nothing but itself. Its numbers are JSON, compressed and base64 (a script
element of data, which the page's own script unpacks), rounded to six significant
digits. The texts around them are plain HTML and need no script. A content security
policy with the hashes of the one script and the one style sheet forbids the rest.

Colours: viridis for maps; M. Okabe, K. Ito, "Color Universal Design", 2008, for series.
"""

import base64
import gzip
import hashlib
import html
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from ..parts.tables import Tables, optional_table, table
from .sweep import QUANTITIES, ROW, spread, sweep_data

_SCRIPTS = (
    "report_scales.js",
    "report_charts.js",
    "report_sweep.js",
    "report_view.js",
    "report.js",
)
_HORIZON_MEANS, _LAW_POINTS, _RUNS_SHOWN, _LOOKS_SHOWN = 4.0, 160, 24, 100


def page(tables: Tables, facts: Mapping[str, Any]) -> str:
    """The page of a run, or of a sweep.

    Args:
        tables: Of a sweep ``points``: a row for each (point, quantity, at), and one for
            each failed point. Of a run ``estimates``, ``laws``, ``law_summary``,
            ``curves``, ``notes`` and, if there are any, ``references``.
        facts: Plain values. ``title``, ``description`` and ``verdict`` are texts;
            ``sections`` is a list of (heading, columns, rows), shown as tables.

    Returns:
        HTML. The same tables and facts give the same text.

    Raises:
        ValueError: If a table or a column is missing, or a number is there twice.
    """
    if "points" in tables:
        data, sections = sweep_data(tables["points"])
    else:
        data, sections = run_data(tables), []
    title = str(facts.get("title", "D-PoDL"))
    given = [*facts.get("sections", ()), *sections]
    packed = gzip.compress(_json({"title": title, **data}).encode(), 9, mtime=0)
    code, style = script(), _asset("report.css")
    slots = {
        "title": html.escape(title),
        "description": html.escape(str(facts.get("description", ""))),
        "verdict": html.escape(str(facts.get("verdict", ""))),
        "sections": "\n".join(_section(*section) for section in given),
        "script": code,
        "style": style,
        "script_hash": _hash(code),
        "style_hash": _hash(style),
        "data": base64.b64encode(packed).decode(),
    }
    # In one pass: what is filled in is not searched for slots again.
    template = _asset("report.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: slots[found[1]], template)


def script() -> str:
    """The page's one script, from its files in the order of their use."""
    return "\n".join(map(_asset, _SCRIPTS))


def run_data(tables: Tables) -> dict[str, Any]:
    """What the script needs of a run: charts, and the tables to download.

    Raises:
        ValueError: If a table is missing or empty, or lacks a column.
    """
    estimates = table(tables, "estimates", ROW)
    references = optional_table(
        tables, "references", ("quantity", "at", "name", "value")
    )
    laws = _law_chart(tables)
    # Measured times and formulas have no learning curves.
    without = "curves" in tables and tables["curves"].empty
    charts = [
        _at_chart(estimates, references, "blocks", "Depth k (blocks)", "log"),
        _at_chart(
            estimates,
            references,
            "expected blocks",
            "Window length kp (expected honest blocks)",
            "logit",
        ),
        laws,
        *([] if without else [_learning_chart(tables)]),
    ]
    shown = {name: tables[name] for name in ("law_summary", "notes")}
    shown = {"estimates": estimates, "references": references, **shown}
    return {
        "kind": "run",
        "charts": [chart for chart in charts if chart["series"]],
        "tables": {
            name: {column: frame[column].to_list() for column in frame}
            for name, frame in shown.items()
        },
    }


def _at_chart(estimates, references, at_unit: str, axis: str, scale: str) -> dict:
    """The estimates that are a curve over ``at``, and the closed forms beside them."""
    wanted = estimates.loc[estimates["at_unit"].eq(at_unit)]
    series = []
    for name, rows in wanted.groupby("quantity", sort=False):
        curve = rows.sort_values("at")
        label = QUANTITIES.get(str(name), (str(name), ""))[0]
        series.append(
            {"name": label, "kind": "estimate", "x": curve["at"].to_list()}
            | {c: curve[c].to_list() for c in ("value", "low", "high", "count")}
            | {"method": curve["method"].to_list()}
        )
    for (quantity, name), rows in references.groupby(["quantity", "name"], sort=False):
        # The table has these; on the chart a bracket's upper end says enough.
        if str(name).endswith(": lower bound"):
            continue
        if quantity in set(wanted["quantity"]):
            curve = rows.sort_values("at")
            label = QUANTITIES.get(str(quantity), (str(quantity), ""))[0]
            series.append(
                {"name": f"{name}: {label}", "kind": "reference"}
                | {"x": curve["at"].to_list(), "value": curve["value"].to_list()}
            )
    what = "Persistence" if scale == "log" else "Good periods"
    return {
        "title": what,
        "note": "Bars: 95 % interval. ▽ or △: none or all seen, the limit is the "
        "interval's other end. Dashed without marks: closed forms.",
        "x": {
            "label": axis,
            # A decay that is exponential in the depth shall be a straight line.
            "scale": "linear" if scale == "log" else spread(wanted["at"]),
        },
        "y": {"label": "probability", "scale": scale},
        "series": series,
    }


def _law_chart(tables: Tables) -> dict:
    laws = table(tables, "laws", ("setting", "time", "survival"))
    summary = table(tables, "law_summary", ("setting", "mean")).to_dict("records")
    means = {row["setting"]: row["mean"] for row in summary}
    series = []
    for setting, rows in laws.groupby("setting", sort=False):
        mean = float(means.get(setting, math.nan))
        curve = rows.sort_values("time")
        scaled = curve["time"].to_numpy(float) / mean
        kept = _thinned(int(np.sum(scaled <= _HORIZON_MEANS)), _LAW_POINTS)
        if not math.isfinite(mean) or not len(kept):
            continue
        series.append(
            {
                "name": str(setting),
                "kind": "line",
                "x": [0.0, *scaled[kept]],
                "value": [1.0, *curve["survival"].to_numpy(float)[kept]],
            }
        )
    return {
        "title": "Block time of one prover",
        "note": "Each law in units of its own mean, so that shapes compare; means and "
        "CVs with intervals are in the table below.",
        "x": {"label": "t / mean block time", "scale": "linear"},
        "y": {"label": "Pr[block time > t]", "scale": "linear"},
        "series": series,
    }


def _learning_chart(tables: Tables) -> dict:
    curves = table(tables, "curves", ("run", "architecture", "step", "accuracy"))
    targets = table(tables, "law_summary", ("t_acc",))["t_acc"].dropna().unique()
    series = []
    for name, rows in curves.groupby("architecture"):
        runs = rows.pivot(index="step", columns="run", values="accuracy")
        looks = runs.iloc[_thinned(len(runs), _LOOKS_SHOWN, even_in_log=True)].dropna()
        low, median, high = np.quantile(looks.to_numpy(float), (0.1, 0.5, 0.9), axis=1)
        few = looks.iloc[:, _thinned(looks.shape[1], _RUNS_SHOWN)]
        series.append(
            {
                "name": f"{name} (n = {looks.shape[1]})",
                "kind": "band",
                "x": looks.index.to_list(),
                "value": median,
                "low": low,
                "high": high,
                "runs": [few[run].to_list() for run in few],
            }
        )
    return {
        "title": "Learning curves",
        "note": "Median and 10–90 % band of each architecture's training runs (not a "
        f"confidence interval); thin: at most {_RUNS_SHOWN} of its runs, at most "
        f"{_LOOKS_SHOWN} looks. Horizontal: targets T_acc.",
        "x": {"label": "Training time (steps)", "scale": "log"},
        "y": {"label": "Training accuracy", "scale": "accuracy"},
        "targets": targets,
        "series": series,
        "spread": "10–90 %",
    }


def _thinned(count: int, most: int, *, even_in_log: bool = False) -> np.ndarray:
    """At most ``most`` of ``count`` places, the first and the last among them."""
    if count <= most:
        return np.arange(count)
    if even_in_log:
        return np.unique(np.geomspace(1, count, most).round().astype(int)) - 1
    return np.unique(np.linspace(0, count - 1, most).round().astype(int))


def _json(value: Any) -> str:
    """Compact JSON: numbers of arrays and floats to six digits, ±1e999 is infinite."""
    if isinstance(value, np.ndarray | pd.Index) and value.dtype.kind in "iuf":
        return "[" + ",".join(map(_number, value.tolist())) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key))}:{_json(each)}" for key, each in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, bool | np.bool_ | str) or value is None:
        return json.dumps(value if isinstance(value, str | None) else bool(value))
    if isinstance(value, int | float | np.number):
        return _number(value)
    return "[" + ",".join(map(_json, value)) + "]"


def _number(value: Any) -> str:
    if isinstance(value, int | np.integer):
        return str(value)
    if math.isfinite(value):
        return f"{value:.6g}"
    return "null" if math.isnan(value) else "1e999" if value > 0 else "-1e999"


def _section(heading: str, columns: Sequence[str], rows: Iterable[Sequence]) -> str:
    rows = list(rows)
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in columns)
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(str(first))}</th>'
        + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    name = html.escape(heading)
    opened = " open" if len(rows) <= 30 else ""
    return (
        f"<details class=section{opened}><summary><h2>{name}</h2> "
        f"<span class=count>{len(rows)}</span></summary>\n"
        f'<div class=scroll tabindex=0 role=region aria-label="{name}">'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
        "</details>"
    )


def _asset(name: str) -> str:
    return (resources.files("dpodl.figures.page") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
