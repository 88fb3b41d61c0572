"""A sweep's tidy results as what its page draws: dimensions, series, static tables.

Notation:
    point       one setting of the swept parameters; a row of a design
    dimension   a swept parameter; its values are the steps of a slider
    series      one number of every point: (quantity, at) over the points
    grid        a design with a point for most combinations of its values
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..parts.tables import OF_A_QUANTITY, table
from .quantities import label_of
from .scales import spread
from .sweep_charts import dimension_channels, dress, sweep_specs

# Shown instead of the other where both are swept: they are one setting in two units.
_SAME = {"p_1": "scheme.t_1", "p_2": "scheme.t_2"}
_PARAMETERS = {
    "p_1": "p₁, chance of a pre-hash",
    "p_2": "p₂, chance of a look's post-hash",
    "scheme.t_acc": "T_acc, accuracy target",
    "network.beta": "β, corrupted share",
    "network.delay_steps": "Δ, delay (steps)",
    "network.provers": "provers",
}
ROW = ("quantity", "at", "at_unit", "value", "low", "high", "count", "method", "unit")
# A map of a design that fills less of its grid would be mostly holes.
_LEAST_FILL = 0.5
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def sweep_data(points: pd.DataFrame) -> tuple[dict[str, Any], list[tuple]]:
    """What the script needs of a sweep, and tables that are shown without it.

    Args:
        points: ``point``, ``status`` (done, failed), ``error``, the parameters, then
            quantity, at, at_unit, value, low, high, count, method, unit.

    Raises:
        ValueError: If a column is missing, a point's parameters differ between its
            rows, a status is unknown, or a (point, quantity, at) is there twice.
    """
    tidy: Any = table({"points": points}, "points", points.columns)
    table({"points": points}, "points", ("point", "status", "error", *ROW))
    of_rows = {"point", "status", "error", *OF_A_QUANTITY}
    names = [name for name in tidy.columns if name not in of_rows]
    place, ids = pd.factorize(tidy["point"].astype(str))
    heads: Any = tidy.drop_duplicates("point").reset_index(drop=True)
    _same_within_points(tidy, names, place)
    unknown = sorted(set(heads["status"].astype(str)) - {"done", "failed"})
    if unknown:
        raise ValueError(f"points.status must be done or failed, got {unknown}")
    columns = {name: _factor(heads[name]) for name in names}
    swept = [name for name in names if len(columns[name][0]) > 1]
    twins = {
        _SAME[name]: name
        for name in swept
        if _SAME.get(name) in swept
        and _one_to_one(columns[name][1], columns[_SAME[name]][1])
    }
    dimensions = [
        _dimension(name, columns, twins) for name in swept if name not in twins
    ]
    sizes = math.prod(len(each["values"]) for each in dimensions)
    coded = {tuple(row) for row in zip(*(d["codes"] for d in dimensions), strict=True)}
    failed = heads["status"].eq("failed")
    errors = heads["error"].fillna("").astype(str).where(failed, "")
    rows = tidy.assign(place=place).loc[tidy["quantity"].fillna("").ne("")]
    series, quantities, methods = _series(rows, len(ids))
    # Points that share all swept values could not be told apart on a map.
    grid = len(coded) == len(ids) and len(ids) >= _LEAST_FILL * sizes
    for each in dimensions:
        each["channels"] = dimension_channels(each, grid=grid)
    dress(series, quantities, dimensions)
    data = {
        "kind": "sweep",
        "ids": ids,
        "failed": failed.astype(int).to_numpy(),
        "errors": dict(zip(("values", "codes"), _factor(errors), strict=True)),
        "dims": dimensions,
        "grid": grid,
        "specs": sweep_specs(quantities, series, grid=grid),
        "params": [
            {"name": name, "values": columns[name][0], "codes": columns[name][1]}
            if name in swept
            else {"name": name, "values": columns[name][0][:1], "codes": None}
            for name in names
        ],
        "quantities": quantities,
        "series": series,
        "methods": methods,
    }
    return data, _sweep_sections(heads, names, swept, columns, errors)


def _series(rows: pd.DataFrame, count: int) -> tuple[list, list, list]:
    twice = rows.duplicated(["place", "quantity", "at"])
    if twice.any():
        row = rows.loc[twice].iloc[0]
        raise ValueError(
            f"points: {row['quantity']} at {row['at']} of point {row['point']} is "
            "there twice"
        )
    methods, series, quantities = [], [], []
    for name, mine in rows.groupby("quantity", sort=False):
        label, scale = label_of(str(name))
        units = [str(mine[c].fillna("").iloc[0]) for c in ("unit", "at_unit")]
        quantities.append(
            {"name": name, "label": label, "scale": scale}
            | dict(zip(("unit", "at_unit"), units, strict=True))
        )
        groups: Any = mine.groupby("at", dropna=False)
        for at, some in groups:
            some = some.sort_values("place")
            numbers = _reader(some)
            texts = some["method"].fillna("").astype(str)
            methods += sorted(set(texts) - set(methods))
            where = some["place"].to_numpy()
            series.append(
                {
                    "q": len(quantities) - 1,
                    "at": None if pd.isna(at) else float(at),
                    # Without an index the k-th number is the k-th point's.
                    "index": None if len(where) == count else where,
                    "method": _constant(texts.map(methods.index).to_numpy()),
                    "count": _constant(numbers("count")),
                    **{c: numbers(c) for c in ("value", "low", "high")},
                }
            )
    return series, quantities, methods


def _reader(rows: pd.DataFrame) -> Callable[[str], np.ndarray]:
    return lambda column: rows[column].to_numpy(float, na_value=np.nan)


def _dimension(name: str, columns: Mapping, twins: Mapping[str, str]) -> dict:
    values, codes = columns[name]
    more = [""] * len(values)
    numbers = [_power_of_two(value) for value in values]
    if name.startswith("scheme.t_") and all(math.isfinite(n) for n in numbers):
        places, scale = numbers, "log2"
        texts = [
            f"2{format(math.log2(n), 'g').translate(_SUPERSCRIPTS)}" for n in places
        ]
    elif all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        places, texts = values, [_number_text(name, v) for v in values]
        scale = "log2" if name in _SAME else _evener(values)
    else:
        places, texts, scale = list(range(len(values))), list(map(str, values)), "text"
    other = [twin for twin, of in twins.items() if of == name]
    if other:
        # The two columns are one to one: a code of one is a code of the other.
        partner = dict(zip(codes, columns[other[0]][1], strict=True))
        shown = [columns[other[0]][0][partner[code]] for code in range(len(values))]
        word = other[0].removeprefix("scheme.")
        more = [f" ({word} = {_pretty_power(str(each))})" for each in shown]
    return {
        "name": name,
        "label": _PARAMETERS.get(name, name),
        "values": places,
        "texts": texts,
        "more": more,
        "scale": scale,
        "codes": codes,
    }


def _evener(values: Sequence[float]) -> str:
    """The scale on which a design's values stand more evenly."""
    places = np.asarray(values, float)
    if spread(places) == "linear":
        return "linear"

    def lopsided(on: np.ndarray) -> float:
        return abs(float((np.median(on) - on[0]) / (on[-1] - on[0])) - 0.5)

    return "log" if lopsided(np.log(places)) < lopsided(places) else "linear"


def _sweep_sections(heads, names, swept, columns, errors) -> list[tuple]:
    many = [
        (name, len(columns[name][0]), _listed(name, columns[name][0])) for name in swept
    ]
    fixed = [
        (name, str(columns[name][0][0]) if columns[name][0] else "")
        for name in names
        if name not in swept
    ]
    found = heads.assign(error=errors).loc[heads["status"].eq("failed")]
    failures = [
        (
            len(rows),
            str(error) or "no reason given",
            ", ".join(rows["point"].astype(str)),
        )
        for error, rows in found.groupby("error")
    ]
    failures.sort(key=lambda row: -row[0])
    return [
        ("Swept parameters", ("parameter", "values", "from … to"), many),
        ("Fixed parameters", ("parameter", "value"), fixed),
        ("Failed points", ("points", "error", "which"), failures),
    ]


def _listed(name: str, values: Sequence) -> str:
    if len(values) <= 8:
        return ", ".join(_number_text(name, value) for value in values)
    return f"{_number_text(name, values[0])} … {_number_text(name, values[-1])}"


def _number_text(name: str, value: Any) -> str:
    if not isinstance(value, int | float):
        return _pretty_power(str(value))
    power = math.log2(value) if name in _SAME and value > 0 else 0.5
    if abs(power - round(power)) < 1e-9:
        return f"2{format(round(power)).translate(_SUPERSCRIPTS)}"
    return f"{value:.6g}"


def _pretty_power(text: str) -> str:
    return re.sub(r"\^(-?\d+)", lambda found: found[1].translate(_SUPERSCRIPTS), text)


def _power_of_two(value: Any) -> float:
    found = re.fullmatch(r"2\^(-?[\d.]+)", str(value))
    return 2.0 ** float(found[1]) if found else math.nan


def _factor(column: pd.Series) -> tuple[list, np.ndarray]:
    """Distinct values in order, and each row's place among them."""
    column = column.infer_objects()
    if pd.api.types.is_numeric_dtype(column) and not column.isna().any():
        values, codes = np.unique(column.to_numpy(), return_inverse=True)
        return values.tolist(), codes
    texts = column.astype(object).where(column.notna(), "").map(str)
    distinct = sorted(set(texts), key=_natural)
    return distinct, texts.map({t: i for i, t in enumerate(distinct)}).to_numpy()


def _natural(text: str) -> tuple[int, float, str]:
    try:
        number = float(text)
    except ValueError:
        number = _power_of_two(text)
    return (0, number, text) if math.isfinite(number) else (1, 0.0, text)


def _one_to_one(left: np.ndarray, right: np.ndarray) -> bool:
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    return len(pairs) == len(set(left.tolist())) == len(set(right.tolist()))


def _same_within_points(tidy, names, place) -> None:
    starts = np.unique(place, return_index=True)[1]
    for name in ["status", *names]:
        codes = pd.factorize(tidy[name], use_na_sentinel=False)[0]
        differs = codes != codes[starts][place]
        if differs.any():
            point = tidy["point"].iloc[int(np.argmax(differs))]
            raise ValueError(f"points.{name} differs between the rows of point {point}")


def _constant(values: np.ndarray) -> Any:
    same = len(values) > 0 and bool((values == values[0]).all())
    return values[0].item() if same else values
