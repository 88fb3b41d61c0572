"""Reading a run's tables: the rows a figure needs, or a plain refusal."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

Tables = Mapping[str, pd.DataFrame]

OF_A_QUANTITY = (
    *("quantity", "at", "at_unit", "value", "low", "high", "count", "method", "unit"),
    *("runs_effective", "warning"),
)
"""What a row of a sweep's results says of one quantity, and not of its point."""

_ESTIMATE = ("quantity", "at", "value", "low", "high")
_REFERENCE = ("quantity", "at", "name", "value")


def table(tables: Tables, name: str, columns: Iterable[str]) -> pd.DataFrame:
    """The named columns of a table that must have rows.

    Raises:
        ValueError: If the table is absent, empty or lacks a column; names the table.
    """
    if name not in tables:
        raise ValueError(
            f"table {name!r} is missing, got {', '.join(sorted(tables)) or 'none'}"
        )
    found = tables[name]
    if found.empty:
        raise ValueError(f"table {name!r} is empty: nothing to draw")
    wanted = list(columns)
    missing = [column for column in wanted if column not in found.columns]
    if missing:
        raise ValueError(f"table {name!r} lacks the column(s) {', '.join(missing)}")
    return found.loc[:, wanted].reset_index(drop=True)


def optional_table(tables: Tables, name: str, columns: Iterable[str]) -> pd.DataFrame:
    """As ``table``; an absent or empty table gives no rows instead of an error."""
    wanted = list(columns)
    if name not in tables or tables[name].empty:
        return pd.DataFrame({column: [] for column in wanted})
    return table(tables, name, wanted)


def where(rows: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    """The rows with ``value`` in ``column``, renumbered."""
    return rows.loc[rows[column] == value].reset_index(drop=True)


def read_points(tables: Tables, labels: Mapping[str, str]) -> pd.DataFrame:
    """The estimates of some quantities and the references beside them.

    Args:
        tables: ``estimates``, and ``references`` if there are any.
        labels: Quantity to what the legend calls it.

    Returns:
        quantity, label, layer ("estimate", "reference"), at, value, low, high.

    Raises:
        ValueError: If ``estimates`` is missing, empty or has none of the quantities.
    """
    estimates = table(tables, "estimates", _ESTIMATE)
    estimates = estimates.loc[estimates["quantity"].isin(list(labels))]
    estimates = estimates.dropna(subset=["at", "value"])
    if estimates.empty:
        raise ValueError(f"table 'estimates' has no rows of {' or '.join(labels)}")
    references = optional_table(tables, "references", _REFERENCE)
    references = references.loc[references["quantity"].isin(list(labels))]
    references = references.dropna(subset=["at", "value"])
    shared = references.groupby("name")["quantity"].transform("nunique") > 1
    names = references["name"].astype(str)
    own = references["quantity"].map(labels)
    columns = ["quantity", "label", "layer", "at", "value", "low", "high"]
    rows = [
        estimates.assign(layer="estimate", label=estimates["quantity"].map(labels)),
        references.assign(
            layer="reference",
            label=names.where(~shared, names + ": " + own),
            low=np.nan,
            high=np.nan,
        ),
    ]
    order = {quantity: place for place, quantity in enumerate(labels)}
    tidy = pd.concat([part for part in rows if len(part)], ignore_index=True)
    return tidy.sort_values(
        ["layer", "quantity", "label", "at"],
        key=lambda column: column.map(order) if column.name == "quantity" else column,
        ignore_index=True,
    ).loc[:, columns]
