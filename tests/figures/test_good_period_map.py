import pytest
from dpodl.figures import good_period_map
from dpodl.figures.parts.needs import Lacking
from matplotlib.collections import QuadMesh

from .conftest import all_axes, everything_inside, rendered
from .sweeps import WINDOWS, bad, sweep


def test_data_has_every_point_at_every_length():
    points = sweep(t_accs=(0.9, 0.95), powers=(250, 252, 256), failed=(2,))
    df = good_period_map.data({"points": points})
    assert len(df) == 6 * len(WINDOWS) * 2
    row = df.query(
        "quantity == 'good_period' and at == 5 and x == 0.95 and y == '2^252'"
    )
    assert row["value"].item() == pytest.approx(1 - bad(5) * 0.95)
    refused = df.loc[df["refused"]]
    assert set(zip(refused["x"], refused["y"], strict=True)) == {(0.9, "2^256")}
    assert refused["value"].isna().all()


def test_refused_cells_are_hatched_absent_ones_white_and_both_are_said():
    points = sweep(t_accs=(0.9, 0.95), powers=(250, 252, 256), failed=(2,))
    points = points.loc[points["point"] != 0]
    figure = rendered(good_period_map.draw(good_period_map.data({"points": points})))
    panel = all_axes(figure)[0]
    hatched = [c for c in panel.collections if c.get_hatch()]
    assert len(hatched) == 1
    (mesh,) = [c for c in panel.collections if isinstance(c, QuadMesh)]
    assert mesh.get_array().mask.sum() == 2  # pyright: ignore
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["refused: no number (1)", "not in the design"]
    # A number and its half-width in every cell that has one.
    assert sum("±" in text.get_text() for text in panel.texts) == 4


def test_a_design_without_a_grid_is_shown_as_points():
    points = sweep(
        t_accs=(0.9, 0.91, 0.92, 0.93, 0.94), powers=(248, 250, 252, 254, 256)
    )
    diagonal = points.loc[points["point"] % 6 == 0]
    figure = good_period_map.draw(good_period_map.data({"points": diagonal}))
    assert everything_inside(figure)
    panel = all_axes(figure)[0]
    assert not [c for c in panel.collections if isinstance(c, QuadMesh)]
    assert len(panel.collections[0].get_offsets()) == 5  # pyright: ignore


def test_one_parameter_is_no_map():
    with pytest.raises(Lacking, match="two swept parameters, got 1"):
        good_period_map.data({"points": sweep(t_accs=(0.9, 0.95))})
