"""What a folder of results holds beside results, and which of it nothing uses.

Curve stores are shared, so no run removes one. A store is *unused* if no config that is
kept beside it would be trained into it by this build, on this machine's libraries and
processor; one of another build serves only runs of that build. A first training keeps
its config when it ends, so what was written lately is never called unused.

Notation
    used by     folders whose ``config.toml`` trains into the store   ``Holding.users``
    listing     names, sizes and times of its files                  ``Holding.listing``
"""

import re
import shutil
import stat
import time
from pathlib import Path
from typing import NamedTuple

from ...models.errors import UserError
from ...models.learning.files import ASIDE
from ..config.loading import load_config
from ..pipeline import training
from ..sweep.plan import plan_of

_STORE = re.compile(r"[0-9a-f]{16}")
_OURS = re.compile(
    r"(runs|branches|state)-[0-9a-f-]+\.(npz|safetensors)|\.lock|\..*" + ASIDE
)
_DOOMED = ".unused"
_DAY = 86_400.0


class Entry(NamedTuple):
    """A file as it was listed."""

    name: str
    size: int
    modified: float


class Holding(NamedTuple):
    """A curve store, or what a removal that was cut short left of one.

    Attributes:
        path: Where it is.
        listing: Its files; empty where it is none of ours.
        users: Names of the folders that use it.
        unused: Whether it may be removed.
        reason: Why, or why not, in a sentence.
    """

    path: Path
    listing: tuple[Entry, ...]
    users: tuple[str, ...]
    unused: bool
    reason: str

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(entry.size for entry in self.listing)


class Uses(NamedTuple):
    """Who uses which store.

    Attributes:
        users: Store → names of folders.
        unknown: Folders whose stores cannot be told, with the reason.
    """

    users: dict[Path, list[str]]
    unknown: dict[str, str]


def uses_of(root: Path) -> Uses:
    """Which curve stores the configs that are kept under a folder of results use."""
    found = Uses({}, {})
    for path in sorted(root.glob("*/config.toml")):
        name = path.parent.name
        try:
            config = load_config(str(path))
            if name.startswith("sweep-"):
                plan = plan_of(config, root)
                stores = {Path(source.folder) for _, source in plan.sources.values()}
            else:
                stores = {training.curve_folder(config, root)}
        except (UserError, ValueError, OSError) as error:
            found.unknown[name] = " ".join(str(error).split())
            continue
        for store in stores:
            found.users.setdefault(store.resolve(), []).append(name)
    return found


def held_stores(root: Path, *, days: float, now: float | None = None) -> list[Holding]:
    """The curve stores under a folder of results, the largest first.

    Args:
        root: Folder of all results (``--output`` of ``dpodl run``).
        days: A store that was written to less than so many days ago is not unused.
        now: Seconds since the epoch; None: the clock's.

    Raises:
        UserError: If ``root`` is no folder.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no folder of results")
    at = time.time() if now is None else now
    uses = uses_of(root)
    found = [
        _holding(path, uses, at - days * _DAY, days)
        for path in sorted((root / "curves").glob("*"))
    ]
    return sorted(found, key=lambda each: -each.size)


def cached(folder: Path) -> list[tuple[Path, int, int]]:
    """What the user's cache holds: (folder or file, files, bytes), by name.

    Compiled programs and downloads serve every folder of results, and are made or
    fetched again when they are not there.
    """
    found = []
    for path in sorted(folder.glob("*")):
        inside = [path] if path.is_file() else path.rglob("*")
        sizes = [e.lstat().st_size for e in inside if e.is_file()]
        found.append((path, len(sizes), sum(sizes)))
    return found


def remove(held: Holding) -> str:
    """Remove a store that ``held_stores`` called unused; what it held, in a sentence.

    It is renamed first: a removal that is cut short leaves nothing that looks whole,
    and is finished by the next one.

    Raises:
        UserError: If it is not unused, or not as it was listed.
    """
    path = held.path
    if not held.unused:
        raise UserError(f"{path} is not removed: {held.reason}")
    if _foreign(path) is not None or _listing(path) != held.listing:
        raise UserError(f"{path} is not removed: it changed after it was listed")
    doomed = path
    if not path.name.endswith(_DOOMED):
        doomed = path.with_name(path.name + _DOOMED)
        path.rename(doomed)
    shutil.rmtree(doomed)
    return f"removed {path}: {len(held.listing)} files, {held.size / 1e6:.1f} MB"


def _holding(path: Path, uses: Uses, before: float, days: float) -> Holding:
    foreign = _foreign(path)
    if foreign is not None:
        return Holding(path, (), (), False, foreign)
    listing = _listing(path)
    if path.name.endswith(_DOOMED):
        return Holding(path, listing, (), True, "left by a removal that was cut short")
    users = tuple(uses.users.get(path.resolve(), ()))
    latest = max([entry.modified for entry in listing], default=path.stat().st_mtime)
    if users:
        return Holding(path, listing, users, False, "in use")
    if uses.unknown:
        name, why = next(iter(uses.unknown.items()))
        reason = f"whether {name} uses it is not known: {why}"
        return Holding(path, listing, users, False, reason)
    if latest > before:
        last = "day" if days == 1 else f"{days:g} days"
        reason = f"no config here uses it, but it was written to in the last {last}"
        return Holding(path, listing, users, False, reason)
    reason = "no config here trains into it by this build"
    return Holding(path, listing, users, True, reason)


def _foreign(path: Path) -> str | None:
    """Why a folder is none that this program made; None: it is."""
    if path.is_symlink() or not path.is_dir():
        return "no folder of ours: a link or a file"
    if not _STORE.fullmatch(path.name.removesuffix(_DOOMED)):
        return "no folder of ours: its name is no store's"
    for each in sorted(path.iterdir()):
        if not _OURS.fullmatch(each.name) or not stat.S_ISREG(each.lstat().st_mode):
            return f"no folder of ours: it has {each.name}"
    return None


def _listing(path: Path) -> tuple[Entry, ...]:
    found = []
    for each in sorted(path.iterdir()):
        status = each.lstat()
        found.append(Entry(each.name, status.st_size, status.st_mtime))
    return tuple(found)
