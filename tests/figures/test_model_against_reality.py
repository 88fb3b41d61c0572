"""model_against_reality: interval curves with bands, ratios with bars, p-values."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from dpodl.figures import model_against_reality
from dpodl.figures.model_against_reality import data, draw
from dpodl.figures.style import COLUMN_INCHES, LOOKS, save
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.text import Text

from .conftest import covered, everything_inside, rendered, share_of_legends

EQUAL, UNEQUAL = "5 equal provers, Δ = 6 steps", "2 provers, speeds 1.5 : 1, Δ = 0"
NUMBERS = {
    "interval_mean": (46.7, 0.9, 48.0, 1.2),
    "interval_cv": (0.37, 0.03, 0.38, 0.01),
    "winner_repeats": (0.28, 0.03, 0.25, 0.002),
}


def curves_of(run, mean):
    time = np.linspace(0, 4 * mean, 50)
    alive = np.exp(-np.maximum(time - mean / 2, 0) / (mean / 2))
    return pd.DataFrame(
        {
            "run": run,
            "time": time,
            "mined": np.round(alive, 2),
            "predicted": alive,
            "low": np.maximum(alive - 0.08, 0),
            "high": np.minimum(alive + 0.08, 1),
        }
    )


def row(run, quantity, mined, mined_se, predicted, predicted_se, p=np.nan):
    z = (mined - predicted) / np.hypot(mined_se, predicted_se)
    return {
        "run": run,
        "quantity": quantity,
        "mined": mined,
        "mined_se": mined_se,
        "predicted": predicted,
        "predicted_se": predicted_se,
        "z": z,
        "p_value": p,
        "count": 299,
        "method": "invented",
    }


def tables_of(runs=(EQUAL, UNEQUAL)):
    rows = []
    for run in runs:
        rows += [row(run, quantity, *values) for quantity, values in NUMBERS.items()]
        rows.append(row(run, "interval_ks", 0.05, np.nan, 0.06, 0.02, 0.6))
        rows.append(row(run, "winner_chi2", 10.0, np.nan, 5.0, 3.0, 0.0009))
        shares = (0.69, 0.31) if run == UNEQUAL else (0.199, 0.2, 0.201, 0.2, 0.2)
        rows += [
            row(run, f"winner_share_{i}", share, 0.03, share, 0.002)
            for i, share in enumerate(shares)
        ]
    rows.append(row(EQUAL, "stale_rate", 0.23, 0.016, 0.2, 0.01))
    return {
        "mined_intervals": pd.concat(
            [curves_of(run, 40.0 * (1 + i)) for i, run in enumerate(runs)]
        ),
        "agreement": pd.DataFrame(rows).loc[lambda df: df["run"].isin(runs)],
    }


@pytest.fixture
def tables():
    return tables_of()


def shown(figure) -> list[Any]:
    return [text for text in figure.findobj(Text) if text.get_text()]


def test_ratios_join_both_errors(tables):
    df = data(tables)
    ratio = df.loc[(df["layer"] == "ratio") & (df["quantity"] == "stale_rate")]
    assert len(ratio) == 1
    value, error = 0.23 / 0.2, np.hypot(0.016 / 0.2, 0.23 / 0.2 * 0.01 / 0.2)
    found = ratio[["value", "low", "high"]].to_numpy(float)[0]
    np.testing.assert_allclose(
        found, [value, value - 1.96 * error, value + 1.96 * error]
    )


def test_wins_are_shown_where_provers_differ_but_not_the_last_ones(tables):
    df = data(tables)
    wins = df.loc[df["quantity"].astype(str).str.startswith("winner_share")]
    assert list(wins["quantity"]) == ["winner_share_0"]
    assert list(wins["run"]) == [UNEQUAL]


def test_layers_and_order(tables):
    df = data(tables)
    assert set(df["layer"]) == {"curve", "ratio", "test"}
    ratios = df.loc[df["layer"] == "ratio"]
    assert list(ratios["label"].unique()) == [
        "mean interval",
        "CV of intervals",
        "stale-block rate",
        "same winner twice",
        "wins, prover 0",
    ]
    tests = df.loc[df["layer"] == "test"]
    assert list(tests["value"]) == [0.6, 0.0009] * 2


def test_the_first_row_of_a_quantity_counts(tables):
    extra = tables["agreement"].iloc[:1].assign(mined=1.0)
    doubled = pd.concat([tables["agreement"], extra])
    pd.testing.assert_frame_equal(data(tables), data({**tables, "agreement": doubled}))


def test_a_drawn_figure_is_a_readable_column(tables):
    figure = draw(data(tables))
    assert figure.get_size_inches()[0] == COLUMN_INCHES
    assert everything_inside(figure)
    rendered(figure)
    sizes = [float(t.get_fontsize()) for t in shown(figure)]
    assert min(sizes) >= 7
    assert max(sizes) <= 8
    *uppers, lower = figure.axes
    assert len(uppers) == 2
    assert "steps" in uppers[-1].get_xlabel()
    assert lower.get_xlabel() == "Mined / predicted"
    assert all(axes.get_ylabel() == "Pr[interval > $t$]" for axes in uppers)
    assert covered(figure) == []
    assert share_of_legends(figure) < 1 / 3
    for axes in uppers:
        low, high = axes.get_ylim()
        assert (low, high) == (0.0, 1.02)


def test_runs_differ_in_colour_and_marker_and_say_their_p_values(tables):
    figure = draw(data(tables))
    keys: list[Any] = [axes.get_legend() for axes in figure.axes[:-1]]
    lines = [key.get_lines()[0] for key in keys]
    assert [line.get_color() for line in lines] == [LOOKS[0].color, LOOKS[1].color]
    assert len({line.get_marker() for line in lines}) == 2
    names = [key.get_texts()[0].get_text() for key in keys]
    assert names[0].startswith(EQUAL)
    assert "299 levels" in names[0]
    assert "KS: $p$ = 0.60" in names[0]
    # Not "0.00".
    assert "$p$ = 0.0009" in names[0]


def test_the_band_is_the_tables(tables):
    figure = draw(data(tables))
    bands = [
        band
        for axes in figure.axes[:-1]
        for band in axes.findobj(FillBetweenPolyCollection)
    ]
    assert len(bands) == 2
    first = tables["mined_intervals"].loc[lambda df: df["run"] == EQUAL]
    corners = np.asarray(bands[0].get_paths()[0].vertices)
    assert corners[:, 1].max() == first["high"].max()
    assert corners[:, 1].min() == first["low"].min()


@pytest.mark.parametrize("runs", [(EQUAL,), (UNEQUAL,), (EQUAL, UNEQUAL, "a third")])
def test_one_run_or_three(runs):
    figure = draw(data(tables_of(runs)))
    assert len(figure.axes) == len(runs) + 1
    assert everything_inside(figure)


def test_no_forks_at_all_and_a_prediction_of_none(tables):
    rows = tables["agreement"]
    stale = rows["quantity"] == "stale_rate"
    for mined, predicted in ((0.0, 0.2), (0.1, 0.0)):
        changed = rows.assign(
            mined=rows["mined"].where(~stale, mined),
            predicted=rows["predicted"].where(~stale, predicted),
        )
        df = data({**tables, "agreement": changed})
        # No ratio to a prediction of 0; a ratio of 0 keeps its bar.
        assert ("stale_rate" in set(df["quantity"])) == (predicted > 0)
        assert everything_inside(draw(df))


def test_only_tests_and_no_ratios(tables):
    rows = tables["agreement"]
    df = data({**tables, "agreement": rows.loc[rows["mined_se"].isna()]})
    assert "ratio" not in set(df["layer"])
    assert everything_inside(draw(df))


def test_runs_must_be_in_both_tables(tables):
    rows, curves = tables["agreement"], tables["mined_intervals"]
    one = {**tables, "agreement": rows.loc[rows["run"] == EQUAL]}
    with pytest.raises(ValueError, match="'agreement' lacks the run '2 provers"):
        data(one)
    other = {**tables, "mined_intervals": curves.loc[curves["run"] == UNEQUAL]}
    with pytest.raises(ValueError, match="'mined_intervals' lacks the run '5 equal"):
        data(other)


@pytest.mark.parametrize("name", ["mined_intervals", "agreement"])
def test_a_table_that_is_empty_or_missing_is_named(tables, name):
    with pytest.raises(ValueError, match=f"table '{name}' is empty"):
        data({**tables, name: tables[name].iloc[:0]})
    with pytest.raises(ValueError, match=f"table '{name}' is missing"):
        data({key: value for key, value in tables.items() if key != name})


def test_the_tables_are_left_alone_and_the_bytes_are_the_same(tables, tmp_path):
    before = {name: frame.copy() for name, frame in tables.items()}
    written = [
        path.read_bytes()
        for name in ("one", "two")
        for path in save(draw(data(tables)), tmp_path / name, command="dpodl figures")
    ]
    assert written[:2] == written[2:]
    for name, frame in tables.items():
        pd.testing.assert_frame_equal(frame, before[name])


def test_two_public_functions():
    own = {
        name
        for name, value in vars(model_against_reality).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == model_against_reality.__name__
    }
    assert own == {"data", "draw"}
