"""Block or solve times that were measured elsewhere, one a row.

* Times are > 0, in any unit: it is the unit of every step of the config then
  (``network.delay_steps``), and ``clock.seconds_per_step`` says what it is in seconds.
* A column ``censored`` marks attempts that were cut off at their time; one called
  ``solved``, ``event`` or ``observed`` says the opposite.
* Rows without a time are left out, with a warning.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..config.section import ConfigError
from .tables import (
    Source,
    columns_of,
    find_column,
    flags_of,
    numbers_of,
    plain_name,
    read_source,
    table_of,
)

_TIME = (
    *("time", "times", "blocktime", "solvetime", "duration", "interval", "seconds"),
    *("steps", "minutes", "hours", "elapsed", "timetosolve", "value"),
)
_CENSORED = ("censored", "censor", "timeout", "timedout", "cutoff")
_ENDED = ("solved", "event", "observed", "success", "ended")


class TimeList(NamedTuple):
    """What a file of times holds.

    Attributes:
        source: The file.
        times: Of the attempts.
        censored: Whether each was cut off.
        warnings: What was done to read it.
    """

    source: Source
    times: np.ndarray
    censored: np.ndarray
    warnings: tuple[str, ...]


def read_times(path: Path | str, columns: Mapping[str, str] | None = None) -> TimeList:
    """Read a file of measured times.

    Args:
        path: CSV or Parquet, or a shipped example's name.
        columns: Role → column (time, censored) where names are not recognised.

    Raises:
        ConfigError: Naming what is wrong, and the row.
    """
    named, source = dict(columns or {}), read_source(path)
    table = table_of(source)
    name = find_column(source, table, "time", named=named, known=_TIME)
    if name is None:
        raise ConfigError(
            f"{source.name} has no column that is known as the time: name it, "
            f"law.columns = {{time = ...}}; it has {columns_of(table)}"
        )
    times = numbers_of(source, table[name], "time")
    flag = find_column(
        source, table, "censored", named=named, known=(*_CENSORED, *_ENDED)
    )
    censored, warnings = np.zeros(len(times), bool), []
    if flag is not None:
        censored = flags_of(source, table[flag], "censored")
        if plain_name(flag) in _ENDED:
            censored = ~censored
            warnings.append(f"the column {flag!r} says which attempts ended")
    known = np.isfinite(times)
    if not known.all():
        warnings.append(f"{int((~known).sum())} rows without a time are left out")
    wrong = known & ~(times > 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ConfigError(
            f"{source.name}, row {row + 1}: a time must be > 0, got {times[row]:g}"
        )
    times, censored = times[known], censored[known]
    if censored.any():
        warnings.append(
            f"{int(censored.sum())} of {len(times)} attempts were cut off: they count "
            "up to then"
        )
    return TimeList(source, times, censored, tuple(warnings))
