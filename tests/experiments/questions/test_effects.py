"""``dpodl effects`` on the smoke menu, with real trainings."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments.commands.questions import effects

pytestmark = pytest.mark.slow

# Two corrupted provers make a pool.
SETTINGS = ("network.beta=0.5", "training.runs=24")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("effects")


def invoke(root, *words, settings=SETTINGS):
    given = [word for each in settings for word in ("--set", each)]
    few = ["--branches", "10", "--resamples", "2", "--output", str(root)]
    return CliRunner().invoke(effects, ["smoke", *given, *few, *words])


@pytest.fixture(scope="module")
def result(root):
    return invoke(root, "--quiet")


def test_every_effect_has_a_finding_and_a_table(result, root):
    assert result.exit_code == 0, result.output
    (path,) = root.glob("effects-smoke-*/findings.csv")
    findings = pd.read_csv(path)
    names = ["memorylessness", "domination", "forks", "saving", "pooling"]
    assert list(findings.effect) == names
    verdicts = {"holds", "does not hold", "not decided", "refused"}
    assert set(findings.verdict) <= verdicts
    for finding in findings.to_dict("records"):
        assert finding["sentence"] in result.output
        if finding["verdict"] == "refused":
            continue
        table = pd.read_csv(path.parent / f"{finding['effect']}.csv")
        assert (table.low <= table.value).all()
        assert (table.value <= table.high).all()
        assert table["at"].between(2.0**-12, 1).all()
    for name in ("memorylessness", "domination"):
        for suffix in ("png", "pdf"):
            assert (path.parent / "figures" / f"{name}.{suffix}").stat().st_size > 1000


def test_what_is_left_out_says_why(result, root):
    (path,) = root.glob("effects-smoke-*/refused.csv")
    refused = pd.read_csv(path)
    known = set(pd.read_csv(path.parent / "memorylessness.csv")["at"])
    assert known.isdisjoint(refused.p_2)
    assert known | set(refused.p_2) == {2.0**-k for k in range(13)}
    assert refused.reason.str.len().gt(20).all()


def test_one_corrupted_prover_and_whole_looks_are_refused(root):
    settings = ("network.beta=0", "scheme.t_1=2^256")
    result = invoke(root, "--json", settings=settings)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    verdicts = {each["effect"]: each["verdict"] for each in found["findings"]}
    assert verdicts["domination"] == verdicts["pooling"] == "refused"
    assert verdicts["saving"] == "refused"
    assert "domination" not in found["tables"]
    assert found["tables"]["memorylessness"]
