r"""Figure: how fast bad periods become rare, and where that rate was measured.

SLT23's Lemma 1 has Pr[bad] = e^{−Ω(ε²kp)} for independent rounds. Above, one setting:
the real chain's windows, and independent rounds with the same E[X], E[Y], E[Z] a round,
exactly; a fitted exponential only where its own test leaves room for one. Below, the
slope c between neighbouring lengths, for both; and where a sweep has constants, these.

Notation (SLT23 §5; docs/science/good-periods.md, "How fast bad windows become rare")
    kp      expected honest blocks of a window of k rounds
    c       slope of −ln Pr[bad] over ε² kp
    p       E[X_r], rounds with an honest success; k = kp / p rounds

Source of the exact curve: ``analysis.bounds.rounds.good_window`` (SLT23 Def. 3,
independent rounds).
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator

from ..analysis.bounds.rounds import good_window
from .parts.legends import add_legend
from .parts.needs import Lacking
from .parts.parameters import first_of, parameter_of, read_sweep, slice_of, swept
from .parts.series import draw_series, number_axis, set_parameter_axis, with_fixed
from .parts.tables import Tables, where
from .style import BASELINE, Look, look, new_figure, styled

_RATES = ("round_success", "round_single_success", "round_adversarial")
_FIT = ("decay_constant", "decay_constant_iid", "decay_fit_p_value")
_SLOPES = ("decay_slope", "decay_slope_iid")
# What a run has and a sweep has not: it says whether decay was asked for at all.
_DETAIL = "isolated_rate"
_EPSILON = "security.epsilon"
_ACROSS = ("scheme.t_acc", "scheme.t_2", "scheme.t_1", "network.delay_steps")
# As the fit: where a probability is nearer to 1 it cannot decay exponentially.
_CEILING = 0.5
_IDEAL = Look(BASELINE.color, (0, (4, 1.5)), "D")


def data(tables: Tables) -> pd.DataFrame:
    """Decay and its slopes at one point, and the constants over a swept parameter.

    The point is the middle one, of the slice that is shown, that has measured slopes.

    Args:
        tables: ``points``; the column ``security.epsilon`` has ε, without which there
            are no lines.

    Returns:
        ``layer`` "window": at (kp), value, low, high, Pr[bad] of single windows;
        "fit": the fitted line, if one fits; "iid": independent rounds (at, value);
        "slope" and "slope_iid": c between two lengths, at the kp between them;
        "constant" and "constant_iid": at (value of the parameter ``across``, which is
        empty where nothing is swept), value, low, high: c.
        ``about`` says which point, ``fixed`` what the slice has in common, ``note``
        its constant, or why it has none.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If no point has a good-period probability.
    """
    names = ("good_period", *_RATES, *_FIT, *_SLOPES, _DETAIL)
    rows = read_sweep(tables, names)
    names = first_of(swept(rows), _ACROSS)
    across = names[0] if names else ""
    rows, fixed = slice_of(rows, [across] if across else [])
    chosen = _middle(rows)
    mine = where(rows, "point", chosen)
    epsilon = float(mine[_EPSILON].iloc[0]) if _EPSILON in mine else math.nan
    about = ""
    if across:
        here = pd.DataFrame({across: rows[across], "across": across})
        about = parameter_of(here, "across", across).text(mine[across].iloc[0])
    parts = [_windows(mine), _fit(mine, epsilon), _independent(mine, epsilon)]
    for layer, name in (("slope", _SLOPES[0]), ("slope_iid", _SLOPES[1])):
        some = where(mine, "quantity", name).sort_values("at")
        parts.append(some[["at", "value", "low", "high"]].assign(layer=layer))
    for layer, name in (("constant", _FIT[0]), ("constant_iid", _FIT[1])):
        some = where(rows, "quantity", name)
        at = some[across] if across else np.nan
        parts.append(some[["value", "low", "high"]].assign(layer=layer, at=at))
    tidy = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return tidy.assign(across=across, about=about, fixed=fixed, note=_note(mine)).loc[
        :, ["layer", "across", "at", "value", "low", "high", "about", "fixed", "note"]
    ]


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """The decay above; below it its slopes, and its constants where swept."""
    constants = df["layer"].isin(["constant", "constant_iid"])
    swept_too = bool(df["across"].iloc[0]) and bool(constants.any())
    slopes = bool((df["layer"] == "slope").any())
    figure = new_figure(2.2 + 1.6 * slopes + 1.7 * swept_too)
    rows = 1 + slopes + swept_too
    panels = list(np.atleast_1d(np.asarray(figure.subplots(rows, 1))))
    handles, labels = _draw_decay(panels[0], df)
    if slopes:
        _draw_slopes(panels[1], df)
        panels[1].set_xlim(panels[0].get_xlim())
    if swept_too:
        _draw_constants(panels[-1], df)
    title = with_fixed("bars: 95 % interval", df)
    add_legend(figure, handles, labels, title=title)
    return figure


def _middle(rows: pd.DataFrame) -> object:
    """The middle of the points that have slopes, or, without any, windows."""
    for name in (_SLOPES[0], "good_period"):
        there = rows.loc[rows["quantity"] == name, "point"].unique()
        if len(there):
            return there[len(there) // 2]
    raise Lacking("no point of the slice has a number for good_period")


def _windows(mine: pd.DataFrame) -> pd.DataFrame:
    rows = where(mine, "quantity", "good_period").sort_values("at")
    return pd.DataFrame(
        {
            "layer": "window",
            "at": rows["at"],
            "value": 1 - rows["value"],
            "low": 1 - rows["high"],
            "high": 1 - rows["low"],
        }
    )


def _fit(mine: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """The line of slope −cε² through the tail, over the lengths that it stands for."""
    constant = where(mine, "quantity", _FIT[0])
    windows = _windows(mine)
    seen = (windows["value"] > 0) & (windows["value"] <= _CEILING) & (windows.low > 0)
    tail = windows.loc[seen]
    if constant.empty or tail.empty or not math.isfinite(epsilon):
        return pd.DataFrame()
    slope = float(constant["value"].iloc[0]) * epsilon**2
    logs = np.log(tail[["value", "low", "high"]].to_numpy(float))
    weights = 1 / np.maximum(logs[:, 2] - logs[:, 1], 1e-9) ** 2
    intercept = np.average(logs[:, 0] + slope * tail["at"].to_numpy(), weights=weights)
    at = np.array([tail["at"].min(), tail["at"].max()])
    value = np.exp(intercept - slope * at)
    return pd.DataFrame({"layer": "fit", "at": at, "value": value})


def _independent(mine: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    rates = [where(mine, "quantity", name)["value"] for name in _RATES]
    if any(rate.empty for rate in rates) or not math.isfinite(epsilon):
        return pd.DataFrame()
    x, y, z = (float(rate.iloc[0]) for rate in rates)
    at = np.sort(where(mine, "quantity", "good_period")["at"].to_numpy(float))
    risk = [
        1
        - good_window(
            max(1, math.ceil(kp / x - 1e-9)), x, min(y, x), min(z, 1.0), epsilon
        )
        for kp in at
    ]
    return pd.DataFrame({"layer": "iid", "at": at, "value": risk})


def _note(mine: pd.DataFrame) -> str:
    rows = {name: where(mine, "quantity", name) for name in (*_FIT, *_SLOPES)}
    test, slopes = rows[_FIT[2]]["value"], rows[_SLOPES[0]].sort_values("at")
    if len(rows[_FIT[0]]):
        said = f"fitted: $c$ = {_told(rows[_FIT[0]].iloc[0])}"
        if len(rows[_FIT[1]]):
            said += f", independent rounds {rows[_FIT[1]]['value'].iloc[0]:.2g}"
        return said
    if len(slopes) and len(test):
        first, last = slopes.iloc[0], slopes.iloc[-1]
        return (
            f"no single $c$: a straight line is rejected ({_p_value(test.iloc[0])}); "
            f"slope {_told(first)} at $kp$ = {first['at']:g}, "
            f"{_told(last)} at {last['at']:g}"
        )
    if where(mine, "quantity", _DETAIL).empty:
        return "slope not measured: a run measures it, a sweep does not"
    return "slope refused: too few lengths with bad windows"


def _told(row: pd.Series) -> str:
    return f"{row['value']:.2g} [{row['low']:.2g}, {row['high']:.2g}]"


def _p_value(value: float) -> str:
    return f"p = {value:.1g}" if value >= 1e-3 else "p < .001"


def _draw_decay(axes: Axes, df: pd.DataFrame) -> tuple[list, list[str]]:
    windows, fit, iid = (where(df, "layer", name) for name in ("window", "fit", "iid"))
    style = look(0)
    seen = windows.loc[windows["value"] > 0]
    bars = np.maximum(
        [seen["value"] - np.maximum(seen["low"], 1e-12), seen["high"] - seen["value"]],
        0,
    )
    about = f" ({df['about'].iloc[0]})" if df["about"].iloc[0] else ""
    handles: list = [
        axes.errorbar(
            seen["at"],
            seen["value"],
            yerr=bars,
            color=style.color,
            marker=style.marker,
            linestyle="none",
            elinewidth=0.8,
        )
    ]
    labels = [f"windows of the chain{about}"]
    none = windows.loc[windows["value"] <= 0]
    limits = none.loc[none["high"] > 0]
    if len(limits):
        axes.plot(
            limits["at"], limits["high"], "v", color=style.color, fillstyle="none"
        )
        handles.append(
            Line2D([], [], color=style.color, marker="v", fillstyle="none", ls="none")
        )
        labels.append("no bad window seen: 95 % upper limit")
    if len(fit):
        handles += axes.plot(fit["at"], fit["value"], color=style.color, linewidth=0.9)
    else:
        handles.append(Line2D([], [], linestyle="none"))
    labels.append(str(df["note"].iloc[0]))
    if len(iid):
        handles += axes.plot(
            iid["at"],
            iid["value"].where(iid["value"] > 0),
            color=BASELINE.color,
            linestyle=(0, (4, 1.5)),
            linewidth=0.9,
        )
        labels.append("independent rounds, exact (same rates a round)")
    axes.set_yscale("log")
    shown = [seen["value"].min(), limits["high"].min(), seen["low"].clip(1e-12).min()]
    floor = np.nanmin([each for each in shown if each > 1e-11] or [1e-3])
    axes.set_ylim(floor / 2, 1.3)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    # Within two decades a lone power of ten would leave the axis without a scale.
    few_ticks = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(2, 0.5))
    axes.yaxis.set_minor_formatter(few_ticks)
    axes.set_xlabel("Window length $kp$ (expected honest blocks)")
    axes.set_ylabel("Pr[window is bad]")
    return handles, labels


def _draw_slopes(axes: Axes, df: pd.DataFrame) -> None:
    for layer, style in (("slope", look(0)), ("slope_iid", _IDEAL)):
        rows = where(df, "layer", layer)
        if rows.empty:
            continue
        bars = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
        axes.errorbar(
            rows["at"],
            rows["value"],
            yerr=np.maximum(bars, 0),
            color=style.color,
            marker=style.marker,
            linestyle=style.dashes,
            linewidth=0.9,
            elinewidth=0.8,
        )
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlabel("Window length $kp$ (between two lengths)")
    axes.set_ylabel("Slope $c$")


def _draw_constants(axes: Axes, df: pd.DataFrame) -> None:
    across = parameter_of(
        df.loc[df["layer"].isin(["constant", "constant_iid"])], "across", "at"
    )
    shown = df.loc[df["layer"].isin(["constant", "constant_iid"])]
    named = (("constant", look(0), -1.0), ("constant_iid", _IDEAL, 1.0))
    for layer, style, shift in named:
        rows = where(shown, "layer", layer)
        draw_series(axes, across, rows, style, shift=shift)
    ends = shown[["value", "low", "high"]].to_numpy(float)
    number_axis(axes, float(np.nanmin(ends)), float(np.nanmax(ends)))
    set_parameter_axis(axes, across)
    axes.set_ylabel("Constant $c$")
