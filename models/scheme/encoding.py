"""The canonical byte encoding of everything that is hashed, signed or stored.

A value has exactly one encoding and a byte string at most one value: what decodes is
what was encoded, byte for byte. There is nothing self-describing in it: the shape of a
record is fixed by its codec, so nesting is as deep as the codec and no deeper, and
every length has a limit that is checked before anything is read.

    unsigned       fixed width, big-endian
    float          IEEE 754 binary64, big-endian; finite, and no negative zero
    bytes, text    a four-byte length, then the bytes; text is printable ASCII
    choice         one byte, the place in the list of options
    optional       0x00, or 0x01 and the value
    sequence       a four-byte count, then the items
    record         one byte kind, one byte version, then the fields in their order;
                   version 1 + n has n fields that came later as optionals behind
                   them, and is written only where the n-th is not the default

Digests are SHA-256 with domain separation: Hash(domain, m) is the SHA-256 of
``dpodl/<domain>/<version>\\0`` followed by m. No domain holds a NUL byte, so no two of
them can be confused.
"""

import hashlib
import math
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, runtime_checkable

DIGEST_BYTES = 32
VERSION = 1
_LENGTH_BYTES = 4


class EncodingError(ValueError):
    """Bytes that are no canonical encoding, or a value that has none.

    Attributes:
        reason: What is allowed and what was given.
        path: The field, from the outermost record inwards; empty: the whole.
    """

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


class Reader:
    """Bytes with a place in them; never reads past the end."""

    def __init__(self, data: bytes):
        self._data = data
        self._place = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        left = len(self._data) - self._place
        if count > left:
            raise EncodingError(f"{count} bytes are missing, only {left} are left")
        self._place += count
        return self._data[self._place - count : self._place]

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return len(self._data) - self._place


@runtime_checkable
class Codec(Protocol):
    """Writes a value as bytes and reads it back; both raise EncodingError."""

    def write(self, value: Any, out: bytearray) -> None:
        """Append the value's encoding."""
        ...

    def read(self, reader: Reader) -> Any:
        """Read one value."""
        ...


@dataclass(frozen=True)
class Unsigned:
    """A whole number from 0 to 256^width − 1."""

    width: int

    def write(self, value: int, out: bytearray) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise EncodingError(f"must be a whole number, got {value!r}")
        if not 0 <= value < 1 << (8 * self.width):
            raise EncodingError(
                f"must be from 0 to 2^{8 * self.width} − 1, got {_brief(value)}"
            )
        out += value.to_bytes(self.width, "big")

    def read(self, reader: Reader) -> int:
        return int.from_bytes(reader.take(self.width), "big")


@dataclass(frozen=True)
class Float:
    """A finite binary64."""

    def write(self, value: float | int, out: bytearray) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise EncodingError(f"must be a finite number, got {value!r}")
        # A whole number may have no binary64 of its own.
        if not abs(value) <= sys.float_info.max or float(value) != value:
            raise EncodingError(f"must be a finite binary64, got {_brief(value)}")
        out += struct.pack(">d", value + 0.0)

    def read(self, reader: Reader) -> float:
        (value,) = struct.unpack(">d", reader.take(8))
        if not math.isfinite(value):
            raise EncodingError(f"must be a finite number, got {value}")
        if value == 0 and math.copysign(1.0, value) < 0:
            raise EncodingError("zero must be positive, got -0.0")
        return value


@dataclass(frozen=True)
class Fixed:
    """Exactly ``length`` bytes."""

    length: int

    def write(self, value: bytes, out: bytearray) -> None:
        if not isinstance(value, bytes) or len(value) != self.length:
            raise EncodingError(f"must be {self.length} bytes, got {_brief(value)}")
        out += value

    def read(self, reader: Reader) -> bytes:
        return reader.take(self.length)


@dataclass(frozen=True)
class Text:
    """Printable ASCII, up to ``limit`` characters."""

    limit: int

    def write(self, value: str, out: bytearray) -> None:
        if not isinstance(value, str) or not _printable(value):
            raise EncodingError(f"must be printable ASCII, got {_brief(value)}")
        _write_length(len(value), self.limit, out)
        out += value.encode("ascii")

    def read(self, reader: Reader) -> str:
        data = reader.take(_read_length(reader, self.limit, item_bytes=1))
        value = data.decode("latin-1")
        if not _printable(value):
            raise EncodingError(f"must be printable ASCII, got {_brief(data)}")
        return value


@dataclass(frozen=True)
class Flag:
    """Yes or no, one byte."""

    def write(self, value: bool, out: bytearray) -> None:
        if not isinstance(value, bool):
            raise EncodingError(f"must be true or false, got {value!r}")
        out.append(value)

    def read(self, reader: Reader) -> bool:
        return bool(_one_of(reader.take(1)[0], 2))


@dataclass(frozen=True)
class Choice:
    """One of a list of words."""

    options: tuple[str, ...]

    def write(self, value: str, out: bytearray) -> None:
        if value not in self.options:
            raise EncodingError(
                f"must be one of {', '.join(self.options)}, got {value!r}"
            )
        out.append(self.options.index(value))

    def read(self, reader: Reader) -> str:
        return self.options[_one_of(reader.take(1)[0], len(self.options))]


@dataclass(frozen=True)
class Optional:
    """A value or None; so the value is no optional itself."""

    item: Codec

    def __post_init__(self):
        if isinstance(self.item, Optional):
            raise TypeError("None would have two encodings in an optional optional")

    def write(self, value: Any, out: bytearray) -> None:
        out.append(value is not None)
        if value is not None:
            self.item.write(value, out)

    def read(self, reader: Reader) -> Any:
        return self.item.read(reader) if _one_of(reader.take(1)[0], 2) else None


@dataclass(frozen=True)
class Sequence:
    """Up to ``limit`` items of one kind, as a tuple."""

    item: Codec
    limit: int

    def write(self, value: tuple, out: bytearray) -> None:
        if not isinstance(value, tuple):
            raise EncodingError(f"must be a tuple, got {type(value).__name__}")
        _write_length(len(value), self.limit, out)
        for place, item in enumerate(value):
            with _field(f"[{place}]"):
                self.item.write(item, out)

    def read(self, reader: Reader) -> tuple:
        # Every item takes at least a byte, so no count can ask for more memory
        # than the bytes that are there.
        count = _read_length(reader, self.limit, item_bytes=1)
        items = []
        for place in range(count):
            with _field(f"[{place}]"):
                items.append(self.item.read(reader))
        return tuple(items)


@dataclass(frozen=True)
class Record:
    """A NamedTuple or dataclass by its fields, a kind and a version in front.

    Attributes:
        build: The record's class; its ValueErrors count as bad encodings.
        kind: One byte, different for every record.
        fields: Codecs by name, in the order of the class's fields.
        added: Codecs of fields that came later, in that order, with the default that
            stands for their absence. Whoever has only defaults has the bytes of
            version 1.
    """

    build: type
    kind: int
    fields: Mapping[str, Codec]
    added: Mapping[str, tuple[Codec, Any]] = field(default_factory=dict)

    def __post_init__(self):
        given = (*self.fields, *self.added)
        names = getattr(self.build, "_fields", None) or given
        if names != given:
            raise TypeError(f"fields must be {names}, got {given}")

    def write(self, value: Any, out: bytearray) -> None:
        if not isinstance(value, self.build):
            raise EncodingError(f"must be a {self.build.__name__}, got {_brief(value)}")
        later = {
            name: None if getattr(value, name) == default else getattr(value, name)
            for name, (_, default) in self.added.items()
        }
        there = [n for n, name in enumerate(later, 1) if later[name] is not None]
        count = max(there, default=0)
        out += bytes((self.kind, VERSION + count))
        for name, codec in self.fields.items():
            with _field(name):
                codec.write(getattr(value, name), out)
        for name, (codec, _) in islice(self.added.items(), count):
            with _field(name):
                Optional(codec).write(later[name], out)

    def read(self, reader: Reader) -> Any:
        kind, version = reader.take(2)
        if kind != self.kind:
            raise EncodingError(f"must be a record of kind {self.kind}, got {kind}")
        known = range(VERSION, VERSION + len(self.added) + 1)
        if version not in known:
            raise EncodingError(
                f"version {version} of the encoding is not known, only "
                f"{' and '.join(map(str, known))}"
            )
        values = {}
        for name, codec in self.fields.items():
            with _field(name):
                values[name] = codec.read(reader)
        values |= self._read_added(reader, version)
        try:
            return self.build(**values)
        except EncodingError:
            raise
        except ValueError as error:
            raise EncodingError(str(error)) from error

    def _read_added(self, reader: Reader, version: int) -> dict[str, Any]:
        found = {}
        value: Any = None
        for name, (codec, default) in islice(self.added.items(), version - VERSION):
            with _field(name):
                value = Optional(codec).read(reader)
                if value is not None and value == default:
                    raise EncodingError("the default is written by leaving it out")
                if value is not None:
                    found[name] = value
        if version > VERSION and value is None:
            raise EncodingError(
                f"a record of version {version} must have a field that version "
                f"{version - 1} has not"
            )
        return found


DIGEST = Fixed(DIGEST_BYTES)


def encode(codec: Codec, value: Any) -> bytes:
    """The canonical bytes of a value.

    Raises:
        EncodingError: If the value has none; names the field.
    """
    out = bytearray()
    codec.write(value, out)
    return bytes(out)


def decode(codec: Codec, data: bytes) -> Any:
    """The value of canonical bytes; all of them must be used.

    Raises:
        EncodingError: If they are no canonical encoding; names the field.
    """
    reader = Reader(data)
    value = codec.read(reader)
    if reader.left:
        raise EncodingError(f"{reader.left} bytes too many at the end")
    return value


def digest(domain: str, *parts: bytes) -> bytes:
    """Hash(domain, parts) = SHA-256(``dpodl/domain/1\\0`` ‖ parts).

    The parts are concatenated as they are: give them fixed lengths, or encode them.
    """
    state = hashlib.sha256(f"dpodl/{domain}/{VERSION}\0".encode())
    for part in parts:
        state.update(part)
    return state.digest()


@contextmanager
def _field(name: str) -> Iterator[None]:
    """Put the field's name in front of an encoding error's path."""
    try:
        yield
    except EncodingError as error:
        joint = "." if error.path and not error.path.startswith("[") else ""
        error.path = f"{name}{joint}{error.path}"
        raise


def _one_of(place: int, count: int) -> int:
    if place >= count:
        raise EncodingError(f"must be a byte below {count}, got {place}")
    return place


def _write_length(length: int, limit: int, out: bytearray) -> None:
    if length > limit:
        raise EncodingError(f"must have at most {limit} entries, got {length}")
    out += length.to_bytes(_LENGTH_BYTES, "big")


def _read_length(reader: Reader, limit: int, *, item_bytes: int) -> int:
    length = int.from_bytes(reader.take(_LENGTH_BYTES), "big")
    if length > limit:
        raise EncodingError(f"must have at most {limit} entries, got {length}")
    if length * item_bytes > reader.left:
        raise EncodingError(f"{length} entries do not fit into {reader.left} bytes")
    return length


def _printable(value: str) -> bool:
    return value.isascii() and value.isprintable()


def _brief(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 1024:
        # Python writes no number of more than 4300 decimal digits.
        value = hex(value)
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
