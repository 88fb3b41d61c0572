"""The tutorial runs, and prints what it says it prints.

A block's expected output is what follows ``# ->``: at the end of a line that
prints, or on lines of its own below. A number written ``0.86±0.05`` is compared with
that tolerance, everything else to the letter.
"""

import ast
import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).resolve().parent.parent / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_TOLERANT = re.compile(f"({_NUMBER})±({_NUMBER})")


def blocks(text: str) -> list[tuple[int, str]]:
    """(line, code) of every block of Python."""
    return [(text[: m.start(1)].count("\n"), m[1]) for m in _BLOCK.finditer(text)]


def expected(code: str) -> list[str]:
    """The lines that a block says it prints."""
    return [line.partition("# -> ")[2] for line in code.splitlines() if "# -> " in line]


def agrees(shown: str, printed: str) -> bool:
    """Whether a printed line is the shown one, within the shown tolerances."""
    parts = _TOLERANT.split(shown)
    pattern = "".join(
        re.escape(part) if i % 3 == 0 else f"({_NUMBER})" if i % 3 == 1 else ""
        for i, part in enumerate(parts)
    )
    found = re.fullmatch(pattern, printed)
    return found is not None and all(
        abs(float(number) - float(value)) <= float(tolerance)
        for number, value, tolerance in zip(
            found.groups(), parts[1::3], parts[2::3], strict=True
        )
    )


def run(text: str, name: str) -> None:
    """Run a page's blocks in one namespace; AssertionError where it is not as shown."""
    namespace: dict = {"__name__": "tutorial"}
    for line, code in blocks(text):
        output = io.StringIO()
        tree = ast.increment_lineno(ast.parse(code, name), line)
        with redirect_stdout(output):
            exec(compile(tree, name, "exec"), namespace)
        shown, printed = expected(code), output.getvalue().splitlines()
        where = f"{name}, the block at line {line + 1}"
        assert len(shown) == len(printed), f"{where} shows {shown}, prints {printed}"
        for each, real in zip(shown, printed, strict=True):
            assert agrees(each, real), f"{where} shows {each!r}, prints {real!r}"


def test_the_tutorial_prints_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(TUTORIAL.read_text(encoding="utf-8"), "docs/tutorial.md")
    assert (tmp_path / "persistence.pdf").stat().st_size > 1000


def test_every_block_of_the_tutorial_compiles_and_most_show_something():
    found = blocks(TUTORIAL.read_text(encoding="utf-8"))
    assert len(found) > 8
    assert sum(bool(expected(code)) for _, code in found) > len(found) / 2


@pytest.mark.parametrize(
    ("shown", "printed", "right"),
    [
        ("0.5", "0.5", True),
        ("0.5", "0.51", False),
        ("0.5±0.1", "0.59", True),
        ("0.5±0.1", "0.61", False),
        ("0.5±0.1", "many", False),
        ("24 23±2 (a)", "24 22 (a)", True),
        ("24 23±2 (a)", "25 22 (a)", False),
        ("1±1 and 2±1", "0 and 3", True),
        ("1±1 and 2±1", "0 and 4", False),
        ("-1e-3±1e-4", "-0.00105", True),
    ],
)
def test_numbers_agree_within_their_tolerance_only(shown, printed, right):
    assert agrees(shown, printed) is right


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(1)  # -> 2\n```\n",
        "```python\nprint(1)\n```\n",
        "```python\nx = 1  # -> 1\n```\n",
        "```python\nprint(1)\n# -> 1\n# -> 2\n```\n",
    ],
)
def test_a_page_that_shows_something_else_is_found_out(page):
    with pytest.raises(AssertionError, match="the block at line 2"):
        run(page, "page")


def test_blocks_share_one_namespace_and_errors_say_their_line():
    run("```python\nx = 1\n```\ntext\n```python\nprint(x)\n# -> 1\n```\n", "page")
    with pytest.raises(ZeroDivisionError) as error:
        run("text\n\n```python\n1 / 0\n```\n", "page")
    assert error.traceback[-1].lineno == 3  # counted from 0
