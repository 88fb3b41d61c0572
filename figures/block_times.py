"""Figure: block times of PoW, plain deep learning and D-PoDL settings.

The talk's "stable rate with enough randomness": PoW is memoryless (CV 1), plain deep
learning nearly a clock (CV small), a D-PoDL setting in between.

Notation:
    S(t)    Pr[block time > t], drawn against t/mean so that shapes compare
    CV      standard deviation / mean; 1 for the exponential law
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .parts.tables import Tables, table, where
from .style import BASELINE, Look, look, new_figure, styled

_KINDS = ("pow", "dpodl", "dl")
_MOMENTS = ("mean", "mean_low", "mean_high", "cv", "cv_low", "cv_high")
# In means. An exponential law has 2 % of its mass behind.
_HORIZON = 4.0


def data(tables: Tables) -> pd.DataFrame:
    """Survival against scaled time, and each setting's mean and CV.

    Args:
        tables: ``laws`` and ``law_summary``.

    Returns:
        ``layer`` "survival": time (in means of the setting) and survival;
        ``layer`` "summary": mean and CV with 95 % intervals, mean in steps. Settings
        stand from PoW over D-PoDL, by falling CV, to plain deep learning.

    Raises:
        ValueError: If a table is missing or empty, or a setting has no summary.
    """
    laws = table(tables, "laws", ("setting", "time", "survival"))
    columns = ("setting", "kind", "t_acc", "t_1", "t_2", *_MOMENTS)
    summary = table(tables, "law_summary", columns)
    unknown = sorted(set(laws["setting"]) - set(summary["setting"]))
    if unknown:
        raise ValueError(f"table 'law_summary' lacks the setting(s) {unknown}")
    summary = _ordered(summary)
    parts = []
    for row in summary.to_dict("records"):
        law = where(laws, "setting", row["setting"]).sort_values("time")
        # Without a finite mean there is no scale, and no curve.
        scale = row["mean"] if np.isfinite(row["mean"]) else np.nan
        times = np.append(0.0, law["time"].to_numpy(float)) / scale
        curve = {
            "layer": "survival",
            "setting": row["setting"],
            "label": row["label"],
            "kind": row["kind"],
            "time": times,
            "survival": np.append(1.0, law["survival"].to_numpy(float)),
        }
        parts.append(pd.DataFrame(curve).loc[times <= _HORIZON])
    points = summary.loc[:, ["setting", "label", "kind", *_MOMENTS]]
    return pd.concat([*parts, points.assign(layer="summary")], ignore_index=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Survival above; CV and mean of each setting below, which is also the key."""
    summary = where(df, "layer", "summary")
    count = len(summary)
    heights = (1.9, 0.65 + 0.17 * count)
    figure = new_figure(sum(heights))
    (upper,), (lower,) = figure.subfigures(2, 1, height_ratios=heights, squeeze=False)
    curves = upper.add_subplot()
    left, right = lower.subplots(1, 2, sharey=True)
    lower.supxlabel("bars: 95 % interval", x=0.69, fontsize="medium")
    looks = _looks(summary)
    for place, row in enumerate(summary.to_dict("records")):
        law = where(where(df, "layer", "survival"), "setting", row["setting"])
        _draw_law(curves, law, looks[place], place / max(count, 1))
        _draw_moment(left, place, row, "cv", looks[place])
        _draw_moment(right, place, row, "mean", looks[place])
    _set_curves(curves)
    _set_moments(left, right, summary)
    return figure


def _ordered(summary: pd.DataFrame) -> pd.DataFrame:
    unknown = sorted(set(summary["kind"]) - set(_KINDS))
    if unknown:
        raise ValueError(
            f"table 'law_summary': kind must be in {_KINDS}, got {unknown}"
        )
    rank = summary["kind"].map(_KINDS.index)
    labels = [_label(row) for row in summary.to_dict("records")]
    # Settings that differ in what the label leaves out (the retry policy, say) go by
    # their own names.
    alike = pd.Series(labels).duplicated(keep=False)
    named = summary["setting"].where(alike, pd.Series(labels))
    return (
        summary.assign(label=named, rank=rank)
        .sort_values(["rank", "cv"], ascending=[True, False], kind="stable")
        .reset_index(drop=True)
    )


def _label(row: dict) -> str:
    powers = [_power(row[name]) for name in ("t_1", "t_2") if _power(row[name])]
    if row["kind"] == "pow":
        return " ".join(["PoW", *powers[:1]])
    accuracy = f"{row['t_acc']:g}"
    if row["kind"] == "dl":
        return f"DL {accuracy}"
    return f"D-PoDL ({', '.join([accuracy, *powers])})"


def _power(target: object) -> str:
    text = target if isinstance(target, str) else ""
    base, hat, exponent = text.partition("^")
    return f"${base}^{{{exponent}}}$" if hat else text


def _looks(summary: pd.DataFrame) -> list[Look]:
    others = iter(range(len(summary)))
    first_pow = summary["kind"].eq("pow").to_numpy().argmax()
    return [
        BASELINE if kind == "pow" and place == first_pow else look(next(others))
        for place, kind in enumerate(summary["kind"])
    ]


def _draw_law(axes: Axes, law: pd.DataFrame, style: Look, phase: float) -> None:
    axes.plot(
        law["time"],
        law["survival"],
        color=style.color,
        linestyle=style.dashes,
        marker=style.marker,
        # Spaced along the drawn curve, shifted from setting to setting.
        markevery=(0.12 * (0.3 + phase), 0.12),
    )


def _draw_moment(axes: Axes, place: int, row: dict, name: str, style: Look) -> None:
    value, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if low < high:
        axes.plot(
            [low, high], [place, place], color=style.color, marker="|", markersize=6
        )
    axes.plot(value, place, color=style.color, marker=style.marker, linestyle="none")


def _set_curves(axes: Axes) -> None:
    axes.set_xlim(0, _HORIZON)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("$t$ / mean block time")
    axes.set_ylabel("Pr[block time > $t$]")


def _set_moments(left: Axes, right: Axes, summary: pd.DataFrame) -> None:
    left.axvline(1.0, color="black", linewidth=0.6, linestyle=":")
    spreads = summary[["cv", "cv_high"]].to_numpy(float)
    left.set_xlim(0, 1.08 * spreads[np.isfinite(spreads)].max(initial=1.0))
    left.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 5, 10]))
    left.set_yticks(range(len(summary)), list(summary["label"]))
    left.set_ylim(len(summary) - 0.4, -0.6)
    left.text(
        1.0,
        1.01,
        "memoryless",
        transform=left.get_xaxis_transform(),
        ha="center",
        va="bottom",
    )
    left.set_xlabel("CV (sd / mean)")
    means = summary[["mean", "mean_low", "mean_high"]].to_numpy(float)
    means = means[np.isfinite(means)]
    if means.size and 0 < 20 * means.min() < means.max():
        right.set_xscale("log")
    else:
        right.set_xlim(0, 1.1 * means.max(initial=1.0))
        right.xaxis.set_major_locator(MaxNLocator(3))
    right.tick_params(left=False)
    right.set_xlabel("Mean (steps)")
