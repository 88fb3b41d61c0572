"""The sections of a config: what can be set, its default and what is allowed.

Targets are whole numbers up to 2^256: write ``"2^240"``, a number, or the success
probability as ``p_1`` / ``p_2`` instead.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    model_validator,
)

from ...models.learning.architecture import Axis, Menu, Optimizer
from .hash_targets import HASH_BITS, Target, success_probability, target_of_probability
from .section import Count, Positive, Real, Section, Whole

MAXIMUM_LOOKS = 4096  # analysis.empirical's, which would import jax


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
        description="models trained side by side; bits depend on it (dpodl calibrate "
        "measures the best for a device)",
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


class SecurityConfig(Section):
    """Which quantities are estimated, and how hard."""

    target: Annotated[Real, Field(gt=0, lt=1)] = Field(
        default=1e-3, description="violation probability that counts as safe"
    )
    criterion: Literal["equal", "longer"] = Field(
        default="equal",
        description="what reverts a block: a private chain as long as the public one, "
        "or only a longer one; what provers adopt is protocol.tie_rule",
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
