"""Figure: what it costs to check a proof, and to forge one, by its checkpoints.

Notation (docs/science/verification.md; experiments/mining/verification_cost.py)
    q           segments that are drawn and trained again; the last one always is
    n           segments of the proof
    tries       1/(1 − detection), expected re-rolls of the checkpoints' root until a
                proof with one forged segment passes; infinite where all are checked

Above, time to verify over time to train: medians, bars from quartile to quartile of
the verification's repeats. Middle, expected tries of the forger: exact. Below, bytes
that a verifier reads, and that the prover stores.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from .parts.legends import add_legend
from .parts.series import number_axis, sample
from .parts.tables import Tables, table, where
from .style import BASELINE, Look, look, new_figure, styled

_TIMES = ("training_seconds", "verification_seconds")
_ENDS = ("verification_low", "verification_high")
_COLUMNS = ("architecture", "steps", "checkpoint_every", "segments", "challenges")
_BYTES = ("proof_bytes", "storage_bytes")
_MOST = 6


def data(tables: Tables) -> pd.DataFrame:
    """Costs by the distance of checkpoints and the segments that are drawn.

    Args:
        tables: ``verification_cost``.

    Returns:
        architecture, steps, checkpoint_every, segments, q, all (whether q is all of
        them), ratio, low, high (verification over training; quartiles), rerolls
        (expected tries), proof_bytes, storage_bytes.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
    """
    columns = (*_COLUMNS, *_TIMES, *_ENDS, "rerolls_one", *_BYTES)
    rows = table(tables, "verification_cost", columns)
    training = rows["training_seconds"]
    return pd.DataFrame(
        {
            "architecture": rows["architecture"],
            "steps": rows["steps"],
            "checkpoint_every": rows["checkpoint_every"],
            "segments": rows["segments"],
            "q": rows["challenges"],
            "all": rows["challenges"] >= rows["segments"],
            "ratio": rows["verification_seconds"] / training,
            "low": rows["verification_low"] / training,
            "high": rows["verification_high"] / training,
            "rerolls": rows["rerolls_one"].astype(float),
            **{name: rows[name].astype(float) for name in _BYTES},
        }
    )


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Three panels over the distance of checkpoints, one series for each q."""
    figure = new_figure(4.0)
    panels = figure.subplots(3, 1, sharex=True)
    ratio, tries, size = panels
    handles, labels = [], []
    some = df.loc[~df["all"]]
    counts = sorted(some["q"].unique())[:_MOST]
    sets = [(where(some, "q", q), look(i), f"q = {q:g}") for i, q in enumerate(counts)]
    every = df.loc[df["all"]]
    whole = Look(BASELINE.color, BASELINE.dashes, "X")
    sets.append((every, whole, "all, none passes"))
    for rows, style, text in sets:
        if rows.empty:
            continue
        rows = rows.sort_values("checkpoint_every")
        at = rows["checkpoint_every"]
        bars = [rows["ratio"] - rows["low"], rows["high"] - rows["ratio"]]
        _line(ratio, at, rows["ratio"], style, bars=np.maximum(bars, 0))
        finite = rows.loc[np.isfinite(rows["rerolls"])]
        _line(tries, finite["checkpoint_every"], finite["rerolls"], style)
        _line(size, at, rows["proof_bytes"] / 1e6, style)
        handles.append(sample(style))
        labels.append(f"drawn: {text}")
    stored = df.drop_duplicates("checkpoint_every").sort_values("checkpoint_every")
    size.plot(
        stored["checkpoint_every"],
        stored["storage_bytes"] / 1e6,
        color="0.35",
        linestyle=":",
        linewidth=1.2,
    )
    handles.append(Line2D([], [], color="0.35", linestyle=":", linewidth=1.2))
    labels.append("stored by the prover")
    ratio.axhline(1.0, color="0.35", linewidth=0.6)
    handles.append(Line2D([], [], color="0.35", linewidth=0.6))
    labels.append("as long as training")
    _set_axes(ratio, tries, size, df)
    head = df.iloc[0]
    title = f"{head['architecture']}, {head['steps']:g} steps; bars: quartiles of time"
    add_legend(figure, handles, labels, title=title)
    return figure


def _line(axes: Axes, x, y, style: Look, *, bars=None) -> None:
    axes.errorbar(
        x,
        y,
        yerr=bars,
        color=style.color,
        marker=style.marker,
        linestyle=style.dashes,
        linewidth=0.7,
        elinewidth=0.8,
    )


def _set_axes(ratio: Axes, tries: Axes, size: Axes, df: pd.DataFrame) -> None:
    number_axis(
        ratio, float(np.nanmin(df["low"])), max(1.0, float(np.nanmax(df["high"])))
    )
    finite = df.loc[np.isfinite(df["rerolls"]), "rerolls"]
    number_axis(tries, 1.0, float(np.max(finite)) if len(finite) else 2.0)
    sizes = df[list(_BYTES)].to_numpy(float) / 1e6
    number_axis(size, float(sizes[sizes > 0].min(initial=1.0)), float(sizes.max()))
    places = sorted(df["checkpoint_every"].unique())
    size.set_xscale("log")
    size.xaxis.set_major_locator(FixedLocator(places))
    size.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
    size.xaxis.set_minor_formatter(NullFormatter())
    size.set_xlim(places[0] / 1.2, places[-1] * 1.2)
    ratio.set_ylabel("Verifying /\ntraining (time)")
    tries.set_ylabel("Tries to pass one\nforged segment")
    size.set_ylabel("Size (MB)")
    size.set_xlabel("Steps between checkpoints")
