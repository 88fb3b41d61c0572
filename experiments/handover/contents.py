"""What an archive holds: the names of its files, and the bounds of a stranger's."""

from pathlib import Path
from typing import NamedTuple

from ..config.section import ConfigError

CRATE = "ro-crate-metadata.json"
SUMS = "SHA256SUMS"
ENVIRONMENT = "environment.txt"
INPUTS = "inputs.json"
NEEDED = ("config.toml", "manifest.json", "provenance.json", INPUTS, ENVIRONMENT, CRATE)
"""Files that every archive has, beside the sums and the tables."""

MOST_FILES = 2_000
MOST_BYTES = 1 << 29
"""Of all files together, unpacked."""


class ArchiveError(ConfigError):
    """A file is no archive of a run, or is not what was packed; says where."""


class Archive(NamedTuple):
    """An archive that was read and checked.

    Attributes:
        name: Its file.
        sha256: Of its file.
        files: Name → content; the sums left out.
        inputs: Setting of the config → name of the file that it named.
    """

    name: str
    sha256: str
    files: dict[str, bytes]
    inputs: dict[str, str]


def is_archive(source: str) -> bool:
    """Whether what was given as a config is a ZIP file."""
    path = Path(source)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except (OSError, ValueError):
        return False
