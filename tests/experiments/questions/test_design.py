"""Targets in, a setting out: the grammar, a real search, and an honest no."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.analysis.attacks.situation import plain
from dpodl.analysis.calibration.choice import Choice, at_choice
from dpodl.analysis.calibration.work_cycle import mean_interval
from dpodl.analysis.estimation.training_error import FEW_RUNS
from dpodl.experiments.commands import design as design_commands
from dpodl.experiments.config.hash_targets import parse_target, success_probability
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline.training import train
from dpodl.experiments.questions.design import _situation, design, state_bytes
from dpodl.experiments.questions.design_scan import scanned
from dpodl.experiments.questions.design_targets import read_scan, read_targets

from ..conftest import silent

CONFIG = load_config("smoke", ["security.bootstraps=2"])
# No resamples: what is asked of these is not an interval.
QUICK = load_config("smoke", ["security.bootstraps=0"])
ONE = ("scheme.t_acc=0.8", "scheme.t_2=2^256", "protocol.s_min=0")
OVER = ("scheme.t_acc=0.8", "scheme.t_2=2^254", "protocol.s_min=0,96")
INTERVAL = 300.0


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("design")
    train(CONFIG, folder, silent)
    return folder


@pytest.fixture(scope="module")
def found(root):
    targets = (
        f"interval={INTERVAL:g}steps+-60%",
        "beta>=0.2",
        "useful>=0.05",
        "persistence=0.05@depth<=200",
        "liveness@0.9<=900blocks",
        "quality >= 0.1",
    )
    return design(CONFIG, root, targets, OVER, silent)


# ------------------------------------------------------------------ the words


def one(text):
    return read_targets(CONFIG, [text]).targets[0]


def test_targets_are_read_in_their_units():
    seconds = CONFIG.clock.seconds_per_step
    assert one("interval=600s")[:3] == ("interval", "=", 600 / seconds)
    assert one("interval=10min").bound == pytest.approx(600 / seconds)
    assert one("interval <= 3000 steps")[:3] == ("interval", "<=", 3000.0)
    assert one("interval=5steps").tolerance == 0.1
    assert one("interval=5steps ± 25%").tolerance == 0.25
    assert one("persistence=2^-40@depth<=60")[:3] == ("depth", "<=", 60.0)
    assert one("persistence_premined=1e-9@depth<=6blocks")[:3] == (
        "depth_premined",
        "<=",
        6.0,
    )
    assert one("storage<=20MB").bound == 2e7
    for name, sense in (("useful", ">="), ("beta_warm", ">="), ("stale", "<=")):
        assert one(f"{name}{sense}.25")[:3] == (name, sense, 0.25)
    asked = read_targets(
        CONFIG, ["liveness@0.9<=12blocks", "persistence=2^-3@depth<=9"]
    )
    assert (asked.level, asked.liveness_blocks, asked.risk) == (0.9, True, 0.125)
    assert asked.interval_steps is None
    assert read_targets(CONFIG, ["interval=2h"]).interval_steps == 7200 / seconds


HOSTILE = {
    "": "there are persistence",
    "nonsense": "there are persistence",
    "persistance=2^-40@depth<=60": "write it as persistence=2",
    "persistence=2^-40": "write it as persistence=2",
    "persistence=2^-40@depth<=0": "depth from 1",
    "persistence=2^-40@depth<=-3": "write it as",
    "persistence=2^-40@depth<=9999999999999": "write it as",
    "persistence<=2^-40@depth<=60": "persistence takes =",
    "persistence=2^-9999@depth<=60": "between 0 and 1",
    "persistence=2^-999999999999@depth<=60": "must be a number",
    "persistence=2@depth<=60": "between 0 and 1",
    "persistence=0@depth<=60": "between 0 and 1",
    "persistence=nan@depth<=60": "must be a number",
    "interval=600": "needs a unit",
    "interval=600 parsecs": "needs a unit",
    "interval=6blocks": "needs a unit",
    "interval=-600s": "must be a number",
    "interval=0s": "must be > 0",
    "interval=1e999s": "must be > 0 and finite",
    "interval=infs": "must be a number",
    "interval=1e99999s": "must be a number",
    "interval=" + "9" * 10_000 + "s": "must be a number",
    "interval=٦٠٠s": "must be a number",
    "interval=600s+-0%": "between 0 and 100",
    "interval=600s+-10": "write a tolerance",
    "interval<=600s+-10%": "write a tolerance",
    "interval@0.9<=600s": "write it as",
    "liveness<=3600s": "write it as liveness@0.99",
    "liveness@1.5<=3600s": "between 0 and 1",
    "liveness@0.99>=3600s": "liveness takes <=",
    "liveness@0.99<=3600": "needs a unit",
    "useful<=0.5": "useful takes >=",
    "useful>=50%": "must be a number",
    "useful>=1": "between 0 and 1",
    "useful>=0x1": "must be a number",
    "useful>=1_0": "must be a number",
    "useful>=__import__('os')": "must be a number",
    "quality>=": "write it as quality>=0.3",
    "beta=0.3": "beta takes >=",
    "storage<=20": "needs a unit",
    "storage<=20mb": "needs a unit",
    "storage>=20MB": "storage takes <=",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_target_is_named_and_explained(text):
    with pytest.raises(ConfigError) as refused:
        read_targets(CONFIG, [text])
    message = str(refused.value)
    assert HOSTILE[text] in message
    assert "--target" in message
    assert len(message) < 900


def test_everything_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as refused:
        read_targets(
            CONFIG, ["interval=5", "beta>=0.3", "beta>=0.4", "quality<=0.5", "?"]
        )
    message = str(refused.value)
    for part in ("needs a unit", "beta is asked for twice", "quality takes >=", "'?'"):
        assert part in message
    with pytest.raises(ConfigError, match="no target: give --target"):
        read_targets(CONFIG, [])


def test_values_to_try_are_read_and_refused_together():
    free = read_targets(CONFIG, ["beta>=0.3"])
    scan = read_scan(
        CONFIG,
        ["scheme.t_acc=0.7:0.8:0.05", "scheme.p_2=0.5", "protocol.s_min=0,12"],
        free,
    )
    assert scan.t_acc == (0.7, 0.75, 0.8)
    assert success_probability(scan.t_2[0]) == 0.5
    assert scan.s_min == (0, 12)
    assert read_scan(CONFIG, ["scheme.t_1=2^240"], free).t_1 == (1 << 240,)
    solved = read_targets(CONFIG, ["interval=5steps"])
    with pytest.raises(ConfigError) as refused:
        read_scan(
            CONFIG,
            [
                "scheme.t_1=2^240",
                "network.beta=0.1",
                "scheme.t_acc=2",
                "protocol.s_min=-1",
                "protocol.s_min=1.5",
                "scheme.t_2=0",
                "scheme.t_acc",
            ],
            solved,
        )
    message = str(refused.value)
    for part in (
        "solved for by --target interval",
        "a design chooses scheme.t_acc",
        "less than or equal to 1",
        "protocol.s_min=-1",
        "protocol.s_min=1.5",
        "a chance of",
        "write it as",
    ):
        assert part in message
    with pytest.raises(ConfigError, match="at most 20000"):
        read_scan(
            CONFIG,
            ["scheme.t_acc=0.5:0.9:lin200", "scheme.p_2=0.1:0.9:lin200"],
            solved,
        )


# ------------------------------------------------------------------ the search


def test_the_recommended_setting_meets_what_was_asked(found, root):
    assert found.verdict in ("met", "perhaps")
    best = found.tables["front"].iloc[0]
    t_1, t_2 = parse_target(best.t_1), parse_target(best.t_2)
    assert success_probability(t_1) == best.p_1
    assert math.log2(t_1) == best.log2_t_1
    curves = train(CONFIG, root, silent)
    asked = read_targets(CONFIG, ["beta>=0.2"])
    at, _ = _situation(CONFIG, curves, asked, Path(), silent)
    choice = Choice(
        best.t_acc, success_probability(t_1), success_probability(t_2), best.s_min
    )
    again = mean_interval(
        plain(at_choice(at, choice)).law, honest=3, delay_steps=at.delay_steps
    )
    assert again == pytest.approx(INTERVAL, rel=1e-5)
    table = found.tables["targets"].set_index("figure")
    for name, bound in (("beta", 0.2), ("useful", 0.05), ("quality", 0.1)):
        row = table.loc[name]
        expected = "met" if row.low >= bound else "perhaps"
        assert row.verdict == expected
    assert table.loc["depth"].high <= 200


def test_the_tables_are_tidy_and_whole(found):
    candidates = found.tables["candidates"]
    assert len(candidates) == 2
    assert set(candidates.s_min) == {0, 96}
    shown = found.tables["recommended"].set_index("quantity")
    assert (shown.low <= shown.value).all()
    assert (shown.value <= shown.high).all()
    assert shown.loc["interval"].seconds == pytest.approx(
        shown.loc["interval"].value * CONFIG.clock.seconds_per_step
    )
    assert shown.runs_effective.between(1, CONFIG.training.runs).all()
    assert (shown.warning != "").all() == (shown.runs_effective < FEW_RUNS).all()
    sensitivity = found.tables["sensitivity"].set_index(["figure", "parameter"])
    assert sensitivity.loc[("interval", "T_1")].value < 0
    assert sensitivity.loc[("depth", "beta")].value > 0
    assert len(found.tables["front"]) <= 10
    assert len(found.tables["assumptions"])
    tiers = found.tables["tiers"]
    assert list(tiers.tier) == [
        *("private chain", "best attack found", "any adversary"),
    ]
    # A number or a reason, and the attack's is never above the bound.
    assert (tiers.value.notna() == (tiers.refusal == "")).all()
    assert not tiers.value[0] > tiers.value[2]


def test_the_same_question_has_the_same_answer(root):
    targets = ("interval=300steps", "useful>=0.05")
    first, again = (design(QUICK, root, targets, ONE, silent) for _ in range(2))
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table, again.tables[name])


def test_what_no_setting_meets_is_named_with_how_near_it_comes(root):
    targets = ("interval=300steps+-60%", "useful>=0.9999", "beta>=0.1")
    result = design(QUICK, root, targets, (*OVER[:2], ONE[2]), silent)
    assert result.verdict == "missed"
    best = result.tables["candidates"].useful.max()
    assert result.reasons[0].startswith("useful>=0.9999: missed, useful is ")
    assert f"at best {best:.4g}" in result.reasons[0]
    assert result.reasons[1].startswith("binding: useful>=0.9999; 0 of")
    table = result.tables["targets"].set_index("figure")
    assert table.loc["useful"].settings_alone == 0
    assert table.loc["useful"].settings_without > 0
    assert table.loc["beta"].settings_without == 0
    assert table.loc["useful"].nearest == best


def test_an_interval_below_training_is_no_setting_with_the_reason(root):
    result = design(CONFIG, root, ("interval=1steps",), OVER, silent)
    assert result.verdict == "missed"
    assert "without a first lottery (t_1 = 2^256) a block takes" in result.reasons[0]
    assert result.tables["front"].empty
    assert (
        result.tables["candidates"].useful.isna().all()
        if ("useful" in result.tables["candidates"])
        else True
    )


def test_without_an_interval_the_first_lottery_is_the_configs_or_scanned(root):
    curves = train(CONFIG, root, silent)
    asked = read_targets(QUICK, ["beta>=0.1"])
    at, terms = _situation(QUICK, curves, asked, Path(), silent)

    def found(*over):
        scan = read_scan(QUICK, [*ONE, *over], asked)
        return scanned(QUICK, at, terms, asked, scan, silent)

    assert [each.t_1 for each in found()] == [1 << 248]
    both = found("scheme.t_1=2^246,2^248")
    times = {f"2^{one.t_1.bit_length() - 1}": one.figures["interval"] for one in both}
    assert times["2^246"] > times["2^248"]


def test_nobody_corrupted_is_no_question(root):
    config = load_config("smoke", ["network.beta=0.0"])
    with pytest.raises(ConfigError, match="corrupted prover"):
        design(config, root, ("useful>=0.1",), (), silent)


def test_a_checkpoints_bytes_are_its_tensors():
    menu = [
        "menu.architectures=['softmax']",
        "menu.optimizers=[{name='adam', learning_rates=[0.1]}]",
    ]
    config = load_config("smoke", menu)
    # 784 × 10 weights and 10 biases, and two moments of each.
    assert state_bytes(config, (28, 28), 10) == 3 * 4 * 7850


def test_the_command_prints_writes_and_refuses(root):
    words = ["smoke", "--output", str(root), "--set", "security.bootstraps=0"]
    words += [word for text in ONE for word in ("--over", text)]
    asked = [*words, "--target", "interval=300steps+-60%", "--target", "useful>=0.05"]
    invoke = CliRunner().invoke
    shown = invoke(design_commands.design, [*asked, "--quiet"])
    assert shown.exit_code == 0, shown.output
    for part in ("T_acc  0.8", "S_min", "useful>=0.05", "what matters most", "β*"):
        assert part in shown.output
    assert "by tier:" in shown.output
    folder = Path(shown.output.splitlines()[-1].removeprefix("tables: "))
    front = pd.read_csv(folder / "front.csv")
    assert np.isfinite(front.interval).all()
    facts = json.loads((folder / "provenance.json").read_text())
    assert "--target 'useful>=0.05'" in facts["command"]
    told = json.loads(invoke(design_commands.design, [*asked, "--json"]).stdout)
    assert told["folder"] == str(folder)
    assert told["verdict"] in ("met", "perhaps")
    # pandas reads digits as a number; JSON keeps them as they are.
    assert parse_target(told["front"][0]["t_1"]) > 1 << 200
    wrong = invoke(design_commands.design, [*words, "--target", "useful=1"])
    assert wrong.exit_code == 2
    assert "useful takes >=" in wrong.output


def test_honesty_is_a_target_from_above():
    target = one("honest_epsilon<=0.01")
    assert (target.figure, target.sense, target.bound) == ("honest_epsilon", "<=", 0.01)
    with pytest.raises(ConfigError, match="honest_epsilon takes <="):
        one("honest_epsilon>=0.01")


@pytest.mark.slow
def test_a_setting_is_chosen_by_what_a_deviator_gains(root):
    over = ("scheme.t_acc=0.8", "scheme.t_2=2^256,2^252", "protocol.s_min=0")
    found = design(CONFIG, root, ["honest_epsilon<=0.9"], over, silent)
    row = found.tables["targets"].iloc[0]
    assert row["figure"] == "honest_epsilon"
    assert row["low"] <= row["value"] <= row["high"]
    assert row["settings"] == 2
    # A rare lottery leaves verification a smaller share of the interval.
    candidates = found.tables["candidates"]
    rare = candidates[candidates.t_2 == "2^252"].honest_epsilon.iloc[0]
    easy = candidates[candidates.t_2 == "2^256"].honest_epsilon.iloc[0]
    assert rare < easy
