"""Two sweeps, point by point, where their points correspond."""

import tomllib
from pathlib import Path

import pandas as pd

from ...analysis.estimation.estimate import Estimate
from ..config.section import ConfigError
from ..sweep.results import results_frame
from ..sweep.store import SweepStore
from .comparison import Comparison, difference_row, settings_that_differ

_KNOWN = (
    *("point", "status", "error", "quantity", "at", "at_unit", "value", "low", "high"),
    *("count", "method", "unit", "runs_effective", "warning", "changed"),
)
_ALSO = ["quantity", "at", "at_unit", "unit"]


def compared_sweeps(
    first: Path, second: Path, *, accept_changed: bool = False
) -> Comparison:
    """Compare two sweeps at the points that both have.

    Points correspond where all that varies in either sweep is the same.

    Raises:
        ConfigError: If no point of one is a point of the other.
        Changed: If a file is not what was written.
    """
    stores = [
        SweepStore(path, accept_changed=accept_changed) for path in (first, second)
    ]
    frames = [results_frame(store) for store in stores]
    done = [frame[frame["status"] == "done"] for frame in frames]
    axes = [
        name
        for name in frames[0].columns
        if name not in _KNOWN
        and name in frames[1].columns
        and any(frame[name].nunique(dropna=False) > 1 for frame in frames)
    ]
    if not axes:
        raise ConfigError(
            f"{first} and {second} vary nothing that both have: their points do not "
            "correspond"
        )
    joined = done[0].merge(
        done[1], on=[*axes, *_ALSO], suffixes=("_first", "_second"), how="inner"
    )
    if joined.empty:
        raise ConfigError(
            f"{first} and {second} have no point in common in {', '.join(axes)}"
        )
    rows = []
    for row in joined.to_dict("records"):
        one, other = (
            Estimate(
                float(row[f"value_{which}"]),
                float(row[f"low_{which}"]),
                float(row[f"high_{which}"]),
                int(row[f"count_{which}"]),
                str(row[f"method_{which}"]),
            )
            for which in ("first", "second")
        )
        head = {name: row[name] for name in [*axes, *_ALSO]}
        head |= {"first": one.value, "second": other.value}
        rows.append(head | difference_row(one, other, str(row["quantity"])))
    told = (
        "standard errors are those of independent runs: a sweep keeps no figure under "
        "each resample"
    )
    texts = [
        tomllib.loads(store.folder.read("sweep.toml").decode()) for store in stores
    ]
    return Comparison(
        settings_that_differ(*texts),
        pd.DataFrame(columns=["setting", "first", "second"]),
        pd.DataFrame(rows),
        told,
        [text for store in stores for text in store.folder.changed],
    )
