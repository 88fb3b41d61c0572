"""Two finished runs beside each other, or two sweeps point by point."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ...analysis.estimation.differences import (
    Difference,
    paired_difference,
    unpaired_difference,
)
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.quantities import (
    BLOCK_TIME_CV,
    BLOCK_TIME_MEAN,
    DECAY_FIT_P_VALUE,
    PERSISTENCE_SIMULATED,
    PERSISTENCE_VIOLATION,
)
from ..config.experiment import Config, plain
from ..config.loading import parse_config
from ..config.section import ConfigError
from ..pipeline.reasons import MADE_FROM, differing
from ..store.run_folder import RunFolder
from .pairing import drawn_figures, not_paired

# Risks fall over orders of magnitude: what they differ by is a factor.
_RATIOS = (PERSISTENCE_VIOLATION, PERSISTENCE_SIMULATED)
_FIGURES = ("quantity", "at", "at_unit", "unit", "first", "second")
_FOUND = ("value", "low", "high", "standard_error", "in_errors", "paired", "note")
# What a comparison of p-values would say is nothing of the chain.
_NO_FIGURE = (DECAY_FIT_P_VALUE,)

Place = tuple[str, float | None]


class Comparison(NamedTuple):
    """What differs between two results.

    Attributes:
        settings: A row a setting that differs: setting, first, second.
        made: The same of what they were made with: version, packages, code, machine.
        figures: A row a figure of either: quantity, at, at_unit, unit, first, second;
            kind (difference: second − first, ratio: second/first); value, low, high;
            standard_error (of a ratio: of its logarithm); in_errors; paired; note. A
            sweep's point comes first, by what varies.
        pairing: In one sentence, whether standard errors are paired, or why not.
        changed: What is not as it was computed, and was accepted.
    """

    settings: pd.DataFrame
    made: pd.DataFrame
    figures: pd.DataFrame
    pairing: str
    changed: list[str]


def compared(first: Path, second: Path, *, accept_changed: bool = False) -> Comparison:
    """Compare two runs, or two sweeps with the same points.

    Args:
        first: A run's folder, or a sweep's store.
        second: Another of the same kind.
        accept_changed: Whether what was changed is read all the same.

    Raises:
        ConfigError: If either is neither, they are not of one kind, or not finished.
        Changed: If a file is not what was written.
    """
    kinds = [_kind(path) for path in (first, second)]
    if kinds[0] != kinds[1]:
        raise ConfigError(
            f"two runs or two sweeps can be compared; {first} is a {kinds[0]}, "
            f"{second} is a {kinds[1]}"
        )
    if kinds[0] == "sweep":
        from .sweeps import compared_sweeps

        return compared_sweeps(first, second, accept_changed=accept_changed)
    mine, theirs = (
        RunFolder(path, accept_changed=accept_changed) for path in (first, second)
    )
    folders, configs = (mine, theirs), (_config(mine), _config(theirs))
    why = not_paired(mine, theirs, configs)
    drawn = [{} if why else drawn_figures(folder) for folder in folders]
    rows = list(_rows(_estimates(mine), _estimates(theirs), *drawn))
    paired = sum(row["paired"] for row in rows)
    told = (
        f"standard errors are those of independent runs: {why}"
        if why
        else f"{paired} of {len(rows)} differences are paired over the same trained "
        "models; the others are not kept under each resample, and their standard "
        "errors are those of independent runs"
    )
    return Comparison(
        settings_that_differ(*map(plain, configs)),
        _made(mine, theirs),
        pd.DataFrame(rows, columns=[*_FIGURES, "kind", *_FOUND]),
        told,
        [text for folder in folders for text in folder.changed],
    )


def settings_that_differ(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> pd.DataFrame:
    """Settings by their dotted path whose values differ; "" where one is not set."""
    rows = differing(first, second)
    return pd.DataFrame(rows, columns=["setting", "first", "second"])


def difference_row(
    first: Estimate,
    second: Estimate,
    quantity: str,
    drawn: tuple[tuple, tuple] | None = None,
) -> dict[str, Any]:
    """The columns of a comparison that say how far two figures are apart."""
    ratio = quantity.startswith(_RATIOS)
    found: Difference | None = None
    paired, note = False, ""
    if drawn is not None:
        (one, basis), (other, more) = drawn
        try:
            found = paired_difference(one, other, ratio=ratio, bases=(basis, more))
            paired, note = True, found.estimate.method
        except Refused as refusal:
            note = str(refusal)
    if found is None:
        try:
            found = unpaired_difference(first, second, ratio=ratio)
            note = note or found.estimate.method
        except Refused as refusal:
            note = str(refusal)
    if "upper bound" in first.method and "upper bound" in second.method:
        note += "; both figures are upper bounds"
    kind = "ratio" if ratio else "difference"
    nothing = dict.fromkeys(_FOUND[:5], math.nan)
    if found is not None:
        e = found.estimate
        values = e.value, e.low, e.high, found.standard_error, found.in_errors
        nothing = dict(zip(_FOUND[:5], values, strict=True))
    return {"kind": kind, **nothing, "paired": paired, "note": note}


def _rows(
    first: pd.DataFrame, second: pd.DataFrame, one: Mapping, other: Mapping
) -> Iterator[dict[str, Any]]:
    mine, theirs = _by_place(first), _by_place(second)
    for place in dict.fromkeys([*mine, *theirs]):
        a, b = mine.get(place), theirs.get(place)
        there: Any = a or b
        if place[0] in _NO_FIGURE:
            continue
        row = {name: there[name] for name in _FIGURES[:4]}
        row |= {"first": a["value"] if a else math.nan}
        row |= {"second": b["value"] if b else math.nan}
        if not (a and b):
            which = "first" if a else "second"
            note = {"paired": False, "note": f"only the {which} has it"}
            yield {**row, "kind": "", **dict.fromkeys(_FOUND[:5], math.nan), **note}
            continue
        both = (one[place], other[place]) if place in one and place in other else None
        yield {**row, **difference_row(_estimate(a), _estimate(b), place[0], both)}


def _by_place(table: pd.DataFrame) -> dict[Place, dict[str, Any]]:
    found: dict[Place, dict[str, Any]] = {}
    for row in table.to_dict("records"):
        at = None if pd.isna(row["at"]) else float(row["at"])
        found.setdefault((str(row["quantity"]), at), row)
    return found


def _estimate(row: Mapping[str, Any]) -> Estimate:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    return Estimate(value, low, high, int(row["count"]), str(row["method"]))


def _estimates(folder: RunFolder) -> pd.DataFrame:
    """The law's mean and CV, then all that was estimated."""
    laws = folder.table("law_summary.csv")
    main = laws[laws["main"].astype(str) == "True"].iloc[0]
    named = (BLOCK_TIME_MEAN, "mean", "steps"), (BLOCK_TIME_CV, "cv", "")
    head = pd.DataFrame(
        [
            {
                "quantity": quantity,
                "at": 1.0,
                "at_unit": "provers",
                "value": main[name],
                "low": main[f"{name}_low"],
                "high": main[f"{name}_high"],
                "count": main["runs"],
                "method": "exact for the law",
                "unit": unit,
            }
            for quantity, name, unit in named
            if not pd.isna(main[name])
        ]
    )
    return pd.concat([head, folder.table("estimates.csv")], ignore_index=True)


def _kind(path: Path) -> str:
    if (path / "sweep.toml").is_file():
        return "sweep"
    if not (path / "config.toml").is_file() or not (path / "estimates.csv").is_file():
        raise ConfigError(
            f"{path} is no finished run (with config.toml and estimates.csv) and no "
            "sweep's store (with sweep.toml)"
        )
    return "run"


def _config(folder: RunFolder) -> Config:
    name = "config.toml"
    return parse_config(folder.read(name).decode(), str(folder.path / name))


def _made(first: RunFolder, second: RunFolder) -> pd.DataFrame:
    facts = []
    for folder in (first, second):
        try:
            notes = folder.notes("summary")
        except FileNotFoundError:
            notes = {}
        # Files say more than a stage's digest; results of before have only that.
        made = notes.get(MADE_FROM, {"code": notes.get("code", {})})
        names = ("version", "packages", "machine")
        known = {name: notes[name] for name in names if name in notes}
        facts.append({**known, **{k: v for k, v in made.items() if k != "versions"}})
    return settings_that_differ(*facts)
