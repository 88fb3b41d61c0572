"""Configs of before one world was described in one place: where their settings are now.

The chain's rules stood in [mining], two of them in [scheme], and no command but
``mine`` knew them. A text of that time is read as what it meant then.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

from .section import ConfigError
from .sweep import dotted

_RULES = (
    *("s_min", "checkpoint_every", "challenges", "binding", "chain_rule", "weight"),
    *("tie_rule", "step_rule", "reference_window", "tolerance", "reward"),
    *("reference", "way"),
)
MOVED = {
    "scheme.retry": "protocol.retry",
    "scheme.abandon_steps": "protocol.abandon_steps",
    **{f"mining.{name}": f"protocol.{name}" for name in _RULES},
    "mining.delay_model": "network.delay_model",
    "mining.attack": "adversary.attack",
    "mining.speeds": "network.classes",
}
# What was set for `mine` alone: no number of another command depended on it.
_MINED = ("attack", "delay_model", "speeds", "reference", "chain_rule", "tie_rule")

Kept = Literal["", "results", "chain"]
"""Whose text is read: a user's; that of a folder of results; that of a mined chain."""


def modern_path(keys: Sequence[str]) -> list[str]:
    """A setting's path as it is now."""
    place = MOVED.get(".".join(keys[:2]))
    return list(keys) if place is None else [*place.split("."), *keys[2:]]


def modern(
    settings: dict[str, Any], source: str, kept: Kept = ""
) -> tuple[dict[str, Any], list[str]]:
    """Settings where they are now, and ``old → new`` of those that moved.

    Args:
        settings: A config's tables, which stay as they are.
        source: Where they are from, for messages.
        kept: Whose text it is.

    Raises:
        ConfigError: If a setting is given in both places, or cannot be moved.
    """
    settings = {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in settings.items()
    }
    moved, problems = [], []
    for old, new in MOVED.items():
        (was, name), (section, field) = old.split("."), new.split(".")
        if not isinstance(table := settings.get(was), dict) or name not in table:
            continue
        value = table.pop(name)
        if kept == "results" and was == "mining" and name in _MINED:
            continue
        target = settings.setdefault(section, {})
        if not isinstance(target, dict):
            continue  # told where the config is checked
        if field in target:
            problems.append(f"{old}: it is {new} now, which is given too")
            continue
        moved.append(f"{old} → {new}")
        if name == "speeds":
            problems += _classes(target, value)
        elif (name, value) == ("attack", "none"):
            if kept == "chain":
                target[field] = "honest"
        else:
            target[field] = value
    if isinstance(sweep := settings.get("sweep"), dict) and "over" in sweep:
        over = dotted(sweep["over"])
        if isinstance(over, dict) and any(
            modern_path(path.split(".")) != path.split(".") for path in over
        ):
            renamed = {".".join(modern_path(p.split("."))): v for p, v in over.items()}
            moved += [
                f"{a} → {b}" for a, b in zip(over, renamed, strict=True) if a != b
            ]
            sweep["over"] = renamed
    if problems:
        raise ConfigError(f"{source} cannot be used:\n  " + "\n  ".join(problems))
    return settings, moved


def _classes(network: dict[str, Any], speeds: Any) -> Iterator[str]:
    """Replace provers, β and their speeds, honest ones first, by classes."""
    if not speeds:
        return
    provers, beta = network.pop("provers", 20), network.pop("beta", 0.25)
    numbers = [x for x in (provers, beta) if isinstance(x, int | float)]
    if len(numbers) < 2 or not isinstance(speeds, list) or len(speeds) != provers:
        yield (
            "mining.speeds: it is network.classes now, and must have one speed for "
            f"each of network.provers = {provers!r}, got {speeds!r}"
        )
        return
    honest = provers - round(beta * provers)
    each = [(speed, place >= honest) for place, speed in enumerate(speeds)]
    network["classes"] = [
        {"count": len(list(alike)), "speed": speed, "corrupted": corrupted}
        for (speed, corrupted), alike in groupby(each)
    ]
