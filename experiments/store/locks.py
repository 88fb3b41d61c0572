"""One process works on a folder at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...models.errors import UserError
from ...models.learning.files import ASIDE


class Busy(UserError, BlockingIOError):
    """Another process works on the folder."""


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for one process; another one gets an error instead of a race.

    What a killed process left half-written in it is cleared away.

    Args:
        path: The folder.
        wait: Whether to wait for another process, which only writes.

    Raises:
        Busy: If another process holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two runs at once stay the user's care.
        yield
        return
    # No link is followed, no pipe waited for, and nothing cut: the folder may be a
    # stranger's.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path / ".lock", flags, 0o666), "rb+", 0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy(f"another dpodl is working on this run folder: {path}") from None
        for left in path.rglob(f".*{ASIDE}"):
            left.unlink(missing_ok=True)
        yield
