"""From a finished run or a sweep's store to one HTML page."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from ..figures.report import page
from . import summary
from .config import Config, ConfigError, load_config
from .runner import TABLES
from .store import RunFolder, write_atomically

_STORES = ("results.parquet", "results.csv.gz", "results.csv")


def write(target: Path, output: Path | None = None) -> Path:
    """Write the page of a run folder or of a sweep's store.

    Args:
        target: A run folder, or a folder with ``results.parquet`` or ``results.csv``.
        output: Where to; ``report.html`` in the target unless given.

    Returns:
        The page's path.

    Raises:
        ConfigError: If the target is neither, or is not finished, or is damaged.
    """
    path = target / "report.html" if output is None else output
    write_atomically(path, html(target).encode())
    return path


def html(target: Path) -> str:
    """The page of a run folder or of a sweep's store.

    Raises:
        ConfigError: If the target is neither, or is not finished, or is damaged.
    """
    if any((target / name).is_file() for name in _STORES):
        points = read_store(target)
        try:
            return page({"points": points}, sweep_facts(target, points))
        except ValueError as error:
            raise ConfigError(f"{target}: {error}") from error
    if not (target / "config.toml").is_file():
        raise ConfigError(
            "TARGET must be a run folder (with config.toml and estimates.csv) or a "
            f"sweep's store (with {' or '.join(_STORES)}), got {target}"
        )
    missing = [name for name in TABLES if not (target / f"{name}.csv").is_file()]
    if missing:
        raise ConfigError(
            f"the run in {target} is not finished: {', '.join(missing)} missing; "
            f"dpodl run {target / 'config.toml'} goes on with it"
        )
    try:
        tables = {name: RunFolder(target).table(f"{name}.csv") for name in TABLES}
        return page(tables, run_facts(target, tables))
    # A table that lost a column lacks an attribute where the summary reads it.
    except (ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"the tables in {target} cannot be shown: {error}") from error


def read_store(path: Path) -> pd.DataFrame:
    """A sweep's tidy results: a row for each number of each point.

    Raises:
        ConfigError: If there are none, or none that can be read here.
    """
    found = [path / name for name in _STORES if (path / name).is_file()]
    if not found:
        raise ConfigError(f"{path} has neither {' nor '.join(_STORES)}")
    if found[0].suffix == ".parquet":
        try:
            return pd.read_parquet(found.pop(0))
        except ImportError as error:
            if not found:
                raise ConfigError(
                    f"{path / _STORES[0]} needs pyarrow: install it, or export the "
                    "results as results.csv"
                ) from error
    # An id such as 1e5 is no number, and a column's type must not hang on where its
    # first text stands.
    texts: Any = dict.fromkeys(("point", "status", "error", "quantity", "method"), str)
    return pd.read_csv(
        found[0], dtype=texts, keep_default_na=False, na_values=[""], low_memory=False
    )


def run_facts(folder: Path, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """What a run's page says beside its charts.

    Raises:
        ConfigError: If the folder's config cannot be read.
    """
    config = load_config(str(folder / "config.toml"))
    notes: Any = tables["notes"]
    figures = summary.closing_rows(config, tables)
    laws = (summary.law_columns(tables), summary.law_rows(tables))
    every = [
        (
            row["quantity"],
            f"{row['at']:.6g} {row['at_unit']}" if row["at"] == row["at"] else "",
            *(summary.number(row[name]) for name in ("value", "low", "high")),
            row["unit"],
            f"{row['count']:,.0f}",
            row["method"],
        )
        for row in tables["estimates"].to_dict("records")
    ]
    return {
        "title": config.name,
        "description": config.description,
        "verdict": summary.verdict(config, tables).line,
        "sections": [
            ("Security", ("figure", "value", "95 % interval"), figures),
            ("Block time of one prover", *laws),
            ("Notes", ("kind", "text"), list(zip(notes.kind, notes.text, strict=True))),
            ("Settings", ("setting", "value", "meaning"), list(_settings(config))),
            (
                "Every number",
                ("quantity", "at", "value", "low", "high", "unit", "count", "method"),
                every,
            ),
            ("Provenance", ("fact", "value"), list(_provenance(folder))),
        ],
    }


def sweep_facts(store: Path, points: pd.DataFrame) -> dict[str, Any]:
    """What a sweep's page says first: how many points, and how many are safe.

    Raises:
        ConfigError: If the store's config is no TOML.
    """
    config = _toml(store / "sweep.toml")
    target = config.get("security", {}).get("target")
    if "security.target" not in points and target is not None:
        points = points.assign(**{"security.target": target})
    settings = [row for row in _flat(config) if not row[0].startswith("mining.")]
    provenance = list(_provenance(store)) if config else []
    heads: Any = points.drop_duplicates("point")
    done = int((heads["status"] == "done").sum())
    failed = len(heads) - done
    line = f"{done:,} of {len(heads):,} points done"
    line += f", {failed:,} failed (their errors are below)." if failed else "."
    return {
        "title": config.get("name", store.resolve().name),
        "description": config.get("description")
        or "A sweep: the same experiment at every point of a design.",
        "verdict": f"{line} {_safe_points(points, done)}",
        "sections": [
            ("Settings", ("setting", "value"), settings),
            ("Provenance", ("fact", "value"), provenance),
        ],
    }


def _safe_points(points: pd.DataFrame, done: int) -> str:
    """How many points meet their target at their deepest depth, and how many do not."""
    if "security.target" not in points:
        return (
            "No target risk is in the results, so none of them is called safe: "
            "compare Pr[violation] with yours."
        )
    curve: Any = points.loc[points["quantity"] == "persistence_violation"]
    deepest = curve.loc[curve.groupby("point")["at"].idxmax()]
    safe = int((deepest["high"] <= deepest["security.target"]).sum())
    unsafe = int((deepest["low"] > deepest["security.target"]).sum())
    depths = sorted({f"{at:g}" for at in deepest["at"]}, key=float)
    where = depths[0] if len(depths) == 1 else f"{depths[0]}–{depths[-1]}"
    return (
        "Private chain without a head start, equal length suffices (ties win): "
        f"SAFE at {where} confirmations "
        f"in {safe:,} of {done:,} points (the interval's upper end of Pr[violation] "
        f"≤ security.target), NOT SAFE in {unsafe:,}, undecided or without a number in "
        f"{done - safe - unsafe:,}."
    )


def _settings(config: Config) -> Iterator[tuple[str, str, str]]:
    def walk(section: BaseModel, prefix: str) -> Iterator[tuple[str, str, str]]:
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            if isinstance(value, BaseModel):
                yield from walk(value, f"{prefix}{name}.")
            elif value is not None:
                dumped = section.model_dump(mode="json", include={name})[name]
                text = dumped if isinstance(dumped, str) else json.dumps(dumped)
                yield f"{prefix}{name}", text, field.description or ""

    # How a chain is mined has no part in these numbers (Config.digest).
    yield from (row for row in walk(config, "") if not row[0].startswith("mining."))


def _provenance(folder: Path) -> Iterator[tuple[str, str]]:
    path = folder / "provenance.json"
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError):
        yield "provenance.json", "missing or damaged: this run's origin is not known"
        return

    yield from _flat(facts)


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(each, f"{prefix}.{name}" if prefix else name)
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _toml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
