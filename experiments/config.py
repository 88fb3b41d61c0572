"""Typed experiment configs: TOML in, everything checked, nothing mutable.

Every default is the one a reader sees here. Cross-field rules are checked together and
reported together. Targets are whole numbers up to 2^256: write ``"2^240"``, a number,
or the success probability as ``p_1`` / ``p_2`` instead.
"""

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from ..models.architecture import Axis, Menu, Optimizer

HASH_BITS = 256
MAXIMUM_LOOKS = 4096  # analysis.empirical's, which would import jax
_POWER = re.compile(r"2\s*(?:\^|\*\*)\s*(\d{1,3})")
# Pydantic puts the branch of a union that refused into a problem's place.
_BRANCH = re.compile(
    r"(?:constrained-)?(?:int|float)|(?:literal|tuple)\[.*\]|\w+Config"
)


class ConfigError(Exception):
    """The config cannot be used; the message names every field that is wrong."""


def parse_target(value: object) -> int:
    """A hash target from a number, ``"2^240"`` or digits; 2^256 means no lottery.

    Raises:
        ValueError: If it is none of these or outside [0, 2^256].
    """
    if isinstance(value, str):
        power = _POWER.fullmatch(value.strip())
        if power:
            value = 1 << int(power[1])
        elif value.strip().isdecimal() and len(value) < 100:
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(
            f'a target is "2^k", a whole number or its digits, got {value!r}'
        )
    if not 0 <= value <= 1 << HASH_BITS:
        raise ValueError(f"a target lies in [0, 2^256], got {format_target(value)}")
    return value


def format_target(value: int) -> str:
    """The shortest exact way to write a target: ``2^k`` or its digits."""
    if value > 0 and value.bit_count() == 1:
        return f"2^{value.bit_length() - 1}"
    return str(value)


def success_probability(target: int) -> float:
    """P = min(1, (T + 1)/2^256): a hash is at most T."""
    return float(min(Fraction(1), Fraction(target + 1, 1 << HASH_BITS)))


def target_of_probability(probability: float) -> int:
    """The largest T with success probability at most p.

    Raises:
        ValueError: If p is not in [2^-256, 1].
    """
    if not 2.0**-HASH_BITS <= probability <= 1:
        raise ValueError(f"a probability lies in [2^-256, 1], got {probability}")
    if probability == 1:
        return 1 << HASH_BITS
    return int(Fraction(probability) * (1 << HASH_BITS)) - 1


Target = Annotated[
    int,
    BeforeValidator(parse_target),
    PlainSerializer(format_target, when_used="always"),
]
# Numbers are strict: neither "24" nor true is taken for one.
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Positive = Annotated[Real, Field(gt=0)]
Count = Annotated[Whole, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Section):
    """Which data set is trained on."""

    name: str = Field(
        default="mnist-10k", description="mnist-10k, mnist, or a name of yours"
    )
    path: Path | None = Field(
        default=None,
        description="npz file or folder of idx files; needed for other names",
    )


class GridConfig(_Section):
    """``count`` values from ``low`` to ``high``, evenly spaced in the logarithm."""

    low: Positive = Field(description="first value")
    high: Positive = Field(description="last value")
    count: Annotated[Whole, Field(ge=1, le=1000)] = Field(
        description="values; 1 leaves low alone"
    )

    def values(self) -> tuple[float, ...]:
        """The grid, rounded to 6 digits so that the numbers print as they are."""
        if self.count == 1:
            return (self.low,)
        ratio = math.log(self.high / self.low) / (self.count - 1)
        return tuple(
            float(f"{self.low * math.exp(i * ratio):.6g}") for i in range(self.count)
        )


class OptimizerConfig(_Section):
    """An update rule of the menu."""

    name: Literal["sgd", "momentum", "adam"] = Field(description="the update rule")
    learning_rates: GridConfig | tuple[Positive, ...] = Field(
        description="a list, or {low, high, count} for a log grid"
    )
    momenta: tuple[Annotated[Real, Field(ge=0, lt=1)], ...] = Field(
        default=(0.0,), description="only for 'momentum'"
    )
    weight: Count = Field(default=1, description="share among the optimizers")

    def rates(self) -> tuple[float, ...]:
        """The learning rates as numbers."""
        if isinstance(self.learning_rates, GridConfig):
            return self.learning_rates.values()
        return self.learning_rates


class WeightsConfig(_Section):
    """Whole-number shares of the menu's options; left out: equal."""

    architectures: tuple[Count, ...] | None = Field(
        default=None, description="one share an architecture"
    )
    batch_sizes: tuple[Count, ...] | None = Field(
        default=None, description="one share a batch size"
    )
    init_scales: tuple[Count, ...] | None = Field(
        default=None, description="one share an initial scale"
    )


class MenuConfig(_Section):
    """What HtoA picks from."""

    architectures: tuple[str, ...] = Field(
        default=("softmax", "mlp-32", "mlp-128", "cnn-4"),
        description="softmax, mlp-W (hidden units), cnn-C (channels)",
    )
    batch_sizes: tuple[Count, ...] = Field(
        default=(32, 128), description="examples a step"
    )
    init_scales: tuple[Positive, ...] = Field(
        default=(0.5, 1.0), description="factors on the initial weights"
    )
    optimizers: tuple[OptimizerConfig, ...] = Field(
        default=(
            OptimizerConfig(
                name="sgd", learning_rates=GridConfig(low=0.05, high=0.5, count=4)
            ),
            OptimizerConfig(
                name="momentum",
                learning_rates=GridConfig(low=0.01, high=0.1, count=4),
                momenta=(0.9,),
            ),
            OptimizerConfig(
                name="adam", learning_rates=GridConfig(low=0.001, high=0.01, count=4)
            ),
        ),
        description="update rules, each with its own learning rates",
    )
    weights: WeightsConfig = Field(
        default=WeightsConfig(), description="the options' shares"
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        self.build()
        return self

    def build(self) -> Menu:
        """The menu that HtoA takes.

        Raises:
            ValueError: If an option is not one.
        """
        optimizers = [
            Optimizer(o.name, o.rates(), tuple(o.momenta)) for o in self.optimizers
        ]
        return Menu(
            architectures=Axis.of(self.architectures, self.weights.architectures),
            optimizers=Axis.of(optimizers, [o.weight for o in self.optimizers]),
            batch_sizes=Axis.of(self.batch_sizes, self.weights.batch_sizes),
            init_scales=Axis.of(self.init_scales, self.weights.init_scales),
        )


class TrainingConfig(_Section):
    """How many models are trained, how far, and how they are looked at."""

    runs: Annotated[Whole, Field(ge=10)] = Field(
        default=192, description="models trained"
    )
    horizon_steps: Count = Field(
        default=2000, description="steps each model is trained"
    )
    check_every: Count = Field(
        default=20, description="steps between two looks (tickets)"
    )
    eval_samples: Count | Literal["all"] = Field(
        default=1000,
        description="training examples a look scores; 'all' has no sampling noise",
    )
    lanes: Count = Field(
        default=1,
        description="models trained side by side; bits depend on it (GPU: 64)",
    )

    @model_validator(mode="after")
    def _looks(self) -> Self:
        if self.horizon_steps < self.check_every:
            raise ValueError(
                "horizon_steps must be at least check_every = "
                f"{self.check_every} (one look), got {self.horizon_steps}"
            )
        looks = self.horizon_steps // self.check_every
        if looks > MAXIMUM_LOOKS:
            raise ValueError(
                f"horizon_steps / check_every must be at most {MAXIMUM_LOOKS} looks, "
                f"got {looks}"
            )
        return self


class LotteryConfig(_Section):
    """(T_acc, T_1, T_2); ``p_1`` and ``p_2`` may stand for the targets."""

    t_acc: Annotated[Real, Field(gt=0, le=1)] = Field(
        default=0.95, description="training accuracy a block's model must reach"
    )
    t_1: Target = Field(default=1 << 250, description="pre-hash target")
    t_2: Target = Field(default=1 << HASH_BITS, description="post-hash target")

    @model_validator(mode="before")
    @classmethod
    def _probabilities(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        given = dict(given)
        for stage in ("1", "2"):
            if f"p_{stage}" in given:
                if f"t_{stage}" in given:
                    raise ValueError(f"give t_{stage} or p_{stage}, not both")
                probability = given.pop(f"p_{stage}")
                if isinstance(probability, bool) or not isinstance(
                    probability, int | float
                ):
                    raise ValueError(f"p_{stage} must be a number, got {probability!r}")
                try:
                    given[f"t_{stage}"] = target_of_probability(probability)
                except ValueError as error:
                    raise ValueError(f"p_{stage}: {error}") from None
        return given

    @property
    def p_1(self) -> float:
        """Success probability of a pre-hash."""
        return success_probability(self.t_1)

    @property
    def p_2(self) -> float:
        """Success probability of a post-hash."""
        return success_probability(self.t_2)


class SchemeConfig(LotteryConfig):
    """The scheme whose security is measured."""

    retry: Literal["continue", "restart"] = Field(
        default="continue",
        description="after a failed post-hash: train on, or a new nonce",
    )
    abandon_steps: Count | Literal["horizon", "never"] = Field(
        default="horizon",
        description="steps after which a model below t_acc is given up for a new one",
    )


class ClockConfig(_Section):
    """How steps, hashes and seconds convert. ``dpodl calibrate-clock`` measures it."""

    unit: Literal["steps", "operations", "seconds"] = Field(
        default="steps",
        description="what costs time: every step alike; floating-point operations; or "
        "step_seconds of its (architecture, batch). One unit is the menu's mean step",
    )
    hashes_per_step: Annotated[Real, Field(ge=1e-9, le=1e15)] = Field(
        default=150.0, description="SHA-256 hashes a time unit"
    )
    seconds_per_step: Positive = Field(default=2e-4, description="seconds a time unit")
    step_seconds: dict[str, Positive] = Field(
        default={}, description="seconds a step by 'architecture/batch size'"
    )


class NetworkConfig(_Section):
    """Who takes part."""

    provers: Count = Field(default=20, description="n, all provers")
    beta: Annotated[Real, Field(ge=0, lt=1)] = Field(
        default=0.25, description="corrupted share"
    )
    delay_steps: Annotated[Real, Field(ge=0)] = Field(
        default=20.0, description="Δ, every honest message takes this long"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.beta * self.provers - round(self.beta * self.provers)) > 1e-6:
            below = int(self.beta * self.provers)
            raise ValueError(
                f"beta × provers must be whole: with {self.provers} provers the "
                f"nearest betas are {below / self.provers:g} and "
                f"{(below + 1) / self.provers:g}, got {self.beta:g}"
            )
        return self


class SecurityConfig(_Section):
    """Which figures are estimated, and how hard."""

    target: Annotated[Real, Field(gt=0, lt=1)] = Field(
        default=1e-3, description="violation probability that counts as safe"
    )
    depths: Count = Field(
        default=24, description="persistence is reported for depths 1…this"
    )
    confirmations: Count = Field(default=6, description="k of the liveness figure")
    epsilon: Annotated[Real, Field(gt=0, lt=1)] = Field(
        default=0.5, description="ε of Def. 3"
    )
    windows: tuple[Positive, ...] = Field(
        default=(2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0),
        min_length=1,
        description="good-period windows, as expected successful rounds kp",
    )
    round_steps: Positive | Literal["check_every"] = Field(
        default="check_every", description="steps a round"
    )
    levels: Annotated[Whole, Field(ge=32)] = Field(
        default=128, description="blocks a replica"
    )
    replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=20_000, description="independent replicas of the race"
    )
    good_period_replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=2_000, description="replicas whose windows are checked"
    )
    bootstraps: Annotated[Whole, Field(ge=0)] = Field(
        default=24,
        description="resamples of the training runs; 0: leave their error out",
    )
    bootstrap_replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=2_000, description="replicas of the race for each resample"
    )


class ComparisonConfig(LotteryConfig):
    """A setting whose block-time law is shown beside the scheme's."""

    label: str = Field(description="its name in tables and figures")
    kind: Literal["pow", "dl", "dpodl"] = Field(
        default="dpodl", description="pow: hash ≤ t_1 only; dl: training to t_acc only"
    )


class Config(_Section):
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
                f"{training.horizon_steps}, got {abandon}"
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
        labels = [c.label for c in self.comparisons]
        if len(set(labels)) != len(labels):
            problems.append(f"comparisons.label must differ, got {labels}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

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
        """SHA-256 of the canonical config."""
        return fingerprint(_plain(self))


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
            _put(settings, ["clock", name], value, f"--clock {clock}")
    for override in overrides:
        _apply(settings, override)
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
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError(f"cannot read the config {source}: {reason}") from None
    try:
        return tomllib.loads(text)
    except ValueError as error:  # not TOML, or a number of thousands of digits
        raise ConfigError(f"{source} is not valid TOML: {error}") from None


def _apply(settings: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise ConfigError(f"--set takes a.b=value, got {override!r}")
    value: Any = text.strip()
    with suppress(ValueError):
        value = tomllib.loads(f"value = {value}")["value"]
    _put(settings, keys, value, f"--set {override}")


def _put(settings: dict[str, Any], keys: list[str], value: Any, origin: str) -> None:
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
        shown = "" if isinstance(given, dict | BaseModel) else f" (got {given!r})"
        lines.append(f"{field}: {message}" + ("" if "got " in message else shown))
    return f"{source} cannot be used:\n  " + "\n  ".join(lines)


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
