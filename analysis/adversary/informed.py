r"""A prover sees its own accuracy: the best rule for giving a run up early.

Notation
    acc_i(j)    accuracy of run i at look j, every e steps; T of them a run
    (m_c, a_c)  the rule's checkpoints: give a run up at look m_c if its accuracy is
                below a_c, and begin anew with a new pre-hash
    M           give it up at look M if it has shown no ticket by then
    F, C        generating functions of a block and of giving up, by look
    p           chance that a cell of time ends the pre-hash

Age-only bounds (a5) hold for machines that do not look. One that does gives slow runs
up. Under a rule attempts are independent, so that the block time has

    X(z) = p F(z) / (1 − (1 − p) z − p C(z)),

F_j = mean_i p_2 L_i(j) Π_{s<j} (1 − p_2 L_i(s)) over the runs that go on. Runs without
a ticket are given up within the horizon, M ≤ T; one with tickets goes on beyond it for
two more horizons as it has shown them since its first, and is then given up.

A rule is fitted on one half of the runs, to the mean of the fastest of n, and valued on
the other half; both ways, and the mean of both. It is the best of its kind, not of all:
what it is worth is a lower end of what information is worth. With its law as the
adversary's, a threshold or a depth is of the grade "measured information", no bound.

Source: docs/science/any-adversary.md.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import signal

from ..block_time.attempts import Lottery
from ..block_time.law import HAZARD_CAP, KNOTS, BlockTimeLaw, Real, fastest_of, mean
from ..bounds.arguments import require
from ..estimation.estimate import Estimate, Refused

# Cells of time a look.
_CELLS, _COARSE = 2, 1024
# Horizons for which a run with tickets goes on.
_BEYOND = 2
_LOOKS, _LEVELS, _ENDS, _CHECKPOINTS = 12, 8, 4, 3
_RESAMPLES = 24
_FEWEST = 20
METHOD = "rule fitted on one half of the runs, valued on the other, both ways"


class Rule(NamedTuple):
    """When a run is given up.

    Attributes:
        last: M ≥ 1, the look at which runs without a ticket are given up.
        checkpoints: (m_c, a_c); none: only the age counts.
    """

    last: int
    checkpoints: tuple[tuple[int, float], ...] = ()


class Informed(NamedTuple):
    """What seeing the accuracy is worth to n provers.

    Attributes:
        blind: Mean of the fastest of n that give up by age alone, steps.
        seeing: The same by the best rule.
        gain: blind / seeing.
        rules: Fitted on the first half of the runs, and on the second.
        laws: X of one prover under these, on the half that did not choose them.
    """

    blind: Estimate
    seeing: Estimate
    gain: Estimate
    rules: tuple[Rule, Rule]
    laws: tuple[BlockTimeLaw, BlockTimeLaw]


def law_of_rule(
    accuracy: Float[np.ndarray, "runs looks"],
    lottery: Lottery,
    check_every: Real,
    rule: Rule,
    *,
    knots: int = KNOTS,
) -> BlockTimeLaw:
    """X of one prover under a rule, on a lattice of half a look.

    Args:
        accuracy: acc_i(j).
        lottery: T_acc, p_1, p_2, hashes a step; runs go on after a failed ticket.
        check_every: e, steps.
        rule: When a run is given up.
        knots: Of the law's table.

    Raises:
        ValueError: If the rule is not within the looks.
    """
    looks = accuracy.shape[1]
    require("rule.last", rule.last, 1 <= rule.last <= looks, f"1 ... {looks}")
    for look, _ in rule.checkpoints:
        require("checkpoints", look, 1 <= look <= looks, f"1 ... {looks}")
    shown = accuracy >= lottery.t_acc
    first = np.where(shown.any(axis=1), shown.argmax(axis=1), looks)
    since = np.maximum(looks - first, 1)
    rate = shown.sum(axis=1) / since
    later = np.repeat(rate[:, None], _BEYOND * looks, axis=1)
    chance = lottery.p_2 * np.concatenate([shown.astype(float), later], axis=1)
    alive = np.cumprod(1 - chance, axis=1)
    before = np.concatenate([np.ones((len(alive), 1)), alive[:, :-1]], axis=1)
    ends = chance * before
    # The look after which each run is given up, at the first reason for it.
    until = np.where(first >= rule.last, rule.last, ends.shape[1])
    for look, level in rule.checkpoints:
        slow = (accuracy[:, look - 1] < level) & (until > look)
        until = np.where(slow, look, until)
    ends[np.arange(1, ends.shape[1] + 1) > until[:, None]] = 0.0
    blocks = ends.mean(axis=0)
    again = np.zeros(ends.shape[1])
    left = alive[np.arange(len(alive)), until - 1]
    np.add.at(again, until - 1, left / len(alive))
    g = float(check_every) / _CELLS
    p = -math.expm1(
        g * lottery.hashes_per_step * math.log1p(-min(lottery.p_1, 1 - 1e-12))
    )
    places = _CELLS * np.arange(1, len(blocks) + 1)
    top, bottom = np.zeros(places[-1] + 1), np.zeros(places[-1] + 1)
    top[places] = p * blocks
    bottom[places] = -p * again
    bottom[0] = 1.0
    bottom[1] -= 1 - p
    impulse = np.zeros(knots)
    impulse[0] = 1.0
    mass = np.asarray(signal.lfilter(top, bottom, impulse))
    still = 1 - np.cumsum(np.maximum(mass, 0.0))
    # Where rounding begins the hazard is what it was.
    known = int(np.argmax(still < 1e-9)) if (still < 1e-9).any() else knots
    hazard = -np.log(np.maximum(still[:known], 1e-300))
    half = known // 2
    rate = (hazard[-1] - hazard[half]) / (known - 1 - half)
    more = hazard[-1] + rate * np.arange(1, knots - known + 1)
    table = np.minimum(np.concatenate([hazard, more]), HAZARD_CAP)
    table[0] = 0.0
    return BlockTimeLaw(np.maximum.accumulate(table), g, rate / g, 0.0, True)


def best_rule(
    accuracy: Float[np.ndarray, "runs looks"],
    lottery: Lottery,
    check_every: Real,
    provers: Real,
    *,
    seeing: bool = True,
) -> Rule:
    """The rule with the least mean of the fastest of n.

    Args:
        accuracy: acc_i(j) of the runs that choose it.
        lottery: The lottery.
        check_every: e, steps.
        provers: n > 0.
        seeing: Whether accuracies may be used; else only M is chosen.
    """
    looks = accuracy.shape[1]

    def cost(rule: Rule) -> float:
        law = law_of_rule(accuracy, lottery, check_every, rule, knots=_COARSE)
        return mean(fastest_of(law, provers))

    ends = sorted({max(1, round(x)) for x in np.linspace(looks / 2, looks, _ENDS)})
    best = min((Rule(last) for last in ends), key=cost)
    if not seeing:
        return best
    places = sorted({max(1, round(x)) for x in np.linspace(1, 0.8 * looks, _LOOKS)})
    shares = (np.arange(_LEVELS) + 1) / (_LEVELS + 1)
    levels = {m: np.unique(np.quantile(accuracy[:, m - 1], shares)) for m in places}
    # One checkpoint after the other, each the best beside those before.
    for _ in range(_CHECKPOINTS):
        more = [
            best._replace(checkpoints=(*best.checkpoints, (look, float(level))))
            for look in places
            for level in levels[look]
        ]
        found = min(more, key=cost)
        if cost(found) > 0.995 * cost(best):
            break
        best = found
    return best


def informed_gain(
    seed: int,
    accuracy: Float[np.ndarray, "runs looks"],
    lottery: Lottery,
    *,
    check_every: Real,
    provers: Real,
) -> Informed:
    """What the best rule is worth to n provers, on runs that did not choose it.

    Args:
        seed: Fixes the halves and the resamples.
        accuracy: acc_i(j) of independent runs.
        lottery: The lottery.
        check_every: e, steps.
        provers: n > 0.

    Raises:
        ValueError: If n is out of range.
        Refused: If there are too few runs, or a half of them never ends.
    """
    require("provers", provers, 0 < provers < math.inf, "(0, ∞)")
    if len(accuracy) < _FEWEST:
        raise Refused(
            f"informed provers: at least {_FEWEST} runs are needed to fit a rule and "
            f"to value it on others, got {len(accuracy)}; train more models"
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(accuracy))
    halves = order[: len(order) // 2], order[len(order) // 2 :]

    def cost(rows: np.ndarray, rule: Rule) -> float:
        law = law_of_rule(accuracy[rows], lottery, check_every, rule)
        return mean(fastest_of(law, provers))

    def fitted(seeing: bool) -> list[Rule]:
        return [
            best_rule(accuracy[rows], lottery, check_every, provers, seeing=seeing)
            for rows in halves
        ]

    for rows in halves:
        if not (accuracy[rows] >= lottery.t_acc).any(axis=1).sum() > 1:
            raise Refused(
                "informed provers: in a half of the runs hardly any reaches t_acc "
                f"= {lottery.t_acc:g}; train more models or longer, or lower t_acc"
            )
    blind, seeing = fitted(False), fitted(True)

    def both(valued: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
        # A rule meets the half that did not choose it.
        pairs = [
            np.mean(
                [cost(rows, rule) for rows, rule in zip(valued, rules, strict=True)]
            )
            for rules in (blind[::-1], seeing[::-1])
        ]
        return float(pairs[0]), float(pairs[1])

    value = both(halves)
    drawn = []
    for _ in range(_RESAMPLES):
        first, second = (generator.choice(rows, len(rows)) for rows in halves)
        drawn.append(both((first, second)))
    spread = np.log(np.array([(b, s, b / s) for b, s in drawn])).std(axis=0, ddof=1)

    def estimate(place: int, at: float) -> Estimate:
        factor = math.exp(2.07 * float(spread[place]))  # t of 23 degrees of freedom
        return Estimate(at, at / factor, at * factor, len(accuracy), METHOD)

    one, other = (
        law_of_rule(accuracy[rows], lottery, check_every, rule)
        for rows, rule in zip(halves, seeing[::-1], strict=True)
    )
    return Informed(
        estimate(0, value[0]),
        estimate(1, value[1]),
        estimate(2, value[0] / value[1]),
        (seeing[0], seeing[1]),
        (one, other),
    )
