"""dpodl withholding on a law that is written down, so that nothing is trained."""

import numpy as np
import pytest
from dpodl.analysis.withholding.policy import from_arrays
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.questions import withholding

SETTINGS = (
    *("law.formula.family=weibull", "law.formula.shape=4", "law.formula.dead_time=0"),
    *("network.provers=3", "network.beta=0.3333333333333333", "adversary.gamma=0"),
)


def never(*_):
    """Progress that nobody sees."""


def test_strategies_in_order_and_the_policy_on_disk(tmp_path):
    config = load_config("formula", SETTINGS)
    found = withholding.withholding(
        config, tmp_path, never, depth=4, cells=24, upper_cells=24
    )
    rows = found.revenue.to_dict("records")
    value = {row["strategy"]: row["value"] for row in rows}
    assert value["sm1"] < value["honest"] < value["best_withholding"]
    assert value["best_withholding"] < value["upper_end"]
    withholding.write(found, tmp_path / "kept", config, command="dpodl withholding x")
    with np.load(tmp_path / "kept" / "policy.npz") as arrays:
        policy = from_arrays(dict(arrays))
    assert policy.actions.shape == (1, 5, 5, 24, 24)
    assert (policy.honest, policy.own, policy.gamma) == (2, 1, 0)
    assert (tmp_path / "kept" / "figures" / "policy.png").stat().st_size > 0
    shown = found.policy
    published = shown.loc[(shown["a"] == 1) & (shown["h"] == 0)]
    # Just in time: never while honest work is young.
    assert set(published.loc[published["x"] == 0, "action"]) == {"wait"}
    assert "override" in set(published["action"])


def test_nobody_or_a_majority_corrupted(tmp_path):
    for beta, count in (("0", 0), ("0.6666666666666666", 2)):
        config = load_config("formula", (*SETTINGS, f"network.beta={beta}"))
        with pytest.raises(ConfigError, match=f"corrupted minority, got {count} of 3"):
            withholding.withholding(config, tmp_path, never)
