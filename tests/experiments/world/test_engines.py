"""The config alone picks the engine, and what the chosen one simulates."""

from functools import partial

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric, mean as mean_time
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.estimation.measurement import Measurement
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.world import engines
from dpodl.experiments.world.engines import (
    assess_world,
    chosen_engine,
    event_network_of,
    taken,
)
from dpodl.experiments.world.translation import (
    network_of,
    plan_of,
    require_known,
)

config = partial(load_config, "smoke")
LAW = exponential(1 / 200, dead_time=100)
FAST = "network.classes=[{count=2}, {count=1, speed=3}, {count=1, corrupted=true}]"


def named(*settings):
    return chosen_engine(config([*settings]))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("protocol.chain_rule=weight", "protocol.chain_rule = weight"),
        ("protocol.tie_rule=random", "protocol.tie_rule = random"),
        ("network.delay_model=random", "network.delay_model = random"),
        ("network.delays=[1, 5, 9]", "network.delay_model = table"),
        (FAST, "network.classes of unequal speeds"),
    ],
)
def test_what_is_beyond_levels_goes_block_by_block_and_says_why(setting, said):
    found = named(setting)
    assert found.name == "event"
    assert said in found.why


@pytest.mark.parametrize(
    "setting",
    [
        "network.classes=[{count=3}, {count=1, corrupted=true}]",
        "network.delay_model=fixed",
        "adversary.attack=cross_slot_new",
        "protocol.step_rule=false",
    ],
)
def test_equal_provers_and_one_delay_go_level_by_level(setting):
    assert named(setting).name == named().name == "level"


@pytest.mark.parametrize("attack", ["selfish", "best", "balance"])
def test_a_strategy_is_played_and_nobody_plays_it_where_nobody_is_corrupted(attack):
    assert named(f"adversary.attack={attack}").name == "strategy"
    alone = named(f"adversary.attack={attack}", "network.beta=0")
    assert alone.name == "level"


def test_kept_progress_leaves_provers_with_the_first_seen():
    """They stay until their own block is higher than any equal sibling."""
    for ties in ("random", "adversary", "first_seen"):
        some = config([f"protocol.tie_rule={ties}", "protocol.progress=kept"])
        assert some.protocol.adopted == "first_seen"
        assert chosen_engine(some).name == "level"
        require_known(some)
    assert config(["protocol.tie_rule=random"]).protocol.adopted == "random"


def test_corrupted_classes_have_the_laws_of_their_attack_at_their_speeds():
    """Memoryless: rates add, a corrupted prover's is twice the honest one's."""
    some = config(
        [
            FAST.replace("corrupted=true", "speed=2, corrupted=true"),
            "adversary.attack=cross_slot_new",
            "protocol.step_rule=false",
            "network.delay_steps=0",
            "security.levels=64",
            "security.windows=[2]",
        ]
    )
    require_known(some)
    honest, theirs = exponential(1 / 200), exponential(1 / 100)
    known = UncertainLaw(honest, adversaries=(theirs,))
    sides = network_of(some, honest, known)
    assert mean_time(sides.law) == pytest.approx(200 / 5, rel=1e-3)
    assert mean_time(sides.private_law) == pytest.approx(100 / 2, rel=1e-3)
    plan = plan_of(some)._replace(replicas=600, good_period_replicas=600, detail=False)
    found = assess_world(some, known, honest, jax.random.key(3), plan)
    by_name = {m.quantity: m.estimate for m in found.measurements}
    # Withholding and winning ties it takes q/p of the levels, q/p = (1/50)/(1/40).
    quality = by_name["chain_quality"]
    assert quality.low <= 1 - 40 / 50 <= quality.high
    assert quality.high - quality.low < 0.05
    adversarial = by_name["round_adversarial"]
    each = plan.round_steps / 50
    assert adversarial.low <= each <= adversarial.high


def test_the_honest_provers_keep_their_speeds_and_the_corrupted_join_if_they_obey():
    public = event_network_of(config([FAST]), LAW)
    assert sorted(np.asarray(public.speeds).tolist()) == [1, 1, 3]
    obedient = event_network_of(config([FAST, "adversary.attack=honest"]), LAW)
    assert sorted(np.asarray(obedient.speeds).tolist()) == [1, 1, 1, 3]


def test_a_world_of_one_rare_fast_prover_is_its_own():
    """With Δ = 0 the public chain's interval is the fastest of the honest provers'."""
    some = config(
        [FAST, "network.delay_steps=0", "security.levels=64", "security.windows=[2]"]
    )
    plan = plan_of(some)._replace(replicas=600, good_period_replicas=200)
    memoryless = exponential(1 / 200)
    found = assess_world(
        some, UncertainLaw(memoryless), memoryless, jax.random.key(3), plan
    )
    (mean,) = [
        m.estimate for m in found.measurements if m.quantity == "block_interval_mean"
    ]
    # Rates add: 1 + 1 + 3 of 1/200.
    assert mean.low <= 40 <= mean.high
    assert mean.high - mean.low < 2


def test_no_public_block_is_honest_where_all_are_relabelled():
    quality = Measurement(
        "chain_quality", None, "", Estimate(0.6, 0.5, 0.7, 9, "x"), ""
    )
    gap = Measurement("quality_gap", 9.0, "", Estimate(0.1, 0.0, 0.2, 9, "x"), "")
    growth = Measurement("chain_growth", None, "", Estimate(0.2, 0.1, 0.3, 9, "x"), "")
    every = [quality, gap, growth]
    unbound = ["adversary.attack=relabel", "protocol.binding=none"]
    kept = taken(config(unbound), every)
    assert [m.quantity for m in kept] == ["chain_quality", "chain_growth", "revenue"]
    assert kept[-1].estimate.value == kept[-1].estimate.low == 1
    assert kept[0].estimate.value == kept[0].estimate.high == 0
    assert "relabelled" in kept[0].estimate.method
    *rest, revenue = taken(config(unbound[:1]), every)
    assert rest == every
    assert revenue.estimate[:3] == pytest.approx((0.4, 0.3, 0.5))
    assert taken(config([*unbound, "network.beta=0"]), every) == every


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["adversary.attack=best", "protocol.tie_rule=random"],
            "adversary.attack = best with protocol.tie_rule = random, where the",
        ),
        (
            ["adversary.attack=selfish", "network.delay_model=random"],
            "adversary.attack = selfish with network.delay_model = random, whose",
        ),
        (
            ["adversary.attack=selfish", "protocol.tie_rule=random"],
            "adversary.attack = selfish with protocol.tie_rule = random, where the",
        ),
        (
            ["adversary.attack=balance", "protocol.chain_rule=weight"],
            "adversary.attack = balance with protocol.chain_rule = weight, a strategy",
        ),
        (
            ["adversary.attack=balance", "network.delay_model=fixed"],
            "adversary.attack = balance with network.delay_model = fixed, whose",
        ),
        (
            ["adversary.attack=balance", FAST],
            "adversary.attack = balance with network.classes of unequal speeds",
        ),
        (
            ["adversary.attack=selfish", "security.criterion=longer"],
            "adversary.attack = selfish with security.criterion = longer, where",
        ),
        (
            ["protocol.progress=kept", "protocol.chain_rule=weight"],
            "protocol.progress = kept with protocol.chain_rule = weight",
        ),
        (
            ["adversary.attack=equivocate", "protocol.binding=none"],
            "adversary.attack = equivocate with protocol.binding = none",
        ),
    ],
)
def test_a_world_that_no_engine_has_is_refused_by_name(settings, said):
    with pytest.raises(Refused, match=r"^this command does not compute ") as refused:
        require_known(config(settings))
    assert said in str(refused.value)


def test_whole_looks_of_unequal_speeds_are_refused():
    # Winners of laws without a pre-hash tie, and speeds make the looks incommensurable.
    law = geometric(0.1, trial=20.0)
    with pytest.raises(Refused, match=r"network\.classes: speeds must be equal"):
        network_of(config([FAST]), law)


def test_what_the_event_engine_cannot_take_is_refused(monkeypatch):
    def none(*_, **__):
        raise ValueError("speeds must be > 0")

    monkeypatch.setattr(engines, "event_network", none)
    with pytest.raises(Refused, match=r"the event engine has no such network: speeds"):
        event_network_of(config([FAST]), LAW)
