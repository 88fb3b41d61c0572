"""Warm starts against the scheme's own steps: initialize, advance, their bits.

One architecture, batch size and evaluation sample (those of the mined chains), so that
one compiled program serves all.
"""

from functools import cache

import numpy as np
import pytest
from dpodl.models.learning.architecture import hash_to_architecture, run_digest
from dpodl.models.learning.curves import CurveSettings, draw_runs
from dpodl.models.scheme.branching import FIRST_DIGEST, branch_curves, first_reaching
from dpodl.models.scheme.records import Build, Way
from dpodl.models.scheme.scheme import Training, advance, initialize, setup
from dpodl.models.scheme.states import first_look

from ..mining_fixtures import (
    EVAL_SAMPLES,
    LOOK,
    PARAMETERS,
    menu_of,
    mnist,
    task,
)

HORIZON = 60
SETTINGS = CurveSettings(LOOK, HORIZON, EVAL_SAMPLES)
SEED, RUNS, ACCURACY = 5, 4, 0.6


def runs():
    return draw_runs(SEED, RUNS, menu_of())


@cache
def branched(way: Way = "resume", branches=1, seed=SEED, accuracy=ACCURACY):
    return branch_curves(
        runs(),
        mnist(),
        menu_of(),
        SETTINGS,
        seed=seed,
        accuracy=accuracy,
        way=way,
        branches=branches,
        branch_horizon=30,
    )


@cache
def referenced(run: int) -> Training:
    """A run as the scheme trains it, to its first look with acc ≥ a."""
    instance = setup(PARAMETERS, task(), mnist(), Build("", "", "", "", "", b""))
    training = Training(runs()[run], first_look(runs()[run], mnist(), None))
    while training.now.correct / EVAL_SAMPLES < ACCURACY:
        training = advance(instance, training)
    return training


@pytest.mark.parametrize("way", ["resume", "transplant"])
def test_a_branch_is_what_the_scheme_makes_of_a_reference(way):
    found = branched(way)
    instance = setup(PARAMETERS, task(), mnist(), Build("", "", "", "", "", b""))
    for row, run in enumerate(found.origins):
        reference = referenced(int(run))
        assert found.reference_steps[row] == reference.now.steps
        assert found.reference_correct[row] == reference.now.correct
        digest = run_digest(SEED, FIRST_DIGEST + int(run))
        training = initialize(instance, digest, reference.model, way)
        assert training.initialization == found.curves.initializations[row]
        counts = []
        for _ in found.curves.steps:
            training = advance(instance, training)
            counts.append(training.now.correct)
        np.testing.assert_array_equal(found.curves.correct[row], counts)


def test_the_reference_is_the_first_good_look():
    found = branched()
    for run, steps in zip(found.origins, found.reference_steps, strict=True):
        look = first_reaching(runs()[run], mnist(), SETTINGS, ACCURACY)
        assert look is not None
        assert look.steps == steps
        shorter = SETTINGS._replace(horizon_steps=int(steps) - LOOK)
        if shorter.looks:
            assert first_reaching(runs()[run], mnist(), shorter, ACCURACY) is None


def test_resume_keeps_the_setting_and_transplant_only_the_architecture():
    menu = menu_of()
    for way in ("resume", "transplant"):
        found = branched(way)
        for branch, run in zip(
            found.curves.initializations, found.origins, strict=True
        ):
            fresh = hash_to_architecture(
                run_digest(SEED, FIRST_DIGEST + int(run)), menu
            )
            origin = runs()[run]
            expected = origin.hpp
            if way == "transplant":
                expected = fresh.hpp._replace(architecture=origin.hpp.architecture)
            assert branch.hpp == expected
            assert branch.r == fresh.r != origin.r


def test_shapes_counts_and_looks():
    found = branched(branches=2)
    count = len(found.origins)
    assert count == 2 * (RUNS - found.missed)
    assert found.curves.correct.shape == (count, 6)
    np.testing.assert_array_equal(found.curves.steps, LOOK * np.arange(1, 7))
    assert found.curves.eval_samples == EVAL_SAMPLES
    assert (found.curves.correct <= EVAL_SAMPLES).all()
    assert (found.reference_accuracy >= ACCURACY).all()
    # Two branches of one model: one reference, different r, different curves.
    first, second = found.curves.correct[:2]
    assert found.reference_steps[0] == found.reference_steps[1]
    assert (first != second).any()


def test_a_warm_start_is_ahead_of_a_fresh_one():
    found = branched()
    first = [first_reaching(run, mnist(), SETTINGS, 1 / EVAL_SAMPLES) for run in runs()]
    fresh = np.mean([look.correct for look in first if look])
    assert found.curves.correct[:, 0].mean() > 1.2 * fresh


def test_the_seed_fixes_everything_and_changes_everything():
    again = branch_curves(
        runs(), mnist(), menu_of(), SETTINGS,
        seed=SEED, accuracy=ACCURACY, branch_horizon=30,
    )  # fmt: skip
    np.testing.assert_array_equal(again.curves.correct, branched().curves.correct)
    other = branched(seed=SEED + 1)
    assert (other.curves.correct != branched().curves.correct).any()
    np.testing.assert_array_equal(other.reference_steps, branched().reference_steps)


def test_progress_is_told_run_by_run():
    told = []
    branch_curves(
        runs()[:2], mnist(), menu_of(), SETTINGS,
        seed=0, accuracy=0.3, branch_horizon=LOOK,
        progress=lambda *at: told.append(at[1:]),
    )  # fmt: skip
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"accuracy": 0.0}, "accuracy must be in"),
        ({"branches": 0}, "branches must be"),
        ({"branch_horizon": LOOK - 1}, "branch_horizon must be"),
        ({"accuracy": 1.0}, "one that a run shows"),
    ],
)
def test_refusals(change, message):
    given = {"accuracy": ACCURACY} | change
    settings = SETTINGS._replace(horizon_steps=LOOK)
    with pytest.raises(ValueError, match=message):
        branch_curves(runs()[:1], mnist(), menu_of(), settings, seed=0, **given)
