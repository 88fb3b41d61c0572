"""``dpodl rational`` on the smoke config, with real branched trainings."""

import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.questions import rational

from .test_worlds import WRONG, never


@pytest.mark.parametrize(
    ("setting", "said"),
    [(k, v) for k, v in WRONG.items() if "reference" not in k],
)
def test_another_world_is_refused_before_anything_is_trained(setting, said, tmp_path):
    config = load_config("smoke", [setting])
    with pytest.raises(Refused, match=r"^rational does not know") as refused:
        rational.rational(config, tmp_path, never, rational.Asked())
    assert said in str(refused.value)


def test_a_game_has_three_provers_and_chances_are_chances(tmp_path):
    two = load_config("smoke", ["network.provers=2", "network.beta=0.5"])
    with pytest.raises(ConfigError, match=r"network\.provers must be ≥ 3"):
        rational.rational(two, tmp_path, never, rational.Asked())
    config = load_config("smoke", [])
    with pytest.raises(ConfigError, match=r"--p-2 must be in \(0, 1\]"):
        rational.rational(config, tmp_path, never, rational.Asked(p_2s=(2.0,)))


@pytest.mark.slow
def test_every_deviation_has_its_rows(copy):
    words = ["rational", "smoke", "--p-2", "0.5", "--p-2", "0.125", "--invalid", "0.1"]
    for setting in ("security.bootstrap_replicas=400", "security.bootstraps=2"):
        words += ["--set", setting]
    words += ["--set", "adversary.branches=12", "--step-price", "1e-4"]
    result = CliRunner().invoke(
        main, [*words, "--resamples", "2", "--output", str(copy.root)]
    )
    assert result.exit_code == 0, result.output
    assert "honest is an ε-equilibrium of these policies, rewards steps" in (
        result.output
    )
    (path,) = copy.root.glob("rational-*/deviations.csv")
    for name in ("rational_regions", "simplex"):
        assert (path.parent / "figures" / f"{name}.pdf").is_file()
    table = pd.read_csv(path)
    assert set(table.deviation) == set(rational.GAINS)
    assert set(table.rule) == set(rational.FAMILIES)
    assert (table.low <= table.value).all()
    assert (table.value <= table.high).all()
    assert set(table.pays) <= {"yes", "no", "perhaps"}
    own = table[(table.rule == "own") & (table.deviation == "hoard")]
    steps = table[(table.rule == "steps") & (table.deviation == "hoard")]
    # Who is paid nothing for references does not share: at every lottery worse.
    assert (own.value.to_numpy() > steps.value.to_numpy()).all()
    game = pd.read_csv(path.parent / "equilibrium.csv")
    assert (game.low <= game.epsilon).all()
    assert (game.epsilon <= game.high).all()
    paths = pd.read_csv(path.parent / "simplex.csv")
    shares = paths[["honest", "hoard", "skip"]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-6)
    market = pd.read_csv(path.parent / "market.csv").set_index("quantity").value
    assert market["cost_of_interval"] == pytest.approx(1e-4 * market["interval"])
