"""The picture of a withholding policy."""

import numpy as np
import pandas as pd
import pytest
from dpodl.figures.questions import policy

from ..conftest import everything_inside


def cells() -> pd.DataFrame:
    """Publishes one block where honest work is older than 200 steps."""
    a, h, x, y = (each.ravel() for each in np.indices((3, 3, 4, 4)))
    acts = np.where((a > h) & (x >= 2), "override", np.where(h > a, "adopt", "wait"))
    return pd.DataFrame(
        {"a": a, "h": h, "x": 100.0 * x, "y": 100.0 * y, "action": acts}
    ).assign(blocks=0, honest_mean=200.0, own_mean=250.0)


def test_ages_are_in_mean_honest_block_times():
    df = policy.data({"policy": cells()})
    assert set(zip(df["a"], df["h"], strict=True)) == set(policy.PAIRS)
    first = df.loc[(df["action"] == "override"), "x"].min()
    assert first == 1.0


def test_each_pair_of_branches_has_its_panel():
    figure = policy.draw(policy.data({"policy": cells()}))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{a} private, {h} public" for a, h in policy.PAIRS]
    (shown,) = figure.axes[1].collections
    grid = np.asarray(shown.get_array()).reshape(4, 4)
    # Rows are own ages: the whole of the two oldest honest columns is published.
    assert (grid[:, 2:] == 2).all()
    assert (grid[:, :2] == 0).all()
    assert everything_inside(figure)


def test_an_unknown_action():
    with pytest.raises(ValueError, match="policy: actions are"):
        policy.data({"policy": cells().assign(action="sleep")})
