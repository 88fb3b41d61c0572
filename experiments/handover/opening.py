"""Read an archive of a stranger's: nothing is unpacked that was not checked.

Names lead nowhere but into the archive, sizes are bounded before anything is unpacked,
and every file is what the list of digests says, none missing, none more. That shows
damage, not fraud: who packs an archive writes its digests too, and only to repeat the
run shows more.
"""

import hashlib
import io
import json
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from ...models.learning.files import read_regular
from ..pipeline.stages import TABLES
from .contents import (
    CRATE,
    INPUTS,
    MOST_BYTES,
    MOST_FILES,
    NEEDED,
    SUMS,
    Archive,
    ArchiveError,
)

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError),
    *(NotImplementedError, RuntimeError, KeyError),
)
_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._ =+,()-]*(?:/[A-Za-z0-9][A-Za-z0-9._ =+,()-]*)*"
)
_SUM = re.compile(r"([0-9a-f]{64})  (.+)")
_SETTINGS = ("law.path", "data.path")


def open_archive(path: Path) -> Archive:
    """Read an archive and compare it with its own list of digests.

    Raises:
        ArchiveError: If it is none, holds what no archive does, or a file of it is not
            what the list says.
        OSError: If it cannot be read, or is larger than any archive.
    """
    content = read_regular(path, most=MOST_BYTES)
    name = str(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as pack:
            entries = pack.infolist()
            _check_entries(name, entries)
            files = {each.filename: _unpacked(pack, each) for each in entries}
    except ArchiveError:
        raise
    except _BROKEN as error:
        _refuse(name, f"it is no whole ZIP file: {error}")
    _check_sums(name, files)
    lacking = [
        each
        for each in (*NEEDED, *(f"{table}.csv" for table in TABLES))
        if each not in files
    ]
    if lacking:
        _refuse(name, f"it is no archive of a run: it lacks {', '.join(lacking)}")
    graph = _json(name, files, CRATE)
    if not isinstance(graph, dict) or not isinstance(graph.get("@graph"), list):
        _refuse(name, f"{CRATE} is no RO-Crate's description")
    inputs = _json(name, files, INPUTS)
    if not isinstance(inputs, dict) or not all(
        setting in _SETTINGS and isinstance(file, str) and file in files
        for setting, file in inputs.items()
    ):
        _refuse(name, f"{INPUTS} names a setting that is no input, or no file of it")
    digest = hashlib.sha256(content).hexdigest()
    return Archive(name, digest, files, inputs)


def _check_entries(name: str, entries: Sequence[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_FILES:
        _refuse(name, f"it has {len(entries):,} files, at most {MOST_FILES:,} are read")
    size = sum(each.file_size for each in entries)
    if size > MOST_BYTES:
        _refuse(name, f"it unpacks to {size:,} bytes, at most {MOST_BYTES:,} are read")
    seen: dict[str, str] = {}
    for each in entries:
        shown = repr(each.orig_filename[:100])
        # Also what another system would take for a way out, or for a device.
        if not _NAME.fullmatch(each.orig_filename) or len(each.orig_filename) > 200:
            _refuse(name, f"{shown} is no name of a file in an archive")
        kind = stat.S_IFMT(each.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            _refuse(name, f"{shown} is a link or no regular file")
        if each.flag_bits & 1:
            _refuse(name, f"{shown} is encrypted")
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            _refuse(name, f"{shown} is packed in a way that no archive is")
        plain = unicodedata.normalize("NFC", each.filename).casefold()
        if plain in seen:
            _refuse(name, f"{shown} is in it twice (also as {seen[plain]})")
        seen[plain] = shown
    for plain, shown in seen.items():
        ahead = plain
        while "/" in ahead:
            ahead = ahead.rpartition("/")[0]
            if ahead in seen:
                _refuse(name, f"{seen[ahead]} is a file and, for {shown}, a folder")


def _unpacked(pack: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with pack.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise zipfile.BadZipFile(f"{entry.filename} is not as large as it says")
    return content


def _check_sums(name: str, files: dict[str, bytes]) -> None:
    try:
        text = files.pop(SUMS).decode()
    except KeyError:
        _refuse(name, f"it is no archive of a run: it lacks {SUMS}")
    except UnicodeDecodeError:
        _refuse(name, f"{SUMS} is no text")
    listed: dict[str, str] = {}
    for line in text.splitlines():
        found = _SUM.fullmatch(line)
        if found is None or found[2] in listed:
            _refuse(name, f"{SUMS} has a line that is no digest and name of its own")
        listed[found[2]] = found[1]
    missing = [each for each in listed if each not in files]
    if missing:
        _refuse(name, f"{missing[0]!r} is listed in {SUMS} and is missing")
    more = [each for each in files if each not in listed]
    if more:
        _refuse(name, f"{more[0]!r} is not listed in {SUMS}")
    for each, content in files.items():
        if hashlib.sha256(content).hexdigest() != listed[each]:
            _refuse(name, f"{each!r} is not what was packed: its SHA-256 is another")


def _json(name: str, files: dict[str, bytes], which: str) -> Any:
    try:
        return json.loads(files[which])
    except (ValueError, RecursionError):
        _refuse(name, f"{which} is no JSON")


def _refuse(name: str, reason: str) -> NoReturn:
    raise ArchiveError(f"{name} cannot be used: {reason}")
