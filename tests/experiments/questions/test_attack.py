"""``dpodl attack`` on the smoke config, with real branched trainings."""

import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.questions.attack import attack

from ..conftest import silent


def test_nobody_to_attack_is_refused(smoke):
    with pytest.raises(ConfigError, match=r"network\.beta must leave a corrupted"):
        attack(
            smoke.but("network.beta=0"), smoke.root, silent, branches=10, resamples=0
        )


@pytest.mark.slow
def test_every_attack_has_its_rows_and_mitigations_never_help_it(copy):
    words = ["attack", "smoke", "--branches", "12", "--resamples", "2"]
    for setting in ("security.bootstrap_replicas=400", "security.bootstraps=2"):
        words += ["--set", setting]
    result = CliRunner().invoke(
        main, [*words, "--set", "protocol.s_min=120", "--output", str(copy.root)]
    )
    assert result.exit_code == 0, result.output
    assert "cross_slot_old, reference rule off" in result.output
    (path,) = copy.root.glob("attack-*/attacks.csv")
    table = pd.read_csv(path)
    assert (path.parent / "figures" / "attacks.pdf").is_file()
    assert set(table.verdict) <= {"holds", "fails", "undecided", "refused"}
    assert (table.assumptions.str.len() > 20).all()
    assert (table.reason.str.len() > 3).all()
    attacks = set(table.attack)
    assert {"private", "cross_slot_old", "grind_posthash", "relabel"} <= attacks
    # Own steps for every block slow honest provers too and may cost more; so do rules
    # on what honest provers refer to.
    rules = table[
        table.mitigation.notna()
        & ~table.mitigation.str.contains("S_min", na=False)
        & ~table.attack.str.startswith("reference_policy")
    ]
    pairs = rules.pivot_table(index="attack", columns="on", values="depth_0.05")
    both = pairs.dropna().to_numpy(float)  # off, on
    assert len(both) >= 2
    assert (both[:, 1] <= both[:, 0]).all()
