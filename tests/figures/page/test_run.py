from typing import Any

import numpy as np
import pandas as pd
import pytest
from dpodl.figures.page.run import run_data


@pytest.fixture
def run_tables(tables):
    estimates = tables["estimates"].copy()
    windows = estimates["quantity"].str.startswith("good")
    estimates["at_unit"] = np.where(windows, "expected blocks", "blocks")
    estimates["unit"] = np.where(estimates["at"].isna(), "steps", "probability")
    notes = pd.DataFrame({"kind": ["assumption"], "text": ["equal provers"]})
    return dict(tables) | {"estimates": estimates, "notes": notes}


def chart(tables, title: str) -> dict:
    return next(c for c in run_data(tables)["charts"] if c["title"] == title)


def rows(about: dict) -> Any:
    return pd.DataFrame(about["rows"])


def test_a_run_has_its_charts_and_all_its_numbers(run_tables):
    data = run_data(run_tables)
    assert [each["title"] for each in data["charts"]] == [
        "Persistence",
        "Good periods",
        "Block time of one prover",
        "Learning curves",
    ]
    assert data["tables"]["estimates"]["value"] == list(
        run_tables["estimates"]["value"]
    )
    drawn = rows(data["charts"][0])
    assert set(drawn["kind"]) == {"estimate", "reference"}
    mine = drawn.loc[drawn["kind"] == "estimate"]
    wanted = run_tables["estimates"].query("at_unit == 'blocks' and at == at")
    assert sorted(mine["value"]) == sorted(wanted["value"])
    for _, curve in mine.groupby("series"):
        assert list(curve["x"]) == sorted(curve["x"])


def test_a_chart_has_one_unit(run_tables):
    """Dispersions and distances do not stand among probabilities."""
    windows = run_tables["estimates"].query("quantity == 'good_period'")
    others = [
        windows.assign(quantity=quantity, unit=unit)
        for quantity, unit in (
            ("dispersion", "variance per mean"),
            ("window_distance", "total variation"),
            ("decay_slope", np.nan),
            ("decay_slope_ratio", np.nan),
            ("new_thing", "furlongs"),
        )
    ]
    estimates = pd.concat([run_tables["estimates"], *others], ignore_index=True)
    tables = run_tables | {"estimates": estimates}
    found = {
        each["title"]: set(rows(each).query("kind == 'estimate'")["series"])
        for each in run_data(tables)["charts"]
        if each["title"] not in ("Block time of one prover", "Learning curves")
    }
    assert found["Good periods"] == {
        "Pr[window is good]",
        "Pr[all windows in the horizon are good]",
    }
    assert found["Over expected blocks"] == {"new thing"}
    sizes = {title: len(series) for title, series in found.items()}
    assert sizes.pop("Persistence") == sizes.pop("Good periods") == 2
    assert set(sizes.values()) == {1}
    assert len(sizes) == 5
    axes = {
        each["title"]: each["spec"]["layer"][4]["encoding"]["y"]["axis"]["title"]
        for each in run_data(tables)["charts"]
    }
    assert axes["Dispersion of a window's blocks"] == "variance per mean"
    assert axes["Over expected blocks"] == "furlongs"


def test_a_quantity_of_few_places_has_no_chart(run_tables):
    few = run_tables["estimates"].query("at != at or at in (5, 10)")
    titles = [c["title"] for c in run_data(run_tables | {"estimates": few})["charts"]]
    assert titles == ["Block time of one prover", "Learning curves"]


def test_learning_curves_are_thinned_but_not_their_medians(run_tables):
    about = chart(run_tables, "Learning curves")
    drawn, curves = rows(about), run_tables["curves"]
    thin: Any = drawn.query("kind == 'run'")
    for series, mine in drawn.query("kind == 'spread'").groupby("series"):
        name = str(series).partition(" (")[0]
        runs = thin.loc[thin["series"] == series]
        assert runs["run"].nunique() <= 24
        assert len(mine) <= 100
        of = curves.loc[curves["architecture"] == name]
        median = of.groupby("step")["accuracy"].median().loc[mine["x"]]
        np.testing.assert_allclose(mine["value"], median, rtol=1e-12)


def test_laws_are_drawn_in_units_of_their_means(run_tables):
    drawn = rows(chart(run_tables, "Block time of one prover"))
    means = run_tables["law_summary"].set_index("setting")["mean"]
    law = run_tables["laws"].query("setting == 'b'").set_index("time")["survival"]
    mine = drawn.query("series == 'b' and x > 0")
    np.testing.assert_allclose(
        mine["value"], np.interp(mine["x"] * means["b"], law.index, law), rtol=1e-9
    )
    assert drawn["x"].max() <= 4


def test_what_a_closed_form_is_for_is_said_once_or_by_each(run_tables):
    about = chart(run_tables, "Good periods")
    assert "iid rounds" in set(rows(about)["series"])
    assert "closed forms for Pr[window is good]." in about["note"]
    both = set(rows(chart(run_tables, "Persistence"))["series"])
    assert "exponential law, same β: Pr[violation at depth k], strict" in both
