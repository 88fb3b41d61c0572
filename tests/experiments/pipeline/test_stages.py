"""A run's folder: whole, the same every time, and never done twice."""

import errno
import json
import os
import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.hash_targets import format_target
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline import stages as runner, summary, training
from dpodl.experiments.store import files as store, run_folder
from dpodl.experiments.world import translation
from dpodl.figures import style
from dpodl.models.learning.data import DataError, load_dataset
from dpodl.models.learning.networks import step_operations

STAGES = ["curves", "laws", "estimates", "figures", "summary"]
FIGURES = ("learning_curves", "block_times", "good_periods", "persistence")
FILES = {
    "curves": {"config.toml", "curves.npz", "curves.csv"},
    "laws": {"laws.csv", "law_summary.csv"},
    "estimates": {"estimates.csv", "references.csv", "notes.csv", "resamples.csv"},
    "figures": {
        f"figures/{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")
    },
    "summary": {"summary.md"},
}
# What may differ between configs that share one trained set of curves.
SCHEMES = (
    ("scheme.t_acc=0.7",),
    ("scheme.t_1=2^244",),
    ("scheme.t_2=2^256", "protocol.retry=restart"),
    ("network.beta=0",),
    ("network.beta=0.5", "scheme.t_acc=0.75", "scheme.p_1=1", "scheme.p_2=0.2"),
)


class Killed(BaseException):
    """What no handler of errors expects."""


# ------------------------------------------------------------------ what is there


def test_the_folder_has_everything(smoke):
    found = {
        str(path.relative_to(smoke.folder))
        for path in smoke.folder.rglob("*")
        if path.is_file()
    }
    expected = set().union(*FILES.values())
    assert found == expected | {"manifest.json", "provenance.json", ".lock"}
    assert smoke.folder.name == f"smoke-{smoke.config.digest()[:10]}"
    assert smoke.result.recomputed == STAGES
    assert set(smoke.result.seconds) == set(STAGES)


def test_the_manifest_has_every_file_with_its_digest(smoke):
    manifest = store.unsealed_json((smoke.folder / "manifest.json").read_bytes())
    assert {stage: set(entry["files"]) for stage, entry in manifest.items()} == FILES
    for entry in manifest.values():
        for name, digest in entry["files"].items():
            assert store.file_digest(smoke.folder / name) == digest


def test_the_frozen_config_is_the_config(smoke):
    assert load_config(str(smoke.folder / "config.toml")) == smoke.config


def test_figures_are_pictures_and_carry_the_command(smoke):
    for name in FIGURES:
        png = (smoke.folder / f"figures/{name}.png").read_bytes()
        pdf = (smoke.folder / f"figures/{name}.pdf").read_bytes()
        assert png.startswith(b"\x89PNG\r\n")
        assert pdf.startswith(b"%PDF-")
        assert b"dpodl run smoke" in png
        assert b"dpodl run smoke" in pdf


def test_provenance_says_who_what_and_where(smoke):
    facts = json.loads((smoke.folder / "provenance.json").read_text())
    assert facts["command"] == "dpodl run smoke"
    assert set(facts["seconds"]) == set(STAGES)
    assert facts["machine"]["cores"] >= 1
    assert facts["machine"]["processor"]
    assert facts["packages"]["jax"] == facts["build"]["jax"]
    assert set(facts["code"]) > set(STAGES)
    assert all(
        re.fullmatch("[0-9a-f]{64}", digest) for digest in facts["code"].values()
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", facts["finished"])


def test_the_summary_reads_without_the_tables(smoke):
    text = (smoke.folder / "summary.md").read_text()
    assert text.startswith("# smoke\n")
    assert summary.verdict(smoke.config, smoke.result.tables).line in text
    links = re.findall(r"\]\((\S+)\)", text)
    assert len(links) == len(FIGURES)
    assert all((smoke.folder / link).is_file() for link in links)
    for label in smoke.result.tables["law_summary"].setting:
        assert f"| {label} |" in text
    for note in smoke.result.tables["notes"].text:
        assert note in text


def test_progress_counts_up_to_the_total(smoke):
    for what in ("training models", "estimating security", "figures"):
        reports = [report[1:] for report in smoke.told if report[0] == what]
        done, totals = zip(*reports, strict=True)
        assert list(done) == sorted(done)
        assert done[-1] == totals[-1]
        assert len(set(totals)) == 1
    assert ("training models", 0, 24) in smoke.told
    assert all(0 <= done <= total for _, done, total in smoke.told)


# ------------------------------------------------------------------ tables


def test_curves_have_one_row_a_run_and_look(smoke):
    table, training = smoke.result.tables["curves"], smoke.config.training
    looks = training.horizon_steps // training.check_every
    assert len(table) == training.runs * looks
    assert not table.duplicated(["run", "step"]).any()
    assert set(table.step) == {training.check_every * (i + 1) for i in range(looks)}
    assert table.accuracy.between(0, 1).all()
    assert set(table.architecture) <= set(smoke.config.menu.architectures)
    settings = ["architecture", "optimizer", "learning_rate", "momentum", "batch_size"]
    assert (table.groupby("run")[settings].nunique() == 1).all(axis=None)
    assert not table.isna().any(axis=None)
    with np.load(smoke.folder / "curves.npz") as arrays:
        accuracy = arrays["correct"] / arrays["eval_samples"]
    np.testing.assert_array_equal(table.accuracy, accuracy.ravel())


def test_laws_fall_from_one(smoke):
    laws = smoke.result.tables["laws"]
    summaries = smoke.result.tables["law_summary"]
    assert set(laws.setting) == set(summaries.setting)
    for _, law in laws.groupby("setting"):
        assert law.time.is_monotonic_increasing
        assert law.survival.is_monotonic_decreasing
        assert law.survival.between(0, 1).all()
        assert law.survival.iloc[0] == 1
        assert law.survival.iloc[-1] < 0.01


def test_law_summaries_have_one_row_a_setting(smoke):
    table = smoke.result.tables["law_summary"]
    config = smoke.config
    assert list(table.setting)[:-1] == [c.label for c in config.comparisons]
    assert list(table.main) == [False, False, True]
    for name in ("mean", "cv"):
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()
    main = table[table.main].iloc[0]
    scheme = config.scheme
    assert (main.t_acc, main.p_1, main.p_2) == (scheme.t_acc, scheme.p_1, scheme.p_2)
    assert main.t_1 == format_target(scheme.t_1)
    assert main.t_2 == format_target(scheme.t_2)
    assert main.runs == config.training.runs
    assert 5 <= main.reached <= main.runs
    assert main.mean_seconds == pytest.approx(main["mean"] * 2e-4)
    # A memoryless lottery: 1/p_1 hashes at 150 a step.
    work = table[table.kind == "pow"].iloc[0]
    assert work["mean"] == pytest.approx(1 / work.p_1 / 150, rel=1e-3)
    assert work.cv == pytest.approx(1, rel=1e-3)


def test_estimates_are_tidy_and_inside_their_intervals(smoke):
    table = smoke.result.tables["estimates"]
    assert list(table.columns) == [
        "quantity",
        "at",
        "at_unit",
        "value",
        "low",
        "high",
        "count",
        "method",
        "unit",
        "runs_effective",
        "warning",
    ]
    # So few models carry the network's figures: the rows and the notes say it.
    network = table[table.quantity == "block_interval_mean"].iloc[0]
    assert 1 < network.runs_effective < 20
    assert "rests on" in network.warning
    notes = smoke.result.tables["notes"]
    assert notes.text.str.contains("block_interval_mean.*few training runs").any()
    assert not table.duplicated(["quantity", "at"]).any()
    assert (table.low <= table.value).all()
    assert (table.value <= table.high).all()
    shares = table[table.unit.isin(["probability", "share"])]
    assert len(shares) > 20
    assert shares[["value", "low", "high"]].stack().between(0, 1).all()
    # Persistence comes from the grid; its count is that of the resampled laws.
    grid = table.method.str.contains("Fourier grid")
    sampled = ~(grid | table.method.str.startswith("exact"))
    assert (table["count"][sampled] >= 10).all()
    assert (table.method != "").all()
    per_quantity = table.groupby("quantity").size()
    for name in ("persistence_violation", "persistence_simulated"):
        assert per_quantity[name] == smoke.config.security.depths
    assert per_quantity["unsafe_depth"] == per_quantity["private_growth"] == 1
    # Those of 10 and of 5 expected blocks fit into the horizon.
    assert per_quantity["good_period"] == per_quantity["good_period_all"] >= 2


def test_persistence_falls_with_depth(smoke):
    table = smoke.result.tables["estimates"]
    for rule in ("", "_strict"):
        known, simulated = (
            table[table.quantity == f"persistence_{engine}{rule}"]
            for engine in ("violation", "simulated")
        )
        for curve in (known, simulated):
            assert list(curve["at"]) == list(range(1, smoke.config.security.depths + 1))
            assert curve.value.is_monotonic_decreasing
            assert curve.value.iloc[0] > curve.value.iloc[-1]
        assert known.low.is_monotonic_decreasing
        assert known.high.is_monotonic_decreasing
        # The grid is above the network, in which finders need not wait.
        assert (known.value.to_numpy() > simulated.value.to_numpy()).all()
        assert (known.low.to_numpy() < simulated.value.to_numpy()).all()


def test_references_are_probabilities_beside_estimates(smoke):
    # A single number has no place on a curve.
    references = smoke.result.tables["references"].fillna({"at": -1})
    estimates = smoke.result.tables["estimates"].fillna({"at": -1})
    length = references.quantity == "block_interval_mean"
    assert references.value[~length].between(0, 1).all()
    assert not references.duplicated(["quantity", "at", "name"]).any()
    known = set(zip(estimates.quantity, estimates["at"], strict=True))
    assert set(zip(references.quantity, references["at"], strict=True)) <= known


def test_references_are_named_and_their_brackets_hold_something(smoke):
    references = smoke.result.tables["references"]
    curve = references[references.quantity == "persistence_violation"]
    wide = curve.pivot_table(index="at", columns="name", values="value")
    assert "Nakamoto's approximation, same share" in wide
    for name in ("Guo–Ren, head start", "Gaži–Ren–Russell, head start"):
        assert (wide[f"{name}: lower bound"] <= wide[f"{name}: upper bound"]).all()
    singles = set(references[references["at"].isna()].quantity)
    assert {"chain_growth", "stale_rate", "chain_quality", "isolated_rate"} <= singles


def test_the_oracles_bounds_are_judged_at_several_difficulties(smoke):
    table = smoke.result.tables["estimates"]
    config = smoke.config
    honest = config.network.provers - round(
        config.network.beta * config.network.provers
    )
    (f_2,) = table[table.quantity == "f_2"].value
    assert f_2 == pytest.approx(1 - (1 - config.scheme.p_2) ** honest)
    f_1 = table[table.quantity == "f_1"].set_index("at")
    lower = table[table.quantity == "p_lower"].set_index("at")
    assert list(f_1.index) == pytest.approx([0.7, 0.75, 0.78, 0.8])
    np.testing.assert_allclose(lower.value, f_2 * f_1.value / 2)
    # A round here is one look, so p is that of the good periods.
    (p,) = table[table.quantity == "p"].value
    (success,) = table[table.quantity == "round_success"].value
    assert p == success
    line = summary.oracle_line(smoke.result.tables)
    assert line is not None
    assert line in (smoke.folder / "summary.md").read_text()
    assert "p ≤ f_2 holds" in line
    assert "D_acc = " in line


def test_details_stand_beside_the_memoryless_chain(smoke):
    rows = summary.detail_rows(smoke.result.tables)
    names = [row[0] for row in rows]
    assert len(set(names)) >= 8
    beside = {row[0]: row[3] for row in rows}
    assert float(beside["isolated, share of honest blocks"]) < 1
    text = (smoke.folder / "summary.md").read_text()
    assert all(f"| {name} |" in text for name in names)
    dispersion = [name for name in names if name.startswith("dispersion")]
    assert len(dispersion) == 2


def test_tables_are_those_on_the_disk(smoke):
    for name, table in smoke.result.tables.items():
        stored = run_folder.RunFolder(smoke.folder).table(f"{name}.csv")
        pd.testing.assert_frame_equal(table, stored)
        assert len(table)


# ------------------------------------------------------------------ clocks


def step_seconds(seconds: dict[str, float]) -> str:
    table = ", ".join(f'"{bucket}" = {value!r}' for bucket, value in seconds.items())
    return f"clock.step_seconds={{{table}}}"


@pytest.mark.usefixtures("no_pictures")
def test_equal_seconds_are_steps(copy):
    equal = step_seconds({"softmax/32": 0.25, "mlp-8/32": 0.25})
    found = copy.again("clock.unit=seconds", equal).tables["estimates"]
    expected = copy.result.tables["estimates"]
    first = found.quantity == "block_interval_mean"
    assert found[first].value.item() == pytest.approx(
        expected[first].value.item(), 1e-3
    )


@pytest.mark.usefixtures("no_pictures")
def test_operations_are_seconds_in_proportion(copy):
    operations = copy.but("clock.unit=operations")
    measured = {
        f"{name}/32": 32 * step_operations(name, (28, 28), 10) / 2**30
        for name in ("softmax", "mlp-8")
    }
    assert len(set(measured.values())) == 2
    seconds = copy.but("clock.unit=seconds", step_seconds(measured))
    curves = training.train(copy.config, copy.root, lambda *_: None)
    costs = translation.step_costs(operations, curves, (28, 28), 10)
    np.testing.assert_array_equal(
        costs, translation.step_costs(seconds, curves, (28, 28), 10)
    )
    assert translation.step_costs(copy.config, curves, (28, 28), 10) is None
    found = copy.again("clock.unit=operations")
    assert not found.tables["laws"].equals(copy.result.tables["laws"])
    assert "by floating-point operations" in (found.folder / "summary.md").read_text()


@pytest.mark.usefixtures("no_pictures")
def test_seconds_of_a_step_are_a_conversion_only(copy):
    slower = copy.again("clock.seconds_per_step=4e-4").tables
    for name in ("mean", "cv", "mean_low", "mean_high"):
        expected = copy.result.tables["law_summary"][name]
        pd.testing.assert_series_equal(slower["law_summary"][name], expected)
    factor = slower["law_summary"].mean_seconds / (
        copy.result.tables["law_summary"].mean_seconds
    )
    np.testing.assert_allclose(factor, 2)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("training.eval_samples=10001",), ["training.eval_samples"]),
        (("menu.batch_sizes=[32, 10001]",), ["menu.batch_sizes"]),
        (
            ("training.eval_samples=20000", "menu.batch_sizes=[20000]"),
            ["training.eval_samples", "menu.batch_sizes"],
        ),
    ],
)
def test_more_than_the_data_has(settings, told, smoke, tmp_path):
    with pytest.raises(ConfigError) as caught:
        smoke.again(*settings, root=tmp_path)
    for field in told:
        assert field in str(caught.value)
    assert "at most the 10000 training examples of mnist-10k" in str(caught.value)
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize("setting", ["training.eval_samples=10000", "training.eval_sa"])
def test_all_of_the_data(setting, smoke):
    setting = setting if "=" in setting else "training.eval_samples=all"
    found = training.curve_settings(smoke.but(setting), load_dataset())
    assert found.eval_samples == 10_000


@pytest.mark.usefixtures("no_pictures")
def test_an_accuracy_that_no_run_reaches(copy, times):
    with pytest.raises(Refused) as caught:
        copy.again("scheme.t_acc=1")
    told = str(caught.value)
    assert "t_acc = 1: 0 of 24 runs reached it" in told
    best = copy.result.tables["curves"].groupby("run").accuracy.max()
    for share in (0.5, 0.9, 1.0):
        assert f"{np.quantile(best, share):.4f}" in told
    # The training is kept for a second try.
    before = times(copy.root / "curves")
    assert copy.again("scheme.t_acc=0.75").recomputed == STAGES
    assert times(copy.root / "curves") == before


@pytest.mark.usefixtures("no_pictures")
def test_a_comparison_that_no_run_reaches_has_no_numbers(copy):
    comparisons = "comparisons=[{label='too much', kind='dl', t_acc=1.0}]"
    result = copy.again(comparisons)
    row = result.tables["law_summary"].iloc[0]
    assert row.setting == "too much"
    assert np.isnan(row["mean"])
    assert "too much" not in set(result.tables["laws"].setting)
    assert "too few models reach T_acc" in (result.folder / "summary.md").read_text()


def test_windows_beyond_the_horizon_are_told_and_not_drawn(copy, monkeypatch):
    def rendered(figure, *, command: str) -> dict[str, bytes]:
        return {suffix: command.encode() for suffix in ("png", "pdf")}

    monkeypatch.setattr(style, "rendered", rendered)
    result = copy.again("security.windows=[1000]")
    drawn = {path.stem for path in result.folder.glob("figures/*.png")}
    assert drawn == set(FIGURES) - {"good_periods"}
    text = (result.folder / "summary.md").read_text()
    assert "* refused: good periods: the horizon has" in text
    assert "good_periods.png" not in text


# ------------------------------------------------------------------ data of one's own


def own_config(path: Path) -> Config:
    return load_config(
        "smoke",
        [
            "security.bootstrap_replicas=400",
            "security.bootstraps=2",
            "data.name=mine",
            f"data.path={path}",
            "menu.architectures=['softmax']",
            "training.horizon_steps=60",
            "protocol.abandon_steps=60",
            "training.eval_samples=200",
            "training.runs=12",
            "scheme.t_acc=0.3",
            "comparisons=[]",
        ],
    )


def save_own(path: Path, *, start: int) -> None:
    whole = load_dataset()
    stop = start + 300
    np.savez(
        path,
        x_train=whole.x_train[start:stop],
        y_train=whole.y_train[start:stop],
        x_test=whole.x_test[:50],
        y_test=whole.y_test[:50],
    )


@pytest.mark.usefixtures("no_pictures")
def test_data_that_changed_behind_its_name_is_trained_on_again(tmp_path, contents):
    path = tmp_path / "mine.npz"
    save_own(path, start=0)
    config, root = own_config(path), tmp_path / "runs"

    def again() -> runner.RunResult:
        return runner.run(config, root, lambda *_: None, command="dpodl run")

    assert again().recomputed == STAGES
    first = contents(root)
    assert again().recomputed == []
    save_own(path, start=300)
    changed = again()
    assert changed.recomputed == STAGES
    assert (
        contents(root)[f"{changed.folder.name}/curves.csv"]
        != (first[f"{changed.folder.name}/curves.csv"])
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=re.escape(str(path))):
        again()


def test_data_that_cannot_be_read_leaves_no_result(tmp_path):
    with pytest.raises(DataError, match="no-such"):
        runner.run(
            own_config(tmp_path / "no-such.npz"), tmp_path, print, command="dpodl run"
        )
    assert not list(tmp_path.rglob("*.csv"))


def test_a_full_disk_is_an_error_and_not_a_result(smoke, tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        smoke.again(root=tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


def test_the_frozen_config_is_toml_with_every_default(smoke):
    written = tomllib.loads((smoke.folder / "config.toml").read_text())
    for name, field in Config.model_fields.items():
        assert name in written, field


def test_published_figures_stand_beside_ours(copy):
    published = "{mean_seconds = 2.0, variance = 9.0, source = 'a paper'}"
    result = copy.again(f"scheme.published={published}")
    columns = summary.law_columns(result.tables)
    rows = summary.law_rows(result.tables)
    assert columns[-1] == "published: mean ± sd, s (CV)"
    assert {len(row) for row in rows} == {len(columns)}
    assert [row[-1] for row in rows] == ["", "", "2 ± 3 (1.5)"]
    assert columns[:-1] == summary.law_columns(copy.result.tables)


def test_confirmations_reach_down_to_2_to_the_minus_128(smoke):
    estimates = smoke.result.tables["estimates"]
    for quantity in ("safe_depth", "safe_depth_premined"):
        rows = estimates[estimates.quantity == quantity]
        targets = [smoke.config.security.target, 1e-9]
        assert list(rows["at"]) == [*targets, 2.0**-40, 2.0**-64, 2.0**-128]
        assert rows.value.is_monotonic_increasing
        assert (rows.low <= rows.value).all()
        assert (rows.value <= rows.high).all()
        assert rows.method.str.contains("upper bound").all()
    shown = {row[0] for row in summary.closing_rows(smoke.config, smoke.result.tables)}
    assert "confirmations for risk 2^-128 †" in shown


def test_what_carries_a_figure_stands_beside_it(smoke):
    page = (smoke.folder / "summary.md").read_text()
    table = page.partition("## Security")[2].partition("\n## ")[0]
    notes = summary.footnotes(smoke.config, smoke.result.tables)
    assert len(notes) == 2
    assert all(text in table for text in notes)
    assert "†: for a private chain only" in table
    assert "if trainings are independent" in table
    for row in summary.closing_rows(smoke.config, smoke.result.tables):
        assert ("is replaced" in row[0]) == ("ties win" in row[0])
        assert ("risk" in row[0]) == row[0].endswith("†")


def test_memoryless_values_are_those_of_this_delay(smoke):
    names = [row[0] for row in summary.closing_rows(smoke.config, smoke.result.tables)]
    (name,) = [name for name in names if "CV (memoryless" in name]
    value = float(name.partition("memoryless: ")[2].rstrip(")"))
    estimates = smoke.result.tables["estimates"].set_index("quantity")
    mean = estimates.value["block_interval_mean"]
    # Δ and then an exponential time: CV = 1 − Δ over the mean. Real intervals are a
    # little shorter, since finders need not wait.
    expected = 1 - smoke.config.network.delay_steps / mean
    assert value == pytest.approx(expected, abs=0.03)
    assert value < 0.95
    dispersion = [row[0] for row in summary.detail_rows(smoke.result.tables)]
    p = estimates.value["round_success"]
    assert any(f"(independent: {summary.number(1 - p)})" in name for name in dispersion)
