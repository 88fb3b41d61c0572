"""Figure: persistence and liveness by the adversary's share β and the delay Δ.

Notation (docs/science/race.md, "From risk to confirmations"):
    β, Δ        corrupted share of the provers; bound on message delay, steps
    k           depth, blocks; no head start
    wait        time until a transaction is confirmed; the figure has a quantile of it
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogFormatterSciNotation, LogLocator

from .parts.criterion import CRITERION, by_criterion, ties
from .parts.legends import add_legend
from .parts.needs import Lacking
from .parts.parameters import (
    few,
    first_of,
    parameter,
    parameter_of,
    read_sweep,
    slice_of,
    swept,
)
from .parts.series import (
    REFUSED,
    SERIES,
    UNSEEN,
    draw_limits,
    draw_refused,
    draw_series,
    number_axis,
    sample,
    set_parameter_axis,
    with_fixed,
)
from .parts.tables import Tables, where
from .style import look, new_figure, styled

_BETA, _DELAY = "network.beta", "network.delay_steps"
_RISK, _WAIT = "persistence_violation", "liveness_quantile"
# The customary depth, and a wait that nearly all transactions keep to.
_DEPTH, _LEVEL = 6.0, 0.99
_NUMBERS = ("at", "value", "low", "high")


def data(tables: Tables) -> pd.DataFrame:
    """Pr[violation] at one depth and one quantile of the wait, over β by Δ.

    Where only one of the two is swept, it is the axis, and the series are those of the
    next swept parameter. The depth is 6 blocks, or the nearest there is; the quantile
    the 99th per cent, or the nearest below.

    Args:
        tables: ``points``.

    Returns:
        ``across``, ``along`` (parameters of axis and series; the latter may be empty),
        ``at``, ``series`` (their values), ``fixed``, point, refused, quantity,
        ``place`` (k, or the quantile's level), value, low, high (probability; steps),
        ``criterion`` (``security.criterion``).

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If neither β nor Δ is swept, or no point has a number.
    """
    rows = read_sweep(by_criterion(tables), (_RISK, _WAIT))
    names = first_of(swept(rows), (_BETA, _DELAY))
    if not {_BETA, _DELAY} & set(names):
        raise Lacking("neither network.beta nor network.delay_steps is swept")
    across, along = names[0], names[1] if len(names) > 1 else ""
    rows, fixed = slice_of(rows, [name for name in (across, along) if name])
    if along:
        shown = few(parameter(rows, along).values, SERIES)
        rows = rows.loc[rows[along].isin(shown)]
    places = {
        name: _nearest(rows.loc[rows["quantity"] == name, "at"], wanted)
        for name, wanted in ((_RISK, _DEPTH), (_WAIT, _LEVEL))
    }
    heads = rows.drop_duplicates("point").drop(columns=["quantity", *_NUMBERS])
    wanted = pd.DataFrame({"quantity": list(places), "at": list(places.values())})
    # A point without a number at this place has a row that says so.
    kept = heads.merge(wanted, how="cross").merge(
        rows[["point", "quantity", *_NUMBERS]],
        on=["point", "quantity", "at"],
        how="left",
    )
    kept["refused"] = kept["value"].isna()
    return pd.DataFrame(
        {
            "across": across,
            "at": kept[across],
            "along": along,
            "series": kept[along] if along else "",
            "fixed": fixed,
            "point": kept["point"],
            "refused": kept["refused"],
            "quantity": kept["quantity"],
            "place": kept["at"],
            **{name: kept[name] for name in ("value", "low", "high")},
            "criterion": kept[CRITERION],
        }
    ).reset_index(drop=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Risk above, waiting time below, over one axis."""
    across = parameter_of(df, "across", "at")
    along = parameter_of(df, "along", "series")
    figure = new_figure(3.5)
    upper, lower = figure.subplots(2, 1, sharex=True)
    handles, labels, crossed, limited = [], [], False, False
    for index, value in enumerate(along.values):
        mine, style = where(df, "series", value), look(index)
        shift = (index - (len(along.values) - 1) / 2) * 1.5
        risks, waits = (where(mine, "quantity", name) for name in (_RISK, _WAIT))
        draw_series(
            upper,
            across,
            risks.assign(value=risks["value"].where(risks["value"] > 0)),
            style,
            shift=shift,
        )
        limited |= draw_limits(upper, across, risks, style, shift=shift)
        draw_series(lower, across, waits, style, shift=shift)
        for axes, some in ((upper, risks), (lower, waits)):
            crossed |= draw_refused(axes, across, some, style, shift=3.5 * shift)
        handles.append(sample(style))
        labels.append(along.text(value) if along.name else "the chain")
    if limited:
        handles.append(Line2D([], [], **UNSEEN))
        labels.append("none seen: upper limit")
    if crossed:
        handles.append(Line2D([], [], **REFUSED))
        labels.append("refused: no number")
    _set_risk(upper, df)
    waits = df.loc[df["quantity"] == _WAIT, ["value", "low", "high"]].to_numpy(float)
    if np.isfinite(waits).any():
        number_axis(lower, float(np.nanmin(waits)), float(np.nanmax(waits)))
    set_parameter_axis(lower, across)
    depth, level = (
        df.loc[df["quantity"] == name, "place"].max() for name in (_RISK, _WAIT)
    )
    upper.set_ylabel(f"Pr[violation at\n$k$ = {depth:g}], {ties(df)}")
    lower.set_ylabel(f"Wait, {100 * level:g} %\nquantile (steps)")
    title = with_fixed("bars: 95 % interval", df)
    add_legend(figure, handles, labels, title=title)
    return figure


def _nearest(there: pd.Series, wanted: float) -> float:
    places = np.unique(there.dropna().to_numpy(float))
    if len(places) == 0:
        return np.nan
    below = places[places <= wanted]
    return float(below.max() if len(below) else places.min())


def _set_risk(axes, df: pd.DataFrame) -> None:
    risks = df.loc[df["quantity"] == _RISK, ["value", "low", "high"]].to_numpy(float)
    risks = risks[np.isfinite(risks) & (risks > 0)]
    axes.set_yscale("log")
    floor = float(risks.min()) if risks.size else 1e-3
    axes.set_ylim(min(floor / 1.6, 0.5), 1.3)
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    # Within two decades a lone power of ten would leave the axis without a scale.
    few_ticks = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(2, 0.5))
    axes.yaxis.set_minor_formatter(few_ticks)
