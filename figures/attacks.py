"""Figure: confirmations that each attack asks for, its mitigation off and on.

Table ``attacks`` (analysis/attacks/rows.py, ``tidy``): attack, mitigation, on, verdict,
target, and for the target ε the columns depth_ε, depth_ε_low, depth_ε_high (blocks;
infinite where no depth is safe, empty where refused).
"""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .parts.criterion import ties
from .parts.legends import add_legend
from .parts.tables import Tables, table
from .style import BASELINE, look, new_figure, styled

_COLUMNS = ("attack", "mitigation", "on", "verdict", "target")
_NAMES = {
    "private": "private chain",
    "private, pre-mined": "… with a head start",
    "grind_prehash": "pre-hash grinding",
    "grind_posthash": "post-hash grinding",
    "cross_slot_new (mtx)": "new block, old mtx (a)",
    "cross_slot_new (block)": "new block, old block's model (a)",
    "cross_slot_old": "old block, new model (b)",
    "reference_relay": "chain of references",
    "surplus_reference": "one long mtx for all",
    "withheld_mtx": "withheld mtx",
    "forged_checkpoints": "forged checkpoints",
    "relabel": "relabelled proofs",
    "equivocate": "equivocation",
    "balance": "balanced forks",
}


def data(tables: Tables) -> pd.DataFrame:
    """Depth of every attack, mitigation off and on, at the table's first target.

    Args:
        tables: ``attacks``.

    Returns:
        Columns attack, label, mitigation, on, value, low, high (blocks; infinite: no
        depth is safe), verdict, target, and criterion if the table has it. Attacks
        without a depth are left out.

    Raises:
        ValueError: If a column is missing.
    """
    rows = table(tables, "attacks", _COLUMNS)
    target = float(rows["target"].iloc[0])
    name = f"depth_{target:.3g}"
    rows = table(tables, "attacks", (*_COLUMNS, name, f"{name}_low", f"{name}_high"))
    labels = [_NAMES.get(str(each), str(each)) for each in rows["attack"]]
    found = pd.DataFrame(
        {
            "attack": rows["attack"],
            "label": labels,
            "mitigation": rows["mitigation"].fillna(""),
            "on": rows["on"].astype(bool),
            "value": rows[name].astype(float),
            "low": rows[f"{name}_low"].astype(float),
            "high": rows[f"{name}_high"].astype(float),
            "verdict": rows["verdict"],
            "target": target,
        }
    )
    if "criterion" in tables["attacks"]:
        found["criterion"] = tables["attacks"]["criterion"].to_numpy()
    return found.dropna(subset=["value"]).reset_index(drop=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """One line an attack; what has no safe depth stands at the right edge."""
    labels = list(dict.fromkeys(df["label"]))
    values = df["value"].to_numpy(float)
    most = max([10.0, *values[np.isfinite(values)]])
    edge = most * 3.0
    figure = new_figure(0.8 + 0.21 * max(len(labels), 3))
    axes = figure.subplots()
    off, on = look(1), look(0)
    for row in df.to_dict("records"):
        style = on if row["on"] else off
        place = len(labels) - 1 - labels.index(row["label"])
        place += -0.14 if row["on"] else 0.14
        value = min(row["value"], edge)
        axes.plot(
            [max(row["low"], 1.0), min(row["high"], edge)],
            [place, place],
            color=style.color,
            linewidth=1.0,
        )
        axes.plot(
            value,
            place,
            color=style.color,
            marker=style.marker if math.isfinite(row["value"]) else ">",
            markersize=4,
            linestyle="none",
        )
    axes.axvline(edge, color=BASELINE.color, linewidth=0.6, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(1, edge * 1.15)
    axes.set_yticks(range(len(labels)), labels[::-1])
    axes.set_ylim(-0.6, len(labels) - 0.4)
    risk = float(df["target"].iloc[0]) if len(df) else math.nan
    said = f", {ties(df)}" if ties(df) else ""
    axes.set_xlabel(f"Confirmations\n(risk {risk:g}{said})")
    add_legend(
        figure,
        [
            Line2D([], [], color=off.color, marker=off.marker, linewidth=1.0),
            Line2D([], [], color=on.color, marker=on.marker, linewidth=1.0),
            Line2D([], [], color="0.35", marker=">", linestyle="none"),
        ],
        ["mitigation off", "mitigation on", "no depth is safe"],
        title="bars: 95 % interval, of the law",
    )
    return figure
