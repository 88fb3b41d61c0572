"""The validation table: it passes, and it notices when an engine or a number is off."""

import csv
import json
import math
from itertools import count
from pathlib import Path

import jax
import numpy as np
import pytest
from dpodl.analysis.attacks import optimal_selfish, sm1
from dpodl.analysis.block_time import law
from dpodl.analysis.bounds import delays, intervals, races, rounds, selfish, settlement
from dpodl.analysis.estimation.estimate import Refused, estimate_mean
from dpodl.analysis.race import fourier, splitting, tilting
from dpodl.analysis.simulation import levels as simulation
from dpodl.analysis.validation import (
    exact_cases,
    published,
    sampled_cases,
)
from dpodl.analysis.validation.check import (
    ALLOWED,
    as_line,
    below,
    exact,
    false_alarm_level,
    sampled,
    sampled_estimate,
    sampled_share,
    worst,
)
from dpodl.analysis.validation.suite import SEED, cases, failures, validate

KEY = jax.random.key(SEED)
EXACT = [case.name for case in exact_cases.CASES]
SAMPLED = [case.name for case in sampled_cases.CASES]
REFERENCE = Path(__file__).parents[2] / "reference"


@pytest.mark.parametrize("name", EXACT)
def test_exact_cases_pass(name):
    checks = validate(KEY, [name])
    assert checks
    assert [as_line(check) for check in failures(checks)] == []
    assert {check.case for check in checks} == {name}


@pytest.mark.slow
def test_sampled_cases_pass_with_a_small_false_alarm_level():
    checks = validate(KEY, SAMPLED)
    assert [as_line(check) for check in failures(checks)] == []
    assert {check.case for check in checks} == set(SAMPLED)
    assert all(check.measure == "standard errors" for check in checks)
    # A check that could not fail would be no check.
    assert all(check.standard_error < 0.3 * check.reference for check in checks)
    assert false_alarm_level(checks) < 0.06


def test_names_are_unique_and_cases_described():
    names = [case.name for case in cases()]
    assert len(set(names)) == len(names)
    assert names == EXACT + SAMPLED
    assert all(case.about for case in cases())


@pytest.mark.parametrize("names", [["nakamoto", "nonsense"], []])
def test_unknown_or_no_names_are_refused(names):
    with pytest.raises(ValueError, match=r"^names must be among private_race, .*, got"):
        validate(KEY, names)


def test_claims_tell_rows_of_a_case_apart():
    checks = validate(KEY, EXACT)
    rows = [(c.case, c.claim, c.engine, c.source) for c in checks]
    assert len(set(rows)) == len(rows)


def test_embedded_tables_are_those_of_the_reference_files():
    for name, depths, table in (
        (
            "private_race",
            published.PRIVATE_DEPTHS,
            published.PRIVATE_RACE,
        ),
        (
            "premined_race",
            published.PREMINED_DEPTHS,
            published.PREMINED_RACE,
        ),
    ):
        with (REFERENCE / f"{name}.csv").open() as file:
            rows = [tuple(float(x) for x in row) for row in list(csv.reader(file))[1:]]
        embedded = [
            (q, float(depth), value)
            for q, values in table.items()
            for depth, value in zip(depths, values, strict=True)
        ]
        assert embedded == rows


def test_nakamoto_is_shown_as_an_approximation_and_not_judged():
    shown = [c for c in validate(KEY, ["nakamoto"]) if c.measure == "not judged"]
    assert len(shown) == 2
    assert all(c.passed is None and "approximation" in c.note for c in shown)
    assert all(c.apart > 0.3 for c in shown)
    assert failures(shown) == []


def test_checks_are_plain_numbers_for_json_and_one_line_each():
    checks = validate(KEY, ["nakamoto", "slt23_table2", "domination"])
    again = json.loads(json.dumps([check._asdict() for check in checks]))
    assert [row["passed"] for row in again] == [check.passed for check in checks]
    assert all("\n" not in as_line(check) for check in checks)


def test_order_selection_progress_and_clock():
    told = []
    ticks = count()
    checks = validate(
        KEY,
        ["domination", "nakamoto"],
        lambda *at: told.append(at),
        clock=lambda: float(next(ticks)),
    )
    assert told == [("nakamoto", 0, 2), ("domination", 1, 2), ("domination", 2, 2)]
    assert {check.seconds for check in checks} == {1.0}
    assert checks[0].case == "nakamoto"
    assert validate(KEY, ["domination"])[0].seconds is None


def test_draws_depend_on_the_name_not_on_the_company():
    alone = validate(KEY, ["domination_simulated"])
    together = validate(KEY, ["domination", "domination_simulated"])
    assert together[-len(alone) :] == alone
    assert validate(jax.random.key(1), ["domination_simulated"]) != alone


def scaled(factor):
    """Wrap a function of numbers so that its answer is off by a factor."""
    return lambda real: lambda *args, **options: real(*args, **options) * factor


def off(real):
    """Wrap an engine of estimates: all of them too large by a quarter."""

    def broken(*args, **options):
        found = real(*args, **options)
        alone = not isinstance(found, list)
        moved = []
        for one in [found] if alone else found:
            e = getattr(one, "estimate", one)
            e = e._replace(value=1.25 * e.value, low=1.25 * e.low, high=1.25 * e.high)
            moved.append(one._replace(estimate=e) if hasattr(one, "estimate") else e)
        return moved[0] if alone else moved

    return broken


def squeezed(real):
    """Wrap the network: intervals one percent short."""

    def broken(*args, **options):
        levels = real(*args, **options)
        return levels._replace(interval=0.99 * levels.interval)

    return broken


def upper_end(real):
    """Wrap a bracket: its upper end a thousandth too high."""

    def broken(*args, **options):
        found = real(*args, **options)
        return found._replace(upper=1.001 * found.upper)

    return broken


BREAKS = [
    ("private_race", races, "private_race", scaled(1 + 1e-6)),
    ("private_race", races, "first_to", scaled(1 + 1e-6)),
    ("deep_race", fourier, "persistence", off),
    ("nakamoto", races, "nakamoto_approximation", scaled(1.001)),
    ("premined_race", races, "premined_race", scaled(1 + 1e-6)),
    ("security_threshold", delays, "security_threshold", scaled(1 + 1e-6)),
    ("settlement", settlement, "gazi_ren_russell", upper_end),
    ("selfish_formula", selfish, "selfish_revenue", scaled(1 + 1e-6)),
    ("selfish_optimum", optimal_selfish, "truncated_selfish_revenue", scaled(1.001)),
    ("typicality", rounds, "typicality", scaled(1.001)),
    ("backbone", rounds, "backbone_growth", scaled(1.001)),
    ("dead_time_law", law, "cv", scaled(1.001)),
    ("dead_time_race", fourier, "persistence", off),
    ("domination", intervals, "domination", scaled(1.001)),
    ("slt23_table2", law, "survival", scaled(1.2)),
    ("domination_simulated", intervals, "domination", scaled(1.02)),
]


@pytest.mark.parametrize(("name", "module", "function", "wrap"), BREAKS)
def test_a_broken_engine_is_caught(name, module, function, wrap, monkeypatch):
    monkeypatch.setattr(module, function, wrap(getattr(module, function)))
    assert failures(validate(KEY, [name]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "module", "function", "wrap"),
    [
        ("growth", simulation, "simulate", squeezed),
        ("fork_rates", simulation, "simulate", squeezed),
        ("monte_carlo_race", fourier, "persistence", off),
        ("selfish_simulated", sm1, "sm1_revenue", off),
        ("tilting", tilting, "persistence", off),
        ("splitting", splitting, "persistence", off),
        ("typical_windows", rounds, "typicality", scaled(1.4)),
    ],
)
def test_a_broken_sampler_is_caught(name, module, function, wrap, monkeypatch):
    monkeypatch.setattr(module, function, wrap(getattr(module, function)))
    assert failures(validate(KEY, [name]))


def test_a_wrong_reference_is_caught(monkeypatch):
    wrong = {**published.DOMINATION, 5: 0.8728}
    monkeypatch.setattr(published, "DOMINATION", wrong)
    (found,) = failures(validate(KEY, ["domination"]))
    assert "πS_0=5" in found.claim


def test_a_wrong_entry_of_a_long_table_is_named(monkeypatch):
    table = dict(published.PRIVATE_RACE)
    table[0.2] = (*table[0.2][:5], 0.0233, *table[0.2][6:])
    monkeypatch.setattr(published, "PRIVATE_RACE", table)
    claims = [c.claim for c in failures(validate(KEY, ["private_race"]))]
    assert claims
    assert all(claim.endswith("q=0.2, z=6") for claim in claims)


def test_an_engine_that_refuses_fails_its_case_with_the_reason(monkeypatch):
    def refuse(*_, **__):
        raise Refused("no grid today")

    monkeypatch.setattr(fourier, "smallest_depths", refuse)
    checks = validate(KEY, ["deep_race", "domination"])
    (found,) = failures(checks)
    assert found.case == "deep_race"
    assert found.note == "refused: no grid today"
    assert math.isnan(found.ours)
    assert len(checks) > 1  # the others ran


def test_other_errors_are_not_hidden(monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(races, "domination", broken)
    with pytest.raises(ZeroDivisionError):
        validate(KEY, ["domination"])


def test_judgements_at_their_limits():
    assert exact("", "grid", 1.05, 1.0, "", within=0.05).passed
    assert not exact("", "grid", 1.051, 1.0, "", within=0.05).passed
    assert not exact("", "grid", math.nan, 1.0, "", within=0.05).passed
    assert sampled("", "grid", ALLOWED, 1.0, 9, 0.0, "").passed
    assert not sampled("", "grid", ALLOWED + 0.01, 1.0, 9, 0.0, "").passed
    assert not sampled("", "grid", math.nan, 1.0, 9, 0.0, "").passed
    assert not sampled("", "grid", 1.0, 0.0, 9, 1.0, "").passed
    assert below("", "grid", 1.0, 1.0, "").passed
    assert not below("", "grid", 1.01, 1.0, "").passed
    assert not below("", "grid", math.nan, 1.0, "").passed


def test_the_worst_entry_is_found_even_if_it_is_no_number():
    found = worst(
        "t", "grid", [1.0, 2.1, math.nan], [1.0, 2.0, 3.0], "abc", "", relative=0.1
    )
    assert found.claim == "t, worst of 3: c"
    assert not found.passed


def test_standard_errors():
    share = sampled_share("", 60, 100, 0.5, "")
    assert (share.standard_error, share.apart) == pytest.approx((0.05, 2.0))
    assert not sampled_share("", 60, 100, 1.2, "").passed
    samples = np.random.default_rng(0).normal(size=12)
    mean = estimate_mean(samples, "x")
    check = sampled_estimate("", "Monte Carlo", mean, 12, 0.0, "")
    assert check.standard_error == pytest.approx(samples.std(ddof=1) / math.sqrt(12))


def test_the_false_alarm_level_is_students():
    rows = [sampled("", "grid", 0.0, 1.0, n, 0.0, "") for n in (2, 10**6, 0)]
    # One degree of freedom: a Cauchy law. Where ours is exact, nothing is drawn.
    cauchy = 1 - 2 / math.pi * math.atan(ALLOWED)
    assert false_alarm_level(rows) == pytest.approx(cauchy + 4.65e-4, rel=1e-3)
    assert false_alarm_level([exact("", "grid", 1, 1, "")]) == 0
