"""One process works on a folder at a time, on every system."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dpodl.experiments.store.locks import NoLocks, exclusive, is_held


def second_process(folder: Path) -> str:
    program = (
        "import sys, pathlib\n"
        "from dpodl.experiments.store.locks import exclusive\n"
        "try:\n"
        "    with exclusive(pathlib.Path(sys.argv[1])): print('in')\n"
        "except BlockingIOError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_a_folder_belongs_to_one_process(tmp_path):
    folder = tmp_path / "new/run"
    with exclusive(folder):
        assert second_process(folder) == "refused"
        with pytest.raises(BlockingIOError), exclusive(folder):
            pass
        with exclusive(tmp_path / "new/other"):
            pass
    assert second_process(folder) == "in"


def test_a_lock_that_is_no_file_harms_nothing(tmp_path):
    beside = tmp_path / "of the user's"
    beside.write_bytes(b"precious")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / ".lock").symlink_to(beside)
    with pytest.raises(OSError, match="symbolic"), exclusive(tmp_path / "linked"):
        pass
    assert is_held(tmp_path / "linked") is False
    assert beside.read_bytes() == b"precious"
    (tmp_path / "piped").mkdir()
    os.mkfifo(tmp_path / "piped" / ".lock")
    with exclusive(tmp_path / "piped"):
        pass


def test_a_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), exclusive(tmp_path):
        raise ZeroDivisionError
    with exclusive(tmp_path):
        pass


def test_who_waits_comes_after_the_other(tmp_path):
    order = []

    def other() -> None:
        with exclusive(tmp_path, wait=True):
            order.append("other")

    thread = threading.Thread(target=other)
    with exclusive(tmp_path):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_a_killed_process_holds_nothing(tmp_path):
    program = (
        "import sys, pathlib, time\n"
        "from dpodl.experiments.store.locks import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])):\n"
        "    print('in', flush=True); time.sleep(600)\n"
    )
    words = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        assert is_held(tmp_path)
        process.send_signal(signal.SIGKILL)
    assert is_held(tmp_path) is False
    with exclusive(tmp_path):
        pass


def test_asking_who_holds_a_folder_writes_nothing(tmp_path):
    assert is_held(tmp_path) is False
    assert list(tmp_path.iterdir()) == []
    with exclusive(tmp_path):
        assert is_held(tmp_path) is True
    assert is_held(tmp_path) is False


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_says_what_is_needed(number, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(NoLocks, match=r"has no file locks .*such as a local disk"),
        exclusive(tmp_path),
    ):
        pass
    assert is_held(tmp_path) is None


def test_another_trouble_with_the_disk_stays_what_it_is(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="broken"), exclusive(tmp_path):
        pass
