"""Figures say, and show, the criterion that a risk is of."""

import pandas as pd
import pytest
from dpodl.figures import by_adversary, confirmation_map, latency, persistence
from dpodl.figures.parts.criterion import by_criterion, ties
from dpodl.figures.parts.needs import lacking

from ..conftest import all_axes, rendered
from ..sweeps import risk, sweep

RULED = ("persistence_violation", "safe_depth")


def longer(points: pd.DataFrame) -> pd.DataFrame:
    """The same numbers under the other criterion's names."""
    names = {name: f"{name}_strict" for name in RULED}
    return points.assign(quantity=points["quantity"].replace(names))


SWEEP = sweep(betas=(0.2, 0.3), delays=(5, 100), safe=True)
FIGURES = {
    "by_adversary": by_adversary,
    "latency": latency,
    "confirmation_map": confirmation_map,
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(
    ("points", "said"), [(SWEEP, "ties win"), (longer(SWEEP), "ties lose")]
)
def test_a_figure_says_the_criterion_of_its_numbers(name, points, said):
    assert not lacking(name, {"points": points})
    df = FIGURES[name].data({"points": points})
    plain = FIGURES[name].data({"points": SWEEP})
    pd.testing.assert_frame_equal(
        df.drop(columns="criterion"), plain.drop(columns="criterion")
    )
    figure = rendered(FIGURES[name].draw(df))
    texts = {axes.get_ylabel() for axes in all_axes(figure)}
    assert [text for text in texts if said in text]
    assert not [text for text in texts if "ties" in text and said not in text]


def test_points_that_say_their_criterion_show_the_number_of_it():
    both = pd.concat(
        [
            SWEEP,
            longer(SWEEP.loc[SWEEP["quantity"].isin(RULED)]).eval("value = value / 2"),
        ]
    )
    both = both.assign(**{"security.criterion": "longer"})
    df = by_adversary.data({"points": both})
    risks = df.loc[df["quantity"] == "persistence_violation"]
    assert risks["value"].tolist() == [risk(b, 6) / 2 for b in risks["at"]]
    assert set(df["criterion"]) == {"longer"}


def test_where_the_criterion_is_swept_no_figure_says_one_for_both():
    points = pd.concat(
        [
            SWEEP.assign(**{"security.criterion": "equal"}),
            longer(SWEEP).assign(
                **{"security.criterion": "longer", "point": SWEEP["point"] + 100}
            ),
        ]
    )
    some = by_criterion({"points": points})["points"]
    known = list(SWEEP["quantity"]).count("persistence_violation")
    assert list(some["quantity"]).count("persistence_violation") == 2 * known
    df = by_adversary.data({"points": points})
    # One slice of the two, which its title says.
    (criterion,) = set(df["criterion"])
    assert f"criterion = {criterion}" in next(iter(df["fixed"]))
    mixed = pd.DataFrame({"criterion": ["equal", "longer"]})
    assert ties(mixed) == "ties by security.criterion"


def test_a_run_s_curve_is_carried_on_under_its_own_criterion():
    rows = [("persistence_violation", k, 0.5**k) for k in (1, 2, 3)]
    rows += [("persistence_violation_strict", k, 0.5 ** (k + 1)) for k in (1, 2, 3)]
    rows += [("persistence_simulated_strict", 1, 0.2), ("safe_depth_strict", 1e-6, 19)]
    columns = ["quantity", "at", "value"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.assign(low=table["value"], high=table["value"])
    df = persistence.data({"estimates": table})
    curve = df.loc[df["layer"] == "curve"]
    strict = curve["quantity"] == "persistence_violation_strict"
    assert curve.loc[strict, "at"].max() == 19
    assert curve.loc[~strict, "at"].max() == 3
