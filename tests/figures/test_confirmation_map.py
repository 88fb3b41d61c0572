import math

import numpy as np
import pytest
from dpodl.figures import confirmation_map
from dpodl.figures.parts.needs import Lacking
from matplotlib.collections import QuadMesh

from .conftest import all_axes, everything_inside, rendered
from .sweeps import depth, sweep


def _panels(figure):
    return [a for a in all_axes(figure) if a.get_label() != "<colorbar>"]


def test_data_has_each_pair_at_every_risk():
    points = sweep(
        safe=True,
        t_accs=(0.9, 0.95),
        powers=(250, 256),
        betas=(0.1, 0.3, 0.45),
        delays=(5, 100),
    )
    df = confirmation_map.data({"points": points})
    pairs = df[["across", "along"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [
        ["scheme.t_acc", "scheme.t_2"],
        ["network.beta", "network.delay_steps"],
    ]
    rows = df.query("across == 'network.beta'")
    assert len(rows) == 3 * 2 * 2
    for row in rows.to_dict("records"):
        assert row["value"] == depth(row["x"], row["y"], row["at"])
        assert row["asked"] == (row["at"] == 1e-3)
    assert np.isinf(rows["value"]).any()


def test_where_no_depth_is_safe_the_cell_is_dark_and_refused_ones_are_hatched():
    points = sweep(safe=True, betas=(0.1, 0.3, 0.45), delays=(5, 100), failed=(0,))
    df = confirmation_map.data({"points": points})
    figure = rendered(confirmation_map.draw(df))
    # One pair: the verdict's risk, and the rarest.
    panels = _panels(figure)
    assert [p.get_title() for p in panels] == [
        "Pr[violation] ≤ $10^{-3}$",
        "Pr[violation] ≤ $10^{-9}$",
    ]
    (legend,) = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == ["refused: no number (1)", "none shown safe (1)"]
    for panel, risk in zip(panels, (1e-3, 1e-9), strict=True):
        (mesh,) = [c for c in panel.collections if isinstance(c, QuadMesh)]
        values = np.ma.asarray(mesh.get_array()).compressed()
        expected = [depth(b, d, risk) for b in (0.1, 0.3, 0.45) for d in (5, 100)][1:]
        assert sorted(values) == sorted(x for x in expected if math.isfinite(x))
        # A depth and its ends in every cell that has one.
        assert sum("–" in text.get_text() for text in panel.texts) == len(values)
    assert everything_inside(figure)


def test_a_design_that_fills_ranges_is_shown_whole():
    points = sweep(
        safe=True,
        t_accs=(0.9, 0.91, 0.92, 0.93),
        powers=(250, 252, 254, 256),
        betas=(0.1, 0.2),
    )
    # Each value of T_acc and T_2 once, β with both: every slice has two points.
    some = points.loc[(points["point"] // 2) % 5 == 0]
    beta = some["point"].map({p: 0.1 + p / 1000 for p in some["point"].unique()})
    some = some.assign(**{"network.beta": beta})
    df = confirmation_map.data({"points": some})
    assert len(set(df["point"])) == 8
    assert set(df["fixed"]) == {r"$\beta$ vary"}
    figure = confirmation_map.draw(df)
    assert everything_inside(figure)


def test_without_a_depth_there_is_no_map():
    with pytest.raises(Lacking, match="two swept parameters, got 1"):
        confirmation_map.data({"points": sweep(safe=True, t_accs=(0.9, 0.95))})
    points = sweep(safe=True, betas=(0.45, 0.48), delays=(100, 200))
    df = confirmation_map.data({"points": points})
    with pytest.raises(Lacking, match="no depth is shown safe"):
        confirmation_map.draw(df)
