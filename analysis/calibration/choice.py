"""A choice of (T_acc, T_1, T_2, S_min), and the parties that it makes of provers."""

import math
from typing import NamedTuple

from scipy import optimize

from ..attacks.situation import Setting, plain
from ..block_time.law import Real
from ..estimation.estimate import Refused
from .work_cycle import mean_interval

_SMALLEST = 2.0**-256


class Choice(NamedTuple):
    """The numbers of the scheme that are chosen."""

    t_acc: float
    p_1: float
    p_2: float
    s_min: int


class Terms(NamedTuple):
    """What is given beside the setting.

    Attributes:
        risk: ε of ``depth``.
        risk_premined: ε of ``depth_premined``.
        step_rule: Whether the step rule holds (``beta_warm``).
        state_bytes: Bytes of one checkpoint's tensors, mean of the menu.
    """

    risk: float
    risk_premined: float
    step_rule: bool
    state_bytes: float


class Party(NamedTuple):
    """Who takes part; need not be whole (sensitivities)."""

    honest: float
    adversarial: float
    delay: float


def at_choice(at: Setting, choice: Choice) -> Setting:
    """The setting with the chosen numbers.

    Raises:
        ValueError: If S_min leaves no look before a model is given up or the runs end.
    """
    last = int(at.curves.steps[-1])
    limit = last if at.lottery.abandon_steps is None else at.lottery.abandon_steps
    # From 3/4 of the horizon on, the plateau's rate would miss looks before S_min.
    limit = min(limit, 3 * last // 4)
    if not 0 <= choice.s_min <= limit:
        raise ValueError(
            f"s_min must be from 0 to {limit} (abandon_steps, and ¾ of the horizon), "
            f"got {choice.s_min}"
        )
    lottery = at.lottery._replace(t_acc=choice.t_acc, p_1=choice.p_1, p_2=choice.p_2)
    return at._replace(lottery=lottery, s_min=choice.s_min)


def party_of(at: Setting) -> Party:
    """The provers and the delay of a setting."""
    return Party(float(at.honest), float(at.adversarial), float(at.delay_steps))


def solve_interval(at: Setting, choice: Choice, interval: Real) -> Choice:
    """The choice with the p_1 that makes the mean interval what is asked for.

    Args:
        at: Evidence, provers and delay.
        choice: T_acc, p_2, S_min; its p_1 does not matter.
        interval: E[C], steps.

    Raises:
        Refused: If training alone takes longer, or no law is known.
        ValueError: If a parameter is out of range.
    """
    if not 0 < interval < math.inf:
        raise ValueError(f"interval must be > 0 and finite, got {interval}")
    party = party_of(at)

    def excess(log_p: float) -> float:
        one = at_choice(at, choice._replace(p_1=min(1.0, math.exp(log_p))))
        found = mean_interval(
            plain(one).law, honest=party.honest, delay_steps=party.delay
        )
        if not math.isfinite(found):
            raise Refused(
                "interval: the law leaves mass that never ends; set abandon_steps or "
                "lengthen the horizon"
            )
        return math.log(found / interval)

    fastest = excess(0.0)
    if fastest > 0:
        raise Refused(
            "interval: without a first lottery (t_1 = 2^256) a block takes "
            f"{interval * math.exp(fastest):.5g} steps on average, for training, the "
            f"second lottery and the delay, more than {interval:.5g}; ask for a longer "
            "interval, a lower t_acc, a larger t_2 or a shorter delay_steps"
        )
    # The fastest of n_h pre-hashes alone takes at least 1/(n_h p_1) hashes.
    least = 1 / (at.lottery.hashes_per_step * party.honest * interval)
    if not least > _SMALLEST:
        raise Refused(
            f"interval: {interval:.5g} steps are so long that the pre-hash target "
            "would be below 1; ask for a shorter one"
        )
    low = math.log(min(1.0, least))
    if low == 0.0 or fastest > -1e-9:
        return choice._replace(p_1=1.0)
    root = optimize.brentq(excess, low - 1e-9, 0.0, xtol=1e-7)  # pyright: ignore
    return choice._replace(p_1=math.exp(float(root)))  # pyright: ignore
