"""What the tree cites is there: pages of the repository, keys of the bibliography."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("models", "analysis", "figures", "experiments", "benchmarks", "tests")
_PAGE = re.compile(r"(?<![\w*}])(?:[\w-]+/)*[\w-]+\.md\b(?!\()")  # no call
_MODULE = re.compile(r"(?<![\w*{}./-])(?:[\w-]+/)*[\w-]+\.py\b")
_KEY = re.compile(r"(?<![\w\]])\[([A-Z][A-Za-z+]*\d\d)\]")
# Pages that a command writes.
WRITTEN = {"summary.md", "coverage.md", "machine-copy.md", "notes.md"}


def sources() -> list[Path]:
    code = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py*")]
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/science/*")]
    found = [path for path in (*code, *pages) if path.suffix in (".py", ".pyi", ".md")]
    # The changelog says what has been.
    return sorted(set(found) - {Path(__file__).resolve(), ROOT / "CHANGELOG.md"})


def where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


PAGES = [
    "/" + where(path)
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("figures/**/*.md"),
        *ROOT.glob("models/**/*.md"),
    )
]


MODULES = [
    "/" + where(path)
    for folder in (*FOLDERS, "docs")
    for path in (ROOT / folder).rglob("*.py")
]


def tails_one(name: str, paths: list[str]) -> bool:
    return any(path.endswith("/" + name) for path in paths)


def absent_pages(text: str) -> list[str]:
    """Names ``*.md`` in a text that end no path of a page of the repository."""
    return [
        name
        for name in _PAGE.findall(text)
        if Path(name).name not in WRITTEN and not tails_one(name, PAGES)
    ]


def test_every_page_that_is_named_is_in_the_repository():
    found = {
        where(path): absent
        for path in sources()
        if (absent := absent_pages(path.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("as in docs/science/race.md, README.md and summary.md", []),
        ("(nothing.md §3)", ["nothing.md"]),
        ("docs/science/nothing.md", ["docs/science/nothing.md"]),
        ("science/race.md and tutorial.md", []),
        ("security.md §7 and rrace.md", ["security.md", "rrace.md"]),
    ],
)
def test_a_page_that_is_not_there_is_found_out(text, absent):
    assert absent_pages(text) == absent


def absent_modules(text: str) -> list[str]:
    """Names ``*.py`` in a text that end no path of a module of the repository."""
    return [name for name in _MODULE.findall(text) if not tails_one(name, MODULES)]


def test_every_module_that_is_named_is_in_the_repository():
    # Tests write modules of their own.
    found = {
        where(path): absent
        for path in sources()
        if not path.name.startswith("test_")
        if (absent := absent_modules(path.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("as scheme.py, analysis/race/walk.py and `mine.pyi` say", []),
        ("(settings.py)", ["settings.py"]),
        ("race/levels.py", ["race/levels.py"]),
    ],
)
def test_a_module_that_is_not_there_is_found_out(text, absent):
    assert absent_modules(text) == absent


def test_every_key_is_in_the_bibliography():
    bibliography = (ROOT / "docs" / "references.bib").read_text("utf-8")
    known = set(re.findall(r"^@\w+\{(\S+),", bibliography, re.MULTILINE))
    cited = {
        key: where(path)
        for path in sources()
        for key in _KEY.findall(path.read_text("utf-8"))
    }
    assert len(cited) > 15
    assert {key: path for key, path in cited.items() if key not in known} == {}
