"""What no table of results can hold, however it came there.

A digest says that a file is what was written; these bounds also hold where nobody kept
a digest, as in a table that was exported and edited by hand.
"""

from typing import Any

import numpy as np
import pandas as pd

from ...models.errors import UserError

SHARES = frozenset(
    {"accuracy", "survival", "t_acc", "scheme.t_acc", "p_1", "p_2", "beta"}
    | {"network.beta", "quality", "p_value"}
)
"""Columns between 0 and 1."""

COUNTS = frozenset(
    {"count", "runs", "reached", "run", "step", "batch_size", "network.provers"}
    | {"time", "mean", "mean_low", "mean_seconds", "sd_seconds", "cv"}
    | {"network.delay_steps", "s_min", "provers"}
)
"""Columns at least 0."""

_NUMBERS = SHARES | COUNTS | {"value", "low", "high", "at", "mean_high", "loss"}
_PROBABILITY = ("value", "low", "high")
_SLACK = 1e-9  # of the last digits of a sum


class Changed(UserError):
    """A stored file is not what was written; says which, and how to have it again."""


def check_possible(table: pd.DataFrame, where: str) -> None:
    """Refuse a table that holds what cannot be.

    Args:
        table: Of results; columns of other names are not looked at. What is not a
            number where none is needed is no fault.
        where: Its file, for the message.

    Raises:
        Changed: If a column of numbers holds text, a share or a probability lies
            outside [0, 1], a count is negative, or an interval's ends are the wrong
            way round; names the row.
    """
    if not table.columns.is_unique:
        raise Changed(f"{where}: two columns have one name; it is no table of dpodl's")
    for name in table.columns:
        if name in _NUMBERS:
            values = _numbers(table[name], where)
            if name in SHARES:
                _refuse(where, name, values, _outside(values), "lies in [0, 1]")
            if name in COUNTS:
                _refuse(where, name, values, values < 0, "is never negative")
    if "unit" in table:
        sure = (table["unit"] == "probability").to_numpy(bool, na_value=False)
        for name in _PROBABILITY:
            if name in table:
                values = _numbers(table[name], where)
                wrong = sure & _outside(values)
                _refuse(where, name, values, wrong, "of a probability lies in [0, 1]")
    if {"low", "high"} <= set(table.columns):
        low, high = (_numbers(table[name], where) for name in ("low", "high"))
        wrong = low > high + _SLACK * (1 + np.abs(high))
        _refuse(where, "low", low, wrong, "is never above high")


def _numbers(column: Any, where: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column.dtype) and not column.isna().all():
        raise Changed(
            f"{where}: the column {column.name} holds what is no number: it was "
            "changed, is damaged, or is no table of dpodl's"
        )
    return column.to_numpy(float, na_value=np.nan)


def _outside(values: np.ndarray) -> np.ndarray:
    return (values < -_SLACK) | (values > 1 + _SLACK)


def _refuse(where: str, name: str, values, wrong: np.ndarray, rule: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise Changed(
            f"{where}, row {row + 1}: {name} {rule}, found {values[row]:.6g}: it was "
            "changed, or is damaged"
        )
