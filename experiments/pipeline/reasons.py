"""Why a stage is done: what a kept result was made from, and what that is now.

A stage's key is a digest and cannot say which of its parts has changed. The parts stand
beside it in the notes (``provenance.json``, ``made_from``): every code file's digest,
that of the user's data, versions and flags. Results of before have none, and are said
not to know.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...models.errors import UserError
from ...models.learning.files import read_regular
from ...models.learning.pins import decisive_flags
from ..config.experiment import Config, plain
from ..config.loading import parse_config
from ..store.files import unsealed_json
from ..store.run_folder import RunFolder
from .sources import file_digests, files_of
from .versions import versions

MADE_FROM = "made_from"
UNKNOWN = "the result kept does not say what it was made from"
_NOTES, _CONFIG = "provenance.json", "config.toml"
# How many are named; and how many folders of one name are looked through.
_NAMED, _FOLDERS = 4, 40
_NO_NUMBER = frozenset({"name", "description"})
# Sections that the trained models depend on, but for how many and how long.
_LEARNING = ("seed", "menu.", "training.", "data.", "law.")
_MORE = ("training.runs", "training.horizon_steps", "training.keep_states")


def parts(data: str | None) -> dict[str, Any]:
    """What results are made from, part by part.

    Args:
        data: Digest of the user's own data set, law or attack; None: none of theirs.
    """
    return {
        "files": file_digests(),
        "data": data or "",
        "versions": versions(),
        "flags": list(decisive_flags()),
    }


def kept_parts(folder: Path) -> dict[str, Any]:
    """The parts that a folder's notes have; {} where there are none that are intact."""
    try:
        found = unsealed_json(read_regular(folder / _NOTES)).get(MADE_FROM)
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        return {}
    return found


def differing(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Settings by their dotted path whose values differ; "" where one is not set."""
    one, other = dict(_flat(first)), dict(_flat(second))
    return [
        (name, one.get(name, ""), other.get(name, ""))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name) and name not in _NO_NUMBER
    ]


def why_again(
    folder: RunFolder,
    stage: str,
    key: str,
    now: Mapping[str, Any],
    *,
    before: Sequence[str],
    done: Sequence[str],
) -> str:
    """Why a stage that was there is done again; "": it was not there.

    Args:
        folder: Where it is kept.
        stage: Its name.
        key: Of the stage now.
        now: ``parts`` of it.
        before: Stages before it, in their order.
        done: Those of them that were done just now.
    """
    kept = folder.kept(stage)
    if kept is None:
        return ""
    if kept == key:
        spoiled = folder.spoiled(stage) or ["its list of files"]
        return f"{_named(spoiled)}: changed, damaged or removed since"
    then = kept_parts(folder.path)
    if not then:
        return f"after {done[-1]}" if done else UNKNOWN
    own = changed_files(then, now, [stage])
    if own:
        return _named(own)
    if done:
        return f"after {done[-1]}"
    told = [
        *changed_files(then, now, ["training", *before]),
        *_changed_others(then, now),
    ]
    return _named(told) if told else UNKNOWN


def changed_files(
    then: Mapping[str, Any], now: Mapping[str, Any], stages: Sequence[str]
) -> list[str]:
    """Code files that any of the stages uses and that are others now, with how."""
    old, new = then["files"], now["files"]
    used = files_of(stages)
    told = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name) and used(name):
            how = "has changed" if name in old and name in new else "is new"
            told.append(f"{name} {how if name in new else 'is gone'}")
    return told


def why_new(config: Config, root: Path, now: Mapping[str, Any]) -> str:
    """In what a config without results differs from the nearest that has some.

    Args:
        config: The experiment.
        root: Folder of all results.
        now: ``parts`` of it.

    Returns:
        A sentence, "" where no result of the config's name is there.
    """
    nearest: tuple[int, Path, list[str]] | None = None
    for path in _folders(config, root):
        try:
            text = read_regular(path / _CONFIG).decode()
            other = parse_config(text, str(path))
        except (OSError, UserError, UnicodeDecodeError):
            continue  # a stranger's, or another version's
        names = [name for name, *_ in differing(plain(other), plain(config))]
        if names and (nearest is None or len(names) < nearest[0]):
            nearest = len(names), path, names
    if nearest is None:
        return ""
    _, path, names = nearest
    told = f"no result of these settings; {path.name} differs in {_named(names)}"
    learning = [
        name for name in names if name.startswith(_LEARNING) and name not in _MORE
    ]
    then = kept_parts(path)
    code = changed_files(then, now, ["training"]) if then else []
    if learning or code:
        told += f"; models are other ones: {_named([*learning, *code])}"
    return told


def _folders(config: Config, root: Path) -> list[Path]:
    """Finished results of the config's name, the newest first."""
    found = []
    for path in root.glob(f"{config.name}-??????????"):
        if not path.is_symlink() and (path / _NOTES).is_file():
            found.append(((path / _NOTES).stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)[:_FOLDERS]]


def _changed_others(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    told = []
    if then.get("data") != now["data"]:
        told.append("the data, law or attack of your own is another")
    old = then.get("versions")
    old = old if isinstance(old, dict) else {}
    new = now["versions"]
    told += [
        f"{name} is {new.get(name, 'gone')}, was {old.get(name, 'not there')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    if then.get("flags") != now["flags"]:
        told.append("compiler flags are others")
    return told


def _named(told: Sequence[str]) -> str:
    more = len(told) - _NAMED
    return ", ".join(told[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        elif isinstance(value, str):
            yield path, value
        else:
            yield path, json.dumps(value, ensure_ascii=False)
