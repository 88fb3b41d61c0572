r"""Reset by siblings: what growth is left where honest provers adopt ties.

Notation
    S_0         dead time, work before any ticket
    b           hazard of all honest provers together after it; H = S_0 + Exp(b)
    r           rate of the adversary's siblings
    T           time of a level under attack; growth is E[H]/E[T]

Where an equal or heavier sibling of the tip is adopted, each one makes every honest
prover begin anew. Siblings cost no level, so the adversary slows the chain without
falling behind. No delay: everybody begins a level, and after a sibling, together.

    siblings    ``ideal``: at rate r from a level's first moment on
                ``trained``: the adversary's machines train on the same parent, from the
                level's first moment on, and go on after a ticket (one training gives
                many): a Poisson process of their own hazard n_a h(t)
    kept        shown at once, or each kept until the honest work is so old
    rule        ``adopted``: every sibling resets; ``heavier``: only one of greater
                weight, all weights alike in law; ``sticky``: none; ``progress``: the
                tip changes, the work done goes on (no sibling costs anything)

Dead time and lottery, in closed form:

    ideal, at once      E[T] = (b + r)(e^{r S_0} − 1)/(r b) + 1/b
    trained, at once    E[T'] = S_0 + 1/(b + r) + r/(b + r) E[T]
    ideal, kept to S_0  growth 1 − r S_0; for r S_0 ≥ 1 a level may never end

Source: docs/science/any-adversary.md; own derivation. All machines are simulated by
their hazards, level by level: levels are independent.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, Real, fastest_of, mean
from ..bounds.arguments import require
from ..estimation.estimate import Estimate, Refused, estimate_mean
from .clocks import draws_of

Siblings = Literal["ideal", "trained"]
Rule = Literal["adopted", "heavier", "sticky", "progress"]
RULES: tuple[Rule, ...] = ("adopted", "heavier", "sticky", "progress")
LEVELS = 20_000
# A level that was reset so often may as well never end.
_MOST_RESETS = 3000
METHOD = "levels under reset, simulated"


class Reset(NamedTuple):
    """How siblings are made and shown, and what honest provers do with them.

    Attributes:
        siblings: ``ideal`` or ``trained``.
        kept_until: Age of the honest work until which each is kept, steps; 0: none.
        rule: What honest provers adopt.
    """

    siblings: Siblings = "trained"
    kept_until: float = 0.0
    rule: Rule = "adopted"


def reset_growth(
    seed: int,
    law: BlockTimeLaw,
    reset: Reset,
    *,
    honest: Real,
    adversarial: Real,
    levels: int = LEVELS,
) -> Estimate:
    """Growth under reset over growth without it.

    Args:
        seed: Fixes the draws.
        law: X of a prover (steps); ideal siblings come at the rate of its tail.
        reset: Siblings, how long they are kept, the rule.
        honest: n_h > 0.
        adversarial: n_a ≥ 0.
        levels: Independent levels.

    Raises:
        ValueError: If an argument is out of range.
        Refused: If a level never ends, or ideal siblings have no rate.
    """
    require("honest", honest, 0 < honest < math.inf, "(0, ∞)")
    require("adversarial", adversarial, 0 <= adversarial < math.inf, "[0, ∞)")
    kept = reset.kept_until
    require("kept_until", kept, 0 <= kept < math.inf, "[0, ∞)")
    require("rule", reset.rule, reset.rule in RULES, f"{RULES}")
    fastest = fastest_of(law, honest)
    free = mean(fastest)
    if reset.rule in ("sticky", "progress") or adversarial == 0:
        return Estimate(1.0, 1.0, 1.0, 0, f"no reset: {reset.rule}")
    if not math.isfinite(free):
        raise Refused(
            "reset: honest provers may never find a block even without siblings; set "
            "abandon_steps or lengthen the horizon"
        )
    times = _levels(
        np.random.default_rng(seed), law, fastest, reset, adversarial, levels
    )
    endless = float(np.mean(np.isinf(times)))
    if endless > 0:
        raise Refused(
            f"reset: {endless:.2g} of the levels have not ended after {_MOST_RESETS} "
            "siblings, so that the chain stops; a smaller adversary, or "
            "protocol.tie_rule = first_seen"
        )
    long = estimate_mean(times, "reset")
    return Estimate(
        free / long.value, free / long.high, free / long.low, levels, METHOD
    )


def best_keeping(
    seed: int,
    law: BlockTimeLaw,
    reset: Reset,
    *,
    honest: Real,
    adversarial: Real,
    tried: int = 8,
    levels: int = LEVELS,
) -> tuple[Reset, Estimate]:
    """The age until which siblings are best kept, chosen and valued on other draws.

    Args:
        seed: Fixes the draws.
        law: X of a prover (steps).
        reset: Siblings and rule.
        honest: n_h > 0.
        adversarial: n_a > 0.
        tried: Ages tried beside 0 and the dead time, quantiles of H evenly spread.
        levels: Independent levels of the value.

    Raises:
        As ``reset_growth``; an age at which levels never end is taken at once.
    """
    levels_of = -np.log1p(-(np.arange(tried) + 0.5) / (tried + 1))
    ages = [
        0.0,
        float(law.offset),
        *draws_of(fastest_of(law, honest), levels_of).tolist(),
    ]
    at = {"honest": honest, "adversarial": adversarial}

    def growth(age: float) -> float:
        try:
            few = max(1000, levels // 8)
            one = reset._replace(kept_until=age)
            return reset_growth(seed + 1, law, one, levels=few, **at).value
        except Refused:
            return 0.0

    best = reset._replace(kept_until=min(ages, key=growth))
    return best, reset_growth(seed, law, best, levels=levels, **at)


def closed_growth(
    reset: Reset, *, dead_time: Real, honest_rate: Real, sibling_rate: Real
) -> float:
    """The closed forms of dead time and lottery.

    Args:
        reset: ``adopted``, with siblings shown at once, or ideal ones kept until S_0.
        dead_time: S_0 ≥ 0.
        honest_rate: b > 0.
        sibling_rate: r > 0.

    Returns:
        E[H]/E[T]; 0 where the chain stops with positive chance.

    Raises:
        ValueError: If there is none for this reset, or a rate is out of range.
    """
    s, b, r = float(dead_time), float(honest_rate), float(sibling_rate)
    require("honest_rate", b, 0 < b < math.inf, "(0, ∞)")
    require("sibling_rate", r, 0 < r < math.inf, "(0, ∞)")
    ideal = (b + r) * math.expm1(r * s) / (r * b) + 1 / b
    at_once = reset.kept_until == 0
    if reset.rule == "adopted" and at_once:
        long = ideal
        if reset.siblings == "trained":
            long = s + 1 / (b + r) + r / (b + r) * ideal
        return (s + 1 / b) / long
    if reset == Reset("ideal", s, "adopted"):
        return max(0.0, 1 - r * s)
    raise ValueError(
        f"reset must be adopted at once, or ideal and kept until {s:g}, got {reset}"
    )


def _levels(
    generator: np.random.Generator,
    law: BlockTimeLaw,
    fastest: BlockTimeLaw,
    reset: Reset,
    adversarial: Real,
    count: int,
) -> Float[np.ndarray, " levels"]:
    """Times of levels; inf for those that are reset too often."""
    lottery = float(law.tail_hazard) * float(adversarial)
    if reset.siblings == "ideal":
        if not lottery > 0:
            raise Refused(
                "reset: ideal siblings come at the rate of the law's tail, which has "
                "none; trained ones serve every law"
            )

        def place(hazard: np.ndarray) -> np.ndarray:
            return hazard / lottery
    else:
        machines = fastest_of(law, adversarial)

        def place(hazard: np.ndarray) -> np.ndarray:
            return draws_of(machines, hazard)

    def exponential(shape: int) -> np.ndarray:
        return generator.exponential(size=shape)

    kept = float(reset.kept_until)
    found = np.full(count, math.inf)
    # Open levels: begin of the honest work, siblings' hazard so far, and their stock.
    open_ = np.arange(count)
    begin, stock = np.zeros(count), np.zeros(count, int)
    hazard = exponential(count)
    weight = generator.random(count)
    for _ in range(_MOST_RESETS):
        end = begin + draws_of(fastest, exponential(len(open_)))
        ready = begin + kept
        while True:
            early = place(hazard) <= ready
            if kept == 0 or not early.any():
                break
            stock[early] += 1
            hazard[early] += exponential(int(early.sum()))
        next_ = np.maximum(place(hazard), ready)
        stored = stock > 0
        shown = np.where(stored, ready, next_)
        ended = end <= shown
        found[open_[ended]] = end[ended]
        used = ~ended
        drawn = used & ~stored
        hazard[drawn] += exponential(int(drawn.sum()))
        stock[used & stored] -= 1
        if reset.rule == "heavier":
            other = generator.random(len(open_))
            counts = other > weight
            weight = np.where(used & counts, other, weight)
            # A lighter sibling changes nothing: the same work goes on.
            while (light := used & ~counts).any():
                later = place(hazard)
                over = light & (end <= later)
                found[open_[over]] = end[over]
                ended, used = ended | over, used & ~over
                again = light & ~over
                shown = np.where(again, later, shown)
                hazard[again] += exponential(int(again.sum()))
                other = generator.random(len(open_))
                counts = np.where(again, other > weight, counts)
                weight = np.where(again & counts, other, weight)
        if ended.all():
            break
        open_, hazard, stock = open_[used], hazard[used], stock[used]
        begin, weight = shown[used], weight[used]
    return found
