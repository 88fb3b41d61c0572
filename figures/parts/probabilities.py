"""Estimated probabilities with intervals beside exact curves, for the figures that
show them.

A share of 0 (or 1) has no place on a logarithmic (or logit) axis and is no statement
about the probability: what is known is the interval's other end. It is drawn as a
limit, a bar with an arrow away from what is excluded.
"""

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path
from matplotlib.transforms import ScaledTranslation
from scipy import special

from ..style import Look, look
from .tables import where

_BAR = ((-0.5, 0.0), (0.5, 0.0))
_ARROW = ((0.0, 0.0), (0.0, -2.0), (-0.45, -1.3), (0.0, -2.0), (0.45, -1.3))
_STROKES = [Path.MOVETO, Path.LINETO, Path.MOVETO, *[Path.LINETO] * 4]
# Grey prints: no two exact curves share a pattern.
_DASHES = ((0, (4, 1.5)), (0, (1, 1.2)), (0, (4, 1.5, 1, 1.5)), (0, (8, 2)))


def draw_points(
    figure: Figure,
    axes: Axes,
    df: pd.DataFrame,
    *,
    scale: Literal["log", "logit"],
    limit_label: str,
) -> tuple[list, list[str], str]:
    """Draw what ``read_points`` found.

    Args:
        figure: The figure of the axes.
        axes: Where to; their x scale is set already.
        df: What ``read_points`` returned; rows of a layer "curve" are a line in a
            band, and the estimates are then points beside it.
        scale: The probability axis.
        limit_label: What the legend says of estimates that are drawn as limits.

    Returns:
        What ``add_legend`` takes: handles, labels and the title.
    """
    estimates = where(df, "layer", "estimate")
    references = where(df, "layer", "reference")
    span = _span(df.loc[df["layer"].isin(["estimate", "curve"])], scale)
    axes.set_yscale(scale)
    axes.set_ylim(span)
    at = df["at"].to_numpy(float)
    axes.update_datalim(np.column_stack([at, np.full(at.shape, span[0])]))
    names = [str(name) for name in estimates["quantity"].unique()]
    looks = {name: look(index) for index, name in enumerate(names)}
    handles, labels = [], []
    curves = where(df, "layer", "curve")
    for index, name in enumerate(curves["quantity"].unique()):
        rows = where(curves, "quantity", name)
        looks[str(name)] = look(index)
        handles.append(_draw_curve(axes, rows, look(index)))
        labels.append(rows["label"].iloc[0])
    for name in names:
        rows = where(estimates, "quantity", name)
        joined = "none" if len(curves) else "-"
        handles.append(_draw_series(axes, rows, looks[name], scale, span, joined))
        labels.append(rows["label"].iloc[0])
    for index, (name, curve) in enumerate(references.groupby("label", sort=False)):
        shown = curve.loc[_placed(curve, scale)]
        style = looks.get(curve["quantity"].iloc[0])
        handles += axes.plot(
            shown["at"],
            shown["value"],
            color=style.color if style else "0.25",
            linestyle=_DASHES[index % len(_DASHES)],
            linewidth=0.9,
            zorder=2,
        )
        labels.append(str(name))
    ends = _limit_ends(estimates, scale)
    if len(ends):
        _draw_limits(figure, axes, ends, looks)
        up = bool(ends["value"].eq(1.0).all())
        handles.append(Line2D([], [], **_limit("0.25", up=up, anchor=-1.0)))
        labels.append(limit_label)
    title = "bands and bars: 95 % interval" if len(curves) else "bars: 95 % interval"
    return handles, labels, title


def _placed(rows: pd.DataFrame, scale: str) -> np.ndarray:
    """Whether a row's value has a place on the axis."""
    value = rows["value"].to_numpy(float)
    return (value > 0) & ((value < 1) | (scale == "log"))


def _draw_curve(axes: Axes, rows: pd.DataFrame, style: Look):
    """A curve that is known at every place, in its band."""
    axes.fill_between(
        rows["at"], rows["low"], rows["high"], color=style.color, alpha=0.2, linewidth=0
    )
    return axes.plot(rows["at"], rows["value"], color=style.color, linewidth=1.2)[0]


def _draw_series(
    axes: Axes,
    rows: pd.DataFrame,
    style: Look,
    scale: str,
    span: tuple[float, float],
    joined: str,
):
    # What has no place leaves a gap in the line.
    value = rows["value"].where(_placed(rows, scale)).to_numpy(float)
    below = value - np.maximum(rows["low"].to_numpy(float), span[0])
    above = np.minimum(rows["high"].to_numpy(float), span[1]) - value
    return axes.errorbar(
        rows["at"],
        value,
        # No interval, no bar.
        yerr=np.maximum(np.nan_to_num([below, above]), 0.0),
        color=style.color,
        marker=style.marker,
        linestyle=joined,
        linewidth=0.5,
        elinewidth=0.8,
        zorder=3,
    )


def _draw_limits(
    figure: Figure, axes: Axes, ends: pd.DataFrame, looks: dict[str, Look]
) -> None:
    names = list(looks)
    # Series that saw nothing have the same limit; side by side both are seen.
    crowded = ends.duplicated(["at", "end"], keep=False).to_numpy()
    for row, aside in zip(ends.to_dict("records"), crowded, strict=True):
        name = row["quantity"]
        points = 3.0 * (names.index(name) - (len(names) - 1) / 2) if aside else 0.0
        settings = _limit(looks[name].color, up=row["value"] >= 1)
        marker = Line2D([row["at"]], [row["end"]], **settings)
        shift = ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)
        marker.set_transform(axes.transData + shift)
        axes.add_artist(marker)


def _limit_ends(estimates: pd.DataFrame, scale: str) -> pd.DataFrame:
    """The interval's end that a share of 0 or 1 does tell; without one, nothing."""
    rows = estimates.loc[~_placed(estimates, scale)]
    end = rows["high"].where(rows["value"] <= 0, rows["low"])
    return rows.assign(end=end).loc[(end > 0) & (end < 1)]


def _limit(color: str, *, up: bool, anchor: float = 0.0) -> dict:
    flip = -1 if up else 1
    vertices = [(x, flip * (y - anchor)) for x, y in _BAR + _ARROW]
    return {
        "marker": Path(vertices, _STROKES),
        "markersize": 13 if anchor == 0 else 6.5,
        "markerfacecolor": "none",
        "markeredgewidth": 0.8,
        "color": color,
        "linestyle": "none",
        "clip_on": False,
        # Above the other series' points, which would hide it.
        "zorder": 4,
    }


def _span(estimates: pd.DataFrame, scale: str) -> tuple[float, float]:
    """Limits of the axis: all estimates and interval ends, with room for arrows."""
    placed = _placed(estimates, scale)
    ends = estimates.loc[placed, ["value", "low", "high"]].to_numpy(float).ravel()
    ends = np.append(ends, _limit_ends(estimates, scale)["end"].to_numpy(float))
    ends = ends[(ends > 0) & ((ends < 1) if scale == "logit" else (ends <= 1))]
    if not len(ends):
        ends = np.array([0.1, 0.9])
    if scale == "log":
        low, high = np.log10([ends.min(), ends.max()])
        pad = max(0.15, 0.08 * (high - low))
        return float(10 ** (low - pad)), float(10 ** min(high + pad, 0.15))
    low, high = special.logit([ends.min(), ends.max()])
    pad = max(0.4, 0.1 * (high - low))
    # Closer to 1 than 2^-50, float64 has no room for an axis.
    return float(special.expit(low - pad)), float(special.expit(min(high + pad, 34.0)))
