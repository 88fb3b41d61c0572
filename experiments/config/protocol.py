"""What a chain's genesis binds, and what its honest provers do."""

from typing import Annotated, Literal

from pydantic import Field

from .section import Count, Real, Section, Whole


class WeightConfig(Section):
    """w(acc, T_acc), a block's weight under the ``weight`` rule."""

    family: Literal["indicator", "linear", "exponential"] = Field(
        default="exponential", description="1{acc ≥ T_acc}, ramp, or 2^(κ(acc − T_acc))"
    )
    kappa: Annotated[Real, Field(ge=0)] = Field(
        default=20.0, description="κ of the exponential"
    )


class RetargetConfig(Section):
    """How T_2 follows a mined chain; ``scheme.t_2`` is the first block's."""

    rule: Literal[
        "epoch", "epoch_mended", "wtema", "asert", "lwma", "sma", "cw144", "steps"
    ] = Field(default="asert", description="the rule")
    interval: Annotated[Count, Field(lt=2**32)] = Field(
        description="interval that is wanted, steps of a unit-speed prover; of the "
        "rule steps, own steps of a block's model"
    )
    blocks: Annotated[Count, Field(ge=2, le=4096)] = Field(
        default=72, description="N, blocks that the rule looks back on"
    )
    schedule: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="whether N becomes N(1 − s)"
    )
    anti_windup: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="whether a block that met the highest target counts for at most "
        "the interval",
    )
    share: Annotated[Real, Field(ge=0, le=0.9375)] = Field(
        default=0.0, description="s, share of the interval that no target shortens"
    )
    share_blocks: Annotated[Whole, Field(ge=0, le=4096)] = Field(
        default=0,
        description="blocks whose proven steps tell s, at least 2; 0: share holds",
    )
    selection: Literal["number", "work", "interval"] = Field(
        default="interval",
        description="what a block counts for in chain selection: 1; 1/θ; or "
        "s + (1 − s)/θ, which neither a higher nor a lower target games",
    )


class ProtocolConfig(Section):
    """The rules of the chain, and what honest provers do within them."""

    chain_rule: Literal["longest", "weight"] = Field(
        default="longest", description="chain selection"
    )
    weight: WeightConfig = WeightConfig()
    tie_rule: Literal["first_seen", "random", "adversary"] = Field(
        default="first_seen",
        description="which of equal tips an honest prover adopts: the one it heard of "
        "first; either by a fair coin; always the later one, as the adversary likes. "
        "Whether an equal chain reverts a block is security.criterion",
    )
    progress: Literal["lost", "kept"] = Field(
        default="lost",
        description="what a prover has trained when it goes over to an equal or "
        "heavier sibling of its tip: lost, for h_1 names the extended block; or kept, "
        "it stays until that training is done",
    )
    reference: Literal["fresh", "most_accurate", "tip_model", "latest_mtx"] = Field(
        default="fresh", description="which model honest provers start from"
    )
    way: Literal["resume", "transplant"] = Field(
        default="resume", description="how a referenced model is used"
    )
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
    s_min: Annotated[Whole, Field(ge=0)] = Field(
        default=0, description="least steps of a block on a fresh task"
    )
    step_rule: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="old work must be matched (cross-time-slot attacks)"
    )
    reference_window: Annotated[Whole, Field(ge=0)] | Literal["off"] = Field(
        default=6, description="how many blocks back a referenced model may extend"
    )
    binding: Literal["none", "header"] = Field(
        default="header", description="whether key and transactions enter h_1"
    )
    tolerance: Annotated[Real, Field(ge=0)] = Field(
        default=0.0, description="difference of weights that Verify lets pass; 0: none"
    )
    challenges: Annotated[Whole, Field(ge=0)] = Field(
        default=2, description="q, segments re-run besides the last"
    )
    checkpoint_every: Count | Literal["check_every"] = Field(
        default="check_every", description="steps between two checkpoints; whole looks"
    )
    # Not set, it is no part of the config's text, and chains keep their names.
    retarget: RetargetConfig | None = Field(
        default=None, description="how T_2 follows a mined chain; not set: it stays"
    )
    reward: Annotated[Whole, Field(ge=0, lt=2**40)] = Field(
        default=1_000_000, description="coins a block pays"
    )
    reward_rule: Literal["steps", "equal", "operations", "own", "decay"] = Field(
        default="steps",
        description="how a block's reward is split along the lineage of its model: by "
        "steps; alike; by operations; nothing for references; by steps, times "
        "reward_decay for each reference further back",
    )
    reward_decay: Annotated[Real, Field(ge=0, le=1)] = Field(
        default=0.5, description="δ of reward_rule = decay, in whole 65536ths"
    )

    @property
    def adopted(self) -> Literal["first_seen", "random", "adversary"]:
        """Which of equal tips a prover goes on with.

        One that keeps what it has trained stays with its tip until its own block is
        higher than any sibling: on the longest chain that is first seen.
        """
        kept = self.progress == "kept" and self.chain_rule == "longest"
        return "first_seen" if kept else self.tie_rule
