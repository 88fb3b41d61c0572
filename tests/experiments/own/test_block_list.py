"""Lists of blocks as they are published."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.own.block_list import read_blocks

MONERO = """height,timestamp,is_orphan,pool,difficulty
3499660,2025-09-14T08:00:00Z,0,A,0x9184e72a000
3499661,2025-09-14T08:02:10Z,0,Qubic,0x9184e72a000
3499661,2025-09-14T08:02:11Z,1,A,0x9184e72a000
3499662,2025-09-14T08:02:05Z,0,Qubic,0x9184e72a000
3499663,2025-09-14T08:05:05Z,0,B,10000000000000
"""


def read(folder: Path, text: str, columns=None, **options):
    path = folder / "blocks.csv"
    path.write_text(text, encoding="utf-8")
    return read_blocks(path, columns, **options)


def test_a_published_list(tmp_path):
    found = read(tmp_path, MONERO, mark="Qubic")
    assert found.heights.tolist() == [3499660, 3499661, 3499662, 3499663]
    # The third block's stamp lies before its parent's, and stays there.
    assert np.diff(found.times).tolist() == [130.0, -5.0, 180.0]
    assert found.stale == 1
    assert found.marked is not None
    assert found.marked.tolist() == [False, True, False, True, False]
    assert found.warnings == ()  # hex and decimal are one difficulty


@pytest.mark.parametrize(
    ("stamps", "told"),
    [
        (("1757836800", "1757836930"), None),
        (("1757836800000", "1757836930000"), "milliseconds"),
        (("2025-09-14 08:00:00", "2025-09-14 10:02:10+02:00"), None),
        (("2025-09-14T08:00:00.500Z", "2025-09-14T08:02:10.500000Z"), None),
    ],
)
def test_times_as_they_are_written(stamps, told, tmp_path):
    text = "number,time\n" + "".join(f"{n},{t}\n" for n, t in enumerate(stamps))
    found = read(tmp_path, text)
    assert np.diff(found.times).tolist() == [130.0]
    assert int(found.times[0]) == 1757836800
    said = [each for each in found.warnings if told and told in each]
    assert bool(said) == (told is not None)


def header(parent: str, time: int, nonce: int = 0) -> tuple[str, str]:
    """An 80-byte header and its name."""
    content = (
        (2).to_bytes(4, "little")
        + bytes.fromhex(parent)[::-1]
        + bytes(32)
        + time.to_bytes(4, "little")
        + bytes(4)
        + nonce.to_bytes(4, "little")
    )
    name = hashlib.sha256(hashlib.sha256(content).digest()).digest()[::-1].hex()
    return content.hex(), name


def test_the_first_block_of_all_has_its_known_name_and_time(tmp_path):
    genesis = (
        "0100000000000000000000000000000000000000000000000000000000000000000000003b"
        "a3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff"
        "001d1dac2b7c"
    )
    name = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    one, its = header(name, 1231006505 + 600)
    text = f"height,hash,header\n0,{name},{genesis}\n1,{its},{one}\n"
    found = read(tmp_path, text)
    assert found.times.tolist() == [1231006505.0, 1231007105.0]


def test_headers_say_which_of_two_stayed(tmp_path):
    first, a = header("00" * 32, 100)
    lost, b = header(a, 220, nonce=1)
    kept, c = header(a, 200, nonce=2)
    last, d = header(c, 350)
    rows = [(1, a, first), (2, b, lost), (2, c, kept), (3, d, last)]
    text = "height,hash,header\n" + "".join(f"{h},{n},{x}\n" for h, n, x in rows)
    found = read(tmp_path, text)
    assert found.times.tolist() == [100.0, 200.0, 350.0]
    assert found.stale == 1
    wrong = text.replace(f"3,{d}", f"3,{a}")
    with pytest.raises(ConfigError, match="row 4: the header's hash is"):
        read(tmp_path, wrong)
    with pytest.raises(ConfigError, match="row 1: a header is 80 bytes"):
        read(tmp_path, "height,header\n1,abcd\n")


def test_without_heights_and_with_holes(tmp_path):
    found = read(tmp_path, "time\n30\n10\n20\n")
    assert found.times.tolist() == [10.0, 20.0, 30.0]
    assert found.stale is None
    text = "height,time\n1,0\n2,10\n7,50\n8,60\n9,75\n"
    found = read(tmp_path, text)
    assert found.heights.tolist() == [7, 8, 9]
    assert any("heights are missing in 1 places" in each for each in found.warnings)


def test_difficulties_that_change_are_said(tmp_path):
    found = read(tmp_path, "height,time,difficulty\n1,0,0x10\n2,10,32\n")
    assert any("from 16 to 32" in each for each in found.warnings)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("height,when\n1,0\n", "nor a header"),
        ("height,time\n1,yesterday\n", "must be ISO 8601"),
        ("height,time\n1,5\n2,soon\n", "row 2: a time must be a number"),
        ("height,time\n1.5,5\n2,6\n", "whole numbers"),
        ("height,time\n1,5\n1,6\n2,7\n", "neither a column says which are stale"),
        ("height,time,stale\n1,5,0\n1,6,0\n2,7,0\n", "are both on the chain"),
        ("height,time,stale\n1,5,perhaps\n", "must hold 0 or 1"),
        ("height,time\n1,5\n5,9\n", "no two blocks of the chain follow"),
        ("height,time,difficulty\n1,5,hard\n2,6,1\n", "decimal or 0x… in hex"),
        ("height,time,difficulty\n1,5,0\n2,6,1\n", "difficulties must be > 0"),
    ],
)
def test_what_is_no_list_is_told(text, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, text)


def test_a_mark_that_nobody_bears_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"no block is 'C'.*'A'"):
        read(tmp_path, MONERO, mark="C")
    with pytest.raises(ConfigError, match="known as the miner"):
        read(tmp_path, "height,time\n1,5\n2,6\n", mark="C")
