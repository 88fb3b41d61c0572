"""Which code a stage's results belong to."""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[2]
_EVERYTHING = ("models", "analysis", "figures", "experiments")
# All that the tables of a law and of its estimates import, but for the errors.
_LAWS = (
    "models/learning",
    # What a referenced model saves is trained by the scheme's own programs.
    "models/scheme",
    "analysis",
    "experiments/config",
    "experiments/own",
    "experiments/store/files.py",
    *(
        f"experiments/world/{name}.py"
        for name in (
            "dataset",
            "engines",
            "forks",
            "persistence",
            "situation",
            "strategies",
            "tiers",
            "translation",
            "weights",
        )
    ),
    *(
        f"experiments/pipeline/{name}.py"
        for name in ("branching", "devices", "estimates", "laws", "machine", "notes")
    ),
)
# What each stage's numbers depend on. Trained curves must not grow stale by an edit of
# the chain: they take an hour where everything after them takes a minute.
_USED = {
    "training": ("models/learning",),
    "branching": (
        "models/learning",
        "models/scheme",
        "experiments/pipeline/branching.py",
    ),
    "curves": (
        "models/learning",
        "experiments/own",
        "experiments/pipeline/laws.py",
        "experiments/pipeline/training.py",
    ),
    "laws": _LAWS,
    "estimates": _LAWS,
    "figures": _EVERYTHING,
    "summary": _EVERYTHING,
    "sweep": (*_LAWS, "experiments/sweep/evaluation.py"),
}
# Hexadecimal digits that tell two versions of a file apart.
_SHORT = 16
# No stage of a run.
_APART = ("branching", "sweep")


def stage_digests() -> dict[str, str]:
    """``stage_digest`` of every stage of a run."""
    return {stage: stage_digest(stage) for stage in _USED if stage not in _APART}


def stage_digest(stage: str) -> str:
    """SHA-256 of the code that a stage's results depend on.

    Args:
        stage: Of a run (``training``, ``curves``, ``laws``, ``estimates``, ``figures``,
            ``summary``), or ``sweep``: a point's numbers, or ``branching``: warm
            starts.
    """
    return source_digest([_PACKAGE / name for name in _USED[stage]], _PACKAGE)


def file_digests() -> dict[str, str]:
    """Every file that a stage of a run may use → its SHA-256, shortened."""
    return {
        path.relative_to(_PACKAGE).as_posix(): _digest(path).hex()[:_SHORT]
        for place in _EVERYTHING
        for path in sorted((_PACKAGE / place).rglob("*.py"))
    }


def files_of(stages: Sequence[str]) -> Callable[[str], bool]:
    """Whether a file, by its name in ``file_digests``, is used by any of the stages."""
    places = {place for stage in stages for place in _USED[stage]}

    def used(name: str) -> bool:
        return any(name == each or name.startswith(f"{each}/") for each in places)

    return used


@lru_cache(maxsize=1)
def sweep_code_at_start() -> str:
    """``stage_digest("sweep")`` as this process first saw it: files may change."""
    return stage_digest("sweep")


def source_digest(places: Sequence[Path], base: Path) -> str:
    """SHA-256 over Python files and all of folders, nested ones included.

    Args:
        places: Files, and folders of files.
        base: What the names in the digest are relative to.
    """
    files = {
        path
        for place in places
        for path in ([place] if place.is_file() else place.rglob("*.py"))
    }
    if not files:
        raise FileNotFoundError(f"no source in {', '.join(map(str, places))}")
    total = hashlib.sha256()
    for path in sorted(files):
        name = path.relative_to(base).as_posix().encode()
        total.update(name + b"\0" + _digest(path))
    return total.hexdigest()


def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
