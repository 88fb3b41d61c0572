"""Configs are read: by name or file, with overrides, all that is wrong at once."""

import logging
import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from .experiment import Config
from .moved import Kept, modern, modern_path
from .section import ConfigError
from .sections import LotteryConfig
from .toml_text import MOST_TEXT, bound_text, parse_toml

_log = logging.getLogger(__name__)
# Pydantic puts the branch of a union that refused into a problem's place.
_BRANCH = re.compile(
    r"(?:constrained-)?(?:int|float)|(?:literal|tuple)\[.*\]|\w+Config"
)


# Two ways to say one thing: the later one counts.
_INSTEAD = {
    "p_1": ("t_1",),
    "t_1": ("p_1",),
    "p_2": ("t_2",),
    "t_2": ("p_2",),
    "classes": ("provers", "beta"),
    "delays": ("delay_steps",),
}
_SHOWN = 200  # characters of a value in a message


def shipped_configs() -> dict[str, str]:
    """Name → TOML text of the configs that come with the package."""
    folder = resources.files("dpodl.experiments.configs")
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".toml")
    }


def load_config(
    source: str, overrides: Sequence[str] = (), clock: Path | None = None
) -> Config:
    """Read a config by path or shipped name and apply ``a.b=c`` overrides.

    Args:
        source: Path of a TOML file, or the name of a shipped config.
        overrides: ``a.b=value`` strings; values are TOML, bare words are strings.
        clock: A file that ``dpodl calibrate-clock`` wrote, used as [clock].

    Raises:
        ConfigError: With every problem found, field by field.
    """
    settings = _read_toml(source)
    if clock is not None:
        measured = _read_toml(str(clock)).get("clock")
        if not isinstance(measured, dict):
            raise ConfigError(
                f"{clock} has no table [clock]: give a file that "
                "`dpodl calibrate-clock` wrote"
            )
        for name, value in measured.items():
            put(settings, ["clock", name], value, f"--clock {clock}")
    settings, moved = modern(settings, source)
    for override in overrides:
        moved += _apply(settings, override)
        settings, more = modern(settings, f"--set {override}")
        moved += more
    if moved:
        _log.warning(
            "%s: read as before, but settings have moved (docs: Configuration): %s",
            source,
            ", ".join(moved),
        )
    return _validated(settings, source)


def parse_config(text: str, source: str, kept: Kept = "results") -> Config:
    """A config from TOML text that a folder keeps, of an earlier layout too.

    Args:
        text: TOML.
        source: Where it is from, for messages.
        kept: Whether the folder is that of ``results`` or of a mined ``chain``.

    Raises:
        ConfigError: With every problem found, field by field.
    """
    settings, _ = modern(parse_toml(text, source), source, kept)
    return _validated(settings, source)


def _validated(settings: dict[str, Any], source: str) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(_explain(source, error)) from None


def _read_toml(source: str) -> dict[str, Any]:
    path = Path(source)
    if not path.suffix and not path.is_file():
        shipped = shipped_configs()
        if source not in shipped:
            raise ConfigError(
                f"no config is called {source!r}: give a TOML file or one of "
                f"{', '.join(shipped)}"
            )
        text = shipped[source]
    else:
        try:
            with path.open("rb") as file:  # a pipe is as good as a file here
                text = file.read(MOST_TEXT + 1).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError(f"cannot read the config {source}: {reason}") from None
    return parse_toml(text, source)


def _apply(settings: dict[str, Any], override: str) -> list[str]:
    """Set what ``a.b=c`` says; ``old → new`` if its path is one of before."""
    path, separator, text = override.partition("=")
    keys = path.strip().split(".")
    bound_text(override, "--set")
    if not separator or not all(keys):
        raise ConfigError(f"--set takes a.b=value, got {override!r}")
    value: Any = text.strip()
    with suppress(ValueError):
        value = tomllib.loads(f"value = {value}")["value"]
    # Speeds need the number of provers beside them to become classes.
    now = keys if keys[1:] == ["speeds"] else modern_path(keys)
    if now != keys and (keys[1], value) == ("attack", "none"):
        value = "honest"
    put(settings, now, value, f"--set {override}")
    return [] if now == keys else [f"{'.'.join(keys)} → {'.'.join(now)}"]


def put(settings: dict[str, Any], keys: list[str], value: Any, origin: str) -> None:
    """Set a setting by its path; ``origin`` says in messages who asks for it."""
    table = settings
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{origin}: {key!r} is not a table of the config")
    for name in _INSTEAD.get(keys[-1], ()):
        table.pop(name, None)
    table[keys[-1]] = value


def _explain(source: str, error: ValidationError) -> str:
    return f"{source} cannot be used:\n  " + "\n  ".join(problems_of(error))


def problems_of(error: ValidationError) -> list[str]:
    """``field: what is wrong`` for everything that is wrong."""
    lines = []
    for problem in error.errors():
        place = [str(p) for p in problem["loc"] if not _BRANCH.fullmatch(str(p))]
        field = ".".join(place) or "config"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(_known_settings(place[:-1]))
            lines.append(f"{field}: no such setting; there are {known}")
            continue
        message = problem["msg"].removeprefix("Value error, ")
        given = problem.get("input")
        shown = "" if isinstance(given, dict | BaseModel) else f" (got {_brief(given)})"
        lines.append(f"{field}: {message}" + ("" if "got " in message else shown))
    return lines


def _brief(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of too many digits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _known_settings(place: Sequence[str]) -> list[str]:
    """What can be set in the section at a place like menu, optimizers, 0."""
    section: type[BaseModel] = Config
    for part in place:
        if part in section.model_fields:
            section = _sections(section.model_fields[part].annotation)[0]
    known = list(section.model_fields)
    if issubclass(section, LotteryConfig):
        known += ["p_1", "p_2"]
    return known


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections(part)]
