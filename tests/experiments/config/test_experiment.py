"""Configs: what is written reads back equal, and what is wrong is told in one go."""

import hashlib
import json
import math
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
import tomli_w
from dpodl.experiments.config.experiment import Config, fingerprint
from dpodl.experiments.config.hash_targets import (
    format_target,
    parse_target,
    success_probability,
    target_of_probability,
)
from dpodl.experiments.config.loading import load_config, shipped_configs
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.config.sections import GridConfig, SchemeConfig
from dpodl.experiments.world import translation
from hypothesis import example, given, strategies as st
from pydantic import BaseModel, ValidationError

SPACE = 1 << 256
SHIPPED = {
    *("cross-slot", "delays", "mining", "paper", "quickstart", "reality", "smoke"),
    *("retarget", "sweep", "unequal", "weights", "formula", "own-curves", "own-times"),
}
STEP_SECONDS = '{"softmax/32" = 1e-4, "mlp-8/32" = 3e-4}'

# What the tests below count on, however [smoke] is tuned.
BASE = (
    "training.runs=24",
    "training.horizon_steps=240",
    "training.check_every=12",
    "protocol.abandon_steps=240",
    "scheme.t_acc=0.8",
    "scheme.t_2=2^254",
    "network.provers=4",
    "network.beta=0.25",
    "security.levels=48",
    "security.bootstrap_replicas=200",
)
# One change of every setting, each to another value that is allowed.
PUBLISHED = '{mean_seconds = 1.0, variance = 2.0, source = "a paper"}'
# How a chain is mined, and no experiment depends on.
MINING_CHANGES = (
    "mining.blocks=3",
    "mining.keys=secret",
    "mining.tasks=[{name='digits', t_acc=0.5}]",
    "mining.score_depth=2",
    "mining.transfers=0",
    "mining.changes=[{at = 900, provers = 1, speed = 0}]",
)
# Which points a sweep has: no experiment depends on it either.
SWEEP_CHANGES = (
    "sweep.design=sobol",
    "sweep.points=8",
    "sweep.over={seed = [1, 2]}",
    "sweep.quantities=quick",
    "sweep.replicas=300",
    "sweep.good_period_replicas=300",
    "sweep.bootstraps=2",
    "sweep.bootstrap_replicas=300",
    "sweep.shard=8",
)

CHANGES = (
    "name=other",
    "description=other",
    "seed=1",
    "data.name=mnist",
    "data.path=some/where.npz",
    "law.source=formula",
    "law.path=curves.csv",
    'law.columns={run = "seed"}',
    "law.short_runs=hold",
    "law.formula.family=gamma",
    "law.formula.mean=500.0",
    "law.formula.dead_time=10.0",
    "law.formula.cv=0.3",
    "law.formula.stages=3",
    "law.formula.shape=1.5",
    'menu.architectures=["softmax"]',
    "menu.batch_sizes=[64]",
    "menu.init_scales=[0.5]",
    "menu.optimizers=[{name='sgd', learning_rates=[0.1]}]",
    "menu.weights.architectures=[1, 2]",
    "menu.weights.batch_sizes=[2]",
    "menu.weights.init_scales=[2]",
    "training.runs=25",
    "training.horizon_steps=252",
    "training.check_every=24",
    "training.eval_samples=all",
    "training.lanes=2",
    "training.keep_states=true",
    "scheme.t_acc=0.81",
    "scheme.t_1=2^249",
    "scheme.t_2=2^253",
    "protocol.retry=restart",
    "protocol.abandon_steps=never",
    "protocol.s_min=1",
    "protocol.checkpoint_every=24",
    "protocol.challenges=0",
    "protocol.binding=none",
    "protocol.chain_rule=weight",
    "protocol.weight.family=linear",
    "protocol.weight.kappa=1",
    "protocol.tie_rule=random",
    "protocol.progress=kept",
    "protocol.step_rule=false",
    "protocol.reference_window=off",
    "protocol.tolerance=1e-6",
    "protocol.reward=1",
    "protocol.retarget={rule = 'wtema', interval = 700}",
    "protocol.reward_rule=equal",
    "protocol.reward_decay=0.25",
    "protocol.reference=tip_model",
    "protocol.way=transplant",
    "adversary.attack=relabel",
    "adversary.part=mine:attack",
    "adversary.kind=block",
    "adversary.gap=2",
    "adversary.rewrite=2",
    "adversary.mtx_share=0.9",
    "adversary.branches=12",
    "adversary.gamma=0.5",
    "clock.unit=operations",
    "clock.hashes_per_step=151",
    "clock.seconds_per_step=1e-3",
    f"clock.step_seconds={STEP_SECONDS}",
    "network.provers=8",
    "network.beta=0.5",
    "network.delay_steps=13",
    "network.delay_model=random",
    "network.delays=[1, 30]",
    "network.classes=[{count = 3}, {count = 1, speed = 5, corrupted = true}]",
    "security.target=0.01",
    "security.criterion=longer",
    "security.depths=9",
    "security.confirmations=4",
    "security.epsilon=0.4",
    "security.windows=[2]",
    "security.round_steps=6",
    "security.levels=64",
    "security.replicas=500",
    "security.good_period_replicas=300",
    "security.bootstraps=5",
    "security.bootstrap_replicas=300",
    "security.rel_error=0.1",
    "security.max_replicas=500",
    "comparisons=[]",
    f"scheme.published={PUBLISHED}",
    "data.examples=500",
    *MINING_CHANGES,
    *SWEEP_CHANGES,
)


def sections(annotation: object = Config) -> set[type[BaseModel]]:
    """A section and all sections within it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        inner = [sections(f.annotation) for f in annotation.model_fields.values()]
        return {annotation}.union(*inner)
    return set().union(*map(sections, get_args(annotation)))


SECTIONS = sorted(sections(), key=str)


def written(folder: Path, text: str | bytes) -> str:
    path = folder / "config.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def refusal(*overrides: str, source: str = "smoke", clock: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(source, overrides, clock)
    return str(caught.value)


# ------------------------------------------------------------------ there and back


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_configs_load_and_read_back_equal(name, tmp_path):
    shipped = load_config(name)
    assert shipped.name == name
    assert shipped.description
    again = load_config(written(tmp_path, shipped.to_toml()))
    assert again == shipped
    assert again.digest() == shipped.digest()


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_configs_say_when_a_model_is_given_up(name):
    """A number: how far is trained must not decide which scheme is measured."""
    shipped = load_config(name)
    # A law with accuracies knows no model that is given up, measured times and formulas
    # no model at all.
    if name == "weights" or not shipped.law.has_curves:
        assert shipped.protocol.abandon_steps == "never"
        return
    assert isinstance(shipped.protocol.abandon_steps, int)
    longer = 2 * shipped.training.horizon_steps
    again = load_config(name, [f"training.horizon_steps={longer}"])
    assert again.scheme == shipped.scheme
    curves = (translation.lottery_of(c, c.scheme) for c in (shipped, again))
    assert len(set(curves)) == 1


def test_without_a_number_a_model_is_never_given_up():
    for steps in (240, 480):
        config = Config.model_validate(
            {"name": "x", "training": {"horizon_steps": steps}}
        )
        lottery = translation.lottery_of(config, config.scheme)
        assert lottery.abandon_steps is None
    config = load_config("smoke", ["protocol.abandon_steps=horizon"])
    assert translation.lottery_of(config, config.scheme).abandon_steps == 360


def test_the_shipped_configs_are_these():
    assert set(shipped_configs()) == SHIPPED


@pytest.mark.parametrize("change", CHANGES)
def test_every_setting_reads_back_and_changes_the_digest(change, tmp_path):
    plain, changed = (load_config("smoke", [*BASE, *x]) for x in ((), (change,)))
    assert changed != plain
    # An experiment's results do not depend on how a chain is mined, nor on what is
    # kept for longer trainings.
    assert (changed.digest() == plain.digest()) == (
        change in (*MINING_CHANGES, *SWEEP_CHANGES, "training.keep_states=true")
    )
    assert changed.chain_digest() != plain.chain_digest()
    again = load_config(written(tmp_path, changed.to_toml()))
    assert again == changed
    assert again.digest() == changed.digest()


def test_the_changes_above_cover_every_setting():
    def paths(section: type[BaseModel], before: str = "") -> set[str]:
        found = set()
        for name, field in section.model_fields.items():
            annotation = field.annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                found |= paths(annotation, f"{before}{name}.")
            else:
                found.add(before + name)
        return found

    assert {change.partition("=")[0] for change in CHANGES} == paths(Config)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
shares = st.floats(0, 1, exclude_min=True)
sizes = st.floats(1e-300, 1e300)


@given(
    texts,
    texts,
    names,
    shares,
    st.integers(0, SPACE),
    st.lists(sizes, min_size=1),
    st.dictionaries(texts, sizes, max_size=3),
    st.integers(0, 2**63 - 1),
)
def test_any_config_reads_back_equal(
    tmp_path_factory, description, label, name, t_acc, target, windows, table, seed
):
    config = Config.model_validate(
        {
            "name": name,
            "description": description,
            "seed": seed,
            "scheme": {"t_acc": t_acc, "t_1": target},
            "security": {"windows": windows},
            "clock": {"step_seconds": table},
            "comparisons": [{"label": label, "t_2": target}],
        }
    )
    folder = tmp_path_factory.getbasetemp()
    again = load_config(written(folder, config.to_toml()))
    assert again == config
    assert again.digest() == config.digest()


def test_the_digest_is_that_of_canonical_json():
    # Another one would orphan every result folder there is.
    values = {"b": [1, 0.1, "2^240"], "a": {"é": True, "none": None}}
    canonical = '{"a":{"none":null,"\\u00e9":true},"b":[1,0.1,"2^240"]}'
    assert json.loads(canonical) == values
    assert fingerprint(values) == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_digest_sees_values_and_not_the_way_they_are_written(tmp_path):
    plain = load_config("smoke")
    settings = tomllib.loads(plain.to_toml())
    settings["scheme"]["t_1"] = f"2 ** {plain.scheme.t_1.bit_length() - 1}"
    settings["scheme"]["t_2"] = str(plain.scheme.t_2)
    settings["network"]["delay_steps"] = int(plain.network.delay_steps)
    backwards = tomli_w.dumps(dict(reversed(settings.items())))
    assert backwards != plain.to_toml()
    assert load_config(written(tmp_path, backwards)).digest() == plain.digest()


# ------------------------------------------------------------------ what a section is


NEEDED = {"low": 1, "high": 2, "count": 3, "mean_seconds": 1, "variance": 1}
NEEDED |= {"t_acc": 0.5, "interval": 700, "at": 1.0, "provers": 1, "speed": 1.0}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_documented_and_every_default_allowed(section):
    assert section.__doc__
    required = {}
    for name, field in section.model_fields.items():
        inner = isinstance(field.annotation, type) and issubclass(
            field.annotation, BaseModel
        )
        assert field.description or inner, f"{section.__name__}.{name}"
        if field.is_required():
            required[name] = NEEDED.get(name, "sgd")
    if "learning_rates" in required:
        required["learning_rates"] = [0.1]
    built = section.model_validate(required)
    # Defaults are not checked when they are used; written out, they are.
    assert section.model_validate(built.model_dump()) == built


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_are_frozen_and_closed(section):
    assert section.model_config["extra"] == "forbid"
    name = next(iter(section.model_fields))
    empty = section.model_construct()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(empty, name, None)


# ------------------------------------------------------------------ targets


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2^240", 1 << 240),
        ("2**240", 1 << 240),
        (" 2 ^ 240 ", 1 << 240),
        ("2^0", 1),
        ("2^256", SPACE),
        ("0", 0),
        ("12345678901234567890123", 12345678901234567890123),
        (str(SPACE), SPACE),
        (7, 7),
        (SPACE, SPACE),
    ],
)
def test_ways_to_write_a_target(value, expected):
    assert parse_target(value) == expected
    assert SchemeConfig.model_validate({"t_1": value}).t_1 == expected


@pytest.mark.parametrize(
    "value",
    [
        "2^257",
        "2^999",
        "2^1000",
        "3^4",
        "2^-1",
        "-1",
        "",
        "abc",
        "1e3",
        -1,
        SPACE + 1,
        1.0,
        True,
        None,
        [1],
        "9" * 5000,
    ],
)
def test_what_is_not_a_target(value):
    with pytest.raises(ValueError, match="target"):
        parse_target(value)


@given(st.integers(0, SPACE))
@example(0)
@example(1)
@example(SPACE - 1)
@example(SPACE)
def test_a_target_survives_writing(target):
    assert parse_target(format_target(target)) == target


@given(st.integers(0, 256))
def test_a_power_is_written_as_one(exponent):
    assert format_target(1 << exponent) == f"2^{exponent}"


@given(st.integers(0, SPACE))
@example(SPACE - 1)
@example(SPACE)
def test_the_probability_of_a_target_is_the_nearest_float(target):
    exact = min(Fraction(1), Fraction(target + 1, SPACE))
    found = success_probability(target)
    for other in (math.nextafter(found, 0), math.nextafter(found, 2)):
        assert abs(Fraction(found) - exact) <= abs(Fraction(other) - exact)


@pytest.mark.parametrize(
    ("target", "probability"),
    [(0, 2.0**-256), ("2^255", 0.5), (SPACE - 1, 1.0), (SPACE, 1.0)],
)
def test_known_probabilities(target, probability):
    scheme = SchemeConfig.model_validate({"t_1": target, "t_2": target})
    assert scheme.p_1 == scheme.p_2 == probability


@given(st.floats(2.0**-256, 1, exclude_max=True))
@example(2.0**-256)
@example(math.nextafter(1, 0))
def test_the_target_of_a_probability_is_the_largest_below_it(probability):
    target = target_of_probability(probability)
    assert target >= 0
    assert Fraction(target + 1, SPACE) <= Fraction(probability)
    assert Fraction(target + 2, SPACE) > Fraction(probability)


def test_probability_one_means_no_lottery():
    assert target_of_probability(1) == target_of_probability(1.0) == SPACE
    scheme = SchemeConfig.model_validate({"p_1": 1, "p_2": 1.0})
    assert (scheme.t_1, scheme.t_2) == (SPACE, SPACE)


@pytest.mark.parametrize("value", [0, -0.5, 1.5, 2, math.nan, math.inf, 1e-90, 10**400])
@pytest.mark.parametrize("name", ["p_1", "p_2"])
def test_what_is_not_a_probability(name, value):
    with pytest.raises(ValueError, match=r"\[2\^-256, 1\]"):
        target_of_probability(value)
    with pytest.raises(ValidationError, match=name):
        SchemeConfig.model_validate({name: value})


@pytest.mark.parametrize("stage", ["1", "2"])
def test_a_target_and_its_probability_are_one_setting(stage, tmp_path):
    both = f't_{stage} = "2^240"\np_{stage} = 0.5'
    told = refusal(source=written(tmp_path, f'name = "both"\n[scheme]\n{both}'))
    assert f"t_{stage} or p_{stage}, not both" in told
    for section in ("[scheme]\n", '[[comparisons]]\nlabel = "x"\n'):
        for written_as in (f't_{stage} = "2^240"', f"p_{stage} = {2.0**-16}"):
            text = f'name = "one"\n{section}{written_as}'
            one = load_config(written(tmp_path, text))
            setting = one.scheme if section == "[scheme]\n" else one.comparisons[0]
            found = getattr(setting, f"p_{stage}")
            assert found == pytest.approx(2.0**-16, rel=1e-15)


def test_the_later_of_two_ways_to_set_a_target_counts():
    assert "t_2 = " in shipped_configs()["smoke"]
    by_probability = load_config("smoke", ["scheme.p_2=0.125"]).scheme
    assert by_probability.p_2 == 0.125
    overrides = ["scheme.p_2=0.125", "scheme.t_2=2^250"]
    assert load_config("smoke", overrides).scheme.t_2 == 1 << 250


# ------------------------------------------------------------------ measured clocks


def test_a_measured_clock_replaces_what_it_measured(tmp_path):
    clock = tmp_path / "clock.toml"
    clock.write_text(f"[clock]\nhashes_per_step = 7\nstep_seconds = {STEP_SECONDS}")
    overrides = ["clock.seconds_per_step=3", "clock.unit=seconds"]
    found = load_config("smoke", overrides, clock).clock
    assert (found.hashes_per_step, found.seconds_per_step) == (7, 3)
    assert found.step_seconds == {"softmax/32": 1e-4, "mlp-8/32": 3e-4}


@pytest.mark.parametrize("text", ["", "clock = 3", "[clocks]\nhashes_per_step = 7"])
def test_a_file_that_is_no_clock(text, tmp_path):
    clock = tmp_path / "clock.toml"
    clock.write_text(text)
    assert f"{clock} has no table [clock]" in refusal(clock=clock)


def test_a_clock_over_a_config_whose_clock_is_no_table(tmp_path):
    clock = tmp_path / "clock.toml"
    clock.write_text("[clock]\nhashes_per_step = 7")
    source = written(tmp_path, 'name = "x"\nclock = 3')
    assert "'clock' is not a table" in refusal(source=source, clock=clock)


# ------------------------------------------------------------------ grids


@pytest.mark.parametrize(
    ("low", "high", "count", "expected"),
    [
        (0.001, 0.1, 3, (0.001, 0.01, 0.1)),
        (0.05, 0.5, 2, (0.05, 0.5)),
        (0.3, 9.0, 1, (0.3,)),
        (1.0, 8.0, 4, (1.0, 2.0, 4.0, 8.0)),
    ],
)
def test_a_grid_is_even_in_the_logarithm(low, high, count, expected):
    grid = GridConfig(low=low, high=high, count=count)
    assert grid.values() == expected
