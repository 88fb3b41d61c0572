"""Files that survive kill -9: written aside, renamed, and checked whenever read.

A *run folder* holds the results of one config; its ``manifest.json`` lists, stage by
stage, what the stage was made from (``key``) and the SHA-256 of what it wrote. A stage
whose key matches and whose files are intact is not done again.

Whose name ends in its digest is *sealed*: curves, and a sweep's shards.

A *curve store* is shared by all runs of one root: training depends on the menu, the
data and the build, not on thresholds, so configs that differ in the rest share it.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ...models.learning.files import file_digest, read_regular

_log = logging.getLogger(__name__)

_DIGITS = 32  # hexadecimal digits of a digest in a file's name
_SEALED = re.compile(rf"(.+)-([0-9a-f]{{{_DIGITS}}})(\.[a-z]+)")
_SEAL = "sha256"


def sealed_json(facts: Mapping[str, Any]) -> bytes:
    """A JSON object with the SHA-256 of the rest of it: a changed byte shows."""
    return _json({**facts, _SEAL: hashlib.sha256(_json(facts)).hexdigest()})


def unsealed_json(content: bytes) -> dict[str, Any]:
    """What ``sealed_json`` was given.

    Raises:
        ValueError: If a byte of it is another.
    """
    try:
        facts = json.loads(content)
        seal = facts.pop(_SEAL)
        intact = sealed_json(facts) == content
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it is no JSON with a digest of its own") from None
    if not intact:
        raise ValueError(f"its digest is not {seal}")
    return facts


def _json(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


def sealed_name(stem: str, content: bytes, suffix: str) -> str:
    """A file's name that tells its content: ``<stem>-<SHA-256><suffix>``."""
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}{suffix}"


def read_sealed(path: Path) -> bytes:
    """The bytes of a file whose name ``sealed_name`` made.

    Raises:
        ValueError: If they are not what the name says.
        OSError: If it cannot be read.
    """
    name = _SEALED.fullmatch(path.name)
    # First the digest, which needs no memory, however large a sparse file is.
    if name is None or file_digest(path)[:_DIGITS] != name[2]:
        raise ValueError(f"{path} is damaged")
    return read_regular(path)


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV; floats in the shortest form that reads back equal."""
    return table.to_csv(index=False, lineterminator="\n").encode()


Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) as work proceeds."""
