"""Figure: really mined blocks against what the law predicts of them.

Above, one panel a mined chain: how its block intervals are distributed, beside the
prediction for the same settings. The band holds 95 % of chains of that length, all the
way, if the model is right (a Kolmogorov–Smirnov band that also knows the sampling
error of the training runs behind the law). Below, mined over predicted for each
number, which is 1 where they agree. Shares of wins are shown where provers differ, all
but the last one's, which follows from the others; of equal provers the χ² test says it.

Tables (analysis/agreement/comparison.py makes their rows):
    ``mined_intervals``   run, time (steps), mined, predicted, low, high: what
                          ``interval_curves`` returns; Pr[interval > time]
    ``agreement``         run, quantity, mined, mined_se, predicted, predicted_se, z,
                          p_value, count (mined levels), method: ``Comparison``

``run`` is the name of a mined chain, as the reader is to see it.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from .parts.legends import add_legend
from .parts.tables import Tables, table, where
from .style import BASELINE, Look, look, new_figure, styled

_CURVES = ("run", "time", "mined", "predicted", "low", "high")
_NUMBERS = ("run", "quantity", "mined", "mined_se", "predicted", "predicted_se")
_LABELS = {
    "interval_mean": "mean interval",
    "interval_cv": "CV of intervals",
    "stale_rate": "stale-block rate",
    "winner_repeats": "same winner twice",
}
_SHARE = "winner_share_"
_TESTS = {"interval_ks": "KS", "winner_chi2": "winners $\\chi^2$"}
_SIGMAS = 1.96
_DASHES = (0, (5, 1.5))


def data(tables: Tables) -> pd.DataFrame:
    """Interval distributions, ratios with 95 % intervals, and the tests' p-values.

    Args:
        tables: ``mined_intervals`` and ``agreement``; the latter's first row of a
            quantity counts where a run has several.

    Returns:
        ``layer`` "curve": run, time (steps), mined, predicted, low, high;
        ``layer`` "ratio": run, quantity, label, value, low, high;
        ``layer`` "test": run, label, value (p-value), count (mined levels).
        Runs in the order of ``mined_intervals``.

    Raises:
        ValueError: If a table is missing or empty, or a run is not in both.
    """
    curves = table(tables, "mined_intervals", _CURVES)
    rows = table(tables, "agreement", (*_NUMBERS, "p_value", "count"))
    names = list(dict.fromkeys(curves["run"]))
    for name in names:
        if name not in set(rows["run"]):
            raise ValueError(f"table 'agreement' lacks the run {name!r}")
    for name in set(rows["run"]) - set(names):
        raise ValueError(f"table 'mined_intervals' lacks the run {name!r}")
    rows = rows.drop_duplicates(["run", "quantity"])
    tests = rows.loc[rows["quantity"].isin(list(_TESTS))]
    parts = [
        curves.assign(layer="curve"),
        _ratios(rows),
        pd.DataFrame(
            {
                "layer": "test",
                "run": tests["run"],
                "label": [_TESTS[quantity] for quantity in tests["quantity"]],
                "value": tests["p_value"],
                "count": tests["count"],
            }
        ),
    ]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Survival of the intervals run by run, ratios with error bars below."""
    curves, ratios = where(df, "layer", "curve"), where(df, "layer", "ratio")
    names = list(dict.fromkeys(curves["run"]))
    looks = {name: look(place) for place, name in enumerate(names)}
    labels = list(dict.fromkeys(ratios["label"])) if len(ratios) else []
    heights = [1.15] * len(names) + [0.55 + 0.12 * max(len(ratios), 1)]
    figure = new_figure(sum(heights))
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)
    *uppers, lower = panels[:, 0]
    for axes, name in zip(uppers, names, strict=True):
        tests = where(where(df, "layer", "test"), "run", name)
        _draw_curve(axes, where(curves, "run", name), looks[name])
        _name(axes, name, tests, looks[name])
    uppers[-1].set_xlabel("Block interval $t$ (steps)")
    _draw_ratios(lower, ratios, labels, looks)
    add_legend(
        figure,
        [
            Line2D([], [], color=BASELINE.color, linewidth=0.9),
            Line2D([], [], color="0.45", linestyle=_DASHES, linewidth=0.9),
            Patch(facecolor="0.85", linewidth=0),
        ],
        ["mined", "predicted", "95 % of predicted chains stay all inside"],
        title="one colour a mined chain; bars: 95 % interval",
    )
    return figure


def _ratios(rows: pd.DataFrame) -> pd.DataFrame:
    named = rows["quantity"].isin(list(_LABELS))
    rows = rows.loc[(named | _telling(rows)) & (rows["predicted"] > 0)]
    value = rows["mined"] / rows["predicted"]
    # Of a ratio of independent errors, to first order; mined 0 keeps its own error.
    error = np.hypot(
        rows["mined_se"] / rows["predicted"],
        value * rows["predicted_se"] / rows["predicted"],
    )
    names = [str(quantity) for quantity in rows["quantity"]]
    labels = [
        _LABELS.get(name, f"wins, prover {name.removeprefix(_SHARE)}") for name in names
    ]
    ratios = pd.DataFrame(
        {
            "layer": "ratio",
            "run": rows["run"],
            "quantity": rows["quantity"],
            "label": labels,
            "value": value,
            "low": value - _SIGMAS * error,
            "high": value + _SIGMAS * error,
        }
    )
    order = [*_LABELS.values()]
    return ratios.sort_values(
        "label",
        key=lambda column: column.map(
            lambda label: order.index(label) if label in order else len(order)
        ),
        kind="stable",
    )


def _telling(rows: pd.DataFrame) -> pd.Series:
    """Which rows are shares of wins worth showing."""
    shares = rows["quantity"].astype(str).str.startswith(_SHARE)
    telling = pd.Series(False, index=rows.index)
    for _, own in rows.loc[shares].groupby("run"):
        predicted = own["predicted"].to_numpy(float)
        # Simulated shares of equals differ a little.
        if predicted.max() > 1.1 * predicted.min():
            telling.loc[own.index[:-1]] = True
    return telling


def _draw_curve(axes: Axes, curve: pd.DataFrame, style: Look) -> None:
    axes.fill_between(
        curve["time"], curve["low"], curve["high"], color=style.color, alpha=0.22, lw=0
    )
    axes.plot(
        curve["time"],
        curve["predicted"],
        color=style.color,
        linestyle=_DASHES,
        linewidth=0.9,
    )
    axes.plot(
        curve["time"],
        curve["mined"],
        color=BASELINE.color,
        drawstyle="steps-post",
        linewidth=0.9,
    )
    axes.set_xlim(0, curve["time"].to_numpy(float).max())
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0.0, 0.5, 1.0])
    axes.xaxis.set_major_locator(MaxNLocator(6, prune="upper"))
    axes.set_ylabel("Pr[interval > $t$]")
    # It would run through the text.
    axes.grid(visible=False)


def _name(axes: Axes, name: str, tests: pd.DataFrame, style: Look) -> None:
    lines = [name]
    if len(tests):
        lines.append(f"{int(tests['count'].iloc[0])} levels")
        lines += [
            f"{row['label']}: $p$ = {_short(row['value'])}"
            for row in tests.to_dict("records")
        ]
    handle = Line2D([], [], color=style.color, marker=style.marker, linestyle="none")
    # Survival falls: up there on the right is room.
    axes.legend(
        [handle],
        ["\n".join(lines)],
        loc="upper right",
        handlelength=1.0,
        handletextpad=0.3,
        borderaxespad=0.1,
    )


def _short(p: float) -> str:
    return f"{p:.2f}" if p >= 0.005 else f"{p:.1g}"


def _draw_ratios(
    axes: Axes, ratios: pd.DataFrame, labels: list[str], looks: dict[str, Look]
) -> None:
    axes.axvline(1.0, color="black", linewidth=0.6)
    for name, style in looks.items():
        rows = where(ratios, "run", name) if len(ratios) else ratios
        for row in rows.to_dict("records"):
            place = labels.index(row["label"])
            others = [n for n in looks if _has(ratios, n, row["label"])]
            aside = 0.22 * (others.index(name) - (len(others) - 1) / 2)
            axes.errorbar(
                row["value"],
                place + aside,
                xerr=[[row["value"] - row["low"]], [row["high"] - row["value"]]],
                color=style.color,
                marker=style.marker,
                linestyle="none",
                elinewidth=0.8,
            )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", left=False)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Mined / predicted")


def _has(ratios: pd.DataFrame, name: str, label: str) -> bool:
    return bool(((ratios["run"] == name) & (ratios["label"] == label)).any())
