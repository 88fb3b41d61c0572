"""What is concluded from times; no test here looks at how fast anything is."""

import math

import numpy as np
import pytest
from dpodl.benchmarks import measure
from dpodl.benchmarks.measure import (
    CONTROL,
    MET,
    MISSED,
    OPEN,
    UNJUDGED,
    Broken,
    Missing,
)
from dpodl.benchmarks.workloads import Claim, Job, Repeat, Workload
from hypothesis import given, strategies as st

CONTROL_JOB = Job(CONTROL, "", {}, engine="control")
FAST, SLOW = Job("fast", "", {}), Job("slow", "", {}, engine="other")
RATIO = Claim("ratio", ("fast", "slow"), lambda a, b: a.rate / b.rate, "×", 2.0)


class Clockwork:
    """A process whose jobs take what they are told to, and which notes each call."""

    def __init__(self, seconds, calls, failing=()):
        self.seconds, self.calls, self.failing = seconds, calls, dict(failing)
        self.turn = {}
        self.closed = False

    def prepare(self, job):
        self.calls.append(("prepare", job.name))
        if isinstance(self.failing.get(job.name), Missing):
            raise self.failing[job.name]

    def repeat(self, name):
        self.calls.append(("repeat", name))
        if name in self.failing:
            raise self.failing[name]
        place = self.turn.setdefault(name, 0)
        self.turn[name] += 1
        return Repeat(self.seconds[name][place], 10.0)

    def close(self):
        self.closed = True


def measured(seconds, *, claims=(RATIO,), failing=(), rounds=4, jobs=(FAST, SLOW)):
    calls, started = [], []

    def start(job):
        started.append(Clockwork(seconds, calls, failing))
        return started[-1]

    workload = Workload("w", jobs, claims, "things")
    found = measure.measure(workload, CONTROL_JOB, rounds, start)
    assert all(process.closed for process in started)
    return found, calls, started


STEADY = {CONTROL: [1.0] * 4, "fast": [1.0] * 4, "slow": [3.0] * 4}


def test_everybody_takes_a_turn_in_every_round():
    _, calls, started = measured(STEADY)
    turns = [name for what, name in calls if what == "repeat"]
    assert len(started) == 3
    rounds = [set(turns[i : i + 3]) for i in range(0, 12, 3)]
    assert rounds == [{CONTROL, "fast", "slow"}] * 4
    assert len({tuple(turns[i : i + 3]) for i in range(0, 9, 3)}) == 3


def test_jobs_of_one_engine_and_core_count_share_a_process():
    jobs = (
        FAST,
        FAST._replace(name="slow"),
        FAST._replace(name="two", cores=2),
        FAST._replace(name="alone", alone=True),
    )
    seconds = {**STEADY, "two": [1.0] * 4, "alone": [1.0] * 4}
    _, _, started = measured(seconds, jobs=jobs)
    assert len(started) == 4


def test_a_ratio_is_taken_within_rounds():
    """What slows a whole round changes no ratio."""
    weather = np.array([1.0, 1.2, 1.1, 1.0])
    seconds = {name: list(np.array(s) * weather) for name, s in STEADY.items()}
    found, _, _ = measured(seconds)
    row = measure.settle(RATIO, found)
    assert row.value == pytest.approx(3.0)
    assert row.spread == pytest.approx(0.0)
    assert row.drift == pytest.approx(0.2 / 1.05)
    assert row.verdict == MET


def test_a_drifting_control_leaves_no_conclusion():
    seconds = {**STEADY, CONTROL: [1.0, 1.0, 1.5, 1.0]}
    row = measure.settle(RATIO, measured(seconds)[0])
    assert row.verdict == OPEN
    assert "too noisy to conclude: drift" in row.note
    untimed = RATIO._replace(timed=False)
    assert measure.settle(untimed, measured(seconds)[0]).verdict == MET


def test_what_is_not_installed_is_left_out_with_a_word():
    failing = {"slow": Missing("torch is not installed")}
    found, calls, _ = measured(STEADY, failing=failing)
    row = measure.settle(RATIO, found)
    assert (row.verdict, row.note) == (OPEN, "slow: torch is not installed")
    assert math.isnan(row.value)
    assert ("repeat", "slow") not in calls
    assert not found.series["slow"].broken
    assert len(found.series["fast"].repeats) == 4


def test_a_failure_is_not_repeated_and_takes_no_other_with_it():
    found, calls, _ = measured(STEADY, failing={"slow": Broken("boom")})
    assert calls.count(("repeat", "slow")) == 1
    assert found.series["slow"].broken
    assert found.series["slow"].repeats == ()
    assert len(found.series["fast"].repeats) == 4


def test_two_jobs_of_one_name_are_refused():
    with pytest.raises(ValueError, match="different names"):
        measured(STEADY, jobs=(FAST, FAST))


@pytest.mark.parametrize(
    ("values", "target", "at_least", "verdict"),
    [
        ([3, 3, 3], 2.0, True, MET),
        ([1, 1, 1], 2.0, True, MISSED),
        ([2, 2, 2], 2.0, True, MET),
        ([3, 3, 3], 2.0, False, MISSED),
        ([1, 1, 1], 2.0, False, MET),
        ([0, 0, 0], 0.0, False, MET),
        ([3, 3], 2.0, True, OPEN),
        ([3, math.nan, 3], 2.0, True, OPEN),
        ([3, 4, 5], 2.0, True, OPEN),
        ([3, 4, 5], None, True, UNJUDGED),
    ],
)
def test_verdicts(values, target, at_least, verdict):
    found = measure.judge(
        np.array(values, float), target=target, at_least=at_least, drift=0.0
    )
    assert found[0] == verdict
    assert bool(found[1]) == (verdict == OPEN)


def test_one_round_concludes_only_where_the_claim_says_so():
    values = np.array([3.0])
    judged = measure.judge(values, target=2.0, at_least=True, drift=0.0, least=1)
    assert judged == (MET, "")


def test_a_small_value_under_a_high_ceiling_may_double():
    values = np.array([0.01, 0.02, 0.03, 0.02])
    assert measure.spread_of(values, 1.1) < 0.02
    assert measure.spread_of(values, None) > 0.2


@given(
    st.floats(-2, 3),
    st.lists(st.floats(1, 1e6), min_size=2, max_size=6, unique=True),
    st.floats(1e-6, 1e3),
)
def test_exponents_of_power_laws(power, sizes, factor):
    if max(sizes) / min(sizes) < 1.01:
        return
    seconds = [np.full(3, factor * size**power) for size in sizes]
    assert measure.exponents(sizes, seconds) == pytest.approx(power, abs=1e-6)


def test_an_exponent_needs_two_sizes():
    with pytest.raises(ValueError, match="two different sizes"):
        measure.exponents([2, 2], [np.ones(3), np.ones(3)])
