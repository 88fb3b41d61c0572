import numpy as np
import pandas as pd
import pytest
from dpodl.experiments.sweep.shard_file import ROWS
from dpodl.figures.parts.needs import Lacking
from dpodl.figures.parts.parameters import few, parameter, read_sweep, slice_of, swept
from dpodl.figures.parts.tables import OF_A_QUANTITY

from ..sweeps import sweep


def test_a_target_stands_for_its_chance():
    rows = read_sweep(
        {"points": sweep(powers=(250, 256), betas=(0.1, 0.2))}, ("block_interval_mean",)
    )
    assert swept(rows) == ["scheme.t_2", "network.beta"]
    without = rows.drop(columns="scheme.t_2")
    assert swept(without) == ["p_2", "network.beta"]


def test_powers_of_two_stand_at_their_exponents_in_order():
    # As text 2^99 would stand behind 2^250.
    found = parameter(
        pd.DataFrame({"scheme.t_2": ["2^250", "2^99", "2^256"]}), "scheme.t_2"
    )
    assert found.values == ("2^99", "2^250", "2^256")
    assert list(found.places) == [99, 250, 256]
    assert found.text("2^250") == "$T_2$ = $2^{250}$"


def test_scales_and_units():
    even = parameter(pd.DataFrame({"network.beta": [0.3, 0.1, 0.2]}), "network.beta")
    assert (even.scale, even.texts) == ("linear", ("0.1", "0.2", "0.3"))
    ratios = parameter(pd.DataFrame({"p_2": [2.0**-8, 1.0, 2.0**-4]}), "p_2")
    assert (ratios.scale, ratios.texts) == ("log", ("$2^{-8}$", "$2^{-4}$", "1"))
    delay = parameter(pd.DataFrame({"network.delay_steps": [5]}), "network.delay_steps")
    assert delay.text(5) == r"$\Delta$ = 5 steps"
    names = parameter(
        pd.DataFrame({"protocol.retry": ["restart", "continue"]}), "protocol.retry"
    )
    assert names.texts == ("continue", "restart")
    assert names.label == "protocol.retry"


def test_a_slice_has_most_numbers_and_of_equals_the_middle_values():
    rows = read_sweep(
        {"points": sweep(t_accs=(0.9, 0.95), betas=(0.1, 0.2, 0.3))},
        ("block_interval_mean",),
    )
    some, fixed = slice_of(rows, ["scheme.t_acc"])
    assert set(some["network.beta"]) == {0.2}
    assert fixed == r"$\beta$ = 0.2"
    # Points 1 and 4 are those of β = 0.2.
    rows = read_sweep(
        {"points": sweep(t_accs=(0.9, 0.95), betas=(0.1, 0.2, 0.3), failed=(1,))},
        ("block_interval_mean",),
    )
    some, _ = slice_of(rows, ["scheme.t_acc"])
    assert set(some["network.beta"]) == {0.1}
    assert slice_of(rows, ["scheme.t_acc", "network.beta"])[1] == ""


def test_failed_points_are_kept_with_their_parameters():
    points = sweep(betas=(0.1, 0.2), failed=(1,))
    rows = read_sweep({"points": points}, ("block_interval_mean",))
    refused = rows.loc[rows["refused"]]
    assert list(refused["network.beta"]) == [0.2]
    assert list(refused["error"]) == ["Refused: why"]
    assert np.isnan(refused["value"]).all()
    with pytest.raises(Lacking, match="no point has a number for stale_rate"):
        read_sweep({"points": points}, ("stale_rate",))


def test_few_keeps_both_ends():
    assert few([1, 2, 3], 5) == [1, 2, 3]
    assert few(list(range(11)), 3) == [0, 5, 10]


def test_what_a_row_says_of_its_quantity_is_no_parameter_of_the_point():
    points = sweep(betas=(0.1, 0.2))
    said = points.assign(
        runs_effective=np.arange(len(points), dtype=float), warning="few runs"
    )
    rows = read_sweep({"points": said}, ("block_interval_mean",))
    assert list(rows.columns) == list(
        read_sweep({"points": points}, ("block_interval_mean",)).columns
    )
    assert swept(rows) == ["network.beta"]
    assert set(ROWS) <= set(OF_A_QUANTITY)
