"""Curves as they are found: every irregularity has a rule, and says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dpodl.analysis.block_time.empirical import Lottery, empirical_law
from dpodl.analysis.block_time.law import mean
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.own_law import LawConfig
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.own.curve_log import curve_set, read_curves

STEPS = np.arange(10, 101, 10)
ANY = LawConfig()


def long_table(runs: int = 8) -> Any:
    """Run r is at .5 and, from step 10 (r + 1), at .95."""
    rows = [
        (f"r{run}", int(step), 0.95 if step >= 10 * (run + 1) else 0.5)
        for run in range(runs)
        for step in STEPS
    ]
    return pd.DataFrame(rows, columns=["run", "step", "accuracy"])


def written(folder: Path, table: Any, name: str = "log.csv") -> Path:
    path = folder / name
    text = table if isinstance(table, str) else table.to_csv(index=False)
    path.write_text(text, encoding="utf-8")
    return path


def passages(path: Path, law: LawConfig = ANY, **options) -> list[int]:
    log = read_curves(path, options.pop("columns", None))
    given = {"spacing": 10, "horizon": 100} | options
    curves, _ = curve_set(log, law, **given)
    return [int(n) for n in curves.steps[np.argmax(curves.accuracy >= 0.9, axis=1)]]


KNOWN = [10 * (run + 1) for run in range(8)]


def shuffled(table):
    return table.sample(frac=1.0, random_state=3)


def percent(table):
    return table.assign(accuracy=(100 * table["accuracy"]).map("{:.1f} %".format))


def named(table):
    return table.rename(
        columns={"run": "Run ID", "step": "global_step", "accuracy": "train/acc"}
    )


def repeated(table):
    wrong = table[table["step"] == 50].assign(accuracy=0.1)
    return pd.concat([wrong, table], ignore_index=True)


def with_gaps_of_nan(table):
    other = table.assign(accuracy=np.nan, step=table["step"] + 5)
    return pd.concat([table, other], ignore_index=True)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (shuffled, None),
        (percent, "read as percent"),
        (named, None),
        (repeated, "8 steps were logged again"),
        (with_gaps_of_nan, "80 rows without an accuracy"),
    ],
)
def test_an_odd_log_is_read_as_the_plain_one(change, told, tmp_path):
    path = written(tmp_path, change(long_table()))
    assert sorted(passages(path)) == KNOWN
    warnings = read_curves(path).warnings
    assert (warnings == ()) if told is None else any(told in each for each in warnings)


def test_wide_semicolon_gzip_and_parquet_are_the_same_curves(tmp_path):
    table = long_table()
    wide = table.pivot(index="step", columns="run", values="accuracy").reset_index()
    wide["r0__MIN"] = 0.0  # as Weights & Biases exports beside a run
    assert passages(written(tmp_path, wide)) == KNOWN
    text = table.to_csv(index=False, sep=";")
    assert passages(written(tmp_path, text)) == KNOWN
    table.to_csv(tmp_path / "log.csv.gz", index=False)
    assert passages(tmp_path / "log.csv.gz") == KNOWN
    table.to_parquet(tmp_path / "log.parquet")
    assert passages(tmp_path / "log.parquet") == KNOWN


def test_tickets_have_a_spacing_of_their_own(tmp_path):
    path = written(tmp_path, long_table())
    # A ticket sees the last look at or before it: coarse ones pass later, and fine
    # ones at the look itself.
    coarse = [30 * -(-step // 30) for step in KNOWN]
    assert passages(path, spacing=30, horizon=90) == coarse
    assert passages(path, spacing=5) == KNOWN
    _, warnings = curve_set(read_curves(path), ANY, spacing=5, horizon=100)
    assert any("up to 10 apart and tickets 5" in each for each in warnings)


def test_before_the_first_look_nothing_is_a_ticket(tmp_path):
    table = long_table()
    table["accuracy"] = 0.95
    table = table[table["step"] > 30]
    assert passages(written(tmp_path, table)) == [40] * 8


def test_accuracy_on_held_out_data_is_said(tmp_path):
    table = long_table().rename(columns={"accuracy": "val_accuracy"})
    (warning,) = read_curves(written(tmp_path, table)).warnings
    assert "not trained on" in warning


def test_a_longer_horizon_than_any_log_is_refused(tmp_path):
    path = written(tmp_path, long_table())
    with pytest.raises(ConfigError, match=r"ends at 100: set it to 100 or less"):
        passages(path, horizon=200)


def short_log(folder: Path) -> Path:
    """Runs 6 and 7 end at step 50, below .9; run 0 ends there above it."""
    table = long_table(8)
    ends = table["run"].isin(["r0", "r6", "r7"]) & (table["step"] > 50)
    return written(folder, table[~ends])


def law_of(path: Path, rule, t_acc: float = 0.9):
    law = LawConfig(short_runs=rule)
    curves, warnings = curve_set(read_curves(path), law, spacing=10, horizon=100)
    lottery = Lottery(t_acc, 1.0, 1.0, 1e9, "continue", 100)
    return empirical_law(curves, lottery), warnings


def test_runs_that_end_early_follow_the_rule_that_was_chosen(tmp_path):
    path = short_log(tmp_path)
    with pytest.raises(Refused, match="2 of 8 runs were logged below it and end"):
        law_of(path, "refuse")
    # Where all of them had passed there is nothing that is not known.
    assert law_of(path, "refuse", 0.4)[0].reached == 8
    held, said = law_of(path, "hold")
    assert (held.runs, held.reached) == (8, 6)
    assert any("3 of 8 runs end before 100" in each for each in said)
    fewer, _ = law_of(path, "leave_out")
    assert (fewer.runs, fewer.reached) == (5, 5)
    assert mean(fewer.law) == pytest.approx(40.0)  # runs 1 to 5, 20 to 60 steps


def test_costs_are_a_runs_own(tmp_path):
    table = long_table()
    table["elapsed"] = table["step"] * table["run"].str[1:].astype(int).add(1) * 0.5
    curves, _ = curve_set(
        read_curves(written(tmp_path, table)), ANY, spacing=10, horizon=100
    )
    assert curves.step_costs == pytest.approx(np.arange(1, 9) / 4.5)
    table["elapsed"] = 2.0  # the same at each look: what a step takes
    curves, _ = curve_set(
        read_curves(written(tmp_path, table)), ANY, spacing=10, horizon=100
    )
    assert curves.step_costs == pytest.approx(np.ones(8))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no CSV"),
        ("run,step,accuracy\n", "no rows"),
        ("run,step,accuracy\na,1,0.5\n", "has one run"),
        ("run,step,accuracy\na,1,x\n", "row 1: the column 'accuracy'"),
        ("run,step,accuracy\na,1,inf\nb,1,0.5\n", "must be finite"),
        ("run,step,accuracy\na,,0.5\nb,1,0.5\n", "without a step"),
        ("run,step,accuracy\n,1,0.5\nb,1,0.5\n", "the run has no name"),
        ("run,step,accuracy\na,-1,0.5\nb,1,0.5\n", "step must be at least 0"),
        ("run,step,accuracy\na,1,-0.5\nb,1,0.5\n", "accuracy must be at least 0"),
        ("run,step,accuracy\na,1,1.5\nb,1,0.5\n", "neither shares nor percent"),
        ("run,step,accuracy\na,1,250\nb,1,0.5\n", "at most 1, or 100 in percent"),
        ("run,step,accuracy\na,1,\nb,1,nan\n", "no row has an accuracy"),
        ("run,round,accuracy\na,1,1\n", "known as the step"),
        ("run,step,goodness\na,1,1\n", "known as the accuracy"),
        ("step,accuracy\n1,0.5\n", "known as the run"),
        ("step,a\n1,0.5\n", "neither a column of runs nor"),
        ("run,step,step,accuracy\na,1,1,1\n", "two columns are called"),
        ("run,step,Step,accuracy\na,1,1,1\n", "could both be the step"),
        ("a\0b", "zero bytes"),
    ],
)
def test_what_is_no_log_is_told(text, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        read_curves(written(tmp_path, text))


def test_files_that_are_none_are_told(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*example-curves"):
        read_curves(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigError, match="neither UTF-8 text nor Parquet"):
        read_curves(tmp_path / "bytes.csv")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1torn")
    with pytest.raises(ConfigError, match="no Parquet file"):
        read_curves(tmp_path / "torn.parquet")
    path = written(tmp_path, long_table())
    with pytest.raises(ConfigError, match="has no column 'nothing'"):
        read_curves(path, {"accuracy": "nothing"})


def test_costs_that_are_none_are_told(tmp_path):
    table = long_table()
    table["cost"] = -table["step"]
    log = read_curves(written(tmp_path, table))
    with pytest.raises(ConfigError, match="cost must be > 0"):
        curve_set(log, ANY, spacing=10, horizon=100)
    table["cost"] = np.where(table["run"] == "r3", np.nan, 1.0)
    log = read_curves(written(tmp_path, table))
    with pytest.raises(ConfigError, match="run 'r3' has no cost"):
        curve_set(log, ANY, spacing=10, horizon=100)
