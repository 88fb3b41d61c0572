"""A question refuses a world that it does not know, by the setting's name."""

import pytest
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.mining import reality
from dpodl.experiments.mining.store import ChainError
from dpodl.experiments.pipeline import training
from dpodl.experiments.questions import (
    attack,
    design,
    effects,
    risk,
    threshold,
    threshold_map,
)

WRONG = {
    "protocol.chain_rule=weight": "protocol.chain_rule = weight",
    "protocol.tie_rule=random": "protocol.tie_rule = random",
    "network.classes=[{count=3}, {count=1, speed=2, corrupted=true}]": (
        "network.classes of unequal speeds"
    ),
}
# A race with laws of its own and delays up to Δ has these.
NO_RACE = {
    "protocol.reference=tip_model": "protocol.reference = tip_model",
    "network.delay_model=random": "network.delay_model = random",
    "network.delays=[1, 5]": "network.delay_model = table",
}
ATTACKS = {
    f"adversary.attack={name}": f"adversary.attack = {name}"
    for name in ("honest", "selfish", "relabel")
}
LONGER = {
    "security.criterion=longer": "security.criterion = longer",
    "adversary.attack=cross_slot_new": "adversary.attack = cross_slot_new",
}
RACES = ("risk", "threshold")
ASKED = ("interval=300steps", "beta>=0.2")


def never(*_):
    raise AssertionError("trained before the world was looked at")


QUESTIONS = {
    "risk": lambda c, root: risk.risk_tables(c, root, never, risk.Question()),
    "threshold": lambda c, root: threshold.threshold_table(c, root, (3,), never),
    "effects": lambda c, root: effects.effects(c, root, never, branches=4, resamples=2),
    "design": lambda c, root: design.design(c, root, ASKED, (), never),
}


CASES = [
    (question, *case)
    for question in QUESTIONS
    for case in (
        WRONG | ATTACKS | ({} if question in RACES else NO_RACE | LONGER)
    ).items()
]


@pytest.mark.parametrize(("question", "setting", "said"), CASES)
def test_another_world_is_refused_before_anything_is_trained(
    question, setting, said, tmp_path
):
    config = load_config("smoke", [setting])
    with pytest.raises(Refused, match=f"^{question} does not know") as refused:
        QUESTIONS[question](config, tmp_path)
    assert said in str(refused.value)
    assert "known: " in str(refused.value)
    assert "dpodl run computes what it can of such a world" in str(refused.value)
    assert not list(tmp_path.iterdir())


class Trained(Exception):
    """A question that has begun."""


@pytest.mark.parametrize("question", RACES)
@pytest.mark.parametrize(
    "setting",
    [*NO_RACE, *LONGER, "adversary.attack=grind_prehash", "protocol.progress=kept"],
)
def test_a_race_knows_its_laws_delays_and_both_criteria(
    question, setting, tmp_path, monkeypatch
):
    def train(*_):
        raise Trained

    monkeypatch.setattr(training, "train", train)
    with pytest.raises(Trained):
        QUESTIONS[question](load_config("smoke", [setting]), tmp_path)


def test_kept_progress_is_first_seen_whatever_the_ties(tmp_path, monkeypatch):
    def train(*_):
        raise Trained

    monkeypatch.setattr(training, "train", train)
    settings = ["protocol.progress=kept", "protocol.tie_rule=adversary"]
    with pytest.raises(Trained):
        QUESTIONS["threshold"](load_config("smoke", settings), tmp_path)


@pytest.mark.parametrize(("setting", "said"), (WRONG | NO_RACE).items())
def test_the_table_of_attacks_knows_the_same_network(setting, said, tmp_path):
    with pytest.raises(Refused, match=r"^attack does not know") as refused:
        attack.attack(
            load_config("smoke", [setting]), tmp_path, never, branches=4, resamples=2
        )
    assert said in str(refused.value)


def test_every_setting_that_is_wrong_is_named(tmp_path):
    config = load_config("smoke", ["protocol.tie_rule=random", *list(ATTACKS)[1:2]])
    with pytest.raises(Refused) as refused:
        QUESTIONS["risk"](config, tmp_path)
    assert "tie_rule = random" in str(refused.value)
    assert "attack = selfish" in str(refused.value)


def test_a_least_number_of_steps_is_not_in_the_effects(tmp_path):
    config = load_config("smoke", ["protocol.s_min=24"])
    with pytest.raises(Refused, match=r"protocol\.s_min = 24 \(known: 0\)"):
        QUESTIONS["effects"](config, tmp_path)


def test_risk_has_the_head_start_of_its_adversary():
    asked = risk.Question()
    ahead = load_config("smoke", ["adversary.attack=private_premined"])
    assert risk.of_world(ahead, asked).premined
    assert not risk.of_world(load_config("smoke", []), asked).premined
    # A design has a head start where a target says so.
    with pytest.raises(Refused, match=r"private_premined \(known: private\)"):
        design.design(ahead, None, ASKED, (), never)  # pyright: ignore


def test_a_map_of_thresholds_says_in_its_cells_why_it_is_empty():
    config = load_config("smoke", ["network.delay_model=random"])
    table = threshold_map.threshold_map(
        config,
        None,  # pyright: ignore
        None,
        lambda *_: None,
        t_accs=[0.8],
        p_2s=[0.5],
    )
    assert table.beta.isna().all()
    assert "network.delay_model = random" in table.method[0]


@pytest.mark.parametrize("setting", ["protocol.progress=kept", *list(WRONG)[:2]])
def test_a_chain_of_another_world_is_not_compared(setting, tmp_path):
    name, value = setting.split("=")
    config = load_config("reality", [setting])
    with pytest.raises(ChainError, match=rf"{name} must be ") as refused:
        reality._require_modelled(tmp_path, config)
    assert value not in str(refused.value)
