"""Results as files: what comes back equal, what is rounded, what is said beside it."""

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.handover.tables import only, read, results_text
from dpodl.experiments.store.run_folder import RunFolder

ESTIMATES = pd.DataFrame(
    {
        "quantity": ["chain_growth", "safe_depth", "persistence_violation", "decay"],
        "at": [np.nan, 2.0**-128, 6.0, np.nan],
        "at_unit": ["", "target", "blocks", ""],
        "value": [0.015012345678901234, 468.0, 0.0, np.nan],
        "low": [0.0103, 254.0, 0.0, np.nan],
        "high": [0.0216, 862.0, 0.00231, np.nan],
        "count": [400, 400, 400, 24],
        "method": ["ratio", "grid", "Clopper–Pearson", "refused: too few | windows"],
        "unit": ["blocks per step", "blocks", "probability", ""],
        "warning": ["few_runs: 8 of 100 %", "", "", ""],
    }
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "x-0123456789"
    folder.mkdir()
    (folder / "config.toml").write_text('name = "x"\n')
    files = {"estimates.csv": ESTIMATES.to_csv(index=False).encode()}
    RunFolder(folder).finish("estimates", "key", files)
    return folder


def call(*arguments):
    return CliRunner().invoke(main, ["results", *map(str, arguments)])


def test_csv_is_the_run_s_own_table_and_parquet_holds_it(run, tmp_path):
    assert call(run).stdout_bytes == (run / "estimates.csv").read_bytes()
    target = tmp_path / "t.parquet"
    assert call(run, "--format", "parquet", "--output", target).exit_code == 0
    pd.testing.assert_frame_equal(
        pd.read_parquet(target), ESTIMATES, check_dtype=False, check_exact=True
    )
    back = pd.read_csv(io.BytesIO(call(run).stdout_bytes), keep_default_na=False)
    assert list(back["value"].astype(str)) == [
        "0.015012345678901234",
        "468.0",
        "0.0",
        "",
    ]
    records = json.loads(call(run, "--format", "json").stdout)
    told = [row["value"] for row in records]
    assert told == [*ESTIMATES["value"][:3], None]


def test_markdown_says_what_a_reader_needs(run):
    lines = call(run, "--format", "markdown").stdout.splitlines()
    assert lines[2:6] == [
        "| chain\\_growth |  | 0.0150 | \\[0.0103, 0.0216\\] | blocks per step |",
        "| safe\\_depth | 2^-128 target | 468 | \\[254, 862\\] | blocks |",
        "| persistence\\_violation | 6 blocks | 0 | \\[0, 0.0024\\] | probability |",
        "| decay |  | refused |  |  |",
    ]
    told = "\n".join(lines[6:])
    assert "refused: too few \\| windows." in told
    assert "few\\_runs: 8 of 100 %." in told


def test_latex_has_the_same_and_names_its_command(run):
    text = call(run, "--format", "latex", "--quantity", "safe_depth").stdout
    lines = text.splitlines()
    assert lines[1] == (f"% dpodl results {run} --format latex --quantity safe_depth")
    rows = [line for line in lines if line.endswith("\\\\")]
    assert rows[1:] == [
        "safe\\_depth & $2^{-128}$ target & 468 & [254, 862] & blocks \\\\"
    ]
    assert rows[0] == "quantity & at & value & 95 \\% interval & unit \\\\"


def sweep_table() -> pa.Table:
    same = {"at": None, "at_unit": "", "count": 9, "method": "m", "unit": "share"}
    ok = {"status": "done", "error": "", "quantity": "quality", **same}
    bad = {**dict.fromkeys(ok), "status": "failed", "error": "no run reaches"}
    rows = [
        {**ok, "scheme.t_acc": 0.9, "value": 0.5, "low": 0.4, "high": 0.61},
        {**bad, "scheme.t_acc": 0.95, "value": None, "low": None, "high": None},
    ]
    every = {"scheme.t_2": "2^254", "scheme.t_1": "2^250"}
    return pa.Table.from_pylist(
        [{"point": i, **r, **every} for i, r in enumerate(rows)]
    )


def test_of_a_sweep_what_is_swept_stands_in_the_rows_and_the_rest_below():
    text = results_text(sweep_table(), "markdown").decode().splitlines()
    assert text == [
        "| scheme.t\\_acc | quantity | at | value | 95 % interval | unit |",
        "| --- | --- | --- | --: | --: | --- |",
        "| 0.9 | quality |  | 0.50 | \\[0.40, 0.61\\] | share |",
        "| 0.95 | – |  | failed |  |  |",
        "",
        "All rows: scheme.t\\_2 = 2^254, scheme.t\\_1 = 2^250.",
        "",
        "no run reaches.",
    ]
    assert b"$2^{254}$" in results_text(sweep_table(), "latex")


def test_a_quantity_that_is_not_there_is_named(run):
    with pytest.raises(ConfigError, match="called growth; there are chain_growth, "):
        only(read(run).table, ["growth"])
    assert call(run, "--quantity", "growth").exit_code == 2


def test_a_changed_table_is_refused_or_says_so(run):
    path = run / "estimates.csv"
    path.write_bytes(path.read_bytes().replace(b"468.0", b"469.0"))
    assert call(run).exit_code == 1
    shown = call(run, "--accept-changed", "--format", "markdown")
    assert "469" in shown.stdout
    assert "is not what was written" in shown.stdout
