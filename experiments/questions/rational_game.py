"""The game of a config: its slot, its rules of reward, its policies, and ε of it."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from ...analysis.attacks.situation import Situation
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.training_error import training_interval
from ...analysis.incentives.equilibrium import honest_regret
from ...analysis.incentives.market import Prices
from ...analysis.incentives.payoffs import Payoffs, near_honest, payoff_table
from ...analysis.incentives.shares import mean_share_curve
from ...analysis.incentives.slots import (
    DEVIATIONS,
    HONEST,
    GameRules,
    Policy,
    draw_slots,
)
from ...analysis.incentives.table import Slot, SlotLaws, slot_laws
from ...models.scheme.instances import DECAY_UNIT
from ...models.scheme.records import RewardRule
from ..config.experiment import Config

Family = Literal["steps", "equal", "operations", "own", "decay"]
P_2S = tuple(2.0**-power for power in (0, 2, 4, 6, 8))


class Asked(NamedTuple):
    """What is asked of a config.

    Attributes:
        p_2s: Lotteries that are tried.
        invalid: x, share of invalid tips.
        deposit: d, block rewards that a block on an invalid tip forfeits.
        verification: t_v, steps; None: what re-running q + 1 segments takes.
        prices: Costs, in block rewards.
        resamples: Resampled laws behind the intervals.
        slots: Slots that the game is played for.
    """

    p_2s: tuple[float, ...] = P_2S
    invalid: float = 0.0
    deposit: float = 0.0
    verification: float | None = None
    prices: Prices = Prices()
    resamples: int = 8
    slots: int = 16_384


def slot_of(config: Config, asked: Asked) -> Slot:
    """The slot of a config; verification as long as q + 1 segments take."""
    rules, look = config.protocol, config.training.check_every
    every = look if rules.checkpoint_every == "check_every" else rules.checkpoint_every
    verification = asked.verification
    if verification is None:
        verification = float(every * (rules.challenges + 1))
    window = rules.reference_window
    slots = 6 if window == "off" else window + 1
    return Slot(
        config.network.provers,
        verification,
        asked.invalid,
        asked.deposit,
        slots,
        float(look),
    )


def rule_of(config: Config, family: Family) -> RewardRule:
    """A reward rule of a family, with the config's decay; all steps cost alike."""
    return RewardRule(family, round(config.protocol.reward_decay * DECAY_UNIT))


def policies_of(slot: Slot) -> tuple[Policy, ...]:
    """Honest and each deviation; who pads does it for a look."""
    return (
        HONEST,
        *(each._replace(pads=slot.look) if each.pads else each for each in DEVIATIONS),
    )


def rules_of(
    config: Config, laws: SlotLaws, rule: RewardRule, slot: Slot, asked: Asked
) -> GameRules:
    """What else a slot of the game depends on."""
    return GameRules(
        mean_share_curve(laws.reference_steps, rule),
        laws.hashing,
        slot.verification,
        slot.invalid,
        config.network.delay_steps,
        asked.prices,
        asked.deposit,
    )


def game_of(
    config: Config, laws: SlotLaws, rule: RewardRule, slot: Slot, asked: Asked
) -> Payoffs:
    """The table of payoffs near the honest profile."""
    draws = draw_slots(
        config.seed,
        laws.laws,
        provers=slot.provers,
        slots=asked.slots,
        invalid=slot.invalid,
    )
    policies = policies_of(slot)
    return payoff_table(
        draws,
        rules_of(config, laws, rule, slot, asked),
        policies,
        profiles=near_honest(slot.provers, len(policies)),
    )


def epsilon(
    config: Config, at: Situation, again: Sequence[Situation], asked: Asked
) -> Estimate:
    """ε of one deviator, by the config's own reward rule.

    Args:
        config: Its delay, rules and seed.
        at: The situation, with models to refer to.
        again: The same with resampled runs; empty: no interval of the training.
        asked: What skipping costs, prices, and how many slots are played.

    Raises:
        Refused: As ``slot_laws`` and ``honest_regret`` of the situation itself.
    """
    slot, rule = slot_of(config, asked), rule_of(config, config.protocol.reward_rule)

    def regret(here: Situation) -> Estimate:
        laws = slot_laws(here)
        return honest_regret(game_of(config, laws, rule, slot, asked)).epsilon

    drawn = []
    for each in again:
        try:
            drawn.append(regret(each).value)
        except Refused:
            drawn.append(math.nan)
    return training_interval(regret(at), drawn, "linear").clipped(0, math.inf)
