"""Notes of a chain's looks while it is mined, so that a replay trains nothing twice.

``.looks`` in the chain's folder: one fixed-length entry a look, with a checksum. It
decides nothing but how long a replay takes, so nobody waits for the disk, a torn or
damaged end is dropped, and it goes when the chain is finished.
"""

from pathlib import Path
from typing import BinaryIO

from ...models.chain.replay import Seen
from ...models.scheme.encoding import digest
from .files import open_regular

_ENTRY, _CHECK = 100, 8


class LookJournal:
    """Notes in a file; a context manager.

    Args:
        folder: The chain's.
    """

    def __init__(self, folder: Path):
        self._path = folder / ".looks"
        self._seen: dict[bytes, Seen] = {}
        if self._path.is_symlink():
            self._path.unlink()  # what it leads to is not ours to cut
        whole = self._read()
        self._file: BinaryIO = self._path.open("ab")
        self._file.truncate(whole)

    def __enter__(self) -> "LookJournal":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def recall(self, name: bytes) -> Seen | None:
        """What a look gave; None: nothing is noted."""
        return self._seen.get(name)

    def note(self, name: bytes, seen: Seen) -> None:
        """Note what a look gave."""
        self._seen[name] = seen
        correct, state, parameters = seen
        entry = name + correct.to_bytes(4, "big") + state + parameters
        self._file.write(entry + digest("replay/entry", entry)[:_CHECK])
        self._file.flush()

    def finish(self) -> None:
        """Take the notes away: the chain needs no replay any more."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _read(self) -> int:
        """Read what is whole; its bytes."""
        try:
            file = open_regular(self._path)
        except FileNotFoundError:
            return 0
        whole = 0
        with file:
            while len(data := file.read(_ENTRY + _CHECK)) == _ENTRY + _CHECK:
                entry, check = data[:_ENTRY], data[_ENTRY:]
                if digest("replay/entry", entry)[:_CHECK] != check:
                    break
                seen = Seen(
                    int.from_bytes(entry[32:36], "big"), entry[36:68], entry[68:]
                )
                self._seen[entry[:32]] = seen
                whole += len(data)
        return whole
