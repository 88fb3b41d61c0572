"""Two runs beside each other, from the tables to the command."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline import pictures
from dpodl.experiments.records import compared
from dpodl.experiments.store.run_folder import RunFolder
from dpodl.models.errors import UserError


@pytest.fixture(scope="module")
def pair(smoke, tmp_path_factory) -> tuple[Path, Path]:
    """The run and one with another second target, on the same models."""
    root = tmp_path_factory.mktemp("pair")
    shutil.copytree(smoke.root, root, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "render", lambda *_, **__: {"figures/a.png": b"a"})
        other = smoke.again("scheme.t_2=2^253", root=root)
    return root / smoke.folder.name, other.folder


def row(table: pd.DataFrame, quantity: str, at: float | None = None) -> dict[str, Any]:
    return next(
        each
        for each in table.to_dict("records")
        if each["quantity"] == quantity and at in (None, each["at"])
    )


def main_law(folder: Path) -> dict[str, Any]:
    rows = pd.read_csv(folder / "law_summary.csv").to_dict("records")
    return next(each for each in rows if each["main"])


def test_settings_and_paired_differences(pair):
    found = compared(*pair)
    assert found.settings.to_dict("records") == [
        {"setting": "scheme.t_2", "first": "2^255", "second": "2^253"}
    ]
    assert "paired over the same trained models" in found.pairing
    laws = [main_law(path) for path in pair]
    mean = row(found.figures, "block_time_mean")
    assert mean["paired"]
    assert mean["value"] == pytest.approx(laws[1]["mean"] - laws[0]["mean"])
    # The error is that of the differences of what either kept under each resample.
    kept = [
        row(pd.read_csv(path / "resamples.csv"), "block_time_mean") for path in pair
    ]
    names = [name for name in kept[0] if name.startswith("resample_")]
    assert len(names) == 2
    apart = [kept[1][name] - kept[0][name] for name in names]
    assert mean["standard_error"] == pytest.approx(np.std(apart, ddof=1))
    assert mean["in_errors"] == pytest.approx(mean["value"] / mean["standard_error"])


def test_what_is_kept_is_of_the_figures_that_are_shown(pair):
    for path in pair:
        kept = pd.read_csv(path / "resamples.csv").to_dict("records")
        estimates = pd.read_csv(path / "estimates.csv")
        names = {each["quantity"] for each in kept}
        assert {"chain_growth", "good_period", "persistence_violation"} < names
        for each in kept:
            # Depths are rounded up where they are shown; the law is in its own table.
            if each["quantity"].startswith(("safe_depth", "block_time")):
                continue
            at = None if math.isnan(each["at"]) else each["at"]
            assert each["own"] == row(estimates, each["quantity"], at)["value"]


def test_risks_are_compared_by_their_ratio(pair):
    found = compared(*pair)
    risk = row(found.figures, "persistence_violation", 3.0)
    assert risk["kind"] == "ratio"
    assert risk["value"] == pytest.approx(risk["second"] / risk["first"])
    assert risk["low"] <= risk["value"] <= risk["high"]
    assert risk["in_errors"] == pytest.approx(
        math.log(risk["value"]) / risk["standard_error"]
    )
    assert "decay_fit_p_value" not in set(found.figures["quantity"])


def test_a_run_does_not_differ_from_itself(pair):
    found = compared(pair[0], pair[0])
    assert found.settings.empty
    assert found.made.empty
    paired = [each for each in found.figures.to_dict("records") if each["paired"]]
    assert len(paired) > 20
    for each in paired:
        none = 1.0 if each["kind"] == "ratio" else 0.0
        assert (each["value"], each["in_errors"]) == (none, 0.0)


def test_other_models_are_not_paired(pair, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(pair[1], other)
    text = (other / "config.toml").read_text()
    assert "seed = 2023" in text
    folder = RunFolder(other)
    curves = {name: folder.read(name) for name in ("curves.npz", "curves.csv")}
    changed = {"config.toml": text.replace("seed = 2023", "seed = 2024").encode()}
    folder.finish("curves", "another", curves | changed)
    found = compared(pair[0], other)
    assert "the seeds differ" in found.pairing
    assert set(found.figures["paired"]) == {False}
    mean = row(found.figures, "block_time_mean")
    rows = [main_law(path) for path in pair]
    down = math.hypot(
        rows[1]["mean"] - rows[1]["mean_low"], rows[0]["mean_high"] - rows[0]["mean"]
    )
    assert mean["low"] == pytest.approx(mean["value"] - down)


def test_a_run_of_before_keeps_no_resamples(pair, tmp_path):
    old = tmp_path / "old"
    shutil.copytree(pair[1], old)
    (old / "resamples.csv").unlink()
    assert "keeps no resamples" in compared(pair[0], old).pairing


def test_fewer_models_are_no_pair(pair, tmp_path):
    """The b-th resample of 12 runs is not that of 24."""
    other = tmp_path / "fewer"
    shutil.copytree(pair[1], other)
    with np.load(pair[1] / "curves.npz") as file:
        held = {name: file[name] for name in file.files}
    few = held | {name: held[name][:5] for name in ("correct", "loss")}
    np.savez(other / "curves.npz", **few)
    with pytest.raises(UserError, match="is not what was written"):
        compared(pair[0], other)
    RunFolder(other).record("few", "", ["curves.npz"])
    assert "5 models were trained" in compared(pair[0], other).pairing


def test_what_is_no_run_is_told(pair, tmp_path):
    with pytest.raises(ConfigError, match="is no finished run"):
        compared(pair[0], tmp_path)


def test_the_command_prints_and_keeps(pair, tmp_path):
    kept = tmp_path / "kept"
    done = CliRunner().invoke(main, ["diff", *map(str, pair), "--output", str(kept)])
    assert done.exit_code == 0, done.output
    assert "scheme.t_2" in done.output
    assert "block_time_mean" in done.output
    figures = pd.read_csv(kept / "figures.csv")
    assert len(figures) == len(compared(*pair).figures)
    page = (kept / "page.html").read_text()
    assert "Content-Security-Policy" in page
    assert "<script" not in page
    assert page.count("<tr") > len(figures)
    again = CliRunner().invoke(main, ["diff", *map(str, pair), "--json"])
    assert len(json.loads(again.output)["figures"]) == len(figures)


def test_text_of_a_folder_is_no_markup(pair, tmp_path):
    odd = tmp_path / "<b>[red]x"
    shutil.copytree(pair[1], odd)
    kept = tmp_path / "kept"
    words = ["diff", str(pair[0]), str(odd), "--output", str(kept)]
    assert CliRunner().invoke(main, words).exit_code == 0
    page = (kept / "page.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;[red]x" in page
