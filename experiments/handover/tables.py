"""What a run or a sweep has found, as files of data and as a table of a paper."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from ...figures.parts.printed import latex_table, markdown_table, printed
from ...figures.parts.tables import OF_A_QUANTITY
from ..config.section import ConfigError
from ..pipeline.summary import risk_name
from ..store.files import table_bytes
from ..store.run_folder import RunFolder
from ..sweep.results import results_bytes, results_table, verdict_rows
from ..sweep.store import SweepStore
from ..world.verdict import sweep_line

PRINTED = ("latex", "markdown")
DATA = ("csv", "parquet", "json")
_OF_A_POINT = ("point", "status", "error", "changed")


class Found(NamedTuple):
    """What a folder holds.

    Attributes:
        table: A row a quantity, of a sweep a row a point and quantity.
        line: The verdicts of a sweep's points; "" of a run.
        changed: What is not as it was computed, and was accepted.
    """

    table: pa.Table
    line: str
    changed: Sequence[str]


def read(target: Path, *, accept_changed: bool = False) -> Found:
    """The results of a run folder or of a sweep's store.

    Args:
        target: The folder.
        accept_changed: Whether what was changed is read, with a column that says so.

    Raises:
        StoreError: If the folder is neither.
        Changed: If a file of it is not what was written.
    """
    if not (target / "config.toml").is_file():
        store = SweepStore(target, accept_changed=accept_changed)
        table = results_table(store)
        line = sweep_line(verdict_rows(table))
        return Found(table, line, tuple(store.folder.changed))
    folder = RunFolder(target, accept_changed=accept_changed)
    frame = folder.table("estimates.csv")
    if folder.changed:
        frame = frame.assign(changed="; ".join(folder.changed))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return Found(table.replace_schema_metadata(None), "", tuple(folder.changed))


def only(table: pa.Table, quantities: Sequence[str]) -> pa.Table:
    """The rows of some quantities; of none given, all.

    Raises:
        ConfigError: If one is not in the table; says which are.
    """
    if not quantities:
        return table
    names = table["quantity"].to_pandas()
    known = [each for each in dict.fromkeys(names.dropna()) if each]
    unknown = [each for each in quantities if each not in known]
    if unknown:
        raise ConfigError(
            f"no quantity is called {', '.join(unknown)}; there are {', '.join(known)}"
        )
    return table.filter(pa.array(names.isin(list(quantities)).to_numpy(bool)))


def results_text(table: pa.Table, kind: str, *, command: str = "") -> bytes:
    """Results as a file.

    Args:
        table: Of ``read``.
        kind: latex or markdown: what a reader needs, rounded to what its interval
            knows. csv, parquet or json: everything, in full.
        command: What prints it, kept in a comment of the LaTeX.
    """
    if kind not in PRINTED:
        if kind == "csv" and "point" not in table.column_names:
            return table_bytes(table.to_pandas())
        return results_bytes(table, kind)
    frame = table.to_pandas()
    settings = [
        name for name in frame.columns if name not in (*OF_A_QUANTITY, *_OF_A_POINT)
    ]
    swept = [name for name in settings if frame[name].nunique(dropna=False) > 1]
    same = {name: _text(frame[name].iloc[0]) for name in settings if len(frame)}
    head = [*swept, "quantity", "at", "value", "95 % interval", "unit"]
    rows = [_cells(row, swept) for row in frame.to_dict("records")]
    numbers = (len(head) - 3, len(head) - 2)
    notes = _notes(frame, {k: v for k, v in same.items() if k not in swept})
    if kind == "markdown":
        return markdown_table(head, rows, numbers=numbers, notes=notes).encode()
    comments = [command] if command else []
    text = latex_table(head, rows, numbers=numbers, comments=comments, notes=notes)
    return text.encode()


def _cells(row: Mapping[Any, Any], swept: Sequence[str]) -> list[str]:
    value, low, high = (_number(row.get(name)) for name in ("value", "low", "high"))
    shown = printed(value, low, high)
    known = not np.isnan(value)
    place, unit = _number(row.get("at")), _text(row.get("at_unit"))
    risk = unit == "target" and place == place
    at = risk_name(place) if risk else _text(place)
    return [
        *(_text(row[name]) for name in swept),
        _text(row.get("quantity")) or "–",
        f"{at} {unit}".strip() if at else "",
        shown.value if known else ("failed" if row.get("error") else "refused"),
        shown.interval if known else "",
        _text(row.get("unit")),
    ]


def _notes(frame: Any, same: Mapping[str, str]) -> list[str]:
    notes = []
    if same:
        told = ", ".join(f"{name} = {value}" for name, value in same.items() if value)
        notes.append(f"All rows: {told}.")
    refused = frame[frame["value"].isna()]
    for name in ("error", "method"):
        if name in refused:
            texts = [_text(each) for each in refused[name]]
            notes += [f"{each}." for each in dict.fromkeys(texts) if each]
    if "warning" in frame:
        notes += [f"{each}." for each in dict.fromkeys(map(_text, frame["warning"]))]
    if "changed" in frame:
        notes += list(dict.fromkeys(map(_text, frame["changed"])))
    return [note for note in dict.fromkeys(notes) if note.strip(".")]


def _number(value: Any) -> float:
    return float("nan") if value is None or value is pd.NA else float(value)


def _text(value: Any) -> str:
    """A setting as it is written: whole numbers without a point."""
    if value is None or value is pd.NA or value != value:
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.6g}"
    if isinstance(value, list | np.ndarray):
        return json.dumps(list(value))
    return str(value)
