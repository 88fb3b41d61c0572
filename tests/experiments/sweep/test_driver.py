"""Sweeps: no point lost, none computed twice, the same bytes whoever computed them."""

import importlib
import importlib.util
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline import sources, training, versions
from dpodl.experiments.store.locks import exclusive
from dpodl.experiments.sweep import (
    counts,
    driver,
    forecast,
    shard_file,
    shards,
)
from dpodl.experiments.sweep.design import frozen
from dpodl.experiments.sweep.results import read_results
from dpodl.experiments.sweep.store import SweepStore
from dpodl.experiments.workers import dispatch, executors

HERE = Path(__file__).parent
POINTS = 24
KILLS = """
import sys
from pathlib import Path
import sweep_evaluators
moments = [word.split(":") for word in sys.argv[2:]]
moments = [(int(count), float(later)) for count, later in moments]
sweep_evaluators.killed(Path(sys.argv[1]), moments)
"""
needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="without distributed"
)
pytestmark = pytest.mark.usefixtures("own_cache")
# Its comm threads and sockets end after its last test has.
dask_warnings = pytest.mark.filterwarnings("ignore")


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The bytes that must be the same."""
    names = ("sweep.toml", "results.parquet", "results.csv.gz")
    return {name: (folder / name).read_bytes() for name in names}


# ------------------------------------------------------------------ what is there


def test_every_point_is_there_once_in_the_designs_order(cases, whole):
    table = read_results(whole)
    assert list(table.columns) == [
        "point", "status", "error", "scheme.t_acc", "scheme.t_1", "scheme.t_2", "p_1",
        "p_2", "network.provers", "network.beta", "network.delay_steps", "quantity",
        "at", "at_unit", "value", "low", "high", "count", "method", "unit",
        "runs_effective", "warning",
    ]  # fmt: skip
    heads = table.drop_duplicates("point")
    assert list(heads.point) == list(range(POINTS))
    expected = [
        (a, t, d)
        for a in cases.OVER["scheme.t_acc"]
        for t in cases.OVER["scheme.t_2"]
        for d in cases.OVER["network.delay_steps"]
    ]
    found = heads[["scheme.t_acc", "scheme.t_2", "network.delay_steps"]]
    assert list(found.itertuples(index=False, name=None)) == expected
    done = table[table.status == "done"]
    assert set(done.point.value_counts()) == {4}
    assert (done.error == "").all()
    assert list(done["count"])[:4] == [100, 101, 102, 103]
    assert np.isinf(done.high).sum() == 18
    assert heads.p_2[heads["scheme.t_2"] == "2^255"].unique() == [0.5]


def test_failed_points_say_why_and_have_one_row(whole):
    failed = read_results(whole).query("status == 'failed'")
    assert list(failed.point) == [18, 19, 20, 21, 22, 23]
    assert (failed.error == "t_acc = 0.99 is too much").all()
    assert failed[["quantity", "value", "count"]].isna().to_numpy().all()


def test_the_files_hold_the_table(whole):
    table = read_results(whole)
    parquet = pd.read_parquet(whole / "results.parquet")
    pd.testing.assert_frame_equal(parquet.astype({"count": "Int64"}), table)
    csv = pd.read_csv(whole / "results.csv.gz").assign(
        error=lambda t: t.error.fillna("")
    )
    assert list(csv.columns) == list(table.columns)
    for name in ("point", "error", "scheme.t_2", "network.delay_steps"):
        assert list(csv[name]) == list(table[name])
    for name in ("at", "value", "high"):
        np.testing.assert_array_equal(csv[name], table[name])


def test_a_second_pass_computes_nothing(cases, root, times):
    first = cases.run(root)
    assert (first.done, first.failed, first.computed) == (18, 6, 24)
    assert (first.unexpected, first.left_out, first.reused) == (0, 0, 0)
    before = times(root)
    again = cases.run(root)
    assert (again.done, again.failed, again.computed) == (18, 6, 0)
    assert times(root) == before


def test_another_folder_gets_the_same_bytes(cases, root, whole, contents):
    folder = cases.run(root).folder
    assert folder.name == whole.name

    def stable(path: Path) -> dict[str, bytes]:
        return contents(path)  # everything but notes and locks

    assert stable(folder) == stable(whole)


def test_how_many_points_a_shard_has_changes_no_result(cases, root, whole):
    config = cases.tiny("sweep.shard=7")
    folder = cases.run(root, config=config).folder
    assert folder.name == whole.name
    assert len(list(folder.glob("shards/*"))) == 4
    frozen_apart = bytes_of(folder)
    assert frozen_apart.pop("sweep.toml") != (whole / "sweep.toml").read_bytes()
    assert frozen_apart.items() < bytes_of(whole).items()


def test_the_notes_say_who_and_how_fast(cases, root):
    folder = cases.run(root, command="dpodl sweep tiny").folder
    (session,) = SweepStore(folder).sessions()
    assert session["command"] == "dpodl sweep tiny"
    assert session["computed"] == sum(s["points"] for s in session["shards"]) == 24
    assert session["failed"] == 6
    assert session["finished"] is not None
    assert session["build"] == versions.build()
    assert session["code"] == sources.stage_digest("sweep")
    assert {s["worker"].split(":")[1] for s in session["shards"]} == {str(os.getpid())}


def test_results_do_not_change_without_notes(cases, whole, root):
    shutil.copytree(whole, root / whole.name)
    (root / whole.name / "provenance.json").write_text("{")
    assert cases.run(root).computed == 0
    pd.testing.assert_frame_equal(read_results(root / whole.name), read_results(whole))


# ------------------------------------------------------------------ going on


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "foreign"])
def test_a_damaged_shard_alone_is_computed_again(cases, root, whole, damage):
    folder = root / whole.name
    shutil.copytree(whole, folder)
    path = sorted(folder.glob("shards/*"))[3]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(
        {"cut": content[:-9], "flipped": content, "foreign": b"PAR1"}.get(damage, b"")
    )
    if damage == "missing":
        path.unlink()
    (folder / "results.parquet").unlink()
    assert SweepStore(folder).known().keys() < SweepStore(whole).known().keys()
    assert cases.run(root).computed == 2
    assert bytes_of(folder) == bytes_of(whole)


def test_killed_ten_times_it_ends_with_the_same_bytes(cases, root, whole):
    draws = random.Random(20)
    moments = [f"{draws.randrange(2)}:{draws.uniform(0, 0.03):.4f}" for _ in range(10)]
    # The warning is JAX's, of forks; nothing of it has been used when they are made.
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    path = [str(HERE), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    done = subprocess.run(
        [sys.executable, "-c", KILLS, root, *moments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = root.glob("sweep-*")
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("shards/*.parquet")}
    assert 0 < len(kept) < POINTS // 2
    # No finished point is computed again, however often it was killed.
    facts = [shard_file.facts_of(path) for path in kept]
    assert len({key for each in facts for key in each.keys}) == 2 * len(kept)
    last = cases.run(root, cases.slow)
    assert last.computed == POINTS - 2 * len(kept)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert bytes_of(folder) == bytes_of(whole)
    assert not list(folder.rglob(".*.tmp"))


def test_another_process_is_not_disturbed(cases, root, whole):
    with exclusive(root / whole.name), pytest.raises(BlockingIOError):
        cases.run(root)


def test_points_of_other_sweeps_are_not_computed_again(cases, root, whole):
    shutil.copytree(whole, root / whole.name)
    over = cases.OVER | {"scheme.t_acc": (0.4, 0.6), "network.delay_steps": (13, 5)}
    plan = driver.plan_of(frozen(cases.tiny(), over=over), root, cases.quick)
    pool = executors.GivenPool(executors.SerialExecutor(), 1)
    ahead = forecast.forecast(plan, root, slots=1)
    assert (ahead.done, ahead.todo, ahead.trainings) == (3, 9, 0)
    result = driver.run_sweep(plan, root, pool, lambda *_: None)
    assert (result.reused, result.computed, result.done) == (3, 9, 12)
    found, expected = read_results(result.folder), read_results(whole)
    shared = ["scheme.t_acc", "scheme.t_2", "network.delay_steps", "quantity", "at"]
    both = found.merge(expected, on=shared, suffixes=("", "_other"))
    assert len(both) == 12
    assert (both.value == both.value_other).all()


def test_a_key_that_comes_twice_is_computed_once(cases, root):
    over = {"scheme.t_acc": [0.4, 0.4, 0.4], "network.delay_steps": [1, 1, 2]}
    plan = driver.plan_of(
        frozen(cases.tiny(), over=over, design="list"), root, cases.quick
    )
    pool = executors.GivenPool(executors.SerialExecutor(), 1)
    result = driver.run_sweep(plan, root, pool, lambda *_: None)
    assert (result.points, result.done, result.computed) == (3, 3, 2)
    table = read_results(result.folder)
    values = [list(table[table.point == p].value) for p in range(3)]
    assert values[0] == values[1] != values[2]


def test_other_code_makes_other_points(cases, root, monkeypatch):
    first = cases.run(root)
    for module in (sources, shards):
        monkeypatch.setattr(module, "sweep_code_at_start", lambda: "another")
    again = cases.run(root)
    assert again.folder == first.folder
    assert (again.computed, again.reused) == (24, 0)


def test_every_set_of_curves_is_trained_once(cases, root, monkeypatch):
    trained = []
    real = training.train

    def train(config, *rest):
        trained.append(config.seed)
        return real(config, *rest)

    monkeypatch.setattr(training, "train", train)
    over = {"seed": [2023, 1], "scheme.t_acc": [0.3, 0.4], "security.levels": [32, 40]}
    plan = driver.plan_of(frozen(cases.tiny(), over=over), root, cases.quick)
    ahead = forecast.forecast(plan, root, slots=1)
    assert (ahead.curve_sets, ahead.trainings, ahead.shards) == (2, 12, 4)
    pool = executors.GivenPool(executors.SerialExecutor(), 1)
    result = driver.run_sweep(plan, root, pool, lambda *_: None)
    assert result.done == 8
    assert trained == [2023, 1]
    assert len(list((root / "curves").iterdir())) == 2
    table = read_results(result.folder).drop_duplicates("point")
    assert list(table.seed) == [2023] * 4 + [1] * 4
    groups = counts.count_points(SweepStore(result.folder))[1]
    assert [counts.done for _, counts in groups] == [2, 2, 2, 2]
    assert "seed=1, security.levels=40" in groups[-1][0]


def test_training_that_fails_takes_only_its_points(cases, root, monkeypatch):
    real = training.train

    def train(config, *rest):
        if config.seed == 1:
            raise FloatingPointError("diverged")
        return real(config, *rest)

    monkeypatch.setattr(training, "train", train)
    over = {"seed": [1, 2023], "scheme.t_acc": [0.3, 0.4]}
    plan = driver.plan_of(frozen(cases.tiny(), over=over), root, cases.quick)
    pool = executors.GivenPool(executors.SerialExecutor(), 1)
    result = driver.run_sweep(plan, root, pool, lambda *_: None)
    assert (result.done, result.failed, result.unexpected) == (2, 2, 2)
    failed = read_results(result.folder).query("status == 'failed'")
    assert set(failed.error) == {"training: FloatingPointError: diverged"}


# ------------------------------------------------------------------ points that fail


def test_an_exception_is_that_of_its_point_alone(cases, root, whole):
    result = cases.run(root, cases.raises_at_13)
    assert (result.done, result.failed, result.unexpected) == (9, 15, 12)
    found = read_results(result.folder)
    failed = found[found["network.delay_steps"] == 13]
    assert set(failed.error) == {"ZeroDivisionError: of 13"}
    others = read_results(whole)
    good = found[found.status == "done"].reset_index(drop=True)
    expected = others[others.point.isin(good.point)].reset_index(drop=True)
    assert good.to_csv() == expected.to_csv()


@pytest.mark.parametrize(
    ("name", "told"),
    [("refuses", "Refused: not caught"), ("too_few", "RuntimeError: 0 outcomes of 1")],
)
def test_an_evaluator_that_is_wrong_is_recorded(cases, root, name, told):
    result = cases.run(root, getattr(cases, name))
    assert result.unexpected == POINTS
    assert read_results(result.folder).error.str.startswith(told).all()


def test_failed_points_are_tried_again_when_asked(cases, root, whole, monkeypatch):
    monkeypatch.setenv("SWEEP_TEST_MARKER", str(root / "marker"))
    assert cases.run(root, cases.raises_once).unexpected == 12
    (root / "marker").touch()
    assert cases.run(root, cases.raises_once).computed == 0
    again = cases.run(root, cases.raises_once, retry_failed=True)
    # Those of 13, and the refused ones with them.
    assert (again.computed, again.done, again.failed) == (15, 18, 6)
    assert bytes_of(again.folder) == bytes_of(whole)
    third = cases.run(root, cases.raises_once, retry_failed=True)
    assert (third.computed, third.done) == (6, 18)
    assert bytes_of(again.folder) == bytes_of(whole)


def test_points_that_do_not_fit_are_named_or_left_out(cases, root):
    over = {"network.provers": "4:8:1", "scheme.t_acc": "0.3,0.4"}
    plan = driver.plan_of(frozen(cases.tiny(), over=over), root, cases.quick)
    with pytest.raises(ConfigError) as caught:
        plan.refuse_invalid()
    told = str(caught.value)
    for provers, place in ((5, 2), (6, 4), (7, 6)):
        line = f"point {place} (network.provers={provers}, scheme.t_acc=0.3): network: "
        assert line + "beta × provers must be whole" in told
    assert "--skip-invalid" in told
    pool = executors.GivenPool(executors.SerialExecutor(), 1)
    result = driver.run_sweep(plan, root, pool, lambda *_: None)
    assert (result.done, result.failed, result.left_out) == (4, 6, 6)
    table = read_results(result.folder)
    left = table[table.status == "failed"]
    assert left.error.str.startswith("left out: network: beta × provers").all()
    assert list(left["network.provers"]) == [5, 5, 6, 6, 7, 7]


def test_what_the_data_has_not_is_told_before_anything_is_computed(cases, root):
    over = {"training.eval_samples": [200, 601], "data.examples": [600, 100_000]}
    plan = driver.plan_of(frozen(cases.tiny(), over=over), root, cases.quick)
    assert sorted(plan.invalid) == [1, 2, 3]
    assert "at most the 600 training examples" in plan.invalid[2]
    assert "data.examples must be at most" in plan.invalid[1]


# ------------------------------------------------------------------ workers


def same_everywhere(cases, root, whole, executor: str, evaluate) -> None:
    with executors.workers(executor, jobs=2) as pool:
        result = cases.run(root, evaluate, pool)
    assert (result.done, result.failed) == (18, 6)
    assert bytes_of(result.folder) == bytes_of(whole)


def test_processes_find_the_same_bytes_also_when_one_is_killed(
    cases, root, whole, monkeypatch
):
    monkeypatch.setenv("SWEEP_TEST_MARKER", str(root / "marker"))
    same_everywhere(cases, root, whole, "local", cases.dies_once)
    assert (root / "marker").exists()


@needs_dask
@dask_warnings
def test_a_cluster_finds_the_same_bytes(cases, root, whole):
    same_everywhere(cases, root, whole, "dask", cases.quick)


@pytest.mark.slow
def test_a_point_that_kills_its_workers_is_found(cases, root, monkeypatch):
    monkeypatch.setattr(dispatch, "_DEATHS", 1)  # each costs the start of a process
    over = {"network.delay_steps": [4, 13, 5]}
    plan = driver.plan_of(frozen(cases.tiny(), over=over), root, cases.dies_at_13)
    with executors.workers("local", jobs=1) as pool:
        result = driver.run_sweep(plan, root, pool, lambda *_: None)
    assert (result.done, result.failed, result.unexpected) == (2, 1, 1)
    failed = read_results(result.folder).query("status == 'failed'")
    assert list(failed["network.delay_steps"]) == [13]
    assert failed.error.str.contains("the worker died whenever").all()


@pytest.mark.slow
def test_the_real_figures_are_the_same_bytes_whoever_computes_them(
    trained, tmp_path, cases
):
    over = {"scheme.t_acc": [0.3, 0.4]}
    found = {}
    for kind in ("serial", "local"):
        where = tmp_path / kind
        shutil.copytree(trained, where)
        table = driver.sweep(cases.tiny(), over, output=where, executor=kind, jobs=1)
        (folder,) = where.glob("sweep-*")
        assert set(table.status) == {"done"}
        assert table.quantity.nunique() > 5
        found[kind] = bytes_of(folder)
    assert found["local"] == found["serial"]
    # A point's bytes do not depend on those beside it.
    alone = driver.sweep(
        cases.tiny("sweep.shard=1"),
        over,
        output=shutil.copytree(trained, tmp_path / "1"),
    )
    pd.testing.assert_frame_equal(alone, table)
