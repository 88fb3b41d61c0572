"""The same command, the same bytes, in shells that set JAX otherwise."""

import os
import subprocess
import sys
from inspect import getsource
from pathlib import Path

import pytest
from dpodl.experiments.cli import main

from ..mining_settings import SETTINGS as MINING

COMMAND = [sys.executable, "-c", "from dpodl.experiments.cli import main; main()"]
TINY = (
    "data.examples=600",
    "menu.architectures=['softmax']",
    "training.runs=12",
    "training.horizon_steps=60",
    "training.eval_samples=200",
    "protocol.abandon_steps=60",
    "scheme.t_acc=0.3",
    "security.depths=4",
    "security.confirmations=2",
    "security.windows=[2]",
    "security.levels=32",
    "security.replicas=100",
    "security.good_period_replicas=100",
    "security.bootstraps=2",
    "security.bootstrap_replicas=100",
    "comparisons=[]",
)
# Each changes bits, or ends in an error, where it is not pinned.
SHELLS = (
    {"JAX_ENABLE_X64": "1"},
    {"JAX_THREEFRY_PARTITIONABLE": "0", "JAX_RANDOM_SEED_OFFSET": "7"},
    {"JAX_DEFAULT_PRNG_IMPL": "rbg", "JAX_NUMPY_DTYPE_PROMOTION": "strict"},
    {
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_LEGACY_PRNG_KEY": "error",
        "JAX_DEBUG_NANS": "1",
        "JAX_DEBUG_INFS": "1",
        "JAX_DEBUG_KEY_REUSE": "1",
        "JAX_TRANSFER_GUARD": "disallow",
        "JAX_DISABLE_JIT": "1",
        "JAX_HIGH_DYNAMIC_RANGE_GUMBEL": "1",
    },
)


def dpodl(folder: Path, shell: dict[str, str], *words: str):
    # Compiled programs are shared: flags and settings are part of their names.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JAX_") or "CACHE" in name
    }
    environment["DPODL_CACHE"] = str(folder / "cache")
    return subprocess.run(
        [*COMMAND, *words],
        env=environment | shell,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def settings(given: tuple[str, ...]) -> list[str]:
    return [word for one in given for word in ("--set", one)]


def results(root: Path) -> dict[str, bytes]:
    """Every file but those that tell when and by which command."""
    left_out = ("provenance.json", ".lock", "session.json", "log.jsonl")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in left_out
    }


@pytest.mark.slow
def test_a_run_has_the_same_bytes_in_every_shell(tmp_path):
    made = []
    for place, shell in enumerate(({}, *SHELLS)):
        words = ["run", "smoke", "--quiet", "--output", f"{place}", *settings(TINY)]
        done = dpodl(tmp_path, shell, *words)
        assert done.returncode == 0, (shell, done.stdout, done.stderr)
        made.append(results(tmp_path / f"{place}"))
    for shell, found in zip(SHELLS, made[1:], strict=True):
        changed = [n for n in made[0] if found.get(n) != made[0][n]]
        assert found.keys() == made[0].keys(), shell
        assert changed == [], (shell, changed)


@pytest.mark.slow
def test_a_chain_of_one_shell_is_right_in_another(tmp_path):
    words = ["mine", "mining", "--quiet", "--output", "chains", *settings(MINING)]
    done = dpodl(tmp_path, {}, *words)
    assert done.returncode == 0, done.stderr
    (chain,) = (tmp_path / "chains").glob("mining-*")
    for shell in ({}, *SHELLS):
        done = dpodl(tmp_path, shell, "verify", str(chain), "--quiet")
        assert done.returncode == 0, (shell, done.stdout, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shell",
    [
        {"JAX_ENABLE_X64": "banana"},
        {"JAX_DEFAULT_PRNG_IMPL": "none"},
        {"JAX_PLATFORMS": "abacus"},
    ],
    ids=lambda shell: next(iter(shell)),
)
def test_what_jax_cannot_read_is_one_line_that_names_it(shell, tmp_path):
    (name,) = shell
    words = ["run", "smoke", "--quiet", "--output", "runs", *settings(TINY)]
    done = dpodl(tmp_path, shell, *words)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.startswith("dpodl: JAX")
    assert f"{name}={shell[name]}" in done.stderr


# They load no jax; the bench's jobs are processes of their own.
WITHOUT = {"configs", "bench"}


@pytest.mark.parametrize("name", sorted(set(main.commands) - WITHOUT))
def test_every_command_starts_jax_where_its_trouble_is_told(name):
    callback = main.commands[name].callback
    assert callback is not None
    first = getsource(callback).partition("with clear_errors():")[2]
    assert "set_up_jax()" in first
