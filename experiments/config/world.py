"""Who takes part and how messages travel, and what the corrupted provers do."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from .section import PART, Count, Positive, Real, Section, Whole

DEFAULT_DELAY = 20.0


class ProverClass(Section):
    """Provers that are alike."""

    count: Count = Field(description="how many")
    speed: Positive = Field(
        default=1.0, description="v, steps of a training in a time unit"
    )
    corrupted: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="whether the adversary has them"
    )


class NetworkConfig(Section):
    """Who takes part, and how long messages take."""

    provers: Count = Field(
        default=20, description="n, all provers; follows from classes if these are set"
    )
    beta: Annotated[Real, Field(ge=0, lt=1)] = Field(
        default=0.25,
        description="β, corrupted share of the provers; follows from classes",
    )
    classes: tuple[ProverClass, ...] = Field(
        default=(),
        description="provers by kind, instead of provers and beta: "
        "[{count = 18}, {count = 2, speed = 5, corrupted = true}]",
    )
    delay_model: Literal["worst_case", "fixed", "random", "table"] = Field(
        default="worst_case",
        description="honest messages take Δ, in the adversary's interest; Δ, whoever "
        "sends them; uniform up to Δ; or one of delays, each as often",
    )
    delay_steps: Annotated[Real, Field(ge=0)] = Field(
        default=DEFAULT_DELAY,
        description="Δ, steps; follows from delays, their longest, if these are set",
    )
    delays: tuple[Annotated[Real, Field(ge=0)], ...] = Field(
        default=(),
        description="measured delays, steps, of which each message takes one (table)",
    )

    @model_validator(mode="before")
    @classmethod
    def _derived(cls, given: Any) -> Any:
        """Fill in what follows from classes and delays; it may not be said twice."""
        if not isinstance(given, Mapping):
            return given
        given = dict(given)
        if given.get("classes"):
            both = [name for name in ("provers", "beta") if name in given]
            if both:
                raise ValueError(
                    f"{' and '.join(both)} follow from classes; give one or the other"
                )
            try:
                classes = [ProverClass.model_validate(x) for x in given["classes"]]
            except (ValidationError, TypeError):
                return given  # told field by field
            corrupted = sum(x.count for x in classes if x.corrupted)
            provers = sum(x.count for x in classes)
            if corrupted == provers:
                raise ValueError("classes must leave an honest prover, got none")
            given |= {"provers": provers, "beta": corrupted / provers}
        if given.get("delays") and isinstance(given["delays"], list | tuple):
            if "delay_steps" in given:
                raise ValueError(
                    "delay_steps is the longest of delays; give one or the other"
                )
            given.setdefault("delay_model", "table")
            numbers = [x for x in given["delays"] if type(x) in (int, float)]
            if len(numbers) == len(given["delays"]):
                given["delay_steps"] = max(numbers)
        return given

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.beta * self.provers - round(self.beta * self.provers)) > 1e-6:
            below = int(self.beta * self.provers)
            raise ValueError(
                f"beta × provers must be whole: with {self.provers} provers the "
                f"nearest betas are {below / self.provers:g} and "
                f"{(below + 1) / self.provers:g}, got {self.beta:g}"
            )
        if (self.delay_model == "table") != bool(self.delays):
            raise ValueError(
                "delays belong to delay_model = 'table', which needs them; got "
                f"delay_model = {self.delay_model!r} and {len(self.delays)} delays"
            )
        return self

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what follows, and without what is not set: it reads back equal."""
        found = handler(self)
        follows = {"provers", "beta"} if self.classes else {"classes"}
        follows.add("delay_steps" if self.delays else "delays")
        return {name: value for name, value in found.items() if name not in follows}

    @property
    def corrupted(self) -> int:
        """βn, corrupted provers."""
        return round(self.beta * self.provers)

    @property
    def honest_speeds(self) -> tuple[float, ...]:
        """V of every honest prover."""
        return self._speeds(corrupted=False)

    @property
    def corrupted_speeds(self) -> tuple[float, ...]:
        """V of every corrupted prover."""
        return self._speeds(corrupted=True)

    @property
    def equal_speeds(self) -> bool:
        """Whether every prover has speed 1."""
        return all(each.speed == 1 for each in self.classes)

    @property
    def beta_of_speed(self) -> float:
        """The corrupted share of the provers' whole speed."""
        bad, good = sum(self.corrupted_speeds), sum(self.honest_speeds)
        return bad / (bad + good)

    def _speeds(self, *, corrupted: bool) -> tuple[float, ...]:
        if not self.classes:
            count = self.corrupted if corrupted else self.provers - self.corrupted
            return (1.0,) * count
        return tuple(
            float(each.speed)
            for each in self.classes
            if each.corrupted == corrupted
            for _ in range(each.count)
        )


Attack = Literal[
    "honest",
    "private",
    "private_premined",
    "selfish",
    "best",
    "balance",
    "cross_slot_new",
    "cross_slot_old",
    "surplus_reference",
    "reference_relay",
    "withheld_mtx",
    "grind_prehash",
    "grind_posthash",
    "relabel",
    "equivocate",
    "forged_checkpoints",
]


STRATEGIES = ("selfish", "best", "balance")
"""Attacks by what corrupted provers publish, and when."""


class AdversaryConfig(Section):
    """What the corrupted provers do; whether a rule stops them, [protocol] says."""

    attack: Attack = Field(
        default="private",
        description="honest: they follow the protocol; private: they withhold a chain "
        "of their own, mined as honest provers mine; private_premined: with a lead; "
        "all others are in docs/science/attacks.md",
    )
    part: Annotated[str, Field(pattern=PART)] | None = Field(
        default=None,
        description="'module:name' of an attack of yours, what the corrupted provers' "
        "law is under attack = private; none: an honest prover's",
    )
    kind: Literal["block", "mtx"] = Field(
        default="mtx", description="whose old model cross_slot_new starts from"
    )
    gap: Count = Field(
        default=1,
        description="cross_slot_new: blocks from the one its old model extends to the "
        "tip",
    )
    rewrite: Count = Field(
        default=3, description="cross_slot_old in a mined chain: blocks it rewrites"
    )
    mtx_share: Annotated[Real, Field(gt=0, lt=1)] = Field(
        default=0.98, description="accuracy of a model in an mtx, as a share of t_acc"
    )
    branches: Annotated[Whole, Field(ge=10)] = Field(
        default=48,
        description="trainings branched off a referenced model, where a law needs them",
    )
    gamma: Annotated[Real, Field(ge=0, le=1)] = Field(
        default=1.0,
        description="selfish, best: honest share that adopts its block at a tie",
    )
