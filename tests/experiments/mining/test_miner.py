"""Chains mined from a config: kept, verified by another process, shown, resumed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.mining import miner, reality, verifying
from dpodl.experiments.mining.reading import read_chain
from dpodl.experiments.mining.store import ChainError, ChainFolder, TornError
from dpodl.models.scheme.build import this_build
from dpodl.models.scheme.checkpoints import Rejected

from ..mining_settings import SETTINGS


def config(*settings: str):
    return load_config("mining", [*SETTINGS, *settings])


def mine(root: Path, *settings: str) -> miner.MiningResult:
    return miner.mine(config(*settings), root, lambda status: None)


verify = verifying.verify_chain


@pytest.fixture(scope="module")
def mined(tmp_path_factory) -> miner.MiningResult:
    """The chain that nobody changes."""
    return mine(tmp_path_factory.mktemp("chains"))


@pytest.fixture
def copy(mined, tmp_path) -> Path:
    return Path(shutil.copytree(mined.folder, tmp_path / "copy"))


def test_a_chain_grows_to_its_height_and_is_valid(mined):
    report = verify(mined.folder)
    assert report.height == mined.status.height == 5
    assert report.blocks == 5 + mined.status.forks == mined.mined
    assert report.mtxs == mined.status.mtxs
    assert report.challenges == 1
    assert not mined.refusals
    thorough = verify(mined.folder, challenges=100, later=True)
    assert thorough.tip == report.tip


def test_the_same_command_mines_nothing_more_and_a_higher_target_goes_on(mined, copy):
    # The folder's name is the settings' digest: put the copy where it belongs.
    root = copy.parent
    copy.rename(miner.chain_path(config(), root))
    again = mine(root)
    assert again.mined == 0
    assert again.status.height == 5
    assert verify(again.folder).tip == verify(mined.folder).tip


def test_the_same_settings_mine_the_same_chain_byte_for_byte(mined, tmp_path):
    again = mine(tmp_path)
    assert (again.folder / "chain.log").read_bytes() == (
        mined.folder / "chain.log"
    ).read_bytes()


@pytest.mark.parametrize("records", [1, 4, 7])
def test_an_interrupted_chain_is_the_undisturbed_one(mined, tmp_path, records):
    class Stop(Exception):
        pass

    def report(status):
        if status.height + status.forks + status.mtxs >= records:
            raise Stop

    with pytest.raises(Stop):
        miner.mine(config(), tmp_path, report)
    path = miner.chain_path(config(), tmp_path)
    before = (path / "chain.log").read_bytes()
    assert not verify(path, challenges=0).closed
    assert mine(tmp_path).status == mined.status
    whole = (mined.folder / "chain.log").read_bytes()
    assert whole.startswith(before)
    assert contents(path) == contents(mined.folder)
    assert verify(path).closed


def contents(path: Path) -> dict[str, bytes]:
    """All files of a folder by name, but the lock."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


@pytest.mark.parametrize("attack", ["cross_slot_old", "withheld_mtx", "relabel"])
def test_secrets_of_an_attacker_survive_an_interruption(tmp_path, attack):
    """Blocks and models held back, copies made: all as if nothing had happened."""

    class Stop(Exception):
        pass

    settings = [f"adversary.attack={attack}", "protocol.reference_window=off"]
    settings += ["network.beta=0.5", "protocol.reference=most_accurate"]
    undisturbed = mine(tmp_path / "whole", *settings)
    looks = 0

    def report(status):
        nonlocal looks
        looks += 1
        if looks == 40:
            raise Stop

    with pytest.raises(Stop):
        miner.mine(config(*settings), tmp_path / "cut", report)
    resumed = mine(tmp_path / "cut", *settings)
    assert contents(resumed.folder) == contents(undisturbed.folder)


def test_a_torn_log_is_refused_by_readers_and_mended_by_the_miner(copy):
    data = (copy / "chain.log").read_bytes()
    (copy / "chain.log").write_bytes(data[:-5])
    with pytest.raises(TornError):
        verify(copy)
    copy = copy.rename(miner.chain_path(config(), copy.parent))
    assert mine(copy.parent).status.height == 5
    assert verify(copy).height == 5


@pytest.mark.parametrize(
    "pattern", ["genesis.bin", "config.toml", "chain.log", "leaves/*", "states/*"]
)
def test_any_changed_byte_of_any_file_is_refused(copy, pattern):
    rng = random.Random(7)
    for path in rng.sample(sorted(copy.glob(pattern)), k=1):
        data = path.read_bytes()
        for place in {0, len(data) - 1, *rng.sample(range(len(data)), k=12)}:
            changed = bytearray(data)
            changed[place] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
            with pytest.raises((ChainError, Rejected)):
                verify(copy)
        path.write_bytes(data)
    assert verify(copy).height == 5


def test_a_missing_file_is_refused_even_if_nobody_challenges_it(copy):
    for path in (min(copy.glob("states/*")), min(copy.glob("leaves/*"))):
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(ChainError, match=re.escape(path.name)):
            verify(copy, challenges=0)
        path.write_bytes(data)


def test_another_data_set_is_no_forgery(copy, monkeypatch):
    load = verifying.config_dataset

    def other(config):
        dataset = load(config)
        return dataset._replace(x_train=255 - dataset.x_train)

    monkeypatch.setattr(verifying, "config_dataset", other)
    with pytest.raises(ChainError, match="cannot be verified with this data"):
        verify(copy)


def test_reading_a_chain_needs_neither_data_nor_training(mined, monkeypatch):
    monkeypatch.setattr("dpodl.experiments.world.dataset.config_dataset", None)
    monkeypatch.setattr("dpodl.models.chain.ledger.verify", None)
    chain = read_chain(mined.folder)
    assert [entry.height for entry in chain.entries] == [1, 2, 3, 4, 5]
    assert sum(map(len, chain.forks.values())) == mined.status.forks
    paid = sum(sum(entry.rewards.values()) for entry in chain.entries)
    assert paid == 5 * chain.ledger.genesis.parameters.reward
    coins = sum(chain.entries[-1].accounts.balances.values())
    assert coins == paid + 4 * 1000


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.examples=99999", "data.examples must be at most the 10000"),
        ("training.eval_samples=2000", "eval_samples must be from 1 to 1500, got 2000"),
        (
            "protocol.checkpoint_every=30",
            "protocol.checkpoint_every must be a multiple",
        ),
        ("mining.speeds=[1.0]", "mining.speeds: it is network.classes now"),
        ("adversary.attack=private", "adversary.attack must be one of honest, relabel"),
        (
            "network.delays=[1, 2]",
            "network.delay_model must be one of worst_case, rand",
        ),
        ("protocol.progress=kept", "protocol.progress must be one of lost"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, setting, message):
    with pytest.raises(ConfigError, match=message):
        mine(tmp_path, setting)


def test_without_an_attack_that_was_asked_for_all_provers_are_honest(monkeypatch):
    """The default, a private chain, is for the analysis: no prover plays it."""
    plain = load_config("quickstart")
    mined = miner.as_mined(plain)
    asked = load_config("quickstart", ["adversary.attack=honest"])
    assert mined == asked
    assert mined.chain_digest() == asked.chain_digest()
    given = load_config("quickstart", ["adversary.attack=private"])
    assert miner.as_mined(given) is given
    assert miner.as_mined(asked) is asked
    seen = []

    def stop(config, *_):
        seen.append(config)
        raise ConfigError("far enough")

    monkeypatch.setattr(miner, "mine", stop)
    result = CliRunner().invoke(main, ["mine", "quickstart", "--quiet"])
    assert "adversary.attack is not set: all provers are mined as honest" in (
        result.output
    )
    assert "cross_slot_old" in result.output
    assert seen == [mined]


def test_another_build_cannot_judge_and_accuses_nobody(copy, monkeypatch):
    foreign = this_build()._replace(jaxlib="0.0.1")
    monkeypatch.setattr(verifying, "this_build", lambda: foreign)
    result = CliRunner().invoke(main, ["verify", str(copy), "--quiet"])
    assert result.exit_code == 3
    assert "cannot re-execute here" in result.output
    assert "jaxlib" in result.output


@pytest.mark.parametrize(
    "attack",
    ["relabel", "equivocate", "grind_posthash", "forged_checkpoints", "cross_slot_old"],
)
def test_attacks_are_conducted_and_refused_by_the_default_rules(tmp_path, attack):
    settings = [
        f"adversary.attack={attack}",
        "protocol.challenges=50",
        "network.beta=0.5",
    ]
    settings += ["mining.blocks=8", "protocol.reference_window=1"]
    result = mine(tmp_path, *settings)
    expected = {
        "relabel": "pre-hash",
        "equivocate": "pre-hash",
        "grind_posthash": "training",
        "forged_checkpoints": "training",
        "cross_slot_old": "reference rule",
    }[attack]
    assert any(reason.startswith(expected) for reason in result.refusals)
    assert verify(result.folder).height == result.status.height


class TestCommandLine:
    def test_mine_verify_show(self, tmp_path):
        run = CliRunner().invoke
        words = [word for setting in SETTINGS for word in ("--set", setting)]
        result = run(main, ["mine", "mining", *words, "--output", str(tmp_path)])
        assert result.exit_code == 0, result.output
        assert "height 5" in result.output
        assert "anybody who has it can sign" in result.output
        (path,) = tmp_path.iterdir()

        result = run(main, ["verify", str(path), "--challenges", "3", "--json"])
        assert result.exit_code == 0
        report = json.loads(result.stdout)
        assert (report["height"], report["challenges"]) == (5, 3)

        result = run(main, ["show", str(path)])
        assert result.exit_code == 0
        assert result.output.count("\n") > 5

        result = run(main, ["show", str(path), "5", "--json"])
        assert result.exit_code == 0
        block = json.loads(result.stdout)
        assert block["block"] == report["tip"]
        assert sum(row["coins"] for row in block["rewards"]) == 1_000_000
        for wrong in ("0", "6"):
            assert run(main, ["show", str(path), wrong]).exit_code == 2

        result = run(main, ["show", str(path), "3"])
        assert "rewards" in result.output

        data = (path / "chain.log").read_bytes()
        (path / "chain.log").write_bytes(data[:100] + b"\x00" + data[101:])
        for command in ("verify", "show"):
            result = run(main, [command, str(path)])
            assert result.exit_code == 1
            assert "damaged" in result.output

    def test_a_folder_that_is_no_chain(self, tmp_path):
        for command in ("verify", "show"):
            result = CliRunner().invoke(main, [command, str(tmp_path)])
            assert result.exit_code == 1
            assert "no chain folder" in result.output


VERIFIER = "from dpodl.experiments.cli import main; main()"


@pytest.mark.slow
def test_a_mined_chain_is_compared_with_its_law(tmp_path):
    settings = [
        "data.examples=1500",
        "training.eval_samples=300",
        "training.horizon_steps=400",
        "protocol.abandon_steps=400",
        "training.runs=60",
        "scheme.t_acc=0.8",
        "mining.blocks=50",
    ]
    chain = miner.mine(load_config("reality", settings), tmp_path, lambda _: None)
    found = reality.compare(chain.folder, tmp_path, lambda *_: None)
    assert found.levels >= 45
    assert found.worst > 1e-3
    reality.write(found, tmp_path / "compared", command="dpodl compare")
    written = {path.name for path in (tmp_path / "compared").rglob("*.*")}
    assert {"agreement.csv", "mined_intervals.csv"} <= written
    assert {"model_against_reality.png", "model_against_reality.pdf"} <= written


@pytest.mark.parametrize("attack", ["relabel", "equivocate"])
def test_blocks_that_nobody_found_are_in_the_log(tmp_path, attack):
    """Unbound proofs: what an attacker makes of one proof is mined on by others."""
    # A seed with which the attacker finds one of the few blocks.
    result = mine(
        tmp_path, f"adversary.attack={attack}", "protocol.binding=none", "seed=3"
    )
    assert result.status.height == 5
    assert verify(result.folder).height == 5
    records = [logged.block for logged in ChainFolder(result.folder).records()]
    blocks = [block for block in records if block is not None]
    assert len({block.proof for block in blocks}) < len(blocks)


def test_a_chain_of_other_rules_is_not_compared(mined, tmp_path):
    with pytest.raises(ChainError, match=r"protocol\.reference must be 'fresh'"):
        reality.compare(mined.folder, tmp_path, lambda *_: None)


def test_verification_cost_from_the_command_line(tmp_path):
    settings = [*SETTINGS, "training.check_every=20"]
    words = [word for setting in settings for word in ("--set", setting)]
    table = tmp_path / "costs.csv"
    result = CliRunner().invoke(
        main,
        ["verification-cost", *words, "--steps=70", "--output", str(table), "--quiet"],
    )
    assert result.exit_code == 0, result.output
    assert "verification_seconds / training_seconds" in result.output
    costs = pd.read_csv(table)
    assert set(costs.checkpoint_every) == {20, 40, 80}
    assert (costs.steps == 80).all()
    assert (costs.detection_one <= 1).all()


MINER = """
import sys
from pathlib import Path
from dpodl.experiments.mining import miner
from dpodl.experiments.pipeline.machine import set_up_jax
from dpodl.experiments.config.loading import load_config

def report(status):
    print(status.height + status.forks + status.mtxs, flush=True)

set_up_jax()
config = load_config("mining", sys.argv[2:])
print("mining", flush=True)
miner.mine(config, Path(sys.argv[1]), report)
"""


@pytest.mark.slow
def test_what_was_confirmed_survives_kill_9(tmp_path):
    """Killed at random moments, each time something had been confirmed.

    What is mined on is the chain that nobody had disturbed, to the byte.
    """
    rng = random.Random(2)
    settings = [*SETTINGS, "mining.blocks=24"]
    settings += ["training.horizon_steps=2000", "protocol.abandon_steps=2000"]
    root = tmp_path / "killed"
    path = miner.chain_path(load_config("mining", settings), root)
    folder = ChainFolder(path)
    environment = os.environ | {"DPODL_CACHE": str(tmp_path / "cache")}
    confirmed, kept = 0, b""
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", MINER, str(root), *settings],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert child.stdout is not None
        enough = confirmed + rng.randint(1, 6)
        for line in child.stdout:
            if line.strip().isdigit() and int(line) >= enough:
                break
        time.sleep(rng.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        # What it had still said is confirmed as well.
        rest = [int(line) for line in child.stdout if line.strip().isdigit()]
        child.wait()
        child.stdout.close()
        confirmed = max([enough, *rest])
        folder.repair()
        log = folder.log.read_bytes()
        assert log.startswith(kept)
        kept = log
        assert len(list(folder.records())) >= confirmed
    report = verify(path)
    assert report.blocks + report.mtxs >= confirmed
    assert not report.closed
    resumed = miner.mine(load_config("mining", settings), root, lambda _: None)
    whole = miner.mine(load_config("mining", settings), tmp_path, lambda _: None)
    assert contents(resumed.folder) == contents(whole.folder)
    assert (path / "chain.log").read_bytes().startswith(kept)


@pytest.mark.slow
def test_a_second_process_verifies_what_the_first_has_mined(mined):
    done = subprocess.run(
        [sys.executable, "-c", VERIFIER, "verify", str(mined.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "valid: height 5" in done.stdout
