"""A file of the user's as a table, its columns found by name.

CSV (comma, semicolon or tab, also gzipped), Parquet, JSON lines, or a folder of logs. A
column is found where the config names it, or by a name that training frameworks and
explorers use; letters' case, blanks and punctuation do not matter.
"""

import gzip
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...models.learning.files import user_path
from ..config.section import ConfigError
from .log_folder import folder_table, json_rows

_MOST_BYTES = 2**31
_SHOWN = 12  # columns in a message
_TRUE = frozenset({"1", "1.0", "true", "t", "yes", "y"})
_FALSE = frozenset({"0", "0.0", "false", "f", "no", "n"})


class Source(NamedTuple):
    """A file that was read.

    Attributes:
        name: For messages.
        content: Its bytes.
    """

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.content).hexdigest()


def read_source(path: Path | str) -> Source:
    """A file's bytes, those of a shipped example, or a folder's logs as one table.

    Raises:
        ConfigError: If there is no such file, or it cannot be read.
    """
    if str(path) in (known := examples()):
        return Source(str(path), known[str(path)])
    place = user_path(path)
    if place.is_dir():
        return Source(str(path), folder_table(place))
    try:
        if place.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path} is larger than 2 GiB: give the columns needed")
        return Source(str(path), place.read_bytes())
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(
            f"cannot read {path}: {reason} (shipped examples: {', '.join(known)})"
        ) from None


def examples() -> dict[str, bytes]:
    """Name → content of the files that come with the package."""
    folder = resources.files(f"{__package__}.examples")
    return {
        entry.name.removesuffix(".csv"): entry.read_bytes()
        for entry in sorted(folder.iterdir(), key=lambda each: each.name)
        if entry.name.endswith(".csv")
    }


def table_of(source: Source) -> Any:
    """The table of a file, every cell of a CSV as text.

    Raises:
        ConfigError: If it is no table, has no rows, or two columns of one name.
    """
    content = source.content
    if content[:4] == b"PAR1":
        try:
            table = pd.read_parquet(io.BytesIO(content))
        except Exception as error:  # whatever pyarrow meets in a damaged file
            raise ConfigError(f"{source.name} is no Parquet file: {error}") from None
    elif content[:1] == b"{":
        try:
            table = pd.DataFrame(list(json_rows(content, source.name)))
        except ValueError as error:
            raise ConfigError(f"{error}; JSON is read a line a row") from None
    else:
        table = _csv(source)
    names = [str(name).strip() for name in table.columns]
    table.columns = names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"{source.name}: two columns are called {twice!r}")
    if table.empty:
        raise ConfigError(f"{source.name} has no rows")
    return table


def _csv(source: Source) -> Any:
    content = source.content
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError):
        raise ConfigError(
            f"{source.name} is neither UTF-8 text nor Parquet: export it as CSV"
        ) from None
    if "\0" in text:
        raise ConfigError(f"{source.name} holds zero bytes: it is no CSV")
    first = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        table = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            comment="#",
            skipinitialspace=True,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise ConfigError(f"{source.name} is no CSV: {error}") from None
    # Pandas numbers a repeated name instead of refusing it.
    names = [each.strip().strip('"') for each in first.split(separator)]
    for name in names:
        if names.count(name) > 1 and not first.startswith("#"):
            raise ConfigError(f"{source.name}: two columns are called {name!r}")
    return table


def plain_name(name: str) -> str:
    """A column's name by its letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_column(
    source: Source,
    table: Any,
    role: str,
    *,
    named: Mapping[str, str],
    known: Sequence[str],
) -> str | None:
    """The column of a role; None where there is none.

    Args:
        source: For messages.
        table: The file's.
        role: What is looked for.
        named: Role → column, of the config.
        known: Plain names that are recognised, the preferred first.

    Raises:
        ConfigError: If the column that is named is not there, or two are recognised
            under one plain name.
    """
    if role in named:
        if named[role] not in table.columns:
            raise ConfigError(
                f"{source.name} has no column {named[role]!r} ({role}); it has "
                f"{columns_of(table)}"
            )
        return named[role]
    taken = set(named.values())
    plain = [(plain_name(each), each) for each in table.columns if each not in taken]
    for wanted in known:
        found = [each for name, each in plain if name == wanted]
        if len(found) > 1:
            raise ConfigError(
                f"{source.name}: {' and '.join(found)} could both be the {role}: name "
                f"one, law.columns = {{{role} = {found[0]!r}}}"
            )
        if found:
            return found[0]
    return None


def columns_of(table: Any) -> str:
    """Its columns in a message."""
    names = [repr(name) for name in table.columns]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def numbers_of(source: Source, column: Any, role: str) -> np.ndarray:
    """A column as numbers; empty cells and NaN as NaN, ``95 %`` as 95.

    Raises:
        ConfigError: Naming the first row that holds anything else, or infinity.
    """
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(float, na_value=np.nan)
        text = None
    else:
        text = column.astype(str).str.strip()
        short = text.str.lower()
        empty = short.isin(["", "nan", "none", "null", "na", "n/a", "-", "<na>"])
        bare = text.str.removesuffix("%").str.strip()
        parsed: Any = pd.to_numeric(bare.where(~empty), errors="coerce")
        values = parsed.to_numpy(float)
        wrong = np.isnan(values) & ~empty.to_numpy(bool)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ConfigError(
                f"{source.name}, row {row + 1}: the column {column.name!r} ({role}) "
                f"must hold numbers, got {text.iloc[row][:40]!r}"
            )
    if np.isinf(values).any():
        row = int(np.argmax(np.isinf(values)))
        raise ConfigError(
            f"{source.name}, row {row + 1}: the column {column.name!r} ({role}) must "
            "be finite, got infinity"
        )
    return values


def flags_of(source: Source, column: Any, role: str) -> np.ndarray:
    """A column of yes and no (1/0, true/false, yes/no; empty is no).

    Raises:
        ConfigError: Naming the first row that holds anything else.
    """
    text = column.astype(str).str.strip().str.lower()
    true = text.isin(_TRUE).to_numpy(bool)
    known = true | text.isin(_FALSE | {"", "nan", "none", "<na>"}).to_numpy(bool)
    if not known.all():
        row = int(np.argmin(known))
        raise ConfigError(
            f"{source.name}, row {row + 1}: the column {column.name!r} ({role}) must "
            f"hold 0 or 1, true or false, yes or no, got {text.iloc[row][:40]!r}"
        )
    return true
