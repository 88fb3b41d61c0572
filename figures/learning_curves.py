"""Figure: training accuracy against step, with the targets T_acc.

Notation:
    acc_i(t)     accuracy of run i after t steps
    1 − acc      training error; the axis is asinh((1 − acc)/w): logarithmic where
                 the error is large against w, linear below, so that accuracy 1 (an
                 error of 0) has a place on it
"""

import numpy as np
import pandas as pd
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from .parts.legends import add_legend
from .parts.tables import Tables, table, where
from .style import look, new_figure, spaced, styled

_COLUMNS = ("layer", "architecture", "run", "step", "accuracy", "low", "high")
# The preferred first.
_TICKS = (1, 0.99, 0.9, 0.5, 0.999, 0.1, 0.95, 0.8, 0.98, 0.995, 0.998, 0.9999, 0)
# Least distance of two labels, as a share of the axis.
_LABEL_GAP = 0.055


def data(tables: Tables) -> pd.DataFrame:
    """Runs, their 10–90 % band by architecture, and the targets.

    Args:
        tables: ``curves`` and ``law_summary``.

    Returns:
        One row a point. ``layer`` is "run" (accuracy of one run), "band" (accuracy
        is the median of the architecture's runs, low and high their 10 % and 90 %
        quantiles; only at steps where all of them were looked at) or "target"
        (accuracy is a T_acc).

    Raises:
        ValueError: If a table is missing or empty.
    """
    curves = table(tables, "curves", ("run", "architecture", "step", "accuracy"))
    curves = curves.sort_values(["architecture", "run", "step"], ignore_index=True)
    summary = table(tables, "law_summary", ("t_acc",))
    targets = np.unique(summary["t_acc"].dropna().to_numpy(float))
    parts = [
        curves.assign(layer="run"),
        *(_band(runs, str(name)) for name, runs in curves.groupby("architecture")),
        pd.DataFrame({"layer": "target", "accuracy": targets}),
    ]
    records = [part.reindex(columns=_COLUMNS).to_dict("records") for part in parts]
    rows = pd.DataFrame([row for part in records for row in part], columns=_COLUMNS)
    return rows.astype({"run": "Int64", "step": "Int64"})


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Runs thin and light, medians bold over their bands, targets across."""
    figure = new_figure(2.5)
    axes = figure.add_subplot()
    runs, bands = where(df, "layer", "run"), where(df, "layer", "band")
    targets = where(df, "layer", "target")["accuracy"].to_numpy(float)
    _set_axes(axes, runs, targets)
    for index, (name, some) in enumerate(runs.groupby("architecture")):
        band = where(bands, "architecture", name)
        _draw_architecture(axes, index, str(name), some, band)
    _draw_targets(axes, targets)
    add_legend(
        figure,
        *axes.get_legend_handles_labels(),
        title="median and 10–90 % band of n training runs",
    )
    return figure


def _band(runs: pd.DataFrame, architecture: str) -> pd.DataFrame:
    looks = runs.pivot(index="step", columns="run", values="accuracy").dropna()
    low, median, high = np.quantile(looks.to_numpy(float), (0.1, 0.5, 0.9), axis=1)
    return pd.DataFrame(
        {
            "layer": "band",
            "architecture": architecture,
            "step": looks.index.to_numpy(),
            "accuracy": median,
            "low": low,
            "high": high,
        }
    )


def _draw_architecture(
    axes: Axes, index: int, name: str, runs: pd.DataFrame, band: pd.DataFrame
) -> None:
    color, dashes, _ = look(index)
    lines = [
        np.column_stack([run["step"].to_numpy(float), 1 - run["accuracy"]])
        for _, run in runs.groupby("run")
    ]
    axes.add_collection(
        LineCollection(lines, colors=color, linewidths=0.3, alpha=0.25, zorder=2)
    )
    step = band["step"].to_numpy(float)
    axes.fill_between(
        step, 1 - band["low"], 1 - band["high"], color=color, alpha=0.15, lw=0, zorder=3
    )
    axes.plot(
        step,
        1 - band["accuracy"],
        color=color,
        linestyle=dashes,
        linewidth=1.3,
        zorder=5,
        label=f"{name} (n = {len(lines)})",
        path_effects=[patheffects.withStroke(linewidth=2.2, foreground="white")],
    )


def _set_axes(axes: Axes, runs: pd.DataFrame, targets: np.ndarray) -> None:
    # The linear part ends at the highest target: that is where the reader looks.
    width = float(np.clip(1 - targets.max(initial=0.99), 0.001, 0.01))
    error = 1 - np.concatenate([runs["accuracy"].to_numpy(float), targets])
    worst = float(error.max(initial=2 * width))
    axes.set_yscale("asinh", linear_width=width)
    axes.set_ylim(1.05 * worst, -0.15 * width)
    # Learning rates differ by decades, and with them the time to a target.
    step = runs["step"].to_numpy(float)
    axes.set_xscale("log")
    axes.set_xlim(step[step > 0].min(), step.max())
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(FixedLocator(_ticks(width, worst)))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{1 - error:.6g}"))
    axes.set_xlabel("Training time (steps)")
    axes.set_ylabel("Training accuracy")


def _ticks(width: float, worst: float) -> list[float]:
    errors = [1.0 - accuracy for accuracy in _TICKS if 1.0 - accuracy <= worst + 1e-9]
    places = [float(np.arcsinh(error / width)) for error in errors]
    gap = 1.3 * _LABEL_GAP * float(np.arcsinh(worst / width))
    return [errors[index] for index in spaced(places, gap)]


def _draw_targets(axes: Axes, targets: np.ndarray) -> None:
    to_axes = axes.transData + axes.transAxes.inverted()
    free = -np.inf
    for target in targets:
        axes.axhline(1 - target, color="black", linewidth=0.6, zorder=4)
        place = float(to_axes.transform((0.0, 1 - target))[1])
        # Labels of targets that lie close are pushed up, one above the other.
        free = max(place, free + _LABEL_GAP)
        axes.text(
            1.015,
            free,
            f"{target:g}",
            transform=axes.transAxes,
            va="center_baseline",
            ha="left",
        )
    if len(targets):
        axes.text(
            1.015,
            max(1.03, free + _LABEL_GAP),
            r"$T_\mathrm{acc}$",
            transform=axes.transAxes,
            va="center",
            ha="left",
        )
