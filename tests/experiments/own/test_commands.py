"""dpodl import, finality and estimate, as they are called."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.finality import exponential_risk
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.own import words
from dpodl.experiments.own.tables import examples
from dpodl.experiments.questions import finality as asking
from dpodl.experiments.questions.attack import attack

RATE = 1 / 1000
FORMULA = (
    *("law.formula.family=exponential", "law.formula.mean=1000"),
    *("law.formula.dead_time=0", "network.delay_steps=0"),
    "clock.seconds_per_step=2",
)


def run(*given: str, code: int = 0) -> str:
    found = CliRunner().invoke(main, list(given))
    assert found.exit_code == code, found.output
    return found.output


def read_json(*given: str):
    return json.loads(run(*given, "--json"))


@pytest.mark.parametrize("kind", ["curves", "times", "blocks"])
def test_every_shipped_example_is_what_its_name_says(kind):
    found = read_json("import", f"example-{kind}")
    assert found["kind"] == kind
    assert set(examples()) == {"example-curves", "example-times", "example-blocks"}
    told = run("import", f"example-{kind}")
    for text in found["warnings"]:
        assert f"warning: {text}" in told


def test_the_config_that_is_printed_can_be_used(tmp_path):
    for kind in ("curves", "times"):
        text = read_json("import", f"example-{kind}")["config"]
        path = tmp_path / f"{kind}.toml"
        path.write_text(f'name = "mine"\n{text}')
        assert load_config(str(path)).law.source == kind


def test_a_file_that_is_none_of_them_says_why_for_each(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("a,b\n1,2\n")
    told = run("import", str(path), code=2)
    for kind in ("curves", "times", "blocks"):
        assert f"as {kind}: " in told
    assert "cannot read" in run("import", str(tmp_path / "no.csv"), code=2)
    assert "ROLE=NAME" in run("import", str(path), "--column", "x", code=2)


def blocks_of(folder, times):
    path = folder / "blocks.csv"
    rows = pd.DataFrame({"height": np.arange(len(times)), "time": times})
    rows.to_csv(path, index=False)
    return path


def test_finality_is_exact_where_intervals_are_exponential(tmp_path):
    times = np.array(
        [0, 500, 900, 2300, 2400, 4000, 4100, 4900, 5000, 5300, 5400, 7000]
    )
    path = blocks_of(tmp_path, times)
    settings = [w for each in FORMULA for w in ("--set", each)]
    found = read_json(
        *("finality", "formula", str(path), *settings, "--blocks", "4"),
        *("--output", str(tmp_path), "--window", "11", "--age", "50"),
    )
    rows: Any = pd.DataFrame(found["finality"])
    known = rows[rows["rate"] == "known"]
    for row in known.to_dict("records"):
        # Seconds in steps of two; three honest provers of four.
        since = (7000 - times[11 - row["depth"]]) / 2 + 50
        assert row["elapsed"] == pytest.approx(since)
        exact = exponential_risk(3 * RATE, RATE, row["depth"], float(since))
        assert row["value"] == pytest.approx(exact, rel=1e-9)
    # Eleven intervals of 320 on average: a rate that is a bit higher than the law's.
    other = rows[rows["rate"] == "estimated"]
    assert len(other) == 4
    seen = (3500 + 50) / 11
    first = other.iloc[0]
    exact = exponential_risk(1 / seen, RATE, int(first["depth"]), first["elapsed"])
    assert first["value"] == pytest.approx(exact, rel=1e-6)
    assert first["low"] < first["value"] < first["high"]
    assert (rows["count"] >= 0).all()


def test_final_depth_counts_only_what_stays_final():
    rows = [(5, 1e-5), (4, 1e-4), (3, 2e-2), (2, 1e-4), (1, 0.5)]
    table = pd.DataFrame([{"rate": "known", "depth": d, "high": h} for d, h in rows])
    assert asking.final_depth(table, 1e-3, "known") == 4
    assert asking.final_depth(table, 1e-9, "known") is None


def test_finality_refuses_what_it_does_not_know(tmp_path):
    path = blocks_of(tmp_path, np.arange(5) * 100.0)
    config = load_config("formula", FORMULA)
    seen = asking.seen(path, config, {})

    def ask(changed=config, **options):
        given = {"blocks": 3, "window": None, "age": 0.0} | options
        return asking.finality_tables(changed, tmp_path, seen, lambda *_: None, **given)

    notes = ask()["notes"]["text"].str.cat()
    assert "4 intervals are too few to estimate a rate from" in notes
    assert "the latest up to it" not in notes
    with pytest.raises(ConfigError, match="must leave a corrupted prover"):
        ask(load_config("formula", [*FORMULA, "network.beta=0"]))
    with pytest.raises(ConfigError, match="--age must be"):
        ask(age=-1.0)
    with pytest.raises(ConfigError, match="no block beyond its first"):
        asking.finality_tables(
            config,
            tmp_path,
            seen._replace(times=seen.times[:1]),
            lambda *_: None,
            blocks=1,
            window=None,
            age=0.0,
        )


def test_estimate_says_what_a_list_shows():
    found = read_json("estimate", "example-blocks")
    # Made with Δ = 12, intervals of 120 and a fifth of the blocks marked.
    for name, true in (("delay", 12.0), ("interval_mean", 120.0), ("beta", 0.2)):
        assert found[name]["low"] <= true <= found[name]["high"], name
    told = run("estimate", "example-blocks")
    assert "cannot be told from one that was late" in told
    assert "intervals are not exponential (p " in told


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("train", "of the training runs"),
        ("own-curves", "of the logged runs"),
        ("own-times", "of the measured block times"),
        ("formula", "the law is a formula"),
    ],
)
def test_what_intervals_are_of_is_said_by_the_law(source, said):
    config = load_config("smoke" if source == "train" else source, [])
    assert said in words.interval_words(config)
    trainings = source in ("train", "own-curves")
    assert words.attempts(config) == ("trainings" if trainings else "block times")


def test_the_attack_table_of_a_law_refuses_what_the_law_is_not(tmp_path):
    config = load_config("formula", ["protocol.s_min=20"])
    with pytest.raises(Refused, match=r"^attack does not know protocol\.s_min = 20"):
        attack(config, tmp_path, lambda *_: None, branches=10, resamples=0)
