import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments import report
from dpodl.experiments.commands.results import report as command
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline import summary
from dpodl.experiments.store.files import sealed_json
from dpodl.experiments.store.run_folder import RunFolder
from dpodl.experiments.world.tier_words import tier_rows, tier_sentence


@pytest.fixture
def store(tmp_path):
    """A sweep's store of 3 × 2 points, one of them failed."""
    rows = []
    for place, (beta, delay) in enumerate(
        (b, d) for b in (0.1, 0.2, 0.3) for d in (0, 5)
    ):
        head = {"point": place, "status": "done", "error": "", "scheme.t_2": "2^250"}
        head |= {"network.beta": beta, "network.delay_steps": delay}
        if place == 5:
            rows.append(head | {"status": "failed", "error": "Refused: </script>"})
            continue
        for depth in (1, 2, 3):
            value = (beta / (1 - beta)) ** depth
            rows.append(
                head
                | {"quantity": "persistence_violation", "at": depth, "value": value}
                | {"low": value * 0.8, "high": value * 1.2, "count": 100}
                | {"at_unit": "blocks", "method": "share", "unit": "probability"}
            )
    folder = tmp_path / "thresholds"
    folder.mkdir()
    pd.DataFrame(rows).to_csv(folder / "results.csv", index=False)
    return folder


def test_a_run_s_page_has_its_verdict_its_settings_and_every_number(smoke):
    page = report.html(RunFolder(smoke.folder))
    # The tiers stand below the verdict, a line each.
    line = summary.verdict(smoke.config, smoke.result.tables).line
    tiers = tier_sentence(smoke.result.tables["estimates"])
    assert report_text(line.removesuffix(tiers).strip()) in page
    for against, number in tier_rows(smoke.result.tables["estimates"]):
        assert f"<dt>{report_text(against)}</dt><dd>{report_text(number)}</dd>" in page
    for name in ("scheme.t_acc", "network.beta", "security.replicas"):
        assert f'<th scope="row">{name}</th>' in page
    assert "mining." not in page.partition("<script")[0]
    for row in summary.closing_rows(smoke.config, smoke.result.tables):
        assert report_text(row[0]) in page
    section = page.partition("<h2>Every number</h2>")[2].partition("</details>")[0]
    assert section.count("<tr>") == 1 + len(smoke.result.tables["estimates"])
    provenance = json.loads((smoke.folder / "provenance.json").read_text())
    assert provenance["code"]["training"] in page
    for text in smoke.result.tables["notes"]["text"]:
        assert report_text(text) in page


def report_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#x27;")


def test_a_store_s_page_counts_its_points(store):
    facts = report.sweep_facts(RunFolder(store), report.read_store(RunFolder(store)))
    assert facts["title"] == "thresholds"
    assert facts["verdict"].startswith("5 of 6 points done, 1 failed")
    assert "none of them is called safe" in facts["verdict"]
    assert "Refused: &lt;/script&gt;" in report.html(RunFolder(store))


def test_a_store_with_a_target_says_which_points_are_safe(store):
    # At 3 deep (1/9)^3 = .0014, (1/4)^3 = .0156, (3/7)^3 = .0787, ± 20 %.
    toml = b'name = "t"\n[security]\ntarget = 0.017\n'
    RunFolder(store).finish("plan", "", {"sweep.toml": toml})
    RunFolder(store).record("results", "", ["results.csv"])
    (store / "provenance.json").write_bytes(sealed_json({"sessions": []}))
    facts = report.sweep_facts(RunFolder(store), report.read_store(RunFolder(store)))
    assert facts["title"] == "t"
    assert "SAFE at 3 confirmations in 2 of 5 points" in facts["verdict"]
    assert "NOT SAFE in 1, undecided in 2, without a number in 0." in facts["verdict"]
    assert ("security.target", "0.017") in facts["sections"][0][2]


def test_where_a_sweep_comes_from_is_a_list_and_no_json(store):
    RunFolder(store).finish("plan", "", {"sweep.toml": b'name = "t"\n'})
    RunFolder(store).record("results", "", ["results.csv"])
    shards = [
        {"key": "a", "points": 4, "worker": "one"},
        {"key": "b", "points": 2, "worker": "two"},
    ]
    session = {"command": "dpodl sweep t", "packages": {"jax": "0.10"}, "failed": 1}
    sessions = [session | {"shards": shards}, session | {"shards": []}]
    (store / "provenance.json").write_bytes(sealed_json({"sessions": sessions}))
    facts = report.sweep_facts(RunFolder(store), report.read_store(RunFolder(store)))
    listed = dict(facts["sections"][-1][2])
    assert listed["session 1.command"] == "dpodl sweep t"
    assert listed["session 2.packages.jax"] == "0.10"
    assert listed["session 1.failed"] == "1"
    assert listed["session 1.shards"] == "2 with 6 points, computed by 2 workers"
    assert not any(set("[]{}") & set(text) for text in listed.values())


def test_nested_settings_are_lines_of_their_own():
    nested = {"a": {"b": [1, 2.5]}, "c": [{"d": True}, {"d": "x"}], "e": []}
    assert list(report._flat(nested)) == [
        ("a.b", "1, 2.5"),
        ("c 1.d", "true"),
        ("c 2.d", "x"),
        ("e", ""),
    ]


def test_a_sweep_s_verdict_rests_on_named_methods(store):
    facts = report.sweep_facts(RunFolder(store), report.read_store(RunFolder(store)))
    label = "Pr[violation at depth k], ties win"
    assert (label, "share (5 points)") in facts["rests_on"]


def test_a_compressed_store_reads_as_a_plain_one(store):
    plain = report.read_store(RunFolder(store))
    plain.to_csv(store / "results.csv.gz", index=False)
    (store / "results.csv").unlink()
    pd.testing.assert_frame_equal(report.read_store(RunFolder(store)), plain)


def test_parquet_without_its_reader_is_a_clear_error(store, monkeypatch):
    def no_reader(*_):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd, "read_parquet", no_reader)
    (store / "results.parquet").write_bytes(b"PAR1")
    assert len(report.read_store(RunFolder(store))) == 16
    (store / "results.csv").unlink()
    with pytest.raises(ConfigError, match="needs pyarrow"):
        report.read_store(RunFolder(store))


def test_an_id_that_looks_like_a_number_stays_a_text(store):
    frame = report.read_store(RunFolder(store))
    frame["point"] = frame["point"].replace({"1": "1e5", "2": "0001"})
    frame.to_csv(store / "results.csv", index=False)
    assert {"1e5", "0001"} <= set(report.read_store(RunFolder(store))["point"])


def test_the_command_writes_the_page_and_says_where(store, tmp_path):
    result = CliRunner().invoke(command, [str(store)])
    assert result.exit_code == 0, result.output
    written = store / "report.html"
    assert str(written) in result.output
    assert written.read_text(encoding="utf-8").startswith("<!doctype html>")
    elsewhere = tmp_path / "new" / "page.html"
    again = CliRunner().invoke(command, [str(store), "--output", str(elsewhere)])
    assert again.exit_code == 0, again.output
    assert elsewhere.read_bytes() == written.read_bytes()


@pytest.mark.parametrize("kind", ["empty", "absent", "unfinished", "damaged", "twice"])
def test_what_cannot_be_shown_is_bad_input(kind, smoke, store, tmp_path):
    target, wanted = tmp_path / "target", "must be a run folder"
    if kind == "empty":
        target.mkdir()
    elif kind in ("unfinished", "damaged"):
        shutil.copytree(smoke.folder, target)
        if kind == "unfinished":
            (target / "estimates.csv").unlink()
            wanted = "not finished: estimates missing"
        else:
            (target / "estimates.csv").write_text("quantity,at\n")
            RunFolder(target).record("later", "", ["estimates.csv"])
            wanted = "cannot be shown"
    elif kind == "twice":
        target, wanted = store, "is there twice"
        frame = report.read_store(RunFolder(store))
        both = pd.concat([frame, frame.iloc[[0]]])
        both.to_csv(store / "results.csv", index=False)
    result = CliRunner().invoke(command, [str(target)])
    assert result.exit_code == 2, result.output
    assert wanted in result.output
    assert not (target / "report.html").exists()


def test_equal_folders_give_equal_pages(store):
    assert report.html(RunFolder(store)) == report.html(RunFolder(store))
