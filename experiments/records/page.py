"""A comparison as one HTML page: plain tables, no script, nothing loaded."""

import base64
import hashlib
import math
from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd

from .comparison import Comparison

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 75em;
  padding: 0 1em; }
div { overflow-x: auto; }
table { border-collapse: collapse; margin: 1em 0 2em; }
th, td { padding: .25em .7em; text-align: left; border-bottom: 1px solid #8886; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.far td { font-weight: 600; }
caption { text-align: left; font-weight: 600; padding: .3em 0; }
"""
EXPLAINED = (
    "A difference is second − first, the ratio of a risk second / first, with its "
    "95 % interval; the errors are how many standard errors it is from none. Bold: "
    "the interval excludes none, as some of so many do by chance alone."
)


def is_apart(row: Mapping[str, Any]) -> bool:
    """Whether a figure's interval excludes that both are equal."""
    none = 1.0 if row["kind"] == "ratio" else 0.0
    return bool(row["low"] > none or row["high"] < none)


def number(value: Any) -> str:
    """Four digits; – where there is none."""
    if isinstance(value, str):
        return value
    if value is None or pd.isna(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.4g}".replace("-", "−")


def page(found: Comparison, first: str, second: str) -> str:
    """The page; names of the two results stand on top."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        f"style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'\">",
        f"<title>{escape(first)} and {escape(second)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(first)} and {escape(second)}</h1>",
        *(f"<p>{escape(text)}</p>" for text in found.changed),
        _table("Settings that differ", found.settings),
        _table("What they were made with", found.made),
        f"<p>{escape(EXPLAINED)}</p><p>{escape(found.pairing)}.</p>",
        _table("Figures", found.figures),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _table(caption: str, table: pd.DataFrame) -> str:
    if table.empty:
        return f"<p>{escape(caption)}: none.</p>"
    head = "".join(
        f'<th scope="col">{escape(name.replace("_", " "))}</th>'
        for name in table.columns
    )
    rows = "\n".join(_row(row) for row in table.to_dict("records"))
    return (
        f"<div><table><caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )


def _row(row: dict) -> str:
    far = ' class="far"' if "kind" in row and is_apart(row) else ""
    cells = (
        f"<td>{escape(str(each))}</td>"
        if isinstance(each, str | bool)
        else f'<td class="number">{escape(number(each))}</td>'
        for each in row.values()
    )
    return f"<tr{far}>{''.join(cells)}</tr>"
