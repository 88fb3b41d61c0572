"""The points of a sweep: what was set in each, as columns of its table."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..config.experiment import Config
from .design import Design, text

FORMAT = 1
_META = b"dpodl.sweep"
_ALWAYS = (
    "scheme.t_acc",
    "scheme.t_1",
    "scheme.t_2",
    "p_1",
    "p_2",
    "network.provers",
    "network.beta",
    "network.delay_steps",
)


# What the columns of a plan are, beside the parameters.
_TOLD = frozenset({"point", "key", "group", "label", "error"})


# What the columns above say already.
_SAID = {"scheme.p_1", "scheme.p_2"}


def parameter_names(design: Design) -> list[str]:
    """The columns of a point's parameters: some always, then all that is swept."""
    swept = [axis.path for axis in design.axes]
    return [*_ALWAYS, *(p for p in swept if p not in _ALWAYS and p not in _SAID)]


def parameters(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """A point's parameters; what is no number is text, as JSON."""
    scheme, net = config.scheme, config.network
    targets = config.model_dump(mode="json", include={"scheme": {"t_1", "t_2"}})
    always = {
        "scheme.t_acc": scheme.t_acc,
        **{f"scheme.{name}": target for name, target in targets["scheme"].items()},
        "p_1": scheme.p_1,
        "p_2": scheme.p_2,
        "network.provers": net.provers,
        "network.beta": net.beta,
        "network.delay_steps": net.delay_steps,
    }
    return {name: value for name, value in values.items() if name not in _SAID} | always


def points_table(
    design: Design,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Sequence[str]],
) -> pa.Table:
    """The points as a table.

    Args:
        design: Them.
        rows: ``parameters`` of each.
        columns: Texts of each by name: key, group, label, error.
    """
    names = parameter_names(design)
    arrays = {"point": pa.array(range(len(rows)), pa.int64())}
    arrays |= {n: pa.array(c, pa.string()) for n, c in columns.items()}
    arrays |= {name: _column([row.get(name) for row in rows]) for name in names}
    facts = json.dumps({"format": FORMAT, "parameters": names}, sort_keys=True)
    return pa.table(arrays).replace_schema_metadata({_META: facts.encode()})


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    small = all(abs(v) < 2**63 for v in values if isinstance(v, int))
    if kinds <= {int} and small:
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and small:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([None if v is None else text(v) for v in values], pa.string())
