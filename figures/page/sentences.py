"""What a chart shows, in one sentence that is computed from its numbers.

A sentence says numbers that are in the tables, with their intervals, and where they
stand. It explains nothing and carries nothing on.
"""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def from_to(curves: Sequence[tuple[str, pd.DataFrame]], unit: str) -> str:
    """The first and the last number of each of the first two curves.

    Args:
        curves: (Label, rows with ``at``, ``value``, ``low`` and ``high``).
        unit: Of ``at``.
    """
    told = []
    for label, rows in curves[:2]:
        known = rows.loc[rows["value"].notna()].sort_values("at")
        if known.empty:
            continue
        first, last = known.iloc[0], known.iloc[-1]
        words = f"{label}: {_measured(first)} at {place(first['at'])}"
        if len(known) > 1:
            words += f", {_measured(last)} at {place(last['at'])}"
        told.append(f"{words} {unit_of(unit)}".strip())
    return _sentence("; ".join(told))


def unit_of(at_unit: str) -> str:
    """What is said behind a place: nothing where the axis is a plain number."""
    return "" if at_unit in ("target", "probability", "d_acc") else at_unit


def of_risk(curves: Sequence[tuple[str, pd.DataFrame]], estimates: Any) -> str:
    """Where the risk of a violation crosses the target that the run was asked for.

    Args:
        curves: As of ``from_to``; the first is the criterion's.
        estimates: All of the run's: the target is where ``unsafe_depth`` stands.
    """
    asked = estimates.loc[estimates["quantity"] == "unsafe_depth", "at"]
    plain = from_to(curves[:1], "blocks")
    if asked.empty or not curves:
        return plain
    target, rows = float(asked.iloc[0]), curves[0][1].sort_values("at")
    below = (rows["high"] <= target).to_numpy()
    words = f"its interval reaches above {place(target)} at the last depth drawn"
    if len(below) and below[-1]:
        start = len(below) - next((i for i, b in enumerate(below[::-1]) if not b), 0)
        start = 0 if below.all() else start
        depth = place(rows["at"].iloc[start])
        words = f"from {depth} on its interval lies below {place(target)}"
    return f"{plain.removesuffix('.')}; {words}."


def of_laws(drawn: Sequence[str], summary: Any) -> str:
    """Which block times vary least and most, relative to their means."""
    known = summary.loc[summary["setting"].isin(drawn)]
    if "cv" not in known or known["cv"].notna().sum() == 0:
        return ""
    known = known.loc[known["cv"].notna()].sort_values("cv")
    ends = [known.iloc[0]] if len(known) == 1 else [known.iloc[0], known.iloc[-1]]
    words = ("least", "most")
    told = [
        f"{word} in “{row['setting']}” (CV {_measured(row, 'cv')})"
        for word, row in zip(words, ends, strict=False)
    ]
    if len(ends) == 1:
        return _sentence(
            f"The CV of “{ends[0]['setting']}” is {_measured(ends[0], 'cv')}"
        )
    return _sentence(f"Times vary {' and '.join(told)}, relative to their means")


def of_learning(summary: Any) -> str:
    """How many of the training runs reached each target."""
    if not {"runs", "reached", "t_acc"} <= set(summary.columns):
        return ""
    rows = summary.loc[summary["t_acc"].notna() & (summary["runs"] > 0)]
    told = [
        f"{row['reached']:.0f} of {row['runs']:.0f} runs reached "
        f"T_acc = {number(row['t_acc'])}"
        for _, row in rows.drop_duplicates("t_acc").iterrows()
    ]
    return _sentence("; ".join(told))


def of_points(
    label: str, values: Any, low: Any, high: Any, names: Sequence[str]
) -> str:
    """The least and the greatest of a sweep's points.

    Args:
        label: What is measured.
        values: One for each point; NaN where a point has none.
        low: Lower ends of their intervals.
        high: Upper ends.
        names: Of the points.
    """
    known = [i for i, value in enumerate(values) if not math.isnan(value)]
    if not known:
        return f"No point has a number for {label}."
    least = min(known, key=lambda i: values[i])
    most = max(known, key=lambda i: values[i])

    def told(i: int) -> str:
        row = {"value": values[i], "low": low[i], "high": high[i]}
        return f"{_measured(row)}" + (f" at {names[i]}" if names[i] else "")

    of = f"of {len(known):,} points" if len(known) > 1 else "of one point"
    if values[least] == values[most]:
        same = "every point" if len(known) > 1 else "the point"
        return _sentence(f"{label}, {of}: {same} has {number(values[least])}")
    return _sentence(
        f"{label}, {of}: the least is {told(least)}, the greatest {told(most)}"
    )


def number(value: float) -> str:
    """Three significant digits, in the form that reads best."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "—"
    if value == 0:
        return "0"
    if 0.99 < value < 1:
        # Near certainty the distance to 1 is the number.
        places = 2 - math.floor(math.log10(1 - value))
        if places <= 9:
            return f"{value:.{places}f}".rstrip("0")
        return f"1 − {number(1 - value)}"
    if 1e-3 <= abs(value) < 1e6:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, power = f"{value:.2e}".split("e")
    raised = str(int(power)).translate(_SUPERSCRIPTS)
    return f"{mantissa.rstrip('0').rstrip('.')}·10{raised}"


def place(value: float) -> str:
    """A place on an axis: powers of two where it is one below 2⁻²⁰."""
    power = math.log2(value) if value > 0 else 0.5
    if power <= -20 and abs(power - round(power)) < 1e-4:
        return f"2{str(round(power)).translate(_SUPERSCRIPTS)}"
    return number(value)


def _measured(row: Any, name: str = "value") -> str:
    ends = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    low, high = (float(row[end]) if end in row else math.nan for end in ends)
    told = number(float(row[name]))
    if math.isnan(low) or math.isnan(high) or low == high:
        return told
    return f"{told} [{number(low)}, {number(high)}]"


def _sentence(words: str) -> str:
    # A symbol such as f₁ is no word.
    first = words[:1].upper() if words[1:2].isalpha() else words[:1]
    return f"{first}{words[1:]}." if words else ""
