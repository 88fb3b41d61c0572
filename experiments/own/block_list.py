"""A list of blocks as explorers and studies publish it, a row a block.

* A time is ISO 8601 (without a zone: UTC) or epoch seconds, or milliseconds where it is
  above 10^11. Instead of a time a row may have the block's 80-byte header in hex, whose
  time and parent are read; a hash beside it is checked.
* A flag (orphan, stale, uncle) says which blocks are off the chain. Without one, of
  several blocks of a height the one that a later header names is the chain's, and
  without headers they are refused.
* The longest run of consecutive heights is the chain; without heights the rows are, in
  the order of their times.
* A mark is a flag (attacker, selfish, marked), or the rows whose miner or pool is the
  name that was asked for.
* Timestamps that run backwards are kept as they are: they are real.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..config.section import ConfigError
from .tables import (
    Source,
    columns_of,
    find_column,
    flags_of,
    numbers_of,
    read_source,
    table_of,
)

ROLES: Mapping[str, tuple[str, ...]] = {
    "time": (
        *("time", "timestamp", "blocktime", "blocktimestamp", "datetime", "date"),
        *("timestamputc", "timeutc", "foundat", "minedat", "receivedat"),
    ),
    "height": ("height", "blockheight", "number", "blocknumber", "level"),
    "stale": ("orphan", "orphaned", "isorphan", "stale", "isstale", "uncle", "isuncle"),
    "mark": (
        *("attacker", "isattacker", "selfish", "isselfish", "marked", "mark"),
        *("corrupted", "adversary", "isqubic", "qubic"),
    ),
    "miner": ("miner", "pool", "minername", "poolname", "coinbase"),
    "hash": ("hash", "blockhash", "id"),
    "header": ("header", "blockheader", "headerhex", "rawheader"),
    "difficulty": ("difficulty", "diff"),
}
_MILLISECONDS = 1e11
_HEADER = re.compile(r"[0-9a-fA-F]{160}")


class BlockList(NamedTuple):
    """What a list holds.

    Attributes:
        source: The file.
        times: Of the chain's blocks by height, seconds since 1970, as they are stamped.
        heights: Of these; without any, 0, 1, …
        stale: Blocks off the chain within these heights; None: the list does not say.
        marked: Of every block within these heights, stale ones too; None: no marks.
        warnings: What was done to read it.
    """

    source: Source
    times: np.ndarray
    heights: np.ndarray
    stale: int | None
    marked: np.ndarray | None
    warnings: tuple[str, ...]


def read_blocks(
    path: Path | str,
    columns: Mapping[str, str] | None = None,
    *,
    mark: str | None = None,
) -> BlockList:
    """Read a list of blocks.

    Args:
        path: CSV or Parquet, or a shipped example's name.
        columns: Role → column where names are not recognised (``ROLES``).
        mark: Name of the miner whose blocks are marked; None: a flag marks them.

    Raises:
        ConfigError: Naming what is wrong, and the row.
    """
    named, source = dict(columns or {}), read_source(path)
    table = table_of(source)
    found = {
        role: find_column(source, table, role, named=named, known=known)
        for role, known in ROLES.items()
    }
    warnings: list[str] = []
    blocks = pd.DataFrame(index=table.index)
    blocks["parent"] = ""
    if found["header"] is not None:
        _read_headers(source, table, found, blocks)
    elif found["time"] is not None:
        blocks["time"] = _times(source, table[found["time"]], warnings)
    else:
        raise ConfigError(
            f"{source.name} has no column that is known as the time, nor a header: "
            f"name it, --column time=NAME; it has {columns_of(table)}"
        )
    if found["height"] is not None:
        heights = numbers_of(source, table[found["height"]], "height")
        if not (np.isfinite(heights).all() and (heights == np.floor(heights)).all()):
            raise ConfigError(f"{source.name}: heights must be whole numbers")
        blocks["height"] = heights.astype(np.int64)
    if found["stale"] is not None:
        blocks["stale"] = flags_of(source, table[found["stale"]], "stale")
    blocks["mark"] = _marks(source, table, found, mark)
    if found["difficulty"] is not None:
        warnings += _difficulty(source, table[found["difficulty"]])
    return _chain(source, blocks, warnings)


def _read_headers(source: Source, table, found, blocks) -> None:
    times, parents, names = [], [], []
    for row, text in enumerate(table[found["header"]].astype(str).str.strip(), 1):
        if not _HEADER.fullmatch(text):
            raise ConfigError(
                f"{source.name}, row {row}: a header is 80 bytes in hex, 160 digits, "
                f"got {len(text)} characters"
            )
        header = bytes.fromhex(text)
        name = hashlib.sha256(hashlib.sha256(header).digest()).digest()[::-1].hex()
        if found["hash"] is not None:
            said = str(table[found["hash"]].iloc[row - 1]).strip().lower()
            if said.removeprefix("0x") != name:
                raise ConfigError(
                    f"{source.name}, row {row}: the header's hash is {name}, the row "
                    f"says {said[:70]}"
                )
        times.append(float(int.from_bytes(header[68:72], "little")))
        parents.append(header[4:36][::-1].hex())
        names.append(name)
    blocks["time"], blocks["parent"], blocks["name"] = times, parents, names


def _times(source: Source, column: Any, warnings: list[str]) -> np.ndarray:
    """Seconds since 1970."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        stamps = pd.to_datetime(column, utc=True)
        return _seconds(source, column, stamps)
    text = column.astype(str).str.strip()
    parsed: Any = pd.to_numeric(text, errors="coerce")
    plain = parsed.to_numpy(float)
    if np.isfinite(plain).all():
        if (plain > _MILLISECONDS).all():
            warnings.append("times above 10^11 are read as milliseconds")
            return plain / 1000.0
        return plain
    if np.isfinite(plain).any():
        row = int(np.argmin(np.isfinite(plain)))
        raise ConfigError(
            f"{source.name}, row {row + 1}: a time must be a number as the others are, "
            f"got {text.iloc[row][:40]!r}"
        )
    stamps = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
    return _seconds(source, text, stamps)


def _seconds(source: Source, text: Any, stamps: Any) -> np.ndarray:
    missing = stamps.isna().to_numpy(bool)
    if missing.any():
        row = int(np.argmax(missing))
        raise ConfigError(
            f"{source.name}, row {row + 1}: a time must be ISO 8601 or seconds since "
            f"1970, got {str(text.iloc[row])[:40]!r}"
        )
    since = stamps - pd.Timestamp(0, tz="UTC")
    return since.dt.total_seconds().to_numpy(float)


def _marks(source: Source, table, found, mark: str | None) -> Any:
    if mark is not None:
        if found["miner"] is None:
            raise ConfigError(
                f"{source.name} has no column that is known as the miner: name it, "
                f"--column miner=NAME; it has {columns_of(table)}"
            )
        miners = table[found["miner"]].astype(str).str.strip()
        marks = (miners == mark).to_numpy(bool)
        if not marks.any():
            common = ", ".join(map(repr, miners.value_counts().index[:8]))
            raise ConfigError(
                f"{source.name}: no block is {mark!r}'s; most are of {common}"
            )
        return marks
    if found["mark"] is not None:
        return flags_of(source, table[found["mark"]], "mark")
    return None


def _difficulty(source: Source, column: Any) -> list[str]:
    values = []
    for row, each in enumerate(column.astype(str).str.strip().str.lower(), 1):
        try:
            value = float(int(each, 16)) if each.startswith("0x") else float(each)
        except ValueError:
            raise ConfigError(
                f"{source.name}, row {row}: a difficulty must be a number, decimal or "
                f"0x… in hex, got {each[:40]!r}"
            ) from None
        values.append(value)
    least, most = min(values), max(values)
    if not 0 < least <= most < float("inf"):
        raise ConfigError(f"{source.name}: difficulties must be > 0 and finite")
    if most <= 1.05 * least:
        return []
    return [
        f"difficulty changes from {least:.4g} to {most:.4g}: intervals of several "
        "difficulties are taken together"
    ]


def _chain(source: Source, blocks: Any, warnings: list[str]) -> BlockList:
    told: bool = "stale" in blocks
    if not told:
        blocks["stale"] = False
        if "height" in blocks and blocks["height"].duplicated().any():
            told = True
            blocks["stale"] = _off_chain(source, blocks)
            warnings.append("of several blocks of a height, headers say which stayed")
    stays: Any = blocks[~blocks["stale"].to_numpy(bool)]
    if "height" not in blocks:
        warnings.append("no heights: the rows that are not stale are the chain by time")
        stays = stays.sort_values("time", kind="stable")
        chain, within = stays, blocks
        heights = np.arange(len(stays))
    else:
        if stays["height"].duplicated().any():
            height = int(stays["height"][stays["height"].duplicated()].iloc[0])
            raise ConfigError(
                f"{source.name}: two blocks of height {height} are both on the chain: "
                "a column must say which are stale, --column stale=NAME"
            )
        stays = stays.sort_values("height")
        chain = _longest(stays, warnings)
        heights = chain["height"].to_numpy(np.int64)
        near = blocks["height"].between(heights[0], heights[-1])
        within = blocks[near]
    if len(chain) < 2:
        raise ConfigError(
            f"{source.name}: no two blocks of the chain follow each other: intervals "
            "need the blocks between the stale ones too"
        )
    marks = None
    if blocks["mark"].notna().all():
        marks = within["mark"].to_numpy(bool)
    return BlockList(
        source,
        chain["time"].to_numpy(float),
        heights,
        int(within["stale"].sum()) if told else None,
        marks,
        tuple(warnings),
    )


def _off_chain(source: Source, blocks: Any) -> np.ndarray:
    """Blocks that no chain of parents from the highest block passes through."""
    if "name" not in blocks:
        height = int(blocks["height"][blocks["height"].duplicated()].iloc[0])
        raise ConfigError(
            f"{source.name}: several blocks of height {height}, and neither a column "
            "says which are stale nor do headers: --column stale=NAME"
        )
    place = {name: row for row, name in enumerate(blocks["name"])}
    parents = list(blocks["parent"])
    at: int | None = int(np.argmax(blocks["height"].to_numpy(np.int64)))
    off = np.ones(len(blocks), bool)
    while at is not None and off[at]:
        off[at] = False
        at = place.get(parents[at])
    return off


def _longest(stays: Any, warnings: list[str]) -> Any:
    """The longest run of consecutive heights."""
    heights = stays["height"].to_numpy(np.int64)
    breaks = np.flatnonzero(np.diff(heights) != 1) + 1
    if not len(breaks):
        return stays
    edges = [0, *breaks.tolist(), len(heights)]
    lengths = np.diff(edges)
    best = int(np.argmax(lengths))
    warnings.append(
        f"heights are missing in {len(breaks)} places: the longest run of them is the "
        f"chain, {heights[edges[best]]} to {heights[edges[best + 1] - 1]}"
    )
    return stays.iloc[edges[best] : edges[best + 1]]
