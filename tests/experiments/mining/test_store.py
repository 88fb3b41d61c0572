"""The chain folder: canonical files, torn ends and damage told apart."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from dpodl.experiments.mining.store import ChainError, ChainFolder, Logged, TornError
from dpodl.models.learning.architecture import Axis, Menu, Optimizer
from dpodl.models.scheme.checkpoints import checkpoint, checkpoint_root, open_checkpoint
from dpodl.models.scheme.records import (
    Block,
    Build,
    Genesis,
    Header,
    Mtx,
    Parameters,
    Proof,
    Task,
)
from dpodl.models.scheme.states import Look, tensors_digest
from safetensors.numpy import save

MENU = Menu(
    Axis.of(["softmax"]),
    Axis.of([Optimizer("sgd", (0.1,))]),
    Axis.of([8]),
    Axis.of([1.0]),
)
PARAMETERS = Parameters(
    t_1=1,
    t_2=1,
    s_min=0,
    check_every=1,
    checkpoint_every=1,
    challenges=1,
    horizon_steps=10,
    eval_samples=10,
)
GENESIS = Genesis(
    PARAMETERS,
    (Task("digits", bytes(32), 0.5, 1.0, 9, MENU),),
    bytes(32),
    Build("1", "1", "cpu", "cpu", "", bytes(32)),
    config=bytes.fromhex(
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    ),
)
CONFIG = b"hello"  # whose SHA-256 the genesis names


def record(number: int) -> Logged:
    header = Header(bytes([number]) * 32, bytes(32), bytes(32))
    proof = Proof(None, bytes(16), bytes(32), 1, 1, bytes(32))
    if number % 2:
        return Logged(float(number), None, Mtx(header, proof, bytes(64)))
    return Logged(float(number), Block(header, proof, (), (), bytes(64)), None)


@pytest.fixture
def folder(tmp_path) -> ChainFolder:
    made = ChainFolder(tmp_path / "chain")
    made.create(GENESIS, CONFIG)
    return made


@pytest.fixture
def looks() -> tuple[Look, ...]:
    rng = np.random.default_rng(5)
    return tuple(
        Look({"lp/a": rng.normal(size=(3, 2)).astype(np.float32)}, i, i + 1)
        for i in range(3)
    )


def write(folder: ChainFolder, numbers) -> None:
    with folder.writer() as writer:
        for number in numbers:
            writer.append(record(number))


def test_what_was_appended_is_read_back_in_its_order(folder):
    write(folder, range(3))
    write(folder, range(3, 5))
    assert list(folder.records()) == [record(i) for i in range(5)]
    assert folder.genesis() == GENESIS
    assert folder.config() == "hello"


def test_a_new_chain_is_empty_and_begins_only_once(folder):
    assert list(folder.records()) == []
    folder.create(GENESIS, CONFIG)
    with pytest.raises(ChainError, match="another genesis"):
        folder.create(GENESIS._replace(seed=1), CONFIG)


def test_every_torn_end_is_told_from_damage_and_cut_off(folder):
    write(folder, range(2))
    whole = folder.log.stat().st_size
    write(folder, [2])
    data = folder.log.read_bytes()
    for size in range(whole + 1, len(data), 5):
        folder.log.write_bytes(data[:size])
        with pytest.raises(TornError, match=f"at byte {whole}"):
            list(folder.records())
        assert folder.repair() == size - whole
    assert list(folder.records()) == [record(0), record(1)]
    write(folder, [2])
    assert folder.log.read_bytes() == data


def test_every_changed_byte_of_the_log_is_damage_that_nobody_repairs(folder):
    write(folder, range(2))
    data = folder.log.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        folder.log.write_bytes(changed)
        with pytest.raises(ChainError) as caught:
            folder.repair()
        assert not isinstance(caught.value, TornError)
    assert folder.log.stat().st_size == len(data)


def test_a_length_that_asks_for_more_than_a_record_may_have_is_refused(folder):
    length = (1 << 31).to_bytes(4, "big")
    complement = ((1 << 31) ^ 0xFFFFFFFF).to_bytes(4, "big")
    folder.log.write_bytes(length + complement + bytes(100))
    with pytest.raises(ChainError, match="2147483648 bytes"):
        list(folder.records())


def test_records_cannot_be_moved_to_another_chain(folder, tmp_path):
    write(folder, range(2))
    other = ChainFolder(tmp_path / "other")
    other.create(GENESIS._replace(seed=1), CONFIG)
    shutil.copy(folder.log, other.log)
    with pytest.raises(ChainError, match="not what was written"):
        list(other.records())


def test_checkpoints_come_back_by_their_digests(folder, looks):
    leaves = tuple(map(checkpoint, looks))
    root = checkpoint_root(leaves)
    folder.put(root, looks)
    assert folder.leaves(root) == leaves
    assert folder.opening(root, 1) == open_checkpoint(leaves, 1)
    for look in looks:
        kept = folder.tensors(tensors_digest(look.tensors))
        assert kept.keys() == look.tensors.keys()
        np.testing.assert_array_equal(kept["lp/a"], look.tensors["lp/a"])
    assert folder.check_files() == 4
    for index in (-1, 3):
        with pytest.raises(KeyError):
            folder.opening(root, index)
    with pytest.raises(KeyError):
        folder.tensors(bytes(32))
    with pytest.raises(KeyError):
        folder.leaves(bytes(32))


def test_every_changed_byte_of_a_state_or_of_leaves_is_found(folder, looks):
    folder.put(checkpoint_root(tuple(map(checkpoint, looks))), looks)
    for path in [*folder.path.glob("states/*"), *folder.path.glob("leaves/*")]:
        data = path.read_bytes()
        for place in range(len(data)):
            changed = bytearray(data)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(ChainError, match=re.escape(path.name)):
                folder.check_files()
        path.write_bytes(data)
    assert folder.check_files() == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        b"\xff" * 64,
        (1 << 62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        b"\x80\x04\x95",
        save({"a": np.zeros(3, np.float64)}),
        save({"a": np.zeros(3, np.float32)}, metadata={"x": "y"}),
        save({}),
    ],
)
def test_hostile_states_are_refused_not_run(folder, content):
    name = bytes(32)
    path = folder.path / "states" / f"{name.hex()}.safetensors"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"safetensors|digest|float32"):
        folder.tensors(name)


def test_a_missing_checkpoint_is_named(folder, looks):
    leaves = tuple(map(checkpoint, looks))
    root = checkpoint_root(leaves)
    folder.put(root, looks)
    assert folder.require_complete(root) == leaves
    state = folder.path / "states" / f"{leaves[1].state.hex()}.safetensors"
    state.unlink()
    with pytest.raises(ChainError, match=re.escape(state.name)):
        folder.require_complete(root)
    with pytest.raises(ChainError, match="missing or damaged"):
        folder.require_complete(bytes(32))


def test_a_folder_that_is_no_chain_says_so(tmp_path):
    folder = ChainFolder(tmp_path)
    with pytest.raises(ChainError, match=r"no chain folder: genesis\.bin is missing"):
        folder.genesis()
    (tmp_path / "genesis.bin").write_bytes(b"nonsense")
    with pytest.raises(ChainError, match=r"genesis\.bin is damaged"):
        folder.genesis()


def test_another_config_than_the_genesis_names_is_refused(folder):
    (folder.path / "config.toml").write_bytes(b"hellO")
    with pytest.raises(ChainError, match="not the config the genesis names"):
        folder.config()


def test_a_missing_log_is_named(folder):
    Path(folder.log).unlink()
    with pytest.raises(ChainError, match=r"chain\.log is missing"):
        list(folder.records())
