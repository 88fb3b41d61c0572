"""Figure: what waiting buys, the risk left after k confirmations against their time.

Notation (analysis/bounds/latency.py)
    k           confirmations; they take k·B steps on average
    B           mean block interval under the delay Δ, steps
    q = β       the adversary's share of the provers, whole ones; of unequal provers its
                share of their speed (``network.beta_of_speed``)
    λ_h, λ      rates of honest provers and of all, blocks a step

Beside one of the curves stands the memoryless chain that has its B, Δ and β: as honest
growth is λ_h/(1 + λ_hΔ) = 1/B there, λ_h = 1/(B − Δ) and λ = λ_h/(1 − β). Of it are
shown what any attack can do at all with a head start (Guo and Ren's bracket, x = λΔ),
and Nakamoto's approximation (no delay, no head start). They are its yardsticks, not
bounds for D-PoDL. The chain's own curve is the private attack without a head start.

Sources: [GR22] Theorem 2; [N08] §11, an approximation that is too small.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import (
    FuncFormatter,
    LogFormatterSciNotation,
    LogLocator,
    MaxNLocator,
)

from ..analysis.bounds.delays import growth_under_delay
from ..analysis.bounds.latency import guo_ren
from ..analysis.bounds.races import nakamoto_approximation
from .parts.carried_on import SAFE_DEPTH, carried_on
from .parts.criterion import CRITERION, by_criterion, ties
from .parts.legends import add_legend
from .parts.parameters import (
    few,
    first_of,
    parameter,
    parameter_of,
    read_sweep,
    slice_of,
    swept,
)
from .parts.series import UNSEEN, sample, with_fixed
from .parts.tables import Tables, where
from .style import BASELINE, look, new_figure, styled

_RISK, _INTERVAL = "persistence_violation", "block_interval_mean"
_SERIES = ("network.beta", "network.delay_steps", "scheme.t_2", "scheme.t_acc")
_MOST = 4
_BAND = {"color": "0.8", "linewidth": 0}


def data(tables: Tables) -> pd.DataFrame:
    """Risk against waiting time, and the memoryless chain beside the middle curve.

    Args:
        tables: ``points``.

    Returns:
        ``layer`` "chain": series (value of the parameter ``along``, empty where
        nothing is swept), depth k, wait (kB, steps), wait_low, wait_high, value, low,
        high (Pr[violation at k]); a point without these numbers has none of them;
        "guo_ren": depth, wait, low, high (its bounds); "nakamoto": depth, wait, value.
        ``beside``: the curve that the last two belong to; ``fixed``: the slice;
        ``criterion`` of the chain's curves: ``security.criterion``.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If no point has a number.
    """
    rows = read_sweep(by_criterion(tables), (_RISK, _INTERVAL, SAFE_DEPTH))
    names = first_of(swept(rows), _SERIES)
    along = names[0] if names else ""
    rows, fixed = slice_of(rows, [along] if along else [])
    if along:
        rows = rows.loc[rows[along].isin(few(parameter(rows, along).values, _MOST))]
    parts, known = [], []
    for _, mine in rows.groupby("point", sort=False):
        series = mine[along].iloc[0] if along else ""
        curve = _curve(mine)
        criterion = mine[CRITERION].iloc[0]
        parts.append(curve.assign(series=series, criterion=criterion))
        if curve["value"].notna().to_numpy().any():
            known.append((series, mine, curve))
    beside = ""
    if known:
        series, mine, curve = known[(len(known) - 1) // 2]
        parts += _references(mine, curve)
        if along:
            named = pd.DataFrame({"along": along, "series": rows[along]})
            beside = parameter_of(named, "along", "series").text(series)
    tidy = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return tidy.assign(along=along, beside=beside, fixed=fixed)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Measured curves with bands, the memoryless chain's bracket in grey."""
    along = _series(df)
    figure = new_figure(2.6)
    axes = figure.add_subplot()
    handles, labels = [], []
    chain = where(df, "layer", "chain")
    for index, value in enumerate(along.values):
        style = look(index)
        mine = where(chain, "series", value)
        _draw_curve(axes, mine, index)
        handles.append(sample(style))
        text = along.text(value) if along.name else "the chain, private attack"
        labels.append(
            text if mine["value"].notna().to_numpy().any() else f"{text}: refused"
        )
    bracket, nakamoto = (where(df, "layer", name) for name in ("guo_ren", "nakamoto"))
    if len(bracket):
        axes.fill_between(
            bracket["wait"], bracket["low"], bracket["high"], zorder=1, **_BAND
        )
        beside = df["beside"].iloc[0]
        about = f"memoryless, {beside}" if beside else "memoryless"
        handles.append(Patch(**_BAND))
        labels.append(f"{about}: Guo–Ren bounds")
        dashes = (0, (1, 1.2))
        axes.plot(
            nakamoto["wait"],
            nakamoto["value"],
            color=BASELINE.color,
            linestyle=dashes,
            linewidth=0.9,
        )
        handles.append(
            Line2D([], [], color=BASELINE.color, linestyle=dashes, linewidth=0.9)
        )
        labels.append(f"{about}: Nakamoto, approximate")
    if (chain["value"] <= 0).to_numpy().any():
        handles.append(Line2D([], [], **UNSEEN))
        labels.append("none seen: 95 % upper limit")
    _set_axes(axes, chain)
    title = with_fixed("bands: 95 % interval of the risk", df)
    add_legend(figure, handles, labels, title=title)
    return figure


def _curve(mine: pd.DataFrame) -> pd.DataFrame:
    risks = _risks(mine)
    interval = where(mine, "quantity", _INTERVAL)
    if risks.empty or interval.empty:
        return pd.DataFrame({"layer": ["chain"], "depth": np.nan, "value": np.nan})
    mean = interval.iloc[0]
    return pd.DataFrame(
        {
            "layer": "chain",
            "depth": risks["at"],
            "wait": risks["at"] * mean["value"],
            "wait_low": risks["at"] * mean["low"],
            "wait_high": risks["at"] * mean["high"],
            **{name: risks[name] for name in ("value", "low", "high")},
        }
    )


def _risks(mine: pd.DataFrame) -> pd.DataFrame:
    """Risk by depth; beyond the last depth, depths at which it falls to a target."""
    risks = where(mine, "quantity", _RISK).sort_values("at")
    further = carried_on(mine, risks)
    return pd.concat([risks, further], ignore_index=True) if len(further) else risks


def _references(mine: pd.DataFrame, curve: pd.DataFrame) -> list[pd.DataFrame]:
    head = mine.iloc[0]
    provers = float(head["network.provers"])
    q = round(float(head["network.beta"]) * provers) / provers
    q = float(head.get("network.beta_of_speed", q))
    delay = float(head["network.delay_steps"])
    interval = float(where(mine, "quantity", _INTERVAL)["value"].iloc[0])
    # No chain grows faster than one block a delay.
    if not 0 < q < 0.5 or interval <= delay:
        return []
    honest = 1 / (interval - delay)
    if not math.isclose(growth_under_delay(honest, delay) * interval, 1):
        raise ValueError("points: block_interval_mean and delay_steps disagree")
    x = honest / (1 - q) * delay
    depths = curve["depth"].astype(int).to_numpy()
    wait = curve["wait"].to_numpy(float)
    brackets = [guo_ren(q, int(k), x=x) for k in depths]
    return [
        pd.DataFrame(
            {
                "layer": "guo_ren",
                "depth": depths,
                "wait": wait,
                "low": [each.lower for each in brackets],
                "high": [each.upper for each in brackets],
            }
        ),
        pd.DataFrame(
            {
                "layer": "nakamoto",
                "depth": depths,
                "wait": wait,
                "value": nakamoto_approximation(q, depths),
            }
        ),
    ]


def _series(df: pd.DataFrame):
    return parameter_of(where(df, "layer", "chain"), "along", "series")


def _draw_curve(axes: Axes, mine: pd.DataFrame, index: int) -> None:
    style = look(index)
    seen = mine.loc[mine["value"] > 0]
    axes.fill_between(
        seen["wait"], seen["low"], seen["high"], color=style.color, alpha=0.2, lw=0
    )
    axes.plot(
        seen["wait"],
        seen["value"],
        color=style.color,
        linestyle=style.dashes,
        marker=style.marker,
        markevery=(0.03 * index, 0.12),
    )
    limits = mine.loc[(mine["value"] <= 0) & (mine["high"] > 0)].iloc[:1]
    axes.plot(limits["wait"], limits["high"], "v", color=style.color, fillstyle="none")


def _set_axes(axes: Axes, chain: pd.DataFrame) -> None:
    seen = chain.loc[chain["value"] > 0]
    floor = float(seen["low"].min()) if len(seen) else 1e-4
    axes.set_yscale("log")
    axes.set_ylim(max(floor, 1e-12) / 2, 1.3)
    axes.set_xlim(0, 1.02 * float(seen["wait"].max()) if len(seen) else 1.0)
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    # Within two decades a lone power of ten would leave the axis without a scale.
    few_ticks = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(2, 0.5))
    axes.yaxis.set_minor_formatter(few_ticks)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.6g}"))
    axes.set_xlabel("Mean wait for $k$ confirmations (steps)")
    axes.set_ylabel(f"Pr[violation at depth $k$], {ties(chain)}")
