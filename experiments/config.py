"""Experiment configs: TOML in, everything checked, nothing mutable.

Every default is the one a reader sees in sections.py. Cross-field rules are checked
together and reported together.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self, get_args

import tomli_w
from pydantic import BaseModel, Field, ValidationError, model_validator

from .sections import (
    ClockConfig,
    ComparisonConfig,
    DataConfig,
    LotteryConfig,
    MenuConfig,
    MiningConfig,
    NetworkConfig,
    SchemeConfig,
    Section,
    SecurityConfig,
    SweepConfig,
    TrainingConfig,
    Whole,
)

# Pydantic puts the branch of a union that refused into a problem's place.
_BRANCH = re.compile(
    r"(?:constrained-)?(?:int|float)|(?:literal|tuple)\[.*\]|\w+Config"
)


# Beyond all that a config needs: a parser must not fall over what it is given.
_MOST_TEXT, _MOST_DEEP = 1 << 20, 16
_STRINGS = re.compile(
    r"#[^\n]*"
    r'|"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BRACKETS = re.compile(r"[\[\]{}]")
_DOTTED = re.compile(rf"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){{{_MOST_DEEP}}}")
_SHOWN = 200  # characters of a value in a message


class ConfigError(Exception):
    """The config cannot be used; the message names every field that is wrong."""


class Config(Section):
    """One experiment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = Field(
        description="first part of the run folder's name"
    )
    description: str = Field(default="", description="one sentence for `dpodl configs`")
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(
        default=2023, description="fixes every draw: runs, races, resamples"
    )
    data: DataConfig = DataConfig()
    menu: MenuConfig = MenuConfig()
    training: TrainingConfig = TrainingConfig()
    scheme: SchemeConfig = SchemeConfig()
    clock: ClockConfig = ClockConfig()
    network: NetworkConfig = NetworkConfig()
    security: SecurityConfig = SecurityConfig()
    mining: MiningConfig = MiningConfig()
    sweep: SweepConfig = SweepConfig()
    comparisons: tuple[ComparisonConfig, ...] = Field(
        default=(),
        description="settings whose block-time laws are shown beside the scheme's",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        problems = []
        abandon, training = self.scheme.abandon_steps, self.training
        if isinstance(abandon, int) and not (
            training.check_every <= abandon <= training.horizon_steps
            and abandon % training.check_every == 0
        ):
            problems.append(
                "scheme.abandon_steps must be a multiple of training.check_every = "
                f"{training.check_every} up to training.horizon_steps = "
                f"{training.horizon_steps}, got {abandon}: set both, for what a model "
                "does behind the last look it was trained to is not known"
            )
        for field, part, words in (("depths", 2, "half"), ("confirmations", 4, "¼")):
            value, limit = getattr(self.security, field), self.security.levels // part
            if value > limit:
                problems.append(
                    f"security.{field} must be at most {words} of security.levels, "
                    f"{limit}, got {value}"
                )
        if self.clock.unit == "seconds":
            missing = [
                bucket
                for bucket in self.bucket_names()
                if bucket not in self.clock.step_seconds
            ]
            if missing:
                problems.append(
                    "clock.step_seconds needs an entry for every architecture and "
                    f"batch size when clock.unit is 'seconds'; missing: "
                    f"{', '.join(missing)} "
                    "(dpodl calibrate-clock measures them)"
                )
        problems += self._mining_problems()
        labels = [c.label for c in self.comparisons]
        if len(set(labels)) != len(labels):
            problems.append(f"comparisons.label must differ, got {labels}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _mining_problems(self) -> list[str]:
        mining, look = self.mining, self.training.check_every
        problems = []
        every = mining.checkpoint_every
        if isinstance(every, int) and every % look:
            problems.append(
                "mining.checkpoint_every must be a multiple of training.check_every = "
                f"{look}, got {every}"
            )
        if mining.speeds and len(mining.speeds) != self.network.provers:
            problems.append(
                f"mining.speeds must have one speed for each of the "
                f"{self.network.provers} provers, got {len(mining.speeds)}"
            )
        names = [task.name for task in mining.tasks]
        if len(set(names)) != len(names):
            problems.append(f"mining.tasks.name must differ, got {names}")
        return problems

    def bucket_names(self) -> list[str]:
        """Every 'architecture/batch size' of the menu."""
        return [
            f"{architecture}/{batch}"
            for architecture in self.menu.architectures
            for batch in self.menu.batch_sizes
        ]

    def to_toml(self) -> str:
        """The whole config, defaults included, as TOML that reads back equal."""
        return tomli_w.dumps(_plain(self))

    def digest(self) -> str:
        """SHA-256 of what an experiment depends on: not how a chain is mined."""
        return self._digest_without("mining", "sweep")

    def chain_digest(self) -> str:
        """SHA-256 of the whole config, which a mined chain depends on."""
        return fingerprint(_plain(self))

    def point_digest(self) -> str:
        """SHA-256 of what the figures of a sweep's point depend on: not its names."""
        return self._digest_without(
            "name", "description", "mining", "sweep", "comparisons"
        )

    def _digest_without(self, *names: str) -> str:
        settings = {k: v for k, v in _plain(self).items() if k not in names}
        # What is kept on the disk beside the results changes none of them.
        settings["training"].pop("keep_states")
        return fingerprint(settings)


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON value with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(section: BaseModel) -> dict[str, Any]:
    """A section as JSON values, without what is not set."""
    return _plain(section)


def shipped_configs() -> dict[str, str]:
    """Name → TOML text of the configs that come with the package."""
    folder = resources.files(f"{__package__}.configs")
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
    for override in overrides:
        _apply(settings, override)
    return _validated(settings, source)


def parse_config(text: str, source: str) -> Config:
    """A config from TOML text.

    Args:
        text: TOML.
        source: Where it is from, for messages.

    Raises:
        ConfigError: With every problem found, field by field.
    """
    return _validated(parse_toml(text, source), source)


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
                text = file.read(_MOST_TEXT + 1).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError(f"cannot read the config {source}: {reason}") from None
    return parse_toml(text, source)


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """TOML's tables, within bounds.

    Raises:
        ConfigError: If it is no TOML, or larger or deeper than any config.
    """
    bound_text(text, source)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise ConfigError(f"{source} is not valid TOML: {error}") from None


def bound_text(text: str, source: str) -> None:
    """Refuse what would take a parser's memory or stack, before it is parsed.

    Raises:
        ConfigError: If it is larger or deeper than any config.
    """
    if len(text) > _MOST_TEXT:
        raise ConfigError(
            f"{source} is no config: it has more than {_MOST_TEXT:,} characters"
        )
    bare = _STRINGS.sub(lambda found: "" if found[0][0] == "#" else "s", text)
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > _MOST_DEEP or _DOTTED.search(bare):
        raise ConfigError(
            f"{source} is nested deeper than {_MOST_DEEP} levels; no setting is"
        )


def _apply(settings: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    keys = path.strip().split(".")
    bound_text(override, "--set")
    if not separator or not all(keys):
        raise ConfigError(f"--set takes a.b=value, got {override!r}")
    value: Any = text.strip()
    with suppress(ValueError):
        value = tomllib.loads(f"value = {value}")["value"]
    put(settings, keys, value, f"--set {override}")


def put(settings: dict[str, Any], keys: list[str], value: Any, origin: str) -> None:
    """Set a setting by its path; ``origin`` says in messages who asks for it."""
    table = settings
    for key in keys[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{origin}: {key!r} is not a table of the config")
    # p_1 and t_1 are two ways to say one thing: the later one counts.
    twins = {"p_1": "t_1", "t_1": "p_1", "p_2": "t_2", "t_2": "p_2"}
    table.pop(twins.get(keys[-1], ""), None)
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


def _plain(section: BaseModel) -> dict[str, Any]:
    return section.model_dump(mode="json", exclude_none=True)
