"""How a real chain is mined: its tasks, rules and provers."""

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from .section import Count, Positive, Real, Section, Whole


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
