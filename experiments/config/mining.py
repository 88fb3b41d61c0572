"""How a real chain is mined; its rules are [protocol], its provers [network]."""

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from .section import Count, Real, Section, Whole


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


class ChangeConfig(Section):
    """What becomes of honest provers while a chain is mined."""

    at: Annotated[Real, Field(ge=0)] = Field(description="when, steps")
    provers: Count = Field(description="how many of the honest ones, the last ones")
    speed: Annotated[Real, Field(ge=0)] = Field(
        description="v from then on, from their next look; 0: they leave"
    )


class MiningConfig(Section):
    """The chain that ``dpodl mine`` mines, beside its rules and its provers."""

    blocks: Count = Field(default=12, description="height to mine to")
    tasks: tuple[TaskConfig, ...] = Field(
        default=(), description="tasks in their order; none: one with scheme.t_acc"
    )
    # Not set, it is no part of the config's text, and chains keep their names.
    keys: Literal["secret"] | None = Field(
        default=None,
        description="secret: drawn from the system, kept outside the chain's folder; "
        "not set: they follow from seed, and anybody can sign with them",
    )
    changes: tuple[ChangeConfig, ...] | None = Field(
        default=None,
        description="honest provers that leave, come back or change their speed; not "
        "set: nobody does",
    )
    score_depth: Annotated[Whole, Field(ge=0)] = Field(
        default=1, description="blocks on top before a model is scored on the test set"
    )
    transfers: Annotated[Whole, Field(ge=0, le=100)] = Field(
        default=1, description="transfers sent a block"
    )
