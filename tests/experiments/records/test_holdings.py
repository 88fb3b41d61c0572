"""What stores hold, whose they are, and that only what was listed is removed."""

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline import training
from dpodl.experiments.records import cached, held_stores, remove
from dpodl.models.errors import UserError

SOON, LATER = 1.7e9, 1.7e9 + 30 * 86_400.0
UNUSED = "no config here trains into it by this build"


def store(root: Path, name: str, *files: str, at: float = SOON) -> Path:
    path = root / "curves" / name
    path.mkdir(parents=True)
    for file in files or ("runs-000000-000003-4-8-0123.npz",):
        (path / file).write_bytes(b"12345678")
        os.utime(path / file, (at, at))
    return path


def kept(root: Path, name: str, *changes: str) -> Path:
    config = load_config("smoke", changes)
    (root / name).mkdir()
    (root / name / "config.toml").write_text(config.to_toml())
    return training.curve_folder(config, root)


@pytest.fixture
def root(tmp_path) -> Path:
    """A used store and an unused one."""
    used = kept(tmp_path, "smoke-0123456789")
    store(tmp_path, used.name)
    store(tmp_path, "0123456789abcdef", "runs-1-2.npz", "state-000001-8.safetensors")
    return tmp_path


def reasons(root: Path, **choice) -> dict[str, str]:
    found = held_stores(root, **({"days": 1, "now": LATER} | choice))
    return {each.path.name: each.reason for each in found if not each.users}


def test_a_store_is_used_by_every_config_that_trains_into_it(root):
    assert kept(root, "risk-smoke-0123456789", "network.beta=0.5").parent.is_dir()
    kept(root, "smoke-other-seed", "seed=5")
    used, unused = sorted(
        held_stores(root, days=1, now=LATER), key=lambda each: each.unused
    )
    assert used.users == ("risk-smoke-0123456789", "smoke-0123456789")
    assert (unused.unused, unused.reason, unused.size) == (True, UNUSED, 16)


def test_a_sweep_uses_the_stores_of_all_its_points(root):
    config = load_config("smoke", ("seed=77", "sweep.over={'seed'=[78, 79]}"))
    (root / "sweep-x").mkdir()
    (root / "sweep-x" / "config.toml").write_text(config.to_toml())
    ones = [load_config("smoke", (f"seed={seed}",)) for seed in (77, 78, 79)]
    stores = [training.curve_folder(one, root) for one in ones]
    for path in stores:
        store(root, path.name)
    found = {each.path: each.users for each in held_stores(root, days=1, now=LATER)}
    uses = {
        seed: found[
            training.curve_folder(load_config("smoke", (f"seed={seed}",)), root)
        ]
        for seed in (77, 78, 79)
    }
    assert uses == {77: (), 78: ("sweep-x",), 79: ("sweep-x",)}


def test_what_was_written_lately_is_kept(root):
    within = {"now": SOON + 3600.0}
    said = "no config here uses it, but it was written to in the last day"
    assert reasons(root, **within) == {"0123456789abcdef": said}
    assert reasons(root, **within, days=0) == {"0123456789abcdef": UNUSED}


def test_a_config_that_cannot_be_read_may_use_any_store(root):
    (root / "strange").mkdir()
    (root / "strange" / "config.toml").write_text("[network]\nprovers = -1\n")
    (reason,) = reasons(root).values()
    assert reason.startswith("whether strange uses it is not known: ")
    assert "network.provers" in reason
    assert not any(each.unused for each in held_stores(root, days=1, now=LATER))


@pytest.mark.parametrize("kind", ["link", "file", "name", "content", "folder"])
def test_what_is_not_ours_is_left(root, tmp_path_factory, kind):
    curves, elsewhere = root / "curves", tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "runs-1.npz").write_bytes(b"1")
    if kind == "link":
        strange = curves / ("f" * 16)
        strange.symlink_to(elsewhere)
    elif kind == "file":
        strange = curves / ("f" * 16)
        strange.write_bytes(b"1")
    elif kind == "name":
        strange = store(root, "my-own-curves")
    else:
        strange = store(root, "f" * 16)
        if kind == "content":
            (strange / "thesis.tex").write_text("years of work")
        else:
            (strange / "runs-0.npz").mkdir()
    (held,) = (
        each for each in held_stores(root, days=0, now=LATER) if each.path == strange
    )
    assert not held.unused
    assert held.reason.startswith("no folder of ours: ")
    with pytest.raises(UserError, match="is not removed: no folder of ours"):
        remove(held)
    assert strange.exists()
    assert (elsewhere / "runs-1.npz").exists()


def test_only_what_was_listed_is_removed(root):
    (held,) = (each for each in held_stores(root, days=1, now=LATER) if each.unused)
    (held.path / "runs-9-9.npz").write_bytes(b"new")
    with pytest.raises(UserError, match="it changed after it was listed"):
        remove(held)
    assert len(list(held.path.iterdir())) == 3
    (held.path / "runs-9-9.npz").unlink()
    assert remove(held).endswith("2 files, 0.0 MB")
    assert not held.path.exists()
    assert [each.unused for each in held_stores(root, days=1, now=LATER)] == [False]


def test_a_removal_that_was_cut_short_is_finished(root, monkeypatch):
    def killed(path):
        next(iter(path.iterdir())).unlink()
        raise KeyboardInterrupt

    (held,) = (each for each in held_stores(root, days=1, now=LATER) if each.unused)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(held)
    # Nobody takes what is left for a store.
    assert not held.path.exists()
    (left,) = (each for each in held_stores(root, days=1, now=SOON) if each.unused)
    assert left.reason == "left by a removal that was cut short"
    remove(left)
    assert len(list((root / "curves").iterdir())) == 1


def test_the_command_lists_and_removes_after_a_question(root, monkeypatch):
    call = CliRunner().invoke
    cache = root / "cache"
    (cache / "programs").mkdir(parents=True)
    (cache / "programs" / "jit_one").write_bytes(b"123")
    (cache / "mnist.npz").write_bytes(b"1234")
    monkeypatch.setenv("DPODL_CACHE", str(cache))
    assert cached(cache) == [(cache / "mnist.npz", 1, 4), (cache / "programs", 1, 3)]
    listed = call(main, ["clean", str(root)])
    assert listed.exit_code == 0, listed.output
    assert "  smoke-0123456789\n" in listed.stdout
    assert "0123456789abcdef  2 files, 0.0 MB" in listed.stdout
    assert "2 curve stores under" in listed.stdout
    assert "programs  1 file, 0.0 MB  the user's cache" in listed.stdout
    line = ["clean", str(root), "--days", "0", "--remove"]
    assert call(main, line, input="n\n").exit_code == 1
    assert len(list((root / "curves").iterdir())) == 2
    done = call(main, [*line, "--yes"])
    assert done.exit_code == 0, done.output
    assert "removed " in done.stdout
    (left,) = (root / "curves").iterdir()
    assert left.name != "0123456789abcdef"
