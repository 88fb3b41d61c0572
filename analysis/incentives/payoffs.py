"""A table of payoffs by counts: what each policy earns in every mix of them.

Provers are alike, so a profile is how many follow each policy, c = (c_1, …, c_K), and
there are C(n + K − 1, K − 1) of them. ``payoffs[c][k]`` is what one that follows k
earns, by batch of slots, all profiles on the same draws (``slots.py``).
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .slots import Draws, GameRules, Policy, play

Counts = tuple[int, ...]

MOST_PROFILES = 20_000


class Welfare(NamedTuple):
    """What a profile makes of its work, on average.

    Attributes:
        interval: Time of a slot, steps.
        useful: Steps of winning models over steps trained.
        stale: Stale blocks for each that counts.
    """

    interval: float
    useful: float
    stale: float


class Payoffs(NamedTuple):
    """The table.

    Attributes:
        policies: K of them; the first one is the protocol's.
        provers: n.
        earned: By counts and policy, batch means; NaN where nobody follows it.
        welfare: By counts.
    """

    policies: tuple[Policy, ...]
    provers: int
    earned: dict[Counts, Float[np.ndarray, "policies batches"]]
    welfare: dict[Counts, Welfare]

    def mean(self, counts: Counts) -> Float[np.ndarray, " policies"]:
        """Mean payoffs of a profile, in block rewards a slot."""
        return self.earned[counts].mean(axis=1)

    def place(self, name: str) -> int:
        """Which policy has a name; ValueError if none."""
        return [each.name for each in self.policies].index(name)


def compositions(provers: int, policies: int) -> Iterator[Counts]:
    """All counts of n provers over K policies."""
    for bars in combinations(range(provers + policies - 1), policies - 1):
        edges = (-1, *bars, provers + policies - 1)
        yield tuple(b - a - 1 for a, b in pairwise(edges))


def payoff_table(
    draws: Draws,
    rules: GameRules,
    policies: Sequence[Policy],
    *,
    profiles: Sequence[Counts] | None = None,
) -> Payoffs:
    """Play all profiles of a list of policies, or those that are asked for.

    Args:
        draws: Of ``slots.draw_slots``.
        rules: Of the game.
        policies: K ≥ 2, the protocol's first.
        profiles: Which; None: all.

    Raises:
        ValueError: If there are too many profiles, or one is none of these provers'.
    """
    provers = draws.times.shape[2]
    if profiles is None:
        count = comb(provers + len(policies) - 1, len(policies) - 1)
        if count > MOST_PROFILES:
            raise ValueError(
                f"{count} profiles of {provers} provers over {len(policies)} policies; "
                f"at most {MOST_PROFILES}: ask for fewer policies or for profiles"
            )
        profiles = list(compositions(provers, len(policies)))
    earned, welfare = {}, {}
    for counts in profiles:
        if len(counts) != len(policies) or sum(counts) != provers:
            raise ValueError(
                f"a profile must have {len(policies)} counts of {provers} provers in "
                f"all, got {counts}"
            )
        followed = np.repeat(np.arange(len(policies)), counts)
        profile = [p for p, c in zip(policies, counts, strict=True) for _ in range(c)]
        played = play(draws, rules, profile)
        earned[counts] = np.stack(
            [
                played.payoff[:, followed == k].mean(axis=1)
                if counts[k]
                else np.full(draws.batches, np.nan)
                for k in range(len(policies))
            ]
        )
        welfare[counts] = Welfare(
            *(float(x.mean()) for x in (played.interval, played.useful, played.stale))
        )
    return Payoffs(tuple(policies), provers, earned, welfare)


def near_honest(provers: int, policies: int) -> list[Counts]:
    """All honest, one that deviates, and two that do, each in its own way."""
    honest = [provers, *[0] * (policies - 1)]
    found = [tuple(honest)]
    for first in range(1, policies):
        one = honest.copy()
        one[0] -= 1
        one[first] += 1
        found.append(tuple(one))
        for second in range(first, policies):
            two = one.copy()
            two[0] -= 1
            two[second] += 1
            found.append(tuple(two))
    return found
