"""Files of the user's machine: whole or not there, regular or refused, paths as typed.

Everything that the library writes goes through ``write_atomically``, everything that it
reads back through ``read_regular``, and every path of the user's through ``user_path``.
"""

import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

ASIDE = ".tmp"
# The names of what is open already: to open them anew would be another position in
# the same file, or a file of that name.
_OPEN = re.compile(r"(?:/dev/fd|/proc/(?:self|thread-self|(\d+))/fd)/(\d+)")
_STANDARD = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
_MOST_LINKS = 40
_CHUNK = 1 << 20


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, after a crash too.

    Links are followed: what they lead to is replaced, they stay. What is no regular
    file, a pipe or a device, is written through and stays what it is.

    Args:
        path: Where to; folders that are missing are made.
        content: What the file shall hold.

    Raises:
        OSError: If it cannot be written; then what was there is there still.
    """
    target, descriptor = _end_of_links(path)
    if descriptor is not None:
        _write_open(descriptor, content)
        return
    mode = None
    with suppress(FileNotFoundError):
        mode = target.stat().st_mode
    if mode is None:
        target.parent.mkdir(parents=True, exist_ok=True)
    elif not stat.S_ISREG(mode):
        # Not Path.open("wb"): that would make a file of a device that just went.
        flags = os.O_WRONLY | getattr(os, "O_NOCTTY", 0)
        opened = os.open(target, flags)
        try:
            _write_all(opened, content)
        finally:
            os.close(opened)
        return
    # Not tempfile's 0600: who may read results is the umask's business.
    aside = target.with_name(f".{_short(target.name)}.{secrets.token_hex(8)}{ASIDE}")
    try:
        with aside.open("xb") as file:
            if mode is not None and hasattr(os, "fchmod"):
                # Who could not read the old file shall not read the new one.
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(target)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def read_regular(path: Path, *, most: int | None = None) -> bytes:
    """The bytes of a regular file.

    Args:
        path: Links are followed.
        most: Bytes that it may have; None: any number.

    Raises:
        OSError: If it cannot be read, is no regular file, or is larger: a pipe would
            wait for ever and a device never end.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if most is not None and size > most:
            raise OSError(None, f"{size:,} bytes, at most {most:,} are read", str(path))
        return file.read()


@contextmanager
def open_regular(path: Path) -> Iterator[BufferedReader]:
    """Open a regular file for reading; anything else is an error at once.

    Raises:
        OSError: As ``read_regular``.
    """
    # O_NONBLOCK: to open a pipe without a writer would wait for one.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(None, "not a regular file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        yield file


def file_digest(path: Path) -> str:
    """SHA-256 of a regular file, in the memory of a part of it.

    Raises:
        OSError: As ``read_regular``.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def user_path(typed: str | os.PathLike[str]) -> Path:
    """A path as the user means it: ``~`` is the home folder wherever it was typed.

    No shell expands the tilde of ``--output=~/x`` or ``data.path=~/x``.

    Raises:
        ValueError: If it is empty or names no user's home; says which.
    """
    text = os.fspath(typed)
    if not text:
        raise ValueError("a path is needed, got an empty one (. is this folder)")
    if "\0" in text:
        raise ValueError("a path has no NUL character")
    # Not Path.expanduser: a Path forgets that ./~ is a name in this folder.
    found = os.path.expanduser(text)  # noqa: PTH111
    if text.startswith("~") and found == text:
        raise ValueError(
            f"{text}: there is no such home folder (./{text} is a name of this folder)"
        )
    return Path(found)


def cache_folder() -> Path:
    """Where downloads and compiled programs are kept: ``DPODL_CACHE``, or the user's.

    Raises:
        ValueError: If ``DPODL_CACHE`` names no folder; says why.
    """
    typed = os.environ.get("DPODL_CACHE", "")
    if typed.strip():
        try:
            path = user_path(typed)
        except ValueError as error:
            raise ValueError(f"DPODL_CACHE: {error}") from None
        for each in (path, *path.parents):
            if each.is_dir():
                return path
            if each.exists():
                raise ValueError(f"DPODL_CACHE={typed}: {each} is no folder")
        return path
    import pooch  # here: of all commands only those that compute need it

    return Path(pooch.os_cache("dpodl"))


def _end_of_links(path: Path) -> tuple[Path, int | None]:
    """Where a path leads, and the descriptor that it names, if it names an open one."""
    here = path.absolute()
    for _ in range(_MOST_LINKS):
        text = str(here)
        found = _OPEN.fullmatch(text)
        if text in _STANDARD:
            return here, _STANDARD[text]
        if found and found[1] in (None, str(os.getpid())):
            return here, int(found[2])
        # A link below /proc is none that can be read: only the system can follow it.
        if text.startswith("/proc/") or not here.is_symlink():
            return here, None
        here = Path(os.path.realpath(here.parent)) / here.readlink()
    return path, None  # a ring of links: the system says so where it is opened


def _write_open(descriptor: int, content: bytes) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # what was printed before stands before it
    _write_all(descriptor, content)


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        try:
            left = left[os.write(descriptor, left[:_CHUNK]) :]
        except BlockingIOError:
            import select  # the reader is slow: a full pipe that does not block

            select.select([], [descriptor], [])


def _short(name: str) -> str:
    """A name that leaves room for more, within the 255 bytes that a name may have."""
    return name.encode()[:200].decode(errors="ignore")
