"""What a file holds, for ``dpodl import``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..config.section import ConfigError
from .block_list import read_blocks
from .curve_log import read_curves
from .time_list import read_times

# Tickets that a horizon is cut into, at most.
_TICKETS = 400


class Summary(NamedTuple):
    """What was found.

    Attributes:
        kind: ``curves``, ``times`` or ``blocks``.
        facts: Name → text.
        warnings: What was done to read it.
        config: TOML that uses it; "" where none does.
    """

    kind: str
    facts: dict[str, str]
    warnings: tuple[str, ...]
    config: str


def summary(path: Path, kind: str | None, columns: Mapping[str, str]) -> Summary:
    """Read a file as what it is, or as what it is said to be.

    Args:
        path: The file, or a shipped example's name.
        kind: ``curves``, ``times`` or ``blocks``; None: the first that can be read.
        columns: Role → column.

    Raises:
        ConfigError: If it is none of them; says why for each.
    """
    if kind is not None:
        return _READERS[kind](path, columns)
    reasons = []
    for name, read in _READERS.items():
        try:
            return read(path, columns)
        except ConfigError as error:
            reasons.append(f"as {name}: {error}")
            if str(error).startswith("cannot read"):
                raise
    raise ConfigError("the file can be read neither way:\n  " + "\n  ".join(reasons))


def _curves(path: Path, columns: Mapping[str, str]) -> Summary:
    log = read_curves(path, columns)
    looks = [len(each.step) for each in log.runs]
    best = np.array([each.accuracy.max() for each in log.runs])
    ends = np.array([each.step[-1] for each in log.runs])
    half, tenth = np.quantile(best, [0.5, 0.1])
    horizon = float(np.quantile(ends, 0.1))
    spacing = max(1, round(max(log.gap, horizon / _TICKETS)))
    facts = {
        "kind": "learning curves",
        "sha256": log.source.sha256,
        "runs": f"{len(log.runs)}",
        "looks a run": f"{min(looks)} to {max(looks)}",
        "last step": f"{ends.min():g} to {ends.max():g}",
        "looks apart (median)": f"{log.gap:g}",
        "best accuracy": f"half of the runs ≥ {half:.4g}, nine in ten ≥ {tenth:.4g}",
    }
    config = (
        f'[law]\nsource = "curves"\npath = {_quoted(path)}\n{_toml(columns)}\n'
        f"[training]\ncheck_every = {spacing}\n"
        f"horizon_steps = {max(spacing, int(horizon // spacing) * spacing)}\n\n"
        f"[scheme]\nt_acc = {tenth:.3g}\n"
    )
    return Summary("curves", facts, log.warnings, config)


def _times(path: Path, columns: Mapping[str, str]) -> Summary:
    found = read_times(path, columns)
    quarters = np.quantile(found.times, [0, 0.25, 0.5, 0.75, 1])
    facts = {
        "kind": "measured times",
        "sha256": found.source.sha256,
        "attempts": f"{len(found.times)}",
        "cut off": f"{int(found.censored.sum())}",
        "least, quartiles, most": ", ".join(f"{each:.4g}" for each in quarters),
    }
    config = f'[law]\nsource = "times"\npath = {_quoted(path)}\n{_toml(columns)}'
    return Summary("times", facts, found.warnings, config)


def _blocks(path: Path, columns: Mapping[str, str]) -> Summary:
    found = read_blocks(path, columns)
    facts = {
        "kind": "blocks",
        "sha256": found.source.sha256,
        "chain": f"{len(found.times)} blocks, heights {found.heights[0]} to "
        f"{found.heights[-1]}",
        "stale": "not said" if found.stale is None else f"{found.stale}",
        "marked": "none" if found.marked is None else f"{int(found.marked.sum())}",
        "backward timestamps": f"{int((np.diff(found.times) < 0).sum())}",
    }
    return Summary("blocks", facts, found.warnings, "")


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _toml(columns: Mapping[str, str]) -> str:
    if not columns:
        return ""
    pairs = ", ".join(f"{role} = {_quoted(Path(n))}" for role, n in columns.items())
    return f"columns = {{ {pairs} }}\n"


_READERS: dict[str, Callable[[Any, Mapping[str, str]], Summary]] = {
    "curves": _curves,
    "blocks": _blocks,
    "times": _times,
}
