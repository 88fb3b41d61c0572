"""How far a sweep is."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .store import SweepStore


class Counts(NamedTuple):
    """How far points are.

    Attributes:
        points: All of them.
        done: Those that have their rows.
        failed: Those that were tried, or were left out, and have none.
        todo: The others.
    """

    points: int
    done: int
    failed: int
    todo: int


def count_points(store: SweepStore) -> tuple[Counts, list[tuple[str, Counts]]]:
    """How far a sweep is, and how far each group of it: (all, [(label, group's)]).

    Raises:
        StoreError: If the folder is no sweep's, or another version's.
        Changed: If a file of it is not what was written, and that is not accepted.
    """
    plan, known = store.points(), store.known_to_readers()
    groups: dict[str, list[int]] = {}
    total = [0, 0, 0]
    columns = (plan[name].to_pylist() for name in ("key", "group", "label", "error"))
    for key, group, label, error in zip(*columns, strict=True):
        what = known.get(key)
        state = 1 if error else 2 if what is None else 0 if what.done else 1
        name = f"{group[:8]} {label}".strip() if group else "settings that do not fit"
        groups.setdefault(name, [0, 0, 0])[state] += 1
        total[state] += 1
    return _counts(total), [(name, _counts(c)) for name, c in groups.items()]


def _counts(found: Sequence[int]) -> Counts:
    done, failed, todo = found
    return Counts(done + failed + todo, done, failed, todo)


def rate(sessions: Sequence[Mapping[str, Any]]) -> float | None:
    """Points a second of the last process that computed any."""
    for session in reversed(sessions):
        try:
            if session["computed"] and session["seconds"]:
                return float(session["computed"] / session["seconds"])
        except (KeyError, TypeError, ZeroDivisionError):
            continue
    return None
