"""Tables as the runner makes them, from invented numbers; looking at drawn figures."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dpodl.figures.parts.tables import Tables
from dpodl.figures.style import styled
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

ARCHITECTURES = ("cnn-8", "mlp-128", "mlp-32", "softmax")


@pytest.fixture(scope="session")
def tables() -> Tables:
    """Small tables: 24 runs, 5 settings."""
    return fake_tables(runs=24, looks=20)


def rendered(figure: Figure) -> Figure:
    with styled():
        figure.draw_without_rendering()
    return figure


def everything_inside(figure: Figure) -> bool:
    rendered(figure)
    with styled():
        drawn = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    slack = 1 / 300
    return bool(
        drawn.x0 >= -slack
        and drawn.y0 >= -slack
        and drawn.x1 <= width + slack
        and drawn.y1 <= height + slack
    )


def covered(figure: Figure) -> list[str]:
    """What a figure's legends hide: labels of axes and kinds of what is drawn."""
    rendered(figure)
    hidden = []
    for legend in figure.legends:
        box = legend.get_window_extent()
        for axes in all_axes(figure):
            inside = axes.get_window_extent()
            if not box.overlaps(inside):
                continue
            whole = inside.x0 <= box.x0 and box.x1 <= inside.x1
            if not (whole and inside.y0 <= box.y0 and box.y1 <= inside.y1):
                hidden.append(f"edge of {axes.get_ylabel()}")
            for line in axes.lines:
                path: Any = line.get_transform().transform_path(line.get_path())
                if len(path.vertices) and path.intersects_bbox(box, filled=False):
                    hidden.append(f"line in {axes.get_ylabel()}")
            for each in axes.collections:
                for path in each.get_paths():
                    if each.get_transform().transform_path(path).intersects_bbox(box):
                        hidden.append(f"{type(each).__name__} in {axes.get_ylabel()}")
    return hidden


def share_of_legends(figure: Figure) -> float:
    """The greatest share of the figure's height that a legend takes."""
    rendered(figure)
    height = figure.get_figheight() * figure.dpi
    heights = [each.get_window_extent().height for each in figure.legends]
    return max(heights, default=0.0) / height


def all_axes(figure: Figure) -> list[Axes]:
    """The axes of the figure and of its subfigures."""
    return [each for each in figure.findobj(Axes) if isinstance(each, Axes)]


def fake_tables(*, runs: int, looks: int) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(1)
    return {
        "curves": _curves(rng, runs, looks),
        "laws": _laws(),
        "law_summary": _law_summary(),
        "estimates": _estimates(rng),
        "references": _references(),
    }


def _curves(rng: np.random.Generator, runs: int, looks: int) -> pd.DataFrame:
    step = 20 * np.arange(1, looks + 1)
    parts = []
    for run in range(runs):
        kind = run % len(ARCHITECTURES)
        best = (0.0, 0.0005, 0.012, 0.06)[kind]
        scale = 150 * math.exp(rng.normal(0, 0.6))
        error = best + 0.9 / (1 + step / scale * 8) ** (1.6 + 0.3 * (3 - kind))
        error = error * np.exp(rng.normal(0, 0.08, looks))
        error = np.full(looks, 0.9) if run == 7 else np.clip(error, 0, 0.9)
        accuracy = np.round((1 - error) * 2000) / 2000
        parts.append(
            pd.DataFrame(
                {
                    "run": run,
                    "architecture": ARCHITECTURES[kind],
                    "optimizer": "sgd",
                    "learning_rate": 0.1,
                    "momentum": 0.0,
                    "batch_size": 128,
                    "init_scale": 1.0,
                    "step": step,
                    "accuracy": accuracy,
                    "loss": -np.log(np.maximum(accuracy, 1e-3)),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


# setting, kind, t_acc, t_1, t_2, dead time, mean of the exponential part (steps)
SETTINGS = (
    ("dl", "dl", 0.97, "", "", 300.0, 45.0),
    ("pow", "pow", math.nan, "2^228", "", 0.0, 520.0),
    ("a", "dpodl", 0.97, "2^240", "2^256", 300.0, 90.0),
    ("b", "dpodl", 0.97, "2^244", "2^251", 300.0, 640.0),
    ("c", "dpodl", 0.95, "2^240", "2^252", 120.0, 320.0),
)


def _laws() -> pd.DataFrame:
    parts = []
    for setting, kind, _, _, _, dead, mean in SETTINGS:
        time = np.linspace(0, 6 * (dead + mean), 400)
        survival = np.exp(-np.maximum(time - dead, 0) / mean)
        parts.append(
            pd.DataFrame(
                {"setting": setting, "kind": kind, "time": time, "survival": survival}
            )
        )
    return pd.concat(parts, ignore_index=True)


def _law_summary() -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for setting, kind, t_acc, t_1, t_2, dead, mean in SETTINGS:
        total, cv = dead + mean, mean / (dead + mean)
        spread = 0.0 if kind == "pow" else 0.06
        rows.append(
            {
                "setting": setting,
                "kind": kind,
                "t_acc": t_acc,
                "t_1": t_1,
                "t_2": t_2,
                "p_1": 2.0**-16,
                "p_2": 2.0**-4,
                "mean": total,
                "mean_low": total * (1 - spread),
                "mean_high": total * (1 + spread),
                "cv": cv,
                "cv_low": cv * (1 - spread),
                "cv_high": cv * (1 + spread),
                "mean_seconds": total / 5,
                "sd_seconds": cv * total / 5,
                "runs": 24,
                "reached": 20,
                "main": setting == "b",
            }
        )
    return pd.DataFrame(rows)


def _estimates(rng: np.random.Generator) -> pd.DataFrame:
    rows = [_estimate("block_interval_mean", math.nan, "", 412.0, 400.0, 424.0)]
    for quantity, rate in (
        ("persistence_violation", 0.42),
        ("persistence_violation_strict", 0.55),
    ):
        for depth in range(1, 31):
            seen = int(rng.binomial(20_000, math.exp(-rate * depth)))
            rows.append(_share(quantity, depth, "blocks", seen, 20_000))
    for kp in (5, 10, 20, 50, 100, 200, 400):
        single, every = 1 - math.exp(-0.035 * kp), (1 - math.exp(-0.03 * kp)) ** 60
        unit = "expected honest blocks"
        seen = int(rng.binomial(5000, single))
        rows.append(_share("good_period", kp, unit, seen, 5000))
        seen = int(rng.binomial(2000, every))
        rows.append(_share("good_period_all", kp, unit, seen, 2000))
    return pd.DataFrame(rows)


def _share(quantity: str, at: float, unit: str, seen: int, count: int) -> dict:
    interval = stats.binomtest(seen, count).proportion_ci(method="exact")
    share = _estimate(
        quantity, at, unit, seen / count, float(interval.low), float(interval.high)
    )
    return share | {"count": count}


def _estimate(
    quantity: str, at: float, unit: str, value: float, low: float, high: float
) -> dict:
    return {
        "quantity": quantity,
        "at": float(at),
        "at_unit": unit,
        "value": value,
        "low": low,
        "high": high,
        "unit": "",
        "count": 100,
        "method": "invented",
    }


def _references() -> pd.DataFrame:
    rows = [
        (quantity, float(depth), "exponential law, same β", math.exp(-rate * depth))
        for quantity, rate in (
            ("persistence_violation", 0.36),
            ("persistence_violation_strict", 0.5),
        )
        for depth in range(1, 31)
    ]
    rows += [
        ("good_period", float(kp), "iid rounds", 1 - math.exp(-0.02 * kp))
        for kp in (5, 10, 20, 50, 100, 200, 400)
    ]
    return pd.DataFrame(rows, columns=["quantity", "at", "name", "value"])
