"""One process works on a folder at a time."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...models.errors import UserError
from ...models.learning.files import ASIDE

# What systems say of a file system that has no locks.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Busy(UserError, BlockingIOError):
    """Another process works on the folder."""


class NoLocks(UserError):
    """The folder's file system has no locks."""


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for one process; another one gets an error instead of a race.

    What a killed process left half-written in it is cleared away.

    Args:
        path: The folder.
        wait: Whether to wait for another process, which only writes.

    Raises:
        Busy: If another process holds it.
        NoLocks: If nobody can hold it.
    """
    path.mkdir(parents=True, exist_ok=True)
    lock = _lock(path)
    if _is_link(path):  # the folder may be a stranger's
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path / ".lock"))
    try:
        lock.acquire(blocking=wait)
    except Timeout:
        raise Busy(f"another dpodl is working on this run folder: {path}") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise NoLocks(
            f"the file system of {path} has no file locks ({error.strerror}), so two "
            "processes could mix their results: put the folder on one that has them, "
            "such as a local disk"
        ) from None
    try:
        for left in path.rglob(f".*{ASIDE}"):
            left.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool | None:
    """Whether a process holds the folder now; None: this user cannot know."""
    if _is_link(path) or not (path / ".lock").is_file():
        return False
    lock = _lock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:  # of somebody else, or without locks
        return None
    lock.release()
    return False


def _is_link(path: Path) -> bool:
    return (path / ".lock").is_symlink()


def _lock(path: Path) -> FileLock:
    # A lock that is only a file would outlive a process that is killed.
    return FileLock(path / ".lock", fallback_to_soft=False)
