"""The instrument of coverage: its truths, its judgement, and a few of its samples."""

import math

import numpy as np
import pytest
from dpodl.benchmarks import coverage
from dpodl.benchmarks.coverage import rows_of
from dpodl.benchmarks.evidence import simulated_coverage, truths
from dpodl.benchmarks.evidence.truths import Effort, Seen, Truth, curves_of
from dpodl.experiments.sweep import evaluation

TINY = Effort(mixture=12, law=1, depth=1, simulated=1, attack=0, trained=0)


def seen(hits, misses, *, warned=False, truth="a", runs=192):
    inside = [Seen("law", "f", truth, runs, False, False, True, warned, 1.0)] * hits
    outside = [Seen("law", "f", truth, runs, True, False, False, warned, 1.0)] * misses
    return inside + outside


def of_truth(rows, name="a"):
    (found,) = [row for row in rows if row["truth"] == name]
    return found


@pytest.mark.parametrize(
    ("hits", "misses", "verdict"),
    [(190, 10, "met"), (150, 50, "below"), (178, 22, "not shown")],
)
def test_a_cell_is_judged_by_its_binomial_error(hits, misses, verdict):
    row = of_truth(rows_of(seen(hits, misses)))
    assert row["coverage"] == hits / (hits + misses)
    assert row["low"] < row["coverage"] < row["high"]
    assert (row["target"], row["verdict"]) == (0.90, verdict)
    assert row["below_interval"] == misses / (hits + misses)


def test_samples_with_a_warning_are_counted_apart():
    row = of_truth(rows_of(seen(100, 0) + seen(50, 50, warned=True)))
    assert (row["samples"], row["warned"], row["coverage"]) == (200, 0.5, 1.0)
    assert row["before"] == 0.75
    assert of_truth(rows_of(seen(5, 5, warned=True)))["verdict"] == "warned"


def test_truths_are_pooled():
    rows = rows_of(seen(90, 10) + seen(100, 0, truth="b"))
    pooled = of_truth(rows, "pooled")
    assert (pooled["coverage"], pooled["target"]) == (0.95, 0.935)
    assert "| pooled | 200 |" in coverage.markdown(rows)


def test_the_truths_are_what_they_are_called():
    u = (np.arange(20_000) + 0.5) / 20_000
    found = {name: passage(u) for name, passage in truths.TRUTHS.items()}
    never = found["log-normal, 27 % never"]
    assert np.isinf(never).mean() == pytest.approx(0.27, abs=1e-3)
    assert np.median(never[np.isfinite(never)]) == pytest.approx(700, rel=0.01)
    gamma = found["gamma 4"]
    assert gamma.std() / gamma.mean() == pytest.approx(0.5, rel=0.01)
    assert np.log(found["log-normal 0.8"]).std() == pytest.approx(0.8, rel=0.01)
    assert (found["bimodal"] < 900).mean() == pytest.approx(0.5, abs=1e-3)
    assert (found["1.5 % fast"] == 100).mean() == pytest.approx(0.015, abs=1e-3)
    for passage in found.values():
        assert (np.diff(passage[np.isfinite(passage)]) >= 0).all()


def test_a_made_up_run_is_above_from_its_passage_on():
    curves = curves_of(np.array([100.0, 101.0, math.inf]))
    above = curves.accuracy >= 0.95
    first = curves.steps[above.argmax(axis=1)]
    assert list(first[:2]) == [100, 125]
    assert above[:2, -1].all()
    assert not above[2].any()


def test_samples_of_a_population_are_its_runs():
    whole = curves_of(np.linspace(100, 1900, 30))
    drawn = Truth("p", whole, None).sample(np.random.default_rng(1), 50)
    assert len(drawn.initializations) == len(drawn.correct) == 50
    known = {tuple(row) for row in whole.correct}
    assert {tuple(row) for row in drawn.correct} <= known


@pytest.mark.parametrize("kind", ["mixture", "law"])
def test_a_cell_has_every_figure_of_every_sample(kind, tmp_path):
    truth = truths.truth_of("gamma 4", 0, tmp_path)
    found = coverage._CELLS[kind](truth, 60, TINY, 3)
    count = {"mixture": TINY.mixture, "law": TINY.law}[kind]
    figures = [one.figure for one in found]
    for name in ("mean, one prover", "CV, one prover", "mean, fastest of 15"):
        assert figures.count(name) == count
    assert all(0 < one.width < 10 for one in found)
    # 60 runs, of which the fastest of 15 provers rests on a third.
    few = {one.figure for one in found if one.warned}
    assert "mean, one prover" not in few


def test_samples_of_a_sweep_have_keys_of_their_own(monkeypatch, tmp_path):
    """With one key all of them would be off by the same error of the simulation."""
    seeds = []

    def evaluate(configs, curves, costs):
        seeds.append(configs[0].seed)
        return [evaluation.Outcome((), "")]

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    truth = truths.truth_of("gamma 4", 0, tmp_path)
    simulated_coverage.simulated_cell(truth, 50, TINY._replace(simulated=3), 3)
    assert len(seeds) == len(set(seeds)) == 4


@pytest.mark.slow
def test_a_sweeps_point_is_measured_as_the_sweep_does(tmp_path):
    truth = truths.truth_of("gamma 4", 0, tmp_path)
    found = simulated_coverage.simulated_cell(truth, 192, TINY, 3)
    assert {one.kind for one in found} == {"simulated"}
    assert {"chain_growth", "persistence_simulated at 6"} <= {x.figure for x in found}
