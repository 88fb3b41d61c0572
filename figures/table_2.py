"""Table: mean and spread of block times beside the published ones, for a paper.

The analogue of SLT23's Table 2: PoW, plain deep learning and D-PoDL settings, in
seconds, with the published mean and variance as mean and standard deviation beside.

Source: [SLT23] Table 2: 20 runs each, one laptop, architecture not stated.
"""

import math

import numpy as np
import pandas as pd

from .parts.tables import Tables, optional_table, table

_KINDS = {"pow": "PoW", "dl": "DL", "dpodl": "D-PoDL"}
_OWN = ("setting", "kind", "t_acc", "t_1", "t_2", "mean", "cv", "mean_seconds")
_ENDS = ("mean_low", "mean_high", "cv_low", "cv_high", "sd_seconds", "runs")
_PUBLISHED = ("published_mean_seconds", "published_sd_seconds", "published_cv")
_HEAD = r"""% booktabs is needed
\begin{tabular}{lrrrrr}
\toprule
 & \multicolumn{3}{c}{this run (95\,\% interval)} & \multicolumn{2}{c}{published} \\
\cmidrule(lr){2-4}\cmidrule(lr){5-6}
Setting & mean (s) & sd (s) & CV & mean (s) & CV \\
\midrule
"""
IMPOSSIBLE = (
    "The published row (.97, 2^244, 2^255) cannot come from an i.i.d. half lottery: "
    "half of the runs would pass at their first look, after the 94.26 s of (.97, "
    "2^240, 2^256) or less, so the others would need 186.94 s or more on average for a "
    "mean of 140.60 s, and the variance would be 2147 s^2 or more, not 648.97 s^2 (its "
    "minimum is 115 of 20)."
)


def data(tables: Tables) -> pd.DataFrame:
    """Block times in seconds with 95 % intervals, and the published ones.

    Args:
        tables: ``law_summary``.

    Returns:
        setting, kind, t_acc, t_1, t_2, runs, mean_seconds with _low and _high,
        sd_seconds, cv with _low and _high, published_mean_seconds,
        published_sd_seconds, published_cv, note. What is refused or was not published
        is NaN.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
    """
    rows = table(tables, "law_summary", (*_OWN, *_ENDS))
    there = [c for c in _PUBLISHED if c in tables["law_summary"].columns]
    told = optional_table(tables, "law_summary", there)
    seconds = rows["mean_seconds"] / rows["mean"]
    published = {c: told.get(c, np.nan) for c in _PUBLISHED}
    found = pd.DataFrame(
        {
            **{c: rows[c] for c in ("setting", "kind", "t_acc", "t_1", "t_2", "runs")},
            "mean_seconds": rows["mean_seconds"],
            "mean_seconds_low": rows["mean_low"] * seconds,
            "mean_seconds_high": rows["mean_high"] * seconds,
            **{c: rows[c] for c in ("sd_seconds", "cv", "cv_low", "cv_high")},
            **published,
        }
    )
    impossible = (
        found["published_mean_seconds"].notna()
        & np.isclose(found["t_acc"].astype(float), 0.97)
        & found["t_1"].eq("2^244")
        & found["t_2"].eq("2^255")
    )
    return found.assign(note=np.where(impossible, IMPOSSIBLE, ""))


def latex(df: pd.DataFrame) -> str:
    """The table in LaTeX with booktabs rules, and its notes below.

    Args:
        df: What ``data`` returned.
    """
    lines = [_HEAD]
    for row in df.to_dict("records"):
        mark = r"$^{*}$" if row["note"] else ""
        cells = [
            _setting(row) + mark,
            _interval(row, "mean_seconds"),
            _number(row["sd_seconds"]),
            _interval(row, "cv"),
            _number(row["published_mean_seconds"]),
            _number(row["published_cv"]),
        ]
        lines.append(" & ".join(cells) + " \\\\\n")
    lines.append("\\bottomrule\n\\end{tabular}\n")
    for note in dict.fromkeys(note for note in df["note"] if note):
        lines.append(f"\n\\par\\noindent{{\\footnotesize $^{{*}}$ {_escaped(note)}}}\n")
    return "".join(lines)


def _setting(row: dict) -> str:
    powers = [_power(row[name]) for name in ("t_1", "t_2")]
    accuracy = "" if _missing(row["t_acc"]) else f"{row['t_acc']:g}"
    inside = ", ".join(each for each in (accuracy, *powers) if each)
    return f"{_KINDS.get(row['kind'], row['kind'])} ({inside})"


def _power(target: object) -> str:
    text = target if isinstance(target, str) else ""
    base, hat, exponent = text.partition("^")
    return f"${base}^{{{exponent}}}$" if hat else text


def _interval(row: dict, name: str) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if _missing(value):
        return "--"
    if _missing(low) or not low < high:
        return _number(value)
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    if _missing(value):
        return "--"
    if not math.isfinite(value):
        return r"$\infty$"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{min(digits, 6)}f}"


def _missing(value: object) -> bool:
    return value is None or value == "" or value != value


def _escaped(text: str) -> str:
    for plain, tex in (("%", r"\%"), ("2^244", "$2^{244}$"), ("2^255", "$2^{255}$")):
        text = text.replace(plain, tex)
    return (
        text.replace("2^240", "$2^{240}$")
        .replace("2^256", "$2^{256}$")
        .replace("s^2", "s$^2$")
    )
