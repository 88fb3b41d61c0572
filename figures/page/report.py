"""One self-contained HTML page: a run's figures, or those of a whole sweep.

The page reads nothing but itself. Its numbers are JSON, compressed and base64 (a script
element of data, which the page's own script unpacks), rounded to six significant
digits. The texts around them are plain HTML and need no script. Charts are Vega-Lite's,
whose library stands in the page as well (VEGA-NOTICE.md says which, and its licence). A
content security policy with the hashes of the library, of the page's own script and of
the style sheet forbids the rest; Vega's expressions are interpreted, never compiled.

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

from ..parts.tables import Tables
from .charts import CONFIG
from .run import run_data
from .sweep import sweep_data

_LIBRARY = "vega_charts.js"
# A sweep of more numbers than this is kept to fewer digits, so that it can be mailed.
_MANY, _DIGITS, _FEWER = 1_000_000, 6, 5
_SCRIPTS = ("report_chart.js", "report_sweep.js", "report_view.js", "report.js")


def page(tables: Tables, facts: Mapping[str, Any]) -> str:
    """The page of a run, or of a sweep.

    Args:
        tables: Of a sweep ``points``: a row for each (point, quantity, at), and one for
            each failed point. Of a run ``estimates``, ``laws``, ``law_summary``,
            ``curves``, ``notes`` and, if there are any, ``references``.
        facts: Plain values. ``title``, ``description`` and ``verdict`` are texts;
            ``tiers`` are (what is withstood, confirmations), and ``tiers_are`` says
            which confirmations; ``rests_on`` are (kind, sentence) of what the verdict
            rests on; ``sections`` is a list of (heading, columns, rows), shown as
            tables.

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
    digits = _FEWER if _long(data) else _DIGITS
    told = _json({"title": title, "config": CONFIG, **data}, digits)
    packed = gzip.compress(told.encode(), 9, mtime=0)
    code, style, library = script(), _asset("report.css"), _asset(_LIBRARY)
    slots = {
        "title": html.escape(title),
        "description": html.escape(str(facts.get("description", ""))),
        "verdict": html.escape(str(facts.get("verdict", ""))),
        "tiers": _tiers(str(facts.get("tiers_are", "")), facts.get("tiers", ())),
        "rests_on": _rests_on(facts.get("rests_on", ())),
        "sections": "\n".join(_section(*section) for section in given),
        "library": library,
        "library_hash": _hash(library),
        "script": code,
        "style": style,
        "script_hash": _hash(code),
        "style_hash": _hash(style),
        "digits": {_DIGITS: "six", _FEWER: "five"}[digits],
        "data": base64.b64encode(packed).decode(),
    }
    # In one pass: what is filled in is not searched for slots again.
    template = _asset("report.html")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: slots[found[1]], template)


def script() -> str:
    """The page's own script, from its files in the order of their use."""
    return "\n".join(map(_asset, _SCRIPTS))


def _long(data: Mapping[str, Any]) -> bool:
    return 3 * sum(len(each["value"]) for each in data.get("series", ())) > _MANY


def _json(value: Any, digits: int = _DIGITS) -> str:
    """Compact JSON: floats to so many digits, ±1e999 is infinite."""

    def told(each: Any) -> str:
        return _json(each, digits)

    if isinstance(value, np.ndarray | pd.Index) and value.dtype.kind in "iuf":
        return "[" + ",".join(_number(each, digits) for each in value.tolist()) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(str(key))}:{told(each)}" for key, each in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, bool | np.bool_ | str) or value is None:
        return json.dumps(value if isinstance(value, str | None) else bool(value))
    if isinstance(value, int | float | np.number):
        return _number(value, digits)
    return "[" + ",".join(map(told, value)) + "]"


def _number(value: Any, digits: int) -> str:
    if isinstance(value, int | np.integer):
        return str(value)
    if math.isfinite(value):
        return f"{value:.{digits}g}"
    return "null" if math.isnan(value) else "1e999" if value > 0 else "-1e999"


def _tiers(what: str, tiers: Iterable[Sequence]) -> str:
    rows = "".join(
        f"<div><dt>{html.escape(str(against))}</dt>"
        f"<dd>{html.escape(str(confirmations))}</dd></div>"
        for against, confirmations in tiers
    )
    return f"<p>{html.escape(what)}</p>\n<dl class=tiers>{rows}</dl>" if rows else ""


def _rests_on(reasons: Iterable[Sequence]) -> str:
    items = [
        f"<li><strong>{html.escape(str(kind))}</strong> {html.escape(str(text))}</li>"
        for kind, text in reasons
    ]
    if not items:
        return ""
    return (
        "<details class=rests open><summary><h2>What it rests on</h2> "
        f"<span class=count>{len(items)}</span></summary>\n"
        f"<ul>{''.join(items)}</ul></details>"
    )


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
