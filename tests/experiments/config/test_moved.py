"""Configs of before the world was described once: what they say now, and where."""

import logging
import re

import numpy as np
import pytest
from dpodl.experiments.config.loading import load_config, parse_config
from dpodl.experiments.config.moved import MOVED
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.mining.setting import chain_parameters, prover_list
from dpodl.models.learning.curves import training_set

# A config of that time: every setting that has moved, each with another value.
OLD = """
name = "old"
[scheme]
t_acc = 0.8
retry = "restart"
abandon_steps = 600
[training]
horizon_steps = 600
[network]
provers = 4
beta = 0.25
[mining]
s_min = 40
checkpoint_every = 40
challenges = 1
binding = "none"
chain_rule = "weight"
tie_rule = "random"
step_rule = false
reference_window = "off"
tolerance = 1e-6
reward = 7
reference = "most_accurate"
way = "transplant"
speeds = [1.0, 1.0, 2.0, 3.0]
attack = "relabel"
delay_model = "random"
[mining.weight]
family = "linear"
kappa = 3.0
[sweep.over]
"scheme.retry" = ["continue", "restart"]
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.toml"
    path.write_text(OLD)
    return str(path)


def test_an_old_config_says_what_it_said_and_one_line_tells_what_moved(old, caplog):
    with caplog.at_level(logging.WARNING):
        config = load_config(old)
    (told,) = [record.getMessage() for record in caplog.records]
    assert all(f"{was} → {now}" in told for was, now in MOVED.items())
    rules = config.protocol
    assert (rules.retry, rules.abandon_steps) == ("restart", 600)
    images = np.zeros((1000, 8, 8), np.uint8)
    data = training_set(images, np.zeros(1000, np.uint8))
    found = chain_parameters(config, data)
    assert found.s_min == 40
    assert found.checkpoint_every == 40
    assert found.challenges == 1
    assert found.binding == "none"
    assert found.chain_rule == "weight"
    assert tuple(found.weight) == ("linear", 3.0)
    assert found.tie_rule == "random"
    assert found.step_rule is False
    assert found.reference_window is None
    assert found.tolerance == 1e-6
    assert found.reward == 7
    assert (rules.reference, rules.way) == ("most_accurate", "transplant")
    net = config.network
    assert (net.provers, net.beta) == (4, 0.25)
    assert (net.honest_speeds, net.corrupted_speeds) == ((1, 1, 2), (3,))
    assert net.delay_model == "random"
    assert config.adversary.attack == "relabel"
    assert set(config.sweep.over) == {"protocol.retry"}
    assert load_config("smoke") == parse_config(load_config("smoke").to_toml(), "x")


def test_what_no_result_depended_on_is_left_out_of_a_folder_s_config(caplog):
    """`run` knew the private chain and equal provers, whatever [mining] said."""
    config = parse_config(OLD, "config.toml")
    assert config.adversary.attack == "private"
    assert config.network.equal_speeds
    assert config.network.delay_model == "worst_case"
    assert config.protocol.reference == "fresh"
    assert config.protocol.chain_rule == "longest"
    assert config.protocol.retry == "restart"
    assert not caplog.records


@pytest.mark.parametrize(("attack", "honest"), [("none", 4), ("relabel", 3)])
def test_a_chain_s_provers_are_who_they_were(attack, honest):
    text = OLD.replace('attack = "relabel"', f'attack = "{attack}"')
    names = prover_list(parse_config(text, "config.toml", "chain"))
    assert sum(name.startswith("honest") for name in names) == honest
    assert len(names) == 4


def test_a_setting_in_both_places_is_refused_with_the_new_spelling(tmp_path):
    path = tmp_path / "both.toml"
    path.write_text(f"{OLD}\n[protocol]\nretry = 'restart'\ns_min = 3\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    for name, was in (("retry", "scheme"), ("s_min", "mining")):
        told = f"{was}.{name}: it is protocol.{name} now, which is given too"
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("scheme.retry=restart", "protocol.retry", "restart"),
        ("mining.weight.kappa=2", "protocol.weight.kappa", 2),
        ("mining.attack=none", "adversary.attack", "honest"),
        ("mining.speeds=[2, 1, 1, 2]", "network.corrupted_speeds", (2,)),
    ],
)
def test_an_override_is_moved_too(override, path, value, caplog):
    with caplog.at_level(logging.WARNING):
        found = load_config("smoke", [override])
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    (told,) = [record.getMessage() for record in caplog.records]
    assert re.search(r"(scheme|mining)\.\S+ → (protocol|network|adversary)", told)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["network.classes=[{count=2}]", "network.beta=0.5"], "beta follow from class"),
        (
            ["network.classes=[{count=2, corrupted=true}]"],
            "must leave an honest prover",
        ),
        (["network.classes=[{count=0}]"], "network.classes.0.count: "),
        (["network.classes=[3]"], "network.classes.0: "),
        (["network.delays=[3]", "network.delay_steps=3"], "is the longest of delays"),
        (["network.delays=[3]", "network.delay_model=random"], "'random' and 1 delays"),
        (["network.delay_model=table"], "'table' and 0 delays"),
        (["network.delays=[-1]"], "network.delays.0: "),
    ],
)
def test_a_network_is_said_once(settings, told):
    with pytest.raises(ConfigError) as caught:
        load_config("smoke", settings)
    assert told in str(caught.value)


def test_shares_follow_from_classes():
    classes = "[{count=8}, {count=2, speed=16, corrupted=true}]"
    net = load_config("smoke", [f"network.classes={classes}"]).network
    assert (net.provers, net.beta, net.corrupted) == (10, 0.2, 2)
    assert net.beta_of_speed == 0.8
    assert not net.equal_speeds
    table = load_config("smoke", ["network.delays=[3, 9, 4]"]).network
    assert (table.delay_model, table.delay_steps) == ("table", 9)
