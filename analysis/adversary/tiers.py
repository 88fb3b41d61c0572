r"""How many confirmations: against a private chain, the best attack found, any attack.

Notation
    ε           target risk
    k           confirmations, the block of the transaction included

One criterion holds for all three tiers, so that they can be compared: a block of a
level that is named beforehand; an adversary that prepares as long as it likes; what
reverts is a longer chain, or, where every prover adopts the adversary's of two equal
chains, one as long.

    private chain       a value: what this attack needs (``one_tree``, ``private``)
    best attack found   the greatest of that and of the depths that other attacks need
    any adversary       a bound, proved (``permanence``) or conditional (``one_tree``,
                        ``any``, on (c1)); none where ties are adopted

Without delay, and where ties stay with what was seen first, timing gains nothing: of
all strategies that know ages, the double-spend that is best is the private chain that
was prepared. Where its tie is adopted it needs one block less, and may show it until
the public chain is a block longer (``tie``).

The lowest two say what an adversary can do, the last one what it cannot. What lies
between them is not known.

Source: docs/science/any-adversary.md.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from ..block_time.law import BlockTimeLaw, Real
from ..block_time.uncertain import UncertainLaw, measured
from ..bounds.arguments import require
from ..estimation.estimate import Estimate, Refused, whole_blocks
from ..race.walk import OUTGROWN
from .assumptions import ASSUMPTIONS, NO_BOUND, Grade
from .exponent import ONE_TREE
from .one_tree import Event, one_tree_depth
from .permanence import METHOD as DRAWN, settled

Ties = Literal["first_seen", "random", "adversary"]
_CRITERION = "a block of a level named beforehand, a head start, "
CRITERION = f"{_CRITERION}a strictly longer chain reverts"
TIE_CRITERION = f"{_CRITERION}a chain of equal length reverts"
GRID = "one tree, Fourier grid"
_LAW = "under the law of all runs"
# Fewer are never enough for an interval below the target; more take too long.
_PER_TARGET, _MOST = 8, 80_000
_LADDER, _DEEPEST = 1.15, 400


def criterion(ties: Ties) -> str:
    """What reverts a block, in words.

    Args:
        ties: As ``three_tiers``.
    """
    return TIE_CRITERION if ties == "adversary" else CRITERION


class Tier(NamedTuple):
    """Confirmations against a set of adversaries.

    Attributes:
        name: Which adversaries.
        depth: k with the error of the training runs; inf: no depth is safe; None: not
            known, and ``reason`` says why.
        grade: ``attack`` for what an adversary can do; a bound is ``proved`` or
            ``conditional``; ``none`` where there is none.
        reason: Why there is no depth, or how the depth was found.
        assumptions: What a bound assumes, a sentence each.
    """

    name: str
    depth: Estimate | None
    grade: Grade | str
    reason: str
    assumptions: tuple[str, ...] = ()


class Tiers(NamedTuple):
    """The three tiers.

    Attributes:
        private: The pre-mined private chain.
        best: The best attack that was found.
        any: Every adversary, conditional on one tree being enough.
        proved: Every adversary, proved.
    """

    private: Tier
    best: Tier
    any: Tier
    proved: Tier


def three_tiers(
    law: UncertainLaw,
    *,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    target: Real,
    ties: Ties = "first_seen",
    attacks: Sequence[Tier] = (),
    seed: int | None = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> Tiers:
    """Confirmations to a risk in three tiers, with one criterion.

    Args:
        law: X of a prover; its ``adversaries`` are those of corrupted machines.
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        target: ε in (0, 1).
        ties: Which of equal chains honest provers adopt: the one seen first; either
            by a coin; the adversary's. With a coin a tie may fail, and only a longer
            chain is counted on.
        attacks: What other attacks need, by the same criterion.
        seed: Of the draws of the proved bound; None: it is not computed.
        progress: Told how many laws are done.

    Raises:
        ValueError: If an argument is out of range.
    """
    require("target", target, 0 < target < 1, "(0, 1)")
    require("honest", honest, 0 < honest < math.inf, "(0, ∞)")
    require("adversarial", adversarial, 0 < adversarial < math.inf, "(0, ∞)")
    race: dict[str, Any] = {
        "honest": honest,
        "adversarial": adversarial,
        "delay_steps": delay_steps,
    }

    def deep(event: Event) -> Callable[[BlockTimeLaw], float]:
        def figure(one: BlockTimeLaw) -> float:
            given = {**race, "adversary": law.against(one)}
            known = law.known_until
            return float(
                one_tree_depth(target, one, event=event, known_until=known, **given)
            )

        return figure

    def tier(name: str, grade: str, figure, method: str, assumptions=()) -> Tier:
        try:
            basis = law.basis(honest, adversarial)
            depth = measured(
                figure,
                law,
                method=method,
                basis=basis,
                lacking=math.inf,
                progress=progress,
            )
        except Refused as refusal:
            if str(refusal) == OUTGROWN:
                sure = Estimate(math.inf, math.inf, math.inf, 0, method)
                return Tier(name, sure, grade, str(refusal), assumptions)
            return Tier(name, None, grade, str(refusal), assumptions)
        return Tier(name, whole_blocks(depth), grade, depth.method, assumptions)

    event: Event = "tie" if ties == "adversary" else "private"
    private = tier("private chain", "attack", deep(event), GRID)
    best = _best(private, attacks)
    if ties != "first_seen":
        none = Tier("any adversary", None, "none", NO_BOUND)
        return Tiers(private, best, none, none)
    conditional = (*ASSUMPTIONS, ONE_TREE)
    if private.depth is not None and math.isinf(private.depth.value):
        # What one attack does, no bound excludes.
        never = private._replace(name="any adversary", grade="none")
        return Tiers(private, best, never, never)
    anybody = tier("any adversary", "conditional", deep("any"), GRID, conditional)
    if seed is None:
        proved = Tier("any adversary", None, "proved", "not asked for", ASSUMPTIONS)
        return Tiers(private, best, anybody, proved)

    try:
        own = law.against(law.law)
        depth = proved_depth(seed, law.law, target, adversary=own, **race)
        shown = Estimate(depth, depth, depth, 0, f"{DRAWN}; {_LAW}")
        proved = Tier("any adversary", shown, "proved", shown.method, ASSUMPTIONS)
    except Refused as refusal:
        proved = Tier("any adversary", None, "proved", str(refusal), ASSUMPTIONS)
    return Tiers(private, best, anybody, proved)


def proved_depth(
    seed: int,
    law: BlockTimeLaw,
    target: Real,
    *,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
) -> float:
    """Smallest depth of a ladder with a risk that is drawn and wholly at most ε.

    Args:
        seed: Fixes the draws.
        law: X of one honest prover (steps).
        target: ε in (0, 1).
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.

    Raises:
        Refused: As ``permanence.settled``; or where ε is too small to be drawn, or no
            depth of the ladder is shown to be safe.
    """
    replicas = math.ceil(_PER_TARGET / float(target))
    if replicas > _MOST:
        raise Refused(
            f"any adversary: a risk of {target:g} is too small to be drawn, "
            f"{_PER_TARGET / _MOST:g} is the least; a larger target, or the bound that "
            "is conditional"
        )
    found = settled(
        seed,
        law,
        ladder(_DEEPEST),
        honest=honest,
        adversarial=adversarial,
        delay_steps=delay_steps,
        adversary=adversary,
        replicas=replicas,
    )
    shown = found.depth(float(target))
    if shown is None or math.isinf(shown.high):
        raise Refused(
            f"any adversary: no depth up to {_DEEPEST} is shown to have a risk of at "
            f"most {target:g}; a larger target, a smaller adversary or a shorter "
            "delay_steps"
        )
    return shown.high


def ladder(last: int) -> list[int]:
    """Every depth up to 16, then in steps of a seventh.

    Args:
        last: The last one, at most.
    """
    found, at = [], 1
    while at <= last:
        found.append(at)
        at = max(at + 1, math.ceil(at * _LADDER)) if at >= 16 else at + 1
    return found


def _best(private: Tier, attacks: Sequence[Tier]) -> Tier:
    """The attack that needs the most confirmations."""
    known = [each for each in (private, *attacks) if each.depth is not None]
    if not known:
        return private._replace(name="best attack found")

    def value(each: Tier) -> float:
        return -1.0 if each.depth is None else float(each.depth.value)

    worst = max(known, key=value)
    return worst._replace(
        name="best attack found", reason=f"{worst.name}: {worst.reason}"
    )
