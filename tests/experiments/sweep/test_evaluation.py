"""Points of a sweep: one program for all, and each as if it were alone."""

from itertools import product

import jax
import numpy as np
import pytest
from dpodl.analysis.assessment.one_law import assess
from dpodl.analysis.block_time.effective_runs import network as network_basis, run_laws
from dpodl.analysis.block_time.empirical import bootstrap_laws, empirical_law
from dpodl.analysis.estimation.measurement import with_training_error
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.sweep import evaluation
from dpodl.experiments.world.translation import lottery_of, network_of, plan_of
from dpodl.models.learning.curves import CurveSet, draw_runs

SETTINGS = (
    "training.runs=40",
    "network.provers=20",
    "security.depths=4",
    "security.confirmations=2",
    "security.windows=[2, 4]",
    "security.levels=64",
    "security.replicas=100",
    "security.good_period_replicas=100",
    "security.bootstraps=2",
    "security.bootstrap_replicas=100",
)


def point(**settings: object) -> Config:
    """A point of the tests' sweep; ``scheme__t_acc=0.8`` is scheme.t_acc = 0.8."""
    words = [f"{name.replace('__', '.')}={value}" for name, value in settings.items()]
    return load_config("smoke", [*SETTINGS, *words])


@pytest.fixture(scope="module")
def curves() -> CurveSet:
    """Curves of a formula, logistic in ln t, each with its own time and height."""
    config = point()
    training = config.training
    steps = training.check_every * np.arange(
        1, training.horizon_steps // training.check_every + 1
    )
    generator = np.random.default_rng(7)
    middle = generator.lognormal(3.0, 0.5, (training.runs, 1))
    top = generator.beta(60, 1.5, (training.runs, 1))
    accuracy = top / (1 + (middle / steps) ** 1.5)
    return CurveSet(
        draw_runs(config.seed, training.runs, config.menu.build()),
        steps,
        np.rint(500 * accuracy).astype(np.int32),
        1 - accuracy,
        500,
        10_000,
    )


def evaluated(configs, curves) -> list[evaluation.Outcome]:
    return evaluation.evaluate(configs, curves, None)


@pytest.fixture(scope="module")
def design() -> list[Config]:
    """20 points over T_acc, T_1, T_2, β and Δ, all five new from one to the next.

    So few forks that eight finders a level are enough, and two blocks a level on
    average: more of either is another static shape.
    """
    axes = zip(
        (0.70, 0.75, 0.80, 0.85) * 5,
        ("2^247", "2^248", "2^249", "2^250", "2^251") * 4,
        ("2^250", "2^251", "2^252", "2^253") * 5,
        (0.05, 0.1, 0.15, 0.2, 0.25) * 4,
        np.linspace(0.1, 2.0, 20).tolist(),
        strict=True,
    )
    return [
        point(
            scheme__t_acc=t_acc,
            scheme__t_1=t_1,
            scheme__t_2=t_2,
            network__beta=beta,
            network__delay_steps=delay,
        )
        for t_acc, t_1, t_2, beta, delay in axes
    ]


def test_twenty_points_compile_nothing_new_after_the_first_two(
    design, curves, compiled
):
    # Of the first two one at least is undecided by the grid: the network is split.
    first = evaluated(design[1:3], curves)
    before = len(compiled)
    rest = evaluated(design[:1] + design[3:], curves)
    assert before > 0
    assert compiled[before:] == []
    assert all(outcome.rows and not outcome.error for outcome in first + rest)
    growth = {
        row["value"]
        for outcome in first + rest
        for row in outcome.rows
        if row["quantity"] == "chain_growth"
    }
    assert len(growth) == 20


def test_more_forks_than_slots_compile_once_for_all_points(curves, compiled):
    """A wider program is another shape; the next point with as many forks has it."""
    many = [point(network__delay_steps=delay) for delay in (12, 13, 12.5, 12.7)]
    evaluated(many[:2], curves)
    before = len(compiled)
    outcomes = evaluated(many[2:], curves)
    assert compiled[before:] == []
    stale = [
        row["value"]
        for outcome in outcomes
        for row in outcome.rows
        if row["quantity"] == "stale_rate"
    ]
    assert min(stale) > 0.5  # more than two blocks a level


def test_a_points_numbers_do_not_depend_on_the_points_beside_it(design, curves):
    some = [design[0], design[7], point(scheme__t_acc=0.9999), design[12]]
    together = evaluated(some, curves)
    turned = evaluated(some[::-1], curves)[::-1]
    alone = [evaluated([config], curves)[0] for config in some]
    assert repr(together) == repr(turned) == repr(alone)
    assert repr(together[0]) != repr(together[1])


def law_after_law(config, curves) -> list[tuple]:
    """A point's figures in the readable way: one network simulated after the other."""
    key, security = jax.random.key(config.seed), config.security
    plan = plan_of(config)._replace(detail=False)
    smaller = plan._replace(
        replicas=security.bootstrap_replicas,
        good_period_replicas=security.bootstrap_replicas,
    )
    lottery = lottery_of(config, config.scheme)
    whole = empirical_law(curves, lottery)
    law = whole.law
    resamples = bootstrap_laws(config.seed, curves, lottery, security.bootstraps)
    found = assess(key, network_of(config, law), plan).measurements
    *others, centre, slowest, fastest = (
        assess(key, network_of(config, each), smaller).measurements
        for each in (*resamples, law, whole.slowest, whole.fastest)
    )
    net = network_of(config, law)
    wide = with_training_error(
        found,
        others,
        extremes=[slowest, fastest],
        centre=centre,
        basis=network_basis(
            run_laws(curves, lottery, law), float(net.honest), float(net.adversarial)
        ),
    )
    return [(*m.estimate, m.basis.runs, m.warning) for m in wide]


def simulated(row) -> bool:
    """Whether a row is counted: what the grid knows has tests of its own.

    Revenue is the complement of a counted one.
    """
    known = ("persistence_violation", "safe_depth", "unsafe_depth", "private_growth")
    return not row["quantity"].startswith((*known, "revenue"))


def test_a_point_is_bit_by_bit_its_laws_one_after_the_other(design, curves):
    many = point(network__delay_steps=12)  # more forks than eight finders a level
    for config in (design[0], design[7], many):
        (outcome,) = evaluated([config], curves)
        names = ("value", "low", "high", "count", "method")
        names += ("runs_effective", "warning")
        rows = [
            tuple(row[name] for name in names) for row in outcome.rows if simulated(row)
        ]
        assert rows == law_after_law(config, curves)


def test_a_refusal_is_recorded_and_takes_no_other_with_it(curves):
    good, bad = point(), point(scheme__t_acc=0.9999)
    fine, refused, again = evaluated([good, bad, good], curves)
    assert refused.rows == ()
    assert "t_acc" in refused.error or "0.9999" in refused.error
    assert fine.error == ""
    assert repr(fine) == repr(again)


def test_points_that_differ_in_the_network_alone_share_their_laws(curves, monkeypatch):
    asked = []

    def counting(name):
        original = getattr(evaluation, name)

        def call(*arguments, **named):
            asked.append(name)
            return original(*arguments, **named)

        monkeypatch.setattr(evaluation, name, call)

    counting("world_law")
    configs = [
        point(scheme__t_2=t_2, network__beta=beta, network__delay_steps=delay)
        for t_2, beta, delay in product(("2^254", "2^255"), (0.05, 0.25), (2, 12))
    ]
    outcomes = evaluated(configs, curves)
    assert asked == ["world_law"] * 2
    assert len({repr(outcome) for outcome in outcomes}) == len(configs)


def test_a_rows_interval_holds_its_value(design, curves):
    (outcome,) = evaluated(design[:1], curves)
    for row in outcome.rows:
        assert set(row) == {
            *("quantity", "at", "at_unit", "unit"),
            *("value", "low", "high", "count", "method"),
            *("runs_effective", "warning"),
        }
        assert row["low"] <= row["value"] <= row["high"]
    quantities = {row["quantity"] for row in outcome.rows}
    assert {"chain_growth", "persistence_violation", "good_period"} <= quantities
    assert {"safe_depth", "safe_depth_premined", "unsafe_depth"} <= quantities
    targets = {row["at"] for row in outcome.rows if row["quantity"] == "safe_depth"}
    assert targets == {0.05, 1e-9, 2.0**-40, 2.0**-64, 2.0**-128}


@pytest.mark.parametrize(
    "settings",
    [
        {"scheme__t_acc": 0.7},
        {"scheme__t_1": "2^250"},
        {"scheme__t_2": "2^250"},
        {"network__beta": 0.1},
        {"network__delay_steps": 3},
        {"network__provers": 40},
        {"name": "other"},
    ],
)
def test_what_is_traced_leaves_the_group(settings):
    assert evaluation.group(point(**settings)) == evaluation.group(point())


@pytest.mark.parametrize(
    "settings",
    [
        {"security__levels": 80},
        {"security__replicas": 200},
        {"security__bootstrap_replicas": 150},
        {"training__horizon_steps": 720},
        {"menu__architectures": "['softmax']"},
        {"seed": 5},
    ],
)
def test_other_curves_or_shapes_are_another_group(settings):
    assert evaluation.group(point(**settings)) != evaluation.group(point())
