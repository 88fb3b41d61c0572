"""Rules made equal, and the N that is asked for.

A slower rule always looks steadier, so rules are compared at one sd of the expected
interval at constant power: each has the N that gives it. That sd falls as 1/√N, which
makes N a matter of a few simulations. The inverse question asks for an N whose sd is
small enough and whose recovery is fast enough.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Key

from ..estimation.estimate import Estimate
from .closed_forms import average_sd
from .laws import Laws, gain
from .loop import run_loop
from .measures import expected_intervals, quantities
from .rules import WINDOWS, LoopRule
from .scenarios import Maker, steady

_LEAST, _MOST = 2.0, 4000.0
_ROUNDS = 4


class Tuned(NamedTuple):
    """A rule with the N that was asked for.

    Attributes:
        rule: With its N.
        sd: Sd of the expected interval that it has, simulated.
        reason: Why it has none that was asked for; empty: it has.
    """

    rule: LoopRule
    sd: float
    reason: str = ""


class Chosen(NamedTuple):
    """An answer to the inverse question for one rule.

    Attributes:
        rule: With the smallest N whose sd is small enough.
        sd: Its sd.
        recovery: Blocks from the event to recovery at that N.
        holds: Whether both bounds hold; a larger N recovers no faster.
    """

    rule: LoopRule
    sd: float
    recovery: Estimate
    holds: bool
    reason: str = ""


def simulated_sd(
    key: Key[Array, ""], laws: Laws, rule: LoopRule, *, blocks: int, replicas: int
) -> float:
    """Sd of the expected interval at constant power, in T."""
    still = steady(blocks)
    paths = run_loop(key, laws, rule, still, replicas=replicas)
    found = expected_intervals(laws, paths, still)[:, blocks // 4 :]
    return float(found.astype(float).std())


def tuned(
    key: Key[Array, ""],
    laws: Laws,
    rule: LoopRule,
    sd: float,
    *,
    blocks: int = 2048,
    replicas: int = 128,
) -> Tuned:
    """The rule with the N at which its expected interval has this sd.

    Args:
        key: Fixes the draws.
        laws: Of the interval.
        rule: Its N does not matter.
        sd: Of the expected interval, over T.
        blocks: Length of the chains that are simulated for it.
        replicas: Chains.

    Raises:
        ValueError: If sd is not in (0, 1).
    """
    if not 0 < sd < 1:
        raise ValueError(f"sd must be in (0, 1), got {sd}")
    n = _first(laws, rule, sd)
    found = math.nan
    for place in range(_ROUNDS):
        some = rule._replace(blocks=n)
        # The same draws each time: sds of different N differ by N alone.
        found = simulated_sd(key, laws, some, blocks=blocks, replicas=replicas)
        close = abs(found / sd - 1) < 0.02
        if close or (n in (_LEAST, _MOST) and (found < sd) == (n == _LEAST)):
            break
        if place < _ROUNDS - 1:
            n = _within(rule, n * (found / sd) ** 2)
    return Tuned(rule._replace(blocks=n), found, _why(n, found, sd))


def _first(laws: Laws, rule: LoopRule, sd: float) -> float:
    g = gain(laws)
    one = average_sd(1 - g, 100.0) * g / sd
    n = 100.0 * one**2
    if rule.schedule:
        n /= max(1e-3, 1 - rule.share)
    slow = rule.name in WINDOWS or rule.name.startswith("epoch")
    return _within(rule, 2 * n if slow else n)


def _within(rule: LoopRule, n: float) -> float:
    n = min(max(n, _LEAST), _MOST)
    return n if rule.name in ("wtema", "asert", "steps") else float(round(n))


def _why(n: float, found: float, sd: float) -> str:
    if n <= _LEAST and found < 0.98 * sd:
        return f"its sd is {found:.3g} at the smallest N, {_LEAST:g}"
    if n >= _MOST and found > 1.02 * sd:
        return f"its sd is {found:.3g} at the largest N, {_MOST:g}"
    return ""


def choose(
    key: Key[Array, ""],
    laws: Laws,
    rule: LoopRule,
    maker: Maker,
    *,
    sd: float,
    recovery: float,
    blocks: int = 2048,
    replicas: int = 256,
) -> Chosen:
    """The N for an sd of at most x and a recovery within y blocks of an event.

    Args:
        key: Fixes the draws.
        laws: Of the interval.
        rule: Its N does not matter.
        maker: The event, a scenario that begins at some height.
        sd: x, over T.
        recovery: y, blocks.
        blocks: Length of the chains.
        replicas: Chains.
    """
    found = tuned(key, laws, rule, sd, blocks=blocks, replicas=replicas)
    event = maker(blocks)
    paths = run_loop(key, laws, found.rule, event, replicas=replicas)
    took = next(
        each.estimate
        for each in quantities(laws, paths, event)
        if each.name == "recovery"
    )
    steady_enough = found.sd <= 1.02 * sd
    holds = bool(steady_enough and took.high <= recovery)
    return Chosen(found.rule, found.sd, took, holds, _reason(holds, found, took, sd))


def _reason(holds: bool, found: Tuned, took: Estimate, sd: float) -> str:
    if holds:
        return ""
    if found.sd > 1.02 * sd:
        return found.reason or f"its sd is {found.sd:.3g} where it was to be {sd:.3g}"
    if np.isnan(took.value):
        return f"recovery is not known: {took.method}; more replicas"
    if not np.isfinite(took.value):
        return f"does not recover: {took.method}"
    return f"recovers in {took.value:.0f} blocks at the smallest N that is steady"
