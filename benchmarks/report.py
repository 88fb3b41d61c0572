"""Results as JSON and as a Markdown table, ratios first."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .measure import DRIFT_LIMIT, LEAST_ROUNDS, SPREAD_LIMIT, UNJUDGED, settle
from .workloads import Measured, Row

RATIO = "×"


def rows_of(measured: Sequence[Measured]) -> list[Row]:
    """Every claim's row, ratios first, otherwise in the order of the workloads."""
    rows = [settle(claim, each) for each in measured for claim in each.workload.claims]
    return sorted(rows, key=lambda row: (row.unit != RATIO, row.target is None))


def document(
    measured: Sequence[Measured], facts: Mapping[str, Any], *, command: str, date: str
) -> dict[str, Any]:
    """All that was measured, as JSON values (what is not finite is null)."""
    return _finite(
        {
            "command": command,
            "date": date,
            "machine": dict(facts),
            "limits": {
                "spread": SPREAD_LIMIT,
                "drift": DRIFT_LIMIT,
                "rounds": LEAST_ROUNDS,
            },
            "rows": [row._asdict() for row in rows_of(measured)],
            "times": [time for each in measured for time in _times(each)],
        }
    )


def markdown(results: Mapping[str, Any]) -> str:
    """The report of a ``document``."""
    machine = results["machine"]
    packages = ", ".join(
        f"{name} {version or 'not installed'}"
        for name, version in machine["packages"].items()
    )
    limits = results["limits"]
    lines = [
        f"# Speed, {results['date']}, {machine['processor']}",
        "",
        f"`{results['command']}` on {machine['cores']} cores "
        f"({'pinned' if machine['pinned'] else 'not pinned'}), {machine['system']}; "
        f"JAX on {machine['device']}; Python {machine['python']}; {packages}.",
        "",
        "Medians over rounds in which all contenders take turns; in brackets the "
        "quartiles. No conclusion where quartiles are more than "
        f"{limits['spread']:.0%} apart, or a fixed matrix product drifts by more than "
        f"{limits['drift']:.0%} between rounds.",
        "",
        "| workload | claim | value | target | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [_line(row) for row in results["rows"]]
    lines += [
        "",
        "| workload | contender | cores | median time | rate |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [_time_line(each) for each in results["times"]]
    return "\n".join(lines) + "\n"


def file_name(facts: Mapping[str, Any], date: str, only: Sequence[str] = ()) -> str:
    """<date>-<machine>, of letters, digits and hyphens; then what was asked for."""
    words = f"{facts['processor']} {facts['cores']} cores"
    if facts["platform"] != "cpu":
        words = facts["device"]
    slug = re.sub("[^a-z0-9]+", "-", " ".join([words, *only]).lower()).strip("-")
    return f"{date}-{slug}"


def _times(measured: Measured) -> list[dict[str, Any]]:
    return [
        {
            "workload": measured.workload.name,
            "contender": series.job.name,
            "engine": series.job.engine,
            "cores": series.job.cores,
            "unit": series.job.unit or measured.workload.unit,
            "seconds": [each.seconds for each in series.repeats],
            "work": [each.work for each in series.repeats],
            "facts": [dict(each.facts) for each in series.repeats],
            "missing": series.missing,
        }
        for series in measured.series.values()
    ]


def _line(row: Mapping[str, Any]) -> str:
    value = "–"
    if row["value"] is not None:
        value = (
            f"{_number(row['value'])} {row['unit']} "
            f"({_number(row['low'])}–{_number(row['high'])})"
        )
    target = "–"
    if row["target"] is not None:
        sign = "≥" if row["at_least"] else "≤"
        target = f"{sign} {_number(row['target'])} {row['unit']}".strip()
    verdict = row["verdict"] if row["target"] is not None else UNJUDGED
    if row["note"]:
        verdict += f" ({row['note']})"
    cells = (row["workload"], row["claim"], value, target, verdict)
    return "| " + " | ".join(_cell(each) for each in cells) + " |"


def _time_line(each: Mapping[str, Any]) -> str:
    cells = [each["workload"], each["contender"], str(each["cores"])]
    if each["missing"] or not each["seconds"]:
        cells += ["–", each["missing"] or "not measured"]
    else:
        seconds, work = np.array(each["seconds"]), np.array(each["work"])
        cells += [
            f"{_number(float(np.median(seconds)))} s",
            f"{_number(float(np.median(work / seconds)))} {each['unit']}/s",
        ]
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("|", "\\|")).strip()


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0 or 1e-2 <= abs(value) < 1e5:
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:.2e}"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
