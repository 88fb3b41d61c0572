"""Which edits make which results stale: on a copy of the tree, file by file."""

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from dpodl.experiments.pipeline import sources
from dpodl.experiments.pipeline.sources import source_digest, stage_digest

TREE = Path(sources.__file__).parents[2]
PACKAGES = ("models", "analysis", "figures", "experiments")
FILES = sorted(
    path.relative_to(TREE).as_posix()
    for package in PACKAGES
    for path in (TREE / package).rglob("*.py")
)
STAGES = ("training", "curves", "laws", "estimates", "figures", "summary", "sweep")
# What an edit of a file there changes beside figures and summary, which may show
# anything; the first place that fits counts.
LAWS = {"laws", "estimates", "sweep"}
STALE = {
    "models/learning/": {"training", "curves", *LAWS},
    "models/scheme/": LAWS,
    "analysis/": LAWS,
    "experiments/config/": LAWS,
    "experiments/store/files.py": LAWS,
    "experiments/own/": {"curves", *LAWS},
    "experiments/pipeline/laws.py": {"curves", *LAWS},
    "experiments/pipeline/training.py": {"curves"},
    **{
        f"experiments/pipeline/{name}.py": LAWS
        for name in (
            *("branching", "devices", "machine"),
            *("estimates", "notes"),
        )
    },
    # Its verdict is words on tables, and no number.
    "experiments/world/tier_words.py": set(),
    "experiments/world/verdict.py": set(),
    "experiments/world/__init__.py": set(),
    "experiments/world/": LAWS,
    "experiments/sweep/evaluation.py": {"sweep"},
    "": set(),
}
# They hold sentences and exit codes, no number.
NO_NUMBERS = {"models/errors.py"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the library's files, of one line each: only digests are taken."""
    copy = tmp_path_factory.mktemp("tree")
    for name in FILES:
        path = copy / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return copy


def digests() -> dict[str, str]:
    return {stage: stage_digest(stage) for stage in STAGES}


@pytest.fixture(scope="module")
def before(tree) -> dict[str, str]:
    """The digests of the copy as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "_PACKAGE", tree)
        return digests()


@pytest.mark.parametrize("name", FILES)
def test_an_edit_makes_stale_what_uses_the_file(name, tree, before, monkeypatch):
    monkeypatch.setattr(sources, "_PACKAGE", tree)
    path = tree / name
    content = path.read_bytes()
    path.write_bytes(content + b"# edited\n")
    after = digests()
    path.write_bytes(content)
    stale = {stage for stage in STAGES if after[stage] != before[stage]}
    place = next(place for place in STALE if name.startswith(place))
    assert stale == STALE[place] | {"figures", "summary"}


def test_an_edit_of_the_ledger_leaves_curves_and_laws_fresh(tmp_path, monkeypatch):
    for package in PACKAGES:
        shutil.copytree(
            TREE / package, tmp_path / package, ignore=shutil.ignore_patterns("*.npz")
        )
    here = digests()
    monkeypatch.setattr(sources, "_PACKAGE", tmp_path)
    # Only files' names and contents count, not where the tree lies.
    assert digests() == here
    with (tmp_path / "models/chain/ledger.py").open("a") as file:
        file.write("\n# edited\n")
    there = digests()
    kept = {stage for stage in STAGES if here[stage] == there[stage]}
    assert kept == {"training", "curves", "laws", "estimates", "sweep"}


def test_a_new_and_a_missing_file_are_edits(tmp_path, monkeypatch):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(sources, "_PACKAGE", tmp_path)
    before = digests()
    new = tmp_path / "analysis/race/deeper/nested.py"
    new.parent.mkdir()
    new.write_text("")
    assert digests()["laws"] != before["laws"]
    new.unlink()
    assert digests() == before
    (tmp_path / "analysis/race/walk.py").unlink()
    assert digests()["laws"] != before["laws"]


# ------------------------------------------------------------------ what a stage uses


def imported(name: str) -> Iterator[str]:
    """The library's files that a file imports, at its top or in its functions."""
    package = Path(name).parent
    for node in ast.walk(ast.parse((TREE / name).read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folder = package
        for _ in range(node.level - 1):
            folder = folder.parent
        place = folder.joinpath(*(node.module or "").split(".")).as_posix()
        for alias in node.names:
            for file in (f"{place}/{alias.name}.py", f"{place}.py"):
                if (TREE / file).is_file():
                    yield file
                    break


def closure(*names: str) -> set[str]:
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += imported(name)
    return found


@pytest.mark.parametrize(
    ("stage", "makers"),
    [
        ("training", ["models/learning/curves.py", "models/learning/data.py"]),
        ("laws", ["experiments/pipeline/laws.py"]),
        ("estimates", ["experiments/pipeline/estimates.py"]),
        ("sweep", ["experiments/sweep/evaluation.py"]),
        ("summary", ["experiments/pipeline/summary.py"]),
    ],
)
def test_a_stage_depends_on_all_that_its_code_imports(stage, makers):
    used = closure(*makers) - NO_NUMBERS
    assert len(used) > 5
    covered = sources._USED[stage]
    lacking = {
        name
        for name in used
        if not any(name == place or name.startswith(f"{place}/") for place in covered)
    }
    assert lacking == set()


def test_the_digest_sees_every_file_and_its_name(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for package in (one, two):
        (package / "inner").mkdir(parents=True)
        (package / "a.py").write_text("a = 1\n")
        (package / "inner/b.py").write_text("b = 1\n")
    before = source_digest([one], one)
    assert source_digest([two], two) == before
    (two / "notes.md").write_text("not code")
    assert source_digest([two], two) == before
    (two / "inner/b.py").write_text("b = 2\n")
    changed = source_digest([two], two)
    (two / "inner/b.py").rename(two / "inner/c.py")
    renamed = source_digest([two], two)
    (two / "inner/c.py").rename(two / "c.py")
    moved = source_digest([two], two)
    (two / "c.py").unlink()
    fewer = source_digest([two], two)
    both = source_digest([one, two], tmp_path)
    assert len({before, changed, renamed, moved, fewer, both}) == 6
    with pytest.raises(FileNotFoundError):
        source_digest([tmp_path / "none"], tmp_path)
