"""The lines of the Python API give what the commands give, or say what is wrong."""

import pandas as pd
import pytest
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments import (
    block_time_law,
    draw,
    load_config,
    result_tables,
    run,
    security_table,
    simulate_chain,
    sweep_table,
    train,
)
from dpodl.experiments.store.files import table_bytes

EFFORT = {
    "replicas": 100,
    "good_period_replicas": 100,
    "bootstraps": 2,
    "bootstrap_replicas": 100,
}
SMALL = ["training.runs=12", *(f"security.{k}={v}" for k, v in EFFORT.items())]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def config():
    return load_config("smoke", SMALL)


@pytest.fixture(scope="module")
def curves(config, root):
    return train(config, root=root)


def test_training_is_kept_and_progress_told(config, curves, root):
    told = []
    again = train(config, root=str(root), progress=lambda *step: told.append(step))
    assert told == [("training models", 12, 12)]
    assert (again.correct == curves.correct).all()


def test_a_point_of_a_sweep_and_the_same_setting_alone_agree(config, curves, root):
    swept = sweep_table(
        config,
        over={"network.beta": [0.25]},
        output=root,
        kept=[f"security.{name}" for name in EFFORT],
    )
    alone = security_table(config, curves)
    pd.testing.assert_frame_equal(
        swept.reindex(columns=alone.columns), alone, check_dtype=False, check_exact=True
    )
    assert alone.quantity.eq("persistence_violation").sum() == config.security.depths


def test_the_chain_has_the_levels_asked_for(config, curves):
    law = block_time_law(config, curves)
    assert simulate_chain(config, law).interval.shape == (100, 48)
    with pytest.raises(ValueError, match="replicas must be ≥ 1, got 0"):
        simulate_chain(config, law, replicas=0)


def test_a_setting_that_cannot_be_known_is_refused(curves):
    high = load_config("smoke", [*SMALL, "scheme.t_acc=0.999"])
    with pytest.raises(Refused, match=r"0 of 12 runs reached it"):
        security_table(high, curves)
    with pytest.raises(Refused, match=r"0 of 12 runs reached it"):
        block_time_law(high, curves)


def test_a_figure_that_is_none_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"learning_curves, .*, got 'nothing'"):
        draw("nothing", {})


@pytest.mark.slow
def test_the_tables_are_those_of_a_run(config, curves, root):
    done = run(config, root, lambda *step: None, command="a test")
    mine = result_tables(config, curves)
    assert set(mine) == set(done.tables)
    for name, table in mine.items():
        assert table_bytes(table) == (done.folder / f"{name}.csv").read_bytes()
