"""Remake what the pages show: tables, printed lines, and the gallery.

    python docs/remake.py                 # rewrites pages, docs/gallery, docs/made.json
    python docs/remake.py --check         # changes nothing; says what is stale, exit 1
    python docs/remake.py --scratch DIR   # keeps runs in DIR: what is there is not run

A page shows the output of a command where it has

    <!-- made by: dpodl run quickstart -->
    (a code block)
    <!-- end -->

Nobody writes between the two lines but this script. It runs the commands as a reader
would, in an empty folder and 80 columns wide, in the order of the pages; ten minutes on
two idle cores are enough. ``made.json`` keeps the digest of every block and image, what
each image was drawn from, and the build: equal builds must print equal bytes.
Elsewhere training may round otherwise; a check then asks for the same rows and for
intervals that overlap.

The ordinary tests check the digests, so that a number written by hand is found out; the
slow ones run quickstart and compare.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "docs" / "gallery"
RECORD = ROOT / "docs" / "made.json"
PAGES = ("README.md", "docs/*.md", "docs/science/*.md")
_BLOCK = re.compile(
    r"^<!-- made by: (?P<command>dpodl [^\n]*?) -->\n(?P<text>.*?)^<!-- end -->$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER = r"[-+]?(?:\d[\d,]*)(?:\.\d+)?(?:e[-+]?\d+)?"
_COLUMNS = 80
# Of the means of a figure's columns, where training may round otherwise.
_LOOSE, _EXACT = 0.2, 1e-6


class Source(NamedTuple):
    """Where images of the gallery come from.

    Attributes:
        command: What makes the results.
        folder: Pattern of their folder.
        images: Names of images.
        figures: What is drawn for each; empty: figures have the images' names.
    """

    command: str
    folder: str
    images: tuple[str, ...]
    figures: tuple[str, ...] = ()

    @property
    def drawings(self) -> list[tuple[str, str]]:
        """(image, figure) of each."""
        return list(zip(self.images, self.figures or self.images, strict=True))


SOURCES = (
    Source(
        "dpodl run quickstart",
        "runs/quickstart-*",
        ("learning_curves", "persistence", "decay"),
    ),
    Source(
        "dpodl sweep sweep",
        "runs/sweep-sweep-*",
        ("good_period_map", "latency", "by_adversary"),
    ),
    Source(
        "dpodl attack cross-slot",
        "runs/attack-cross-slot-*",
        ("cross_slot",),
        ("attacks",),
    ),
    Source("dpodl run weights", "runs/weights-*", ("weights",), ("latency",)),
    Source("dpodl run unequal", "runs/unequal-*", ("unequal",), ("latency",)),
    Source("dpodl run delays", "runs/delays-*", ("delays",), ("persistence",)),
)


class Block(NamedTuple):
    """A made block of a page.

    Attributes:
        page: Its path from the root.
        command: What prints it.
        text: What stands between the two marks.
    """

    page: str
    command: str
    text: str


def blocks() -> Iterator[Block]:
    """All made blocks, in the order of the pages."""
    for page in pages():
        for found in _BLOCK.finditer(page.read_text("utf-8")):
            name = page.relative_to(ROOT).as_posix()
            yield Block(name, found["command"], found["text"])


def pages() -> list[Path]:
    """The pages that may have made blocks."""
    return [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]


def printed(command: str, scratch: Path) -> str:
    """What a command prints, as a block shows it; RuntimeError if it fails."""
    program, *words = shlex.split(command)
    path = Path(sys.executable).with_name(program)
    environment = {
        **os.environ,
        "COLUMNS": str(_COLUMNS),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYTHONUTF8": "1",
    }
    done = subprocess.run(
        [str(path), *words],
        cwd=scratch,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stderr}")
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    text = "\n".join(lines).strip("\n")
    return f"```text\n{text}\n```\n"


def with_blocks(text: str, outputs: dict[str, str]) -> str:
    """A page with its blocks replaced by what the commands printed."""

    def replace(found: re.Match) -> str:
        command = found["command"]
        return f"<!-- made by: {command} -->\n{outputs[command]}<!-- end -->"

    return _BLOCK.sub(replace, text)


def folder_of(source: Source, scratch: Path) -> Path:
    """The one folder that a source's command has made."""
    found = [path for path in scratch.glob(source.folder) if path.is_dir()]
    if len(found) != 1:
        raise RuntimeError(f"{source.folder} in {scratch} is {len(found)} folders")
    return found[0]


def drawn(source: Source, scratch: Path) -> Path:
    """Draw a source's images; the folder with a PNG and a CSV of each."""
    target = folder_of(source, scratch).relative_to(scratch)
    output = Path("drawn") / target.name
    figures = [figure for _, figure in source.drawings]
    words = ["dpodl", "figures", str(target), *figures]
    printed(shlex.join([*words, "--output", str(output)]), scratch)
    return scratch / output


def numbers_of(table: Path) -> dict[str, float]:
    """Rows of a figure's table, and the mean of each column of numbers."""
    df: Any = pd.read_csv(table)
    columns = df.select_dtypes("number").columns
    means = {str(name): float(df[name].mean()) for name in columns}
    known = {name: value for name, value in means.items() if value == value}
    return {"rows": float(len(df)), **known}


def digest(content: bytes | str) -> str:
    """SHA-256 in hexadecimal."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()


def build() -> dict[str, str]:
    """What bits depend on beside the code."""
    from dpodl.experiments.pipeline import versions

    return versions.build()


def place_for_this_code(scratch: Path) -> Path:
    """A folder of its own for each code: what other code printed is not read again."""
    from dpodl.experiments.pipeline import sources

    folder = scratch / sources.stage_digest("figures")[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# -------------------------------------------------------------------------- comparing


def stale_by_hand(record: dict[str, Any]) -> list[str]:
    """What differs from the record: blocks or images that something else changed."""
    found = []
    known = record["blocks"]
    there = list(blocks())
    for block in there:
        if known.get(block.command) != digest(block.text):
            found.append(f"{block.page}: {block.command}: not as the script made it")
    commands = {block.command for block in there}
    found += [f"no page shows {each}" for each in known if each not in commands]
    images = {f"{name}.png" for source in SOURCES for name in source.images}
    files = {path.name for path in GALLERY.iterdir()}
    found += [f"docs/gallery/{name}: not made here" for name in sorted(files - images)]
    for name in sorted(images):
        entry = record["images"].get(name.removesuffix(".png"))
        path = GALLERY / name
        if entry is None or not path.is_file():
            found.append(f"docs/gallery/{name}: missing, or not in made.json")
        elif digest(path.read_bytes()) != entry["sha256"]:
            found.append(f"docs/gallery/{name}: not as the script made it")
    return found


def differences(shown: str, printed_now: str, *, exact: bool) -> list[str]:
    """How a block differs from what its command prints.

    Args:
        shown: The block of the page.
        printed_now: What the command prints.
        exact: Whether the build is the block's; else rows are laid beside each other.
    """
    if exact:
        old, new = shown.splitlines(), printed_now.splitlines()
        pairs = [(a, b) for a, b in zip(old, new, strict=False) if a != b]
        found = [f"{a!r} is now {b!r}" for a, b in pairs]
        if len(old) != len(new):
            found.append(f"{len(old)} lines are now {len(new)}")
        return found
    old, new = _rows(shown), _rows(printed_now)
    common = old.keys() & new.keys()
    if len(common) < 0.7 * max(len(old), len(new)):
        return [f"only {len(common)} of {len(old)} rows are still there"]
    return [
        f"{name}: {old[name]} is now {new[name]}"
        for name in sorted(common)
        if not _overlap(old[name], new[name])
    ]


def _rows(text: str) -> dict[str, list[float]]:
    """Rows of a block with an interval: label → the numbers after it."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("│ ").split("│")]
        if len(cells) < 3 or not cells[0]:
            continue
        numbers = [
            float(each.replace(",", ""))
            for each in re.findall(_NUMBER, cells[-1])
            if re.search(r"\d", each)
        ]
        if len(numbers) == 2:
            found[cells[0]] = numbers
    return found


def _overlap(one: list[float], other: list[float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def changed_numbers(
    known: dict[str, float], now: dict[str, float], *, exact: bool
) -> list[str]:
    """Columns of a figure's table that are not what the image was drawn from."""
    found = [f"column {name}" for name in sorted(known.keys() ^ now.keys())]
    allowed = _EXACT if exact else _LOOSE
    for name in sorted(known.keys() & now.keys()):
        old, new = known[name], now[name]
        if abs(old - new) > allowed * max(abs(old), abs(new)):
            found.append(f"mean of {name}: {old:.6g} is now {new:.6g}")
    return found


# ---------------------------------------------------------------------------- making


def remake(scratch: Path) -> None:
    """Run everything, and write pages, images and the record."""
    outputs = _outputs(scratch, SOURCES)
    images: dict[str, Any] = {}
    for source in SOURCES:
        folder = drawn(source, scratch)
        for name, figure in source.drawings:
            content = (folder / f"{figure}.png").read_bytes()
            _write(GALLERY / f"{name}.png", content)
            images[name] = {
                "command": source.command,
                "sha256": digest(content),
                "numbers": numbers_of(folder / f"{figure}.csv"),
            }
    for page in pages():
        text = page.read_text("utf-8")
        _write(page, with_blocks(text, outputs).encode())
    made = {block.command: digest(block.text) for block in blocks()}
    record = {"build": build(), "blocks": made, "images": images}
    _write(RECORD, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())


def stale(scratch: Path, sources: tuple[Source, ...] | None = None) -> list[str]:
    """Run what blocks and sources need, and say what is shown otherwise."""
    record = json.loads(RECORD.read_text("utf-8"))
    exact = record["build"] == build()
    found = stale_by_hand(record)
    sources = SOURCES if sources is None else sources
    outputs = _outputs(scratch, sources)
    for block in blocks():
        for each in differences(block.text, outputs[block.command], exact=exact):
            found.append(f"{block.page}: {block.command}: {each}")
    for source in sources:
        folder = drawn(source, scratch)
        for name, figure in source.drawings:
            known = record["images"][name]["numbers"]
            now = numbers_of(folder / f"{figure}.csv")
            for each in changed_numbers(known, now, exact=exact):
                found.append(f"docs/gallery/{name}.png: {each}")
    return found


def _outputs(scratch: Path, sources: tuple[Source, ...]) -> dict[str, str]:
    outputs: dict[str, str] = {}
    kept = scratch / "printed.json"
    if kept.is_file():
        outputs = json.loads(kept.read_text("utf-8"))
    wanted = [block.command for block in blocks()]
    wanted += [source.command for source in sources]
    for command in dict.fromkeys(wanted):
        if command not in outputs:
            print(f"{command} …", file=sys.stderr, flush=True)
            outputs[command] = printed(command, scratch)
            # A second run of a command prints that it has computed nothing.
            _write(kept, json.dumps(outputs).encode())
    return outputs


def _write(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument(
        "--scratch", type=Path, help="folder of the runs, which is kept"
    )
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        scratch = place_for_this_code((given.scratch or Path(temporary)).resolve())
        if not given.check:
            remake(scratch)
            return 0
        found = stale(scratch)
    for each in found:
        print(each)
    print(f"{len(found)} stale" if found else "nothing is stale")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
