"""The law beyond the horizon against models that were really trained further."""

import numpy as np
import pytest
from dpodl.benchmarks import horizon
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline.training import train


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The quick population: 48 models trained to 1,600 steps, judged at 400 and 800."""
    population = horizon.QUICK["mixed"]
    config = load_config(population.config, population.changes)
    curves = train(config, tmp_path_factory.mktemp("curves"), lambda *_: None)
    return curves, horizon.cases("mixed", population, curves)


@pytest.mark.slow
def test_what_was_seen_is_inside_and_near(judged):
    _, table = judged
    known = table[table["off"].notna()]
    assert len(known) >= 36
    assert known["inside"].mean() >= 0.9
    assert known["near"].mean() >= 0.9
    # One prover at a rare lottery: the old rate of a run's last looks was off by .3 to
    # 1.5 here.
    rare = known[(known["1/p_2"] == 512) & (known["provers"] == 1)]
    assert rare.loc[rare["figure"] == "mean", "off"].abs().max() < 0.12


@pytest.mark.slow
def test_a_short_horizon_is_what_a_short_training_would_have_shown(judged):
    curves, _ = judged
    short = horizon._until(curves, 800, 1)
    assert short.steps[-1] == 800
    assert (short.correct == curves.correct[:, : len(short.steps)]).all()
    thinned = horizon._until(curves, 800, 4)
    assert thinned.steps.tolist() == list(range(100, 801, 100))
    assert (thinned.correct == curves.correct[:, 3 : len(short.steps) : 4]).all()


def test_the_summary_counts_by_menu_and_over_all():
    import pandas as pd

    table = pd.DataFrame(
        {
            "menu": ["a", "a", "b"],
            "figure": ["mean", "mean", "mean"],
            "off": [0.01, -0.3, np.nan],
            "inside": [True, False, np.nan],
            "near": [True, False, np.nan],
            "bracketed": [True, True, np.nan],
        }
    )
    rows = horizon.summary(table).set_index("menu")
    assert rows.loc["all", "cases"] == rows.loc["a", "cases"] == 2
    assert rows.loc["all", "inside"] == 0.5
    assert rows.loc["all", "worst"] == 0.3
