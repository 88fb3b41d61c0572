"""The sections of a config: what can be set, its default and what is allowed.

Targets are whole numbers up to 2^256: write ``"2^240"``, a number, or the success
probability as ``p_1`` / ``p_2`` instead.
"""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from ..models.architecture import Axis, Menu, Optimizer

HASH_BITS = 256
MAXIMUM_LOOKS = 4096  # analysis.empirical's, which would import jax
_POWER = re.compile(r"2\s*(?:\^|\*\*)\s*(\d{1,3})")


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


class Section(BaseModel):
    """A table of a config: frozen, and nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(Section):
    """Which data set is trained on."""

    name: str = Field(
        default="mnist-10k", description="mnist-10k, mnist, or a name of yours"
    )
    path: Path | None = Field(
        default=None,
        description="npz file or folder of idx files; needed for other names",
    )
    examples: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="training images, the first so many; none: all"
    )


class GridConfig(Section):
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


class OptimizerConfig(Section):
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


class WeightsConfig(Section):
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


class MenuConfig(Section):
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


class TrainingConfig(Section):
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
        description="models trained side by side; bits depend on it "
        "(GPU, not yet tried: 64)",
    )
    keep_states: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="whether to keep every model and its optimizer's memory, so that a "
        "longer horizon_steps trains only what is missing (quickstart: 51 MB, paper: "
        "244 MB); no number depends on it",
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


class PublishedConfig(Section):
    """What somebody else measured for the same setting, to be laid beside ours."""

    mean_seconds: Positive = Field(description="mean time of an attempt, seconds")
    variance: Positive = Field(description="its variance, seconds squared")
    source: str = Field(description="where it is published")


class LotteryConfig(Section):
    """(T_acc, T_1, T_2); ``p_1`` and ``p_2`` may stand for the targets."""

    t_acc: Annotated[Real, Field(gt=0, le=1)] = Field(
        default=0.95, description="training accuracy a block's model must reach"
    )
    t_1: Target = Field(default=1 << 250, description="pre-hash target")
    t_2: Target = Field(default=1 << HASH_BITS, description="post-hash target")
    published: PublishedConfig | None = Field(
        default=None, description="published block times of this setting"
    )

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
        default="never",
        description="steps after which a model below t_acc is given up for a new one, "
        "a rule of the scheme; never: it is trained until it gets there; horizon: as "
        "many as training.horizon_steps, so that a longer horizon is another scheme",
    )


class ClockConfig(Section):
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


class NetworkConfig(Section):
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


class SecurityConfig(Section):
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
    rel_error: Annotated[Real, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="simulate until growth, quality, forks and persistence up to "
        "confirmations are known to ± this share; none: replicas",
    )
    max_replicas: Annotated[Whole, Field(ge=100)] | None = Field(
        default=None, description="where rel_error gives up; none: 2,000,000"
    )


class ComparisonConfig(LotteryConfig):
    """A setting whose block-time law is shown beside the scheme's."""

    label: str = Field(description="its name in tables and figures")
    kind: Literal["pow", "dl", "dpodl"] = Field(
        default="dpodl", description="pow: hash ≤ t_1 only; dl: training to t_acc only"
    )


class TaskConfig(Section):
    """A deep-learning task of the publisher's list."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="its name"
    )
    t_acc: Annotated[Real, Field(gt=0, le=1)] = Field(
        description="training accuracy a block's model must reach"
    )
    r_task: Annotated[Real, Field(ge=0, le=1)] = Field(
        default=1.0, description="test accuracy at which the publisher moves on"
    )
    slots: Count = Field(default=1_000_000, description="most blocks the task takes")


class WeightConfig(Section):
    """w(acc, T_acc), a block's weight under the ``weight`` rule."""

    family: Literal["indicator", "linear", "exponential"] = Field(
        default="exponential", description="1{acc ≥ T_acc}, ramp, or 2^(κ(acc − T_acc))"
    )
    kappa: Annotated[Real, Field(ge=0)] = Field(
        default=20.0, description="κ of the exponential"
    )


class MiningConfig(Section):
    """The chain that ``dpodl mine`` mines: its rules and who mines it."""

    blocks: Count = Field(default=12, description="height to mine to")
    tasks: tuple[TaskConfig, ...] = Field(
        default=(), description="tasks in their order; none: one with scheme.t_acc"
    )
    s_min: Annotated[Whole, Field(ge=0)] = Field(
        default=0, description="least steps of a block on a fresh task"
    )
    checkpoint_every: Count | Literal["check_every"] = Field(
        default="check_every", description="steps between two checkpoints; whole looks"
    )
    challenges: Annotated[Whole, Field(ge=0)] = Field(
        default=2, description="q, segments re-run besides the last"
    )
    binding: Literal["none", "header"] = Field(
        default="header", description="whether key and transactions enter h_1"
    )
    chain_rule: Literal["longest", "weight"] = Field(
        default="longest", description="chain selection"
    )
    weight: WeightConfig = WeightConfig()
    tie_rule: Literal["first_seen", "adversary", "random"] = Field(
        default="first_seen", description="between equal chains"
    )
    step_rule: bool = Field(
        default=True, description="old work must be matched (cross-time-slot attacks)"
    )
    reference_window: Annotated[Whole, Field(ge=0)] | Literal["off"] = Field(
        default=6, description="how many blocks back a referenced model may extend"
    )
    tolerance: Annotated[Real, Field(ge=0)] = Field(
        default=0.0, description="difference of weights that Verify lets pass; 0: none"
    )
    reward: Annotated[Whole, Field(ge=0, lt=2**40)] = Field(
        default=1_000_000, description="coins a block pays"
    )
    reference: Literal["fresh", "most_accurate", "tip_model", "latest_mtx"] = Field(
        default="fresh", description="which model honest provers start from"
    )
    way: Literal["resume", "transplant"] = Field(
        default="resume", description="how a referenced model is used"
    )
    speeds: tuple[Positive, ...] = Field(
        default=(), description="speed of every prover; none: all 1"
    )
    # Not set, it is no part of the config's text, and chains keep their names.
    keys: Literal["secret"] | None = Field(
        default=None,
        description="secret: drawn from the system, kept outside the chain's folder; "
        "not set: they follow from seed, and anybody can sign with them",
    )
    attack: Literal[
        "none",
        "relabel",
        "equivocate",
        "cross_slot_new",
        "cross_slot_old",
        "withheld_mtx",
        "grind_prehash",
        "grind_posthash",
        "forged_checkpoints",
    ] = Field(default="none", description="what the corrupted provers do")
    delay_model: Literal["worst_case", "random"] = Field(
        default="worst_case", description="Δ for every message, or uniform up to Δ"
    )
    score_depth: Annotated[Whole, Field(ge=0)] = Field(
        default=1, description="blocks on top before a model is scored on the test set"
    )
    transfers: Annotated[Whole, Field(ge=0, le=100)] = Field(
        default=1, description="transfers sent a block"
    )


def _dotted(given: Any) -> Any:
    """``over = {scheme.t_acc = …}`` nests in TOML; here a path is one key."""
    if not isinstance(given, Mapping):
        return given
    flat: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            inner = _dotted(value)
            flat |= {f"{name}.{rest}": each for rest, each in inner.items()}
        else:
            flat[str(name)] = value
    return flat


class SweepConfig(Section):
    """The points that ``dpodl sweep`` computes, and how hard it tries at each."""

    design: Literal["grid", "list", "sobol", "halton", "latin"] = Field(
        default="grid",
        description="product of all values; values side by side; or spread over ranges",
    )
    points: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None, description="points of sobol, halton and latin"
    )
    over: Annotated[dict[str, str | tuple[Any, ...]], BeforeValidator(_dotted)] = Field(
        default={},
        description="setting → values: an array, 'start:stop:step', 'low:high:log5', "
        "'a,b,c', or 'low..high' for sobol, halton and latin",
    )
    replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=512, description="security.replicas of a point"
    )
    good_period_replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=128, description="security.good_period_replicas of a point"
    )
    bootstraps: Annotated[Whole, Field(ge=0)] = Field(
        default=6, description="security.bootstraps of a point"
    )
    bootstrap_replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=100, description="security.bootstrap_replicas of a point"
    )
    shard: Annotated[Whole, Field(ge=1, le=10_000)] = Field(
        default=64, description="most points that are computed and kept together"
    )
