"""Forged, damaged and hostile chain folders, as a stranger gets them."""

import hashlib
import json
import math
import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.mining import miner, verifying
from dpodl.experiments.mining.closing import CLOSING, Closing, close
from dpodl.experiments.mining.reading import read_chain
from dpodl.experiments.mining.setting import Seeds
from dpodl.experiments.mining.store import ChainError, ChainFolder
from dpodl.experiments.mining.unbound import Pins
from dpodl.experiments.mining.verifying import verify_chain
from dpodl.models.chain.transactions import sign_block, tx_root
from dpodl.models.scheme.build import ForeignBuild, this_build
from dpodl.models.scheme.checkpoints import Rejected
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.formats import GENESIS, genesis_digest
from dpodl.models.scheme.records import UNSIGNED, Block, Header, Transaction, Transfer

from ..mining_settings import SETTINGS
from .forging import BOB, EVE, Forger, reclose, write_log

SMALL = (*SETTINGS, "protocol.checkpoint_every=20", "protocol.challenges=2")


def config(*settings: str):
    return load_config("mining", [*SMALL, *settings])


@pytest.fixture(scope="module")
def mined(tmp_path_factory) -> Path:
    """The chain that nobody changes."""
    root = tmp_path_factory.mktemp("chains")
    return miner.mine(config("mining.blocks=2"), root, lambda status: None).folder


@pytest.fixture
def copy(mined, tmp_path) -> Path:
    return Path(shutil.copytree(mined, tmp_path / "copy"))


def refused(path: Path, **options) -> str:
    """Why a folder is refused."""
    with pytest.raises((ChainError, Rejected)) as caught:
        verify_chain(path, **options)
    return str(caught.value)


def command(*words) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["verify", *map(str, words), "--quiet"])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


# ------------------------------------------------------------------ what is pinned


def test_a_chain_is_pinned_by_genesis_tip_and_config(mined):
    found = verify_chain(mined)
    known = Pins(found.chain, found.tip, config("mining.blocks=2"))
    pinned = verify_chain(mined, pins=known)
    assert pinned.tip == found.tip
    # Less remains the miner's word.
    assert set(pinned.word) < set(found.word)
    for name in ("chain", "tip"):
        other = "00" + getattr(found, name)[2:]
        pins = Pins(other) if name == "chain" else Pins(tip=other)
        assert other in refused(mined, pins=pins)
    assert command(mined, "--tip", "00" * 32)[0] == 1
    assert command(mined, "--genesis", found.chain, "--tip", found.tip)[0] == 0


@pytest.mark.parametrize(
    ("setting", "field"),
    [
        ("scheme.t_acc=0.81", "t_acc is 0.8, the config asks for 0.81"),
        ('scheme.t_1="2^247"', "t_1 is"),
        ("protocol.challenges=3", "challenges is 2, the config asks for 3"),
        ("seed=1", "seed is 2023, the config asks for 1"),
        ("data.examples=1400", "dataset must be the one the task names"),
        ('menu.architectures=["mlp-16"]', "menu is"),
        ("protocol.s_min=7", "s_min is 50, the config asks for 7"),
    ],
)
def test_another_config_than_the_pinned_one_is_refused(mined, setting, field):
    assert field in refused(mined, pins=Pins(config=config(setting)))


def test_a_config_pins_what_follows_from_it_and_no_more(mined):
    """Who mines, how fast and how long are not the chain's rules."""
    other = config("network.provers=8", "mining.blocks=3", "network.delay_steps=1")
    assert verify_chain(mined, pins=Pins(config=other)).height == 2


@pytest.mark.parametrize(
    "weak",
    [
        {"t_1": 2**256 - 1},
        {"t_2": 2**256 - 1},
        {"challenges": 0},
        {"tolerance": 1e30},
        {"step_rule": False},
        {"checkpoint_every": 40},
        {"reward": 2**40},
        {"binding": "none"},
    ],
    ids=str,
)
def test_a_genesis_that_asks_for_less_than_its_config_is_refused(copy, weak):
    folder = ChainFolder(copy)
    genesis = folder.genesis()
    parameters = genesis.parameters._replace(**weak)
    begin_with(copy, genesis._replace(parameters=parameters))
    assert "does not follow from" in refused(copy)
    assert f"{next(iter(weak))} is" in refused(copy)


def begin_with(path: Path, genesis) -> None:
    """A chain without blocks, of another genesis, under the same config."""
    (path / "genesis.bin").write_bytes(encode(GENESIS, genesis))
    (path / "chain.log").write_bytes(b"")
    (path / "closing.bin").unlink()


def test_what_a_block_had_to_do_is_said(mined):
    asked = verify_chain(mined, challenges=0).asked
    assert len(asked) == 1
    for part in ("accuracy ≥ 0.8 on 400", "1 in 256", "1 in 4", "2 challenges"):
        assert part in asked[0]


# ------------------------------------------------------------------ the log


def without_end(log):
    return log[:-1]


def other_times(log):
    return [each._replace(time=7.0 * place) for place, each in enumerate(log)]


LOGS = {
    "cut off": without_end,
    "all cut off": lambda log: [],
    "repeated": lambda log: [each for each in log for _ in range(2)],
    "swapped": lambda log: [log[1], log[0], *log[2:]],
    "reversed": lambda log: log[::-1],
    "other times": other_times,
    "times below 0": lambda log: [log[0]._replace(time=-1.0), *log[1:]],
}


@pytest.mark.parametrize("how", LOGS)
def test_a_closed_log_is_bound(copy, how):
    folder = ChainFolder(copy)
    log = list(folder.records())
    closing = (copy / "closing.bin").read_bytes()
    folder.log.write_bytes(b"")
    with folder.writer() as writer:
        for logged in LOGS[how](log):
            writer.append(logged)
    assert (copy / "closing.bin").read_bytes() == closing
    refused(copy, challenges=0)


@pytest.mark.parametrize("how", ["repeated", "reversed", "times below 0"])
def test_what_no_log_can_be_is_refused_whoever_closes_it(copy, how):
    log = list(ChainFolder(copy).records())
    folder = ChainFolder(copy)
    folder.log.write_bytes(b"")
    with folder.writer() as writer:
        for logged in LOGS[how](log):
            writer.append(logged)
    (copy / "closing.bin").unlink()
    refused(copy, challenges=0)


def test_an_open_log_is_its_keepers_word_and_a_tip_pins_it(copy):
    tip = verify_chain(copy, challenges=0).tip
    log = list(ChainFolder(copy).records())
    (copy / "closing.bin").unlink()
    report = verify_chain(copy, challenges=0)
    assert not report.closed
    assert any("not closed" in each for each in report.word)
    write_log(copy, log[:-1])
    (copy / "closing.bin").unlink()
    assert verify_chain(copy, challenges=0).tip != tip
    assert "tip" in refused(copy, challenges=0, pins=Pins(tip=tip))


def test_nobody_else_closes_a_log(copy):
    close(ChainFolder(copy), EVE, read_chain(copy).tip)
    assert "not signed by the chain's publisher" in refused(copy, challenges=0)
    data = bytearray((copy / "closing.bin").read_bytes())
    for place in range(0, len(data), 7):
        data[place] ^= 1
        (copy / "closing.bin").write_bytes(data)
        refused(copy, challenges=0)
        data[place] ^= 1


def test_a_closing_record_is_encoded_like_all_records():
    """Kind 65, version 1, then its fields: this is the format."""
    given = Closing(3, b"\1" * 32, b"\2" * 32, b"\3" * 64)
    expected = "4101" + "0000000000000003" + "01" * 32 + "02" * 32 + "03" * 64
    assert encode(CLOSING, given).hex() == expected


# ------------------------------------------------------------------ keys


def test_keys_are_derived_or_secret(tmp_path):
    settings = config("mining.blocks=1", "mining.keys=secret")
    result = miner.mine(settings, tmp_path, lambda status: None)
    genesis = ChainFolder(result.folder).genesis()
    owners = {each.owner for each in genesis.allocations}
    assert not owners & set(Seeds(settings).owners())
    assert genesis.publisher != Seeds(settings).publisher.public
    report = verify_chain(result.folder)
    assert report.closed
    assert not any("keys follow from" in each for each in report.word)

    kept = result.folder.with_name(f"{result.folder.name}.keys")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.read_bytes() not in b"".join(
        file.read_bytes() for file in result.folder.rglob("*") if file.is_file()
    )
    # Who has the file goes on; who has not, cannot close the log in its name.
    assert miner.mine(settings, tmp_path, lambda status: None).mined == 0
    reclose(result.folder)
    assert "not signed" in refused(result.folder)
    kept.unlink()
    with pytest.raises(ChainError, match="keys is missing"):
        miner.mine(settings, tmp_path, lambda status: None)


def test_derived_keys_are_said_to_be_anybodys(mined):
    assert any("anybody" in each for each in verify_chain(mined).word)


# ------------------------------------------------------------------ forged proofs


def test_honest_blocks_of_others_are_valid(copy):
    forger = Forger(copy)
    for key in (EVE, BOB):
        forger.add(forger.honest_block(key))
    forger.write()
    assert verify_chain(copy).height == 4


def test_a_forged_last_block_is_refused(copy):
    forger = Forger(copy)
    forger.add(forger.forged_block(12))
    forger.write()
    assert "training: segment" in refused(copy)
    assert "training: segment" in refused(copy, later=True)
    assert "training: segment" in refused(copy, full=True)
    assert command(copy)[0] == 1


@pytest.mark.parametrize("logged", [False, True], ids=["inside", "by itself"])
def test_a_forged_mtx_in_a_block_is_refused(copy, logged):
    forger = Forger(copy)
    mtx = forger.forged_mtx(30)
    if logged:
        forger.add(mtx)
    forger.add(forger.block_on(mtx))
    forger.add(forger.honest_block(BOB))
    forger.write()
    assert "the mtx" in refused(copy)


def test_a_forger_that_owns_the_next_blocks_is_refused(copy):
    """Three more of its own on top, and a fourth of somebody else that draws."""
    forger = Forger(copy)
    forger.add(forger.forged_block(30))
    for _ in range(3):
        forger.add(forger.honest_block(EVE))
    forger.add(forger.honest_block(BOB))
    forger.write()
    # 2 of 29 segments are drawn besides the last, and 2 of 30 are true.
    assert "training: segment" in refused(copy)
    found = next(iter(read_chain(copy).entries[2:]))
    assert found.height == 3


def test_unsigned_spends_are_judged_on_any_build(copy, monkeypatch):
    forger = Forger(copy)
    name = forger.ledger.name
    taken = Transaction(EVE.public, 0, Transfer(BOB.public, 5), None, UNSIGNED)
    header = Header(forger.view.tip, EVE.public, tx_root((taken,)))
    found = forger.solved(header)
    block = sign_block(EVE, name, Block(header, found.proof, (taken,), (), UNSIGNED))
    time_now = forger.log[-1].time
    forger.log.append(forger.log[-1]._replace(time=time_now, block=block, mtx=None))
    (copy / "closing.bin").unlink()
    folder = ChainFolder(copy)
    folder.log.write_bytes(b"")
    with folder.writer() as writer:
        for logged in forger.log:
            writer.append(logged)
    foreign = this_build()._replace(device="another")
    monkeypatch.setattr(verifying, "this_build", lambda: foreign)
    assert "signature" in refused(copy)


def test_another_build_judges_all_but_the_training(mined, copy, monkeypatch):
    foreign = this_build()._replace(device="another")
    monkeypatch.setattr(verifying, "this_build", lambda: foreign)
    with pytest.raises(ForeignBuild):
        verify_chain(mined)
    log = list(ChainFolder(copy).records())
    write_log(copy, log[:-1])
    tip = read_chain(mined).tip.hex()
    assert "tip" in refused(copy, pins=Pins(tip=tip))


# ------------------------------------------------------------------ hostile files


@pytest.mark.parametrize(
    "name", ["evil.sh", "states/evil", "states/" + "AB" * 32 + ".safetensors"]
)
def test_what_is_no_part_of_a_chain_is_refused(copy, name):
    (copy / name).write_bytes(b"anything")
    assert Path(name).name in refused(copy, challenges=0)


def test_what_a_killed_writer_left_is_no_content(mined, copy):
    for place in ("", "states", "leaves"):
        name = f".{'ab' * 32}.safetensors.0123456789abcdef.tmp"
        (copy / place / name).write_bytes(b"half")
    assert verify_chain(copy, challenges=0).tip == verify_chain(mined).tip


@pytest.mark.parametrize("name", ["genesis.bin", "config.toml", "chain.log", "state"])
@pytest.mark.parametrize("kind", ["fifo", "device", "socket", "sparse", "folder"])
def test_only_bounded_files_are_opened(copy, name, kind, monkeypatch):
    path = copy / name
    if name == "state":
        path = min(copy.glob("states/*"))
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        monkeypatch.chdir(path.parent)
        server = socket.socket(socket.AF_UNIX)
        server.bind(path.name)
        server.close()
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 30)
    began = time.monotonic()
    assert str(path) in refused(copy, challenges=0)
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"challenges": 2**32 - 1}, "challenges must be at most"),
        ({"check_every": 2**30, "checkpoint_every": 2**30}, "steps are allowed"),
    ],
)
def test_a_genesis_that_asks_for_too_much_is_refused_at_once(copy, changes, what):
    genesis = ChainFolder(copy).genesis()
    rules = genesis.parameters._replace(**changes)
    begin_with(copy, genesis._replace(parameters=rules))
    began = time.monotonic()
    assert what in refused(copy)
    assert time.monotonic() - began < 20


def test_data_that_a_config_names_are_files(copy, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    folder = ChainFolder(copy)
    text = folder.config().replace(
        "examples = ", f'path = "{tmp_path / "fifo"}"\nexamples = '
    )
    (copy / "config.toml").write_text(text)
    genesis = folder.genesis()._replace(config=hashlib.sha256(text.encode()).digest())
    begin_with(copy, genesis)
    assert "fifo is no regular file" in refused(copy)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (lambda text: text + b"# \xe9", "is no UTF-8 text"),
        (
            lambda text: re.sub(rb"provers = \d+", b"provers = 1000000000", text),
            "network.provers must be at most 4096",
        ),
    ],
    ids=["encoding", "provers"],
)
@pytest.mark.parametrize("name", ["verify", "show"])
def test_a_config_that_a_genesis_names_is_bounded_text(copy, changes, what, name):
    text = changes((copy / "config.toml").read_bytes())
    (copy / "config.toml").write_bytes(text)
    genesis = ChainFolder(copy).genesis()
    begin_with(copy, genesis._replace(config=hashlib.sha256(text).digest()))
    result = CliRunner().invoke(main, [name, str(copy)])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code in (1, 2)
    assert what in result.output


@pytest.mark.parametrize(
    "setting",
    ['menu.architectures=["cnn-9999"]', "protocol.checkpoint_every=1048600"],
)
def test_networks_and_segments_are_bounded(tmp_path, setting):
    """Of a chain whose config asks for them, too."""
    settings = config(setting, "data.examples=400", "training.eval_samples=100")
    result = CliRunner()
    path = tmp_path / "config.toml"
    path.write_text(settings.to_toml())
    found = result.invoke(main, ["mine", str(path), "--output", str(tmp_path / "x")])
    assert found.exit_code == 2
    assert "allowed" in found.output


# ------------------------------------------------------------------ what it says


def test_the_command_says_what_forging_takes(mined):
    code, said = command(mined)
    assert code == 0
    for part in (
        "valid: height 2",
        "log closed",
        "what a block had to do",
        "not yet certified",
        "the miner's word",
        "certified up to height 0",
    ):
        assert part in said
    code, said = command(mined, "--json")
    report = json.loads(said)
    assert report["chain"] == genesis_digest(ChainFolder(mined).genesis()).hex()
    assert {each["status"] for each in report["records"]} == {"young"}


def test_who_owns_the_block_that_draws_pays_for_every_other_draw(mined):
    """By counting: all ways to cheat, all draws, one look and 1/p_2 tickets a roll."""
    rules = ChainFolder(mined).genesis().parameters
    roll = rules.check_every * 2**256 / (rules.t_2 + 1)
    records = verify_chain(mined, depth=0).records
    certified = [each for each in records if each.status == "certified"]
    assert certified
    honest = [each.steps for each in records if each.kind == "block"]
    for each in certified:
        others, every = each.segments - 1, rules.checkpoint_every
        unit = max(each.steps, sum(honest) / len(honest) if each.kind == "block" else 0)
        draws = min(
            q
            for q in range(min(rules.challenges, others), others + 1)
            if q == others or forged(others, every, each.steps, q, math.inf) >= unit
        )
        cheapest = forged(others, every, each.steps, draws, roll)
        assert each.deep_work == pytest.approx(cheapest / unit)
        assert each.deep_work <= each.work
    assert f"({certified[0].deep_work:.2f})" in command(mined, "--depth", 0)[1] or all(
        math.isinf(each.work) for each in certified
    )


def forged(others: int, every: int, steps: int, draws: int, roll: float) -> float:
    """Least expected steps of a forger: new attempts, or rolls at their price."""
    found = math.inf
    for honest in range(draws, others):
        passing = math.comb(honest, draws) / math.comb(others, draws)
        once = steps - (others - honest) * every
        found = min(found, once / passing, once + (1 / passing - 1) * roll)
    return found


def test_a_chain_without_challenges_says_so(mined):
    report = verify_chain(mined, challenges=0)
    assert any("no challenges" in each for each in report.word)
    assert report.certified == 0


def test_coins_are_said_and_repeat_a_verification(mined):
    first = verify_chain(mined, later=True)
    assert len(bytes.fromhex(first.coins)) == 32
    again = verify_chain(mined, later=True, coins=bytes.fromhex(first.coins))
    assert again.records[0].rerun == first.records[0].rerun
    assert verify_chain(mined).coins == ""


def test_full_runs_everything_again(mined):
    report = verify_chain(mined, full=True)
    assert report.rerun_steps == report.steps > 0
