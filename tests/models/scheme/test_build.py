"""The build: the same every time, and a foreign one accuses nobody."""

import os
import subprocess
import sys

import pytest
from dpodl.models.chain.ledger import Ledger
from dpodl.models.scheme import build, scheme
from dpodl.models.scheme.build import ForeignBuild, require_same_build, this_build
from dpodl.models.scheme.checkpoints import Rejected
from dpodl.models.scheme.encoding import decode, encode
from dpodl.models.scheme.formats import BUILD
from dpodl.models.scheme.records import Build
from dpodl.models.scheme.verification import verify

from ..mining_fixtures import BUILD as HERE, Mine

DIFFERENCES = {
    "jax": "0.0.1",
    "jaxlib": "0.0.2",
    "platform": "tpu",
    "device": "another",
    "flags": "--xla_fast=true",
    "canary": bytes([0xAB]) * 32,
}

_PROGRAM = """
from dpodl.models.scheme.build import this_build
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.formats import BUILD
print(encode(BUILD, this_build()).hex())
"""


@pytest.mark.slow
def test_this_build_is_the_same_in_a_fresh_process():
    """Where nothing has been compiled or configured by tests before."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, "XLA_FLAGS": build_flags_that_change_no_bits()},
        capture_output=True,
        text=True,
        check=True,
    )
    found = decode(BUILD, bytes.fromhex(done.stdout.strip()))
    assert found == this_build()
    require_same_build(found, this_build())


def build_flags_that_change_no_bits() -> str:
    given = os.environ.get("XLA_FLAGS", "")
    return f"{given} --xla_force_host_platform_device_count=2".strip()


def test_this_build_can_be_recorded():
    found = build._flags()
    recorded = HERE._replace(flags=found)
    assert decode(BUILD, encode(BUILD, recorded)) == recorded


def test_flags_that_may_change_bits_are_recorded(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    plain = build._flags()
    assert "flax=" in plain
    assert "optax=" in plain
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert build._flags() != plain
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    for harmless in (
        "--xla_force_host_platform_device_count=8",
        "--xla_dump_to=/tmp/x",
    ):
        monkeypatch.setenv("XLA_FLAGS", harmless)
        assert build._flags() == plain
    monkeypatch.setenv("XLA_FLAGS", "--xla_b=1 --xla_a=2")
    flags = build._flags()
    assert flags.split()[:2] == ["--xla_a=2", "--xla_b=1"]
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=2  --xla_b=1")
    assert build._flags() == flags != plain


# ------------------------------------------------------------------ foreign builds


def test_the_same_build_passes():
    require_same_build(HERE, HERE._replace())


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_differs_is_named(name):
    assert DIFFERENCES.keys() == set(Build._fields)
    other = HERE._replace(**{name: DIFFERENCES[name]})
    with pytest.raises(ForeignBuild) as caught:
        require_same_build(other, HERE)
    shown = {"canary": "abababababababab"}.get(name, DIFFERENCES[name])
    assert f"({name} {shown} there, " in str(caught.value)
    message = str(caught.value)
    others = [each for each in DIFFERENCES if each != name]
    assert not any(f"{each} {DIFFERENCES[each]}" in message for each in others)


def test_all_that_differs_is_named_and_nobody_accused():
    with pytest.raises(ForeignBuild) as caught:
        require_same_build(Build(**DIFFERENCES), HERE)
    message = str(caught.value)
    assert all(f"{name} " in message for name in DIFFERENCES)
    assert "flags --xla_fast=true there, none here" in message
    assert "This says nothing about whether they are right." in message
    assert not isinstance(caught.value, Rejected)


class NothingHere:
    """An archive that must not be asked."""

    def opening(self, cp_root: bytes, index: int):
        raise AssertionError("was asked for an opening")

    def tensors(self, state: bytes):
        raise AssertionError("was asked for tensors")


def test_a_foreign_build_is_told_before_anything_is_run(monkeypatch):
    mine = Mine()
    block = mine.block(mine.root, steps=20)
    instance = mine.ledger.instances[0]
    foreign = HERE._replace(canary=bytes([1]) * 32)

    def never(*_, **__):
        raise AssertionError("was executed")

    with monkeypatch.context() as patch:
        patch.setattr(scheme, "run_segment", never)
        patch.setattr(scheme, "first_look", never)
        with pytest.raises(ForeignBuild, match="canary"):
            verify(
                instance, block.header, block.proof, None, NothingHere(), here=foreign
            )
    verify(instance, block.header, block.proof, None, mine.archive, here=HERE)


def test_a_ledger_that_cannot_judge_a_block_does_not_refuse_it():
    mine = Mine()
    block = mine.block(mine.root)
    foreign = HERE._replace(jaxlib="2")
    elsewhere = Ledger(mine.ledger.genesis, mine.data, mine.archive, foreign)
    for _ in range(2):
        with pytest.raises(ForeignBuild):
            elsewhere.add_block(block)
    assert not elsewhere.published
    assert mine.ledger.add_block(block).height == 1
