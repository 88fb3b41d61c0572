"""What holds for every figure: nothing clipped, units, errors, the same bytes twice."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from dpodl.figures import FIGURES, NAMES
from dpodl.figures.parts.legends import add_legend
from dpodl.figures.style import (
    COLUMN_INCHES,
    LOOKS,
    look,
    new_figure,
    page_width,
    save,
    spaced,
    styled,
)
from matplotlib import rcParams
from matplotlib.text import Text
from PIL import Image

from .conftest import (
    all_axes,
    covered,
    everything_inside,
    rendered,
    share_of_legends,
)

REQUIRED = {
    "learning_curves": ("curves", "law_summary"),
    "block_times": ("laws", "law_summary"),
    "good_periods": ("estimates",),
    "persistence": ("estimates",),
}


def shown_tick_labels(axes, axis_name: str) -> list[Text]:
    axis = getattr(axes, f"{axis_name}axis")
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    return [
        tick.label1
        for tick in axis.get_major_ticks()
        if low - slack <= tick.get_loc() <= high + slack
        and tick.label1.get_visible()
        and tick.label1.get_text()
    ]


@pytest.fixture(scope="module", params=NAMES)
def drawn(request, tables):
    module = FIGURES[request.param]
    return request.param, rendered(module.draw(module.data(tables)))


def test_the_registry_is_the_four_modules_with_two_public_functions():
    assert list(FIGURES) == list(NAMES) == list(REQUIRED)
    for name, module in FIGURES.items():
        own = {
            each
            for each, value in vars(module).items()
            if not each.startswith("_")
            and getattr(value, "__module__", None) == f"dpodl.figures.{name}"
        }
        assert own == {"data", "draw"}


def test_importing_the_package_does_not_import_matplotlib():
    code = (
        "import sys, dpodl.figures; print(dpodl.figures.NAMES); "
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_attribute_is_an_attribute_error():
    import dpodl.figures

    with pytest.raises(AttributeError, match="no attribute 'figures'"):
        _ = dpodl.figures.figures  # pyright: ignore[reportAttributeAccessIssue]


def test_one_column_wide_and_nothing_clipped(drawn):
    _, figure = drawn
    assert figure.get_size_inches()[0] == COLUMN_INCHES
    assert everything_inside(figure)


def test_the_clipping_check_sees_clipped_text():
    with styled():
        figure = new_figure(1.0)
        figure.add_subplot().set_ylabel("far too long for an inch of height")
    assert not everything_inside(figure)


def test_every_axis_is_named_and_tick_labels_do_not_collide(drawn):
    _, figure = drawn
    for axes in all_axes(figure):
        assert axes.get_xlabel()
        for name in ("x", "y"):
            boxes = [
                label.get_window_extent() for label in shown_tick_labels(axes, name)
            ]
            assert all(
                not one.overlaps(other)
                for place, one in enumerate(boxes)
                for other in boxes[:place]
            )


def test_fonts_are_readable_at_print_size(drawn):
    _, figure = drawn
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
    assert min(sizes) >= 7
    assert max(sizes) <= 8


def test_the_legend_covers_nothing_and_takes_less_than_a_third(drawn):
    name, figure = drawn
    # The key of block_times is its lower panel.
    assert len(figure.legends) == (name != "block_times")
    assert covered(figure) == []
    assert share_of_legends(figure) < 1 / 3


def test_data_leaves_the_tables_alone(tables):
    before = {name: frame.copy() for name, frame in tables.items()}
    for module in FIGURES.values():
        module.draw(module.data(tables))
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_draw_leaves_the_settings_alone(tables):
    before = dict(rcParams)
    module = FIGURES["persistence"]
    module.draw(module.data(tables))
    assert dict(rcParams) == before


@pytest.mark.parametrize(
    ("figure", "table"),
    [(figure, table) for figure, needed in REQUIRED.items() for table in needed],
)
def test_a_table_that_is_empty_or_missing_is_named(tables, figure, table):
    data = FIGURES[figure].data
    empty = {**tables, table: tables[table].iloc[:0]}
    with pytest.raises(ValueError, match=f"table '{table}' is empty"):
        data(empty)
    with pytest.raises(ValueError, match=f"table '{table}' is empty"):
        data({**tables, table: pd.DataFrame()})
    with pytest.raises(ValueError, match=f"table '{table}' is missing, got "):
        data({name: frame for name, frame in tables.items() if name != table})


def test_a_lacking_column_is_named(tables):
    curves = tables["curves"].drop(columns="accuracy")
    with pytest.raises(ValueError, match=r"table 'curves' lacks .* accuracy"):
        FIGURES["learning_curves"].data({**tables, "curves": curves})


def test_two_draws_are_saved_as_the_same_bytes(tables, tmp_path):
    module = FIGURES["block_times"]
    contents = []
    for name in ("one", "two"):
        figure = module.draw(module.data(tables))
        paths = save(figure, tmp_path / name, command="dpodl figures runs/a")
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]
    assert b"CreationDate" not in contents[0][1]


def test_saving_twice_the_same_figure_replaces_it_by_itself(tables, tmp_path):
    module = FIGURES["good_periods"]
    figure = module.draw(module.data(tables))
    first = [p.read_bytes() for p in save(figure, tmp_path / "v1.2", command="c")]
    again = save(figure, str(tmp_path / "v1.2"), command="c")
    assert [path.name for path in again] == ["v1.2.png", "v1.2.pdf"]
    assert [path.read_bytes() for path in again] == first
    assert len(list(tmp_path.iterdir())) == 2


def test_the_files_carry_the_command(tmp_path):
    with styled():
        figure = new_figure(1.0)
    command = "dpodl figures runs/β --only persistence"
    png, pdf = save(figure, tmp_path / "x", command=command)
    with Image.open(png) as image:
        assert image.info["Description"] == command
        assert "Software" not in image.info
        assert image.size == (1020, 300)
        np.testing.assert_allclose(image.info["dpi"], 300, atol=0.1)
    assert command.encode("utf-16-be") in pdf.read_bytes()


def test_a_failed_save_leaves_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_text("old")
    with styled():
        figure = new_figure(1.0)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(figure, tmp_path / "x", command="c")
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
    assert (tmp_path / "x.png").read_text() == "old"


def test_looks_differ_in_colour_dashes_and_marker_each():
    for column in zip(*LOOKS, strict=True):
        assert len(set(column)) == len(LOOKS)
    assert look(len(LOOKS)) == look(0)


def test_spaced_prefers_the_first():
    assert spaced([0.0, 0.5, 1.0, 1.4, 2.0], 1.0) == [0, 2, 4]
    assert spaced([1.0, 0.5, 0.0], 1.0) == [0, 2]
    assert spaced([], 1.0) == []


def test_a_long_legend_label_is_wrapped():
    with styled():
        figure = new_figure(1.0)
        axes = figure.add_subplot()
        handles = axes.plot([0, 1], [0, 1])
        add_legend(figure, handles, ["long words " * 9], title="title")
    assert everything_inside(figure)


def test_a_legend_stands_inside_where_there_is_room_and_above_where_not():
    boxes = []
    for curve in ([0, 0.1, 1], [1, 0.05, 1]):
        with styled():
            figure = new_figure(2.0)
            axes = figure.add_subplot()
            lines = axes.plot([0, 0.5, 1], curve)
            if curve[0]:
                axes.plot([0, 0.4, 0.6, 1], [0, 0.9, 0.9, 0])
            add_legend(figure, lines, ["a curve"], title="bars: 95 % interval")
        assert covered(figure) == []
        place, room = figure.legends[0].get_window_extent(), axes.get_window_extent()
        boxes.append(place.overlaps(room))
    assert boxes == [True, False]


def test_a_long_legend_makes_the_figure_higher():
    with styled():
        figure = new_figure(1.2)
        lines = figure.add_subplot().plot([0, 1], np.ones((2, 9)))
        labels = [f"a label that needs its line, {i}" for i in range(9)]
        add_legend(figure, lines, labels, title="title", inside=False)
    assert everything_inside(figure)
    assert share_of_legends(figure) < 1 / 3
    assert figure.get_figheight() > 3


@pytest.mark.parametrize("width", [3.0, 7.0])
def test_a_figure_is_as_wide_as_the_page_and_its_texts_keep_their_size(tables, width):
    module = FIGURES["persistence"]
    with page_width(width):
        figure = module.draw(module.data(tables))
    assert figure.get_figwidth() == width
    assert everything_inside(figure)
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
    assert min(sizes) >= 7
    assert max(sizes) <= 8
    assert module.draw(module.data(tables)).get_figwidth() == COLUMN_INCHES
