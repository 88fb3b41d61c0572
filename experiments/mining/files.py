"""Files of a chain folder, which a stranger may have filled: bounded, and only files.

A FIFO would hang a reader, a device never end, a sparse file fill the memory. So a file
is looked at before it is opened, opened without waiting, and read up to a limit.
"""

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from ...models.errors import UserError
from ...models.learning.files import file_digest

_NAME = re.compile(r"[0-9a-f]{64}\.(safetensors|bin)")
_CONTENT = {"genesis.bin", "config.toml", "chain.log", "closing.bin"}
_FOLDERS = {"states": ".safetensors", "leaves": ".bin"}


class ChainError(UserError):
    """A chain folder that cannot be used; says which file, where and why."""


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, if it is one.

    Raises:
        FileNotFoundError: If there is none.
        ChainError: If it is a device, a FIFO, a socket or a folder.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ChainError(f"{path} is no regular file")
    # It may have been exchanged in between; without waiting, opening is harmless.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ChainError(f"{path} is no regular file")
    return file


def read_regular(path: Path, limit: int) -> bytes:
    """A file's bytes, if it is one and no larger than ``limit``.

    Raises:
        FileNotFoundError: If there is none.
        ChainError: If it is no regular file, or larger.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > limit:
            raise ChainError(f"{path} is larger than {limit} bytes")
        return file.read(limit + 1)


def chain_identity(path: Path) -> str:
    """A digest of a chain's genesis and of everything that is logged in it.

    Raises:
        FileNotFoundError: If it has none.
    """
    found = [file_digest(path / name) for name in ("genesis.bin", "chain.log")]
    return hashlib.sha256("".join(found).encode()).hexdigest()


def require_chain(path: Path) -> None:
    """Refuse what is no folder, before anything is loaded for it.

    Raises:
        ChainError: If it is none.
    """
    if not path.is_dir():
        raise ChainError(f"{path} is no chain folder")


def require_files(path: Path) -> None:
    """Refuse a data set that a config names and that is no file or folder of files.

    Raises:
        ChainError: Names what is none.
    """
    for each in (path, *(path.iterdir() if path.is_dir() else ())):
        if each.exists() and not (each.is_file() or each.is_dir()):
            raise ChainError(f"{each} is no regular file")


def content(path: Path) -> list[Path]:
    """The states and leaves of a chain folder, whose names are digests.

    What a killed writer left half-written begins with a dot, as does what else a
    system keeps in a folder: no content.

    Raises:
        ChainError: If the folder holds anything that is no part of a chain.
    """
    found = []
    for entry in _visible(path):
        if entry.name in _FOLDERS and entry.is_dir():
            for file in _visible(entry):
                named = _NAME.fullmatch(file.name)
                if not named or file.suffix != _FOLDERS[entry.name]:
                    raise _foreign(file)
                found.append(file)
        elif entry.name not in _CONTENT:
            raise _foreign(entry)
    return found


def _visible(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if not each.name.startswith("."))


def _foreign(path: Path) -> ChainError:
    return ChainError(
        f"{path} is no part of a chain, and nothing vouches for it: move it away"
    )
