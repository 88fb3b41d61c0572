r"""A game of block slots: provers with policies race slot by slot, on common draws.

Notation
    n         provers; each follows one of a list of policies
    slot      from one block to the next; slots are independent and alike
    holder    the prover, drawn anew in each slot, that has a model of S' steps to share
    X         block times: from a fresh model, a model that is referred to, or a fresh
              one whose setting was ground for                         ``GameLaws``
    x, t_v    share of slots whose tip is invalid; time of verification

In a slot a prover starts at once if it skips verification, else after t_v. It refers to
the holder's model if it would and may (the holder shares it, or is itself). It finishes
X after its start, and k steps later if it pads. On an invalid tip the block of who
skipped is worth nothing, and costs a deposit if it comes before the first of worth. The
first block of worth wins; its miner has R(S) of the reward, and the holder the rest, if
it was referred to. Blocks up to Δ after the first are stale. A prover that is out does
nothing. Where nobody verifies, an invalid tip passes for a valid one; where nobody
mines, nothing happens and nothing is paid.

The same uniforms are behind every profile of policies (common random numbers): block
times of (slot, prover) are drawn once for each law and looked up. So the difference
that one prover's policy makes has little noise, and needs no simulation of its own.
The game has no memory between slots; what has (private chains) is in ``withholding``.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ..block_time.law import BlockTimeLaw, mean, quantile
from ..estimation.estimate import Refused
from .market import Prices
from .shares import ShareOf

FRESH, WARM, GROUND = range(3)


class Policy(NamedTuple):
    """What a prover does.

    Attributes:
        name: Of the policy.
        shares: Whether it shares a model that it holds.
        refers: Whether it starts from a model that it may refer to.
        verifies: Whether it verifies a tip before it trains on it.
        grinds: Whether it grinds the pre-hash for a setting that learns fast.
        pads: k, steps that it trains on for with a block in hand.
        mines: Whether it takes part at all.
    """

    name: str
    shares: bool = True
    refers: bool = True
    verifies: bool = True
    grinds: bool = False
    pads: float | int = 0.0
    mines: bool = True


HONEST = Policy("honest")
DEVIATIONS = (
    Policy("hoard", shares=False),
    Policy("fresh", refers=False),
    Policy("skip", verifies=False),
    Policy("pad", pads=1.0),
    Policy("grind", grinds=True),
    Policy("out", mines=False),
)
"""One deviation each; ``pad`` by one step, to be replaced by whole looks."""


class GameLaws(NamedTuple):
    """Block-time laws of a slot.

    Attributes:
        fresh: From a fresh model.
        warm: From the model that is referred to.
        ground: From a fresh model whose setting was ground for; None: nobody can.
    """

    fresh: BlockTimeLaw
    warm: BlockTimeLaw
    ground: BlockTimeLaw | None = None


class GameRules(NamedTuple):
    """What else a slot depends on.

    Attributes:
        share: R, the miner's share by the steps of its own model, where it refers.
        hashing: Time of a block that is no training, steps.
        verification: t_v, steps.
        invalid: x.
        delay: Δ, steps.
        prices: Costs, in block rewards.
        deposit: Block rewards that a block on an invalid tip forfeits.
    """

    share: ShareOf
    hashing: float | int = 0.0
    verification: float | int = 0.0
    invalid: float | int = 0.0
    delay: float | int = 0.0
    prices: Prices = Prices()
    deposit: float | int = 0.0


class Draws(NamedTuple):
    """What chance decides, once for all profiles.

    Attributes:
        times: X by law, slot and prover.
        holder: Who holds a model, by slot.
        invalid: Whether the tip is invalid, by slot.
        batches: Parts of the slots that are averaged apart, for intervals.
    """

    times: Float[np.ndarray, "laws slots provers"]
    holder: Int[np.ndarray, " slots"]
    invalid: Bool[np.ndarray, " slots"]
    batches: int


class Played(NamedTuple):
    """A profile's outcome, by batch.

    Attributes:
        payoff: Reward less costs of each prover, in block rewards a slot.
        interval: Mean time of a slot, steps.
        useful: Steps of winning models over steps trained.
        stale: Blocks that came too late, for each that counts.
    """

    payoff: Float[np.ndarray, "batches provers"]
    interval: Float[np.ndarray, " batches"]
    useful: Float[np.ndarray, " batches"]
    stale: Float[np.ndarray, " batches"]


def draw_slots(
    seed: int,
    laws: GameLaws,
    *,
    provers: int,
    slots: int = 16_384,
    batches: int = 64,
    invalid: float | int = 0.0,
) -> Draws:
    """Draw a game's slots.

    Args:
        seed: Fixes every draw; the uniforms do not depend on the laws.
        laws: Block-time laws; no lattice laws, whose first blocks tie.
        provers: n ≥ 2.
        slots: Slots, a multiple of ``batches``.
        batches: Parts for intervals.
        invalid: x.

    Raises:
        ValueError: If a number is out of range.
        Refused: If a law may never end.
    """
    if provers < 2 or slots < 1 or batches < 1 or slots % batches:
        raise ValueError(
            "provers must be ≥ 2 and slots a multiple of batches, got "
            f"{provers}, {slots} and {batches}"
        )
    if not 0 <= invalid < 1:
        raise ValueError(f"invalid must be in [0, 1), got {invalid}")
    given = [law for law in laws if law is not None]
    if any(law.lattice for law in given):
        raise ValueError("law must not be a lattice law: its winners tie")
    if not all(np.isfinite(mean(law)) for law in given):
        raise Refused(
            "incentives: a block may never come, since a law leaves mass that never "
            "ends; set abandon_steps or lengthen the horizon"
        )
    generator = np.random.default_rng(seed)
    levels = generator.random((slots, provers))
    times = np.stack([quantile(law, levels) for law in given])
    return Draws(
        times,
        generator.integers(provers, size=slots),
        generator.random(slots) < invalid,
        batches,
    )


def play(draws: Draws, rules: GameRules, profile: Sequence[Policy]) -> Played:
    """What every prover earns when prover i follows ``profile[i]``.

    Raises:
        ValueError: If the profile has another number of provers, or grinds where no
            ground law is given.
    """
    laws, slots, provers = draws.times.shape
    if len(profile) != provers:
        raise ValueError(f"profile must have {provers} policies, got {len(profile)}")
    flags = {
        name: np.array([getattr(each, name) for each in profile])
        for name in ("shares", "refers", "verifies", "grinds", "mines")
    }
    if flags["grinds"].any() and laws <= GROUND:
        raise ValueError("a policy that grinds needs the law ground, got none")
    if not flags["mines"].any():
        nothing = np.zeros(draws.batches)
        idle = np.zeros((draws.batches, provers))
        return Played(idle, nothing + np.inf, nothing, nothing)
    pads = np.array([each.pads for each in profile])
    rows, place = np.arange(slots), np.arange(provers)
    mine = draws.holder[:, None] == place
    there = (flags["shares"] & flags["mines"])[draws.holder][:, None] | mine
    there &= flags["mines"][draws.holder][:, None]
    warm = there & flags["refers"]
    law = np.where(warm, WARM, np.where(flags["grinds"], GROUND, FRESH))
    start = np.where(flags["verifies"], rules.verification, 0.0)
    trained = draws.times[law, rows[:, None], place]
    noticed = draws.invalid & (flags["verifies"] & flags["mines"]).any()
    worthless = ~flags["mines"] | (noticed[:, None] & ~flags["verifies"])
    done = start + trained + pads
    finish = np.where(worthless, np.inf, done)
    winner = finish.argmin(axis=1)
    first = finish[rows, winner]
    steps = trained[rows, winner] + pads[winner] - rules.hashing
    referred = warm[rows, winner]
    own = np.where(referred, rules.share(steps), 1.0)
    worked = np.where(flags["mines"], np.maximum(first[:, None] - start, 0.0), 0.0)
    payoff = -_costs(rules.prices, flags, worked)
    fooled = worthless & flags["mines"] & (done < first[:, None])
    payoff -= rules.deposit * fooled
    payoff[rows, winner] += own
    payoff[rows, draws.holder] += 1.0 - own
    useful = np.maximum(steps, 0.0)
    late = (finish <= first[:, None] + rules.delay).sum(axis=1) - 1

    def batched(values: np.ndarray) -> np.ndarray:
        return values.reshape(draws.batches, -1, *values.shape[1:]).mean(axis=1)

    return Played(
        batched(payoff),
        batched(first),
        batched(useful) / batched(worked.sum(axis=1)),
        batched(late.astype(float)),
    )


def _costs(prices: Prices, flags: dict[str, np.ndarray], worked: np.ndarray):
    verifying = prices.verification * (flags["verifies"] & flags["mines"])
    return prices.step * worked + verifying
