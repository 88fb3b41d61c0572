"""What holds for each figure of a sweep: it says what it needs, and nothing clips."""

import numpy as np
import pandas as pd
import pytest
from dpodl.figures import MORE_FIGURES, MORE_NAMES, NAMES
from dpodl.figures.parts.needs import NEEDS, lacking
from dpodl.figures.parts.svg import save_svg
from dpodl.figures.style import COLUMN_INCHES
from matplotlib.text import Text

from .conftest import (
    all_axes,
    covered,
    everything_inside,
    rendered,
    share_of_legends,
)
from .sweeps import sweep

NEW = (
    "block_rate",
    "good_period_map",
    "confirmation_map",
    "decay",
    "by_adversary",
    "latency",
    "security_map",
    "verification_cost",
)


def more_tables() -> dict[str, pd.DataFrame]:
    cells = [(a, p) for a in (0.9, 0.95) for p in (1.0, 2.0**-4)]
    thresholds = pd.DataFrame(cells, columns=["t_acc", "p_2"])
    beta = 0.5 - 0.1 * thresholds["p_2"] * (1.5 - thresholds["t_acc"])
    costs = [
        {
            "architecture": "mlp-8",
            "steps": 200,
            "checkpoint_every": every,
            "segments": 200 // every,
            "challenges": q,
            "training_seconds": 2.0,
            "verification_seconds": 2.0 * q * every / 200,
            "verification_low": 1.9 * q * every / 200,
            "verification_high": 2.2 * q * every / 200,
            "rerolls_one": np.inf if q == 200 // every else 1 / (1 - q * every / 200),
            "proof_bytes": 1000.0 * q,
            "storage_bytes": 9000 * 200 // every,
        }
        for every in (25, 50, 100)
        for q in (1, 2, 200 // every)
    ]
    return {
        "points": sweep(
            t_accs=(0.9, 0.95),
            powers=(252, 256),
            betas=(0.1, 0.2, 0.3),
            delays=(5, 25),
            failed=(3, 17),
            safe=True,
        ),
        "thresholds": thresholds.assign(beta=beta, low=beta - 0.01, high=beta + 0.01),
        "verification_cost": pd.DataFrame(costs).drop_duplicates(),
    }


@pytest.fixture(scope="module", params=NEW)
def drawn(request):
    module = MORE_FIGURES[request.param]
    return rendered(module.draw(module.data(more_tables())))


def test_every_figure_has_its_needs_and_its_module():
    assert set(NEEDS) == {*NAMES, *MORE_NAMES}
    assert list(MORE_FIGURES) == list(MORE_NAMES)
    assert set(NEW) <= set(MORE_NAMES)
    for name in NEW:
        assert callable(MORE_FIGURES[name].data)
        assert callable(MORE_FIGURES[name].draw)


def test_one_column_named_axes_readable_text_and_nothing_clipped(drawn):
    assert drawn.get_size_inches()[0] == COLUMN_INCHES
    assert everything_inside(drawn)
    for axes in all_axes(drawn):
        if axes.get_label() != "<colorbar>":
            assert axes.get_ylabel()
    assert any(axes.get_xlabel() for axes in all_axes(drawn))
    sizes = {text.get_fontsize() for text in drawn.findobj(Text) if text.get_text()}
    assert min(sizes) >= 7
    assert max(sizes) <= 8
    assert len(drawn.legends) == 1
    assert covered(drawn) == []
    assert share_of_legends(drawn) < 1 / 3


@pytest.mark.parametrize("name", NEW)
def test_data_leaves_the_tables_alone_and_an_empty_table_is_refused(name):
    tables = more_tables()
    before = {each: frame.copy() for each, frame in tables.items()}
    module = MORE_FIGURES[name]
    module.draw(module.data(tables))
    for each, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[each])
    (needed,) = NEEDS[name].tables
    with pytest.raises(ValueError, match=f"table '{needed}' is empty"):
        module.data({**tables, needed: tables[needed].iloc[:0]})
    with pytest.raises(ValueError, match=f"table '{needed}' is missing"):
        module.data({})


@pytest.mark.parametrize("name", NEW)
def test_what_is_lacking_is_said(name):
    tables = more_tables()
    assert lacking(name, tables) == ""
    (needed,) = NEEDS[name].tables
    assert needed in lacking(name, {})
    for quantity in NEEDS[name].quantities:
        points = tables["points"]
        without = points.loc[points["quantity"] != quantity]
        assert quantity in lacking(name, {"points": without})


def test_an_svg_carries_the_command_and_is_the_same_twice(tmp_path):
    module = MORE_FIGURES["block_rate"]
    contents = []
    for name in ("one.svg", "two.svg"):
        figure = module.draw(module.data(more_tables()))
        path = save_svg(figure, tmp_path / name, command="dpodl figures a β")
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert "dpodl figures a β".encode() in contents[0]
    assert b"<dc:date>" not in contents[0]
