"""The figures of a network under several laws: three programs, three round trips.

A sweep's point is simulated under the law of all runs and under those of resamples,
with the same draws. What ``one_law.assess`` does law after law is here one call for
all laws, with the laws' inverse tables made once for all points that share them.
Every number is that of ``assess``, bit by bit; the tests lay one beside the other.
What a law needs beyond the ordinary (very many forks, levels without an end, further
figures) is left to ``assess`` itself.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from ..block_time.counter_draws import words_of
from ..block_time.inverse_hazard import InverseHazard, of_law, side_by_side
from ..block_time.law import BlockTimeLaw, on_device
from ..estimation.estimate import Refused
from ..good_periods.rounds import (
    RoundSums,
    counted_rounds,
    extent,
    horizon_rounds,
    shortest,
    sort_rounds,
)
from ..good_periods.search import ROUND_LIMIT, Question, Rounds, judge
from ..good_periods.windows import (
    RoundRates,
    counted_on,
    good_period_measurements,
    measurements_of,
    question_of,
    rates_of,
    shares_of,
)
from ..simulation import kernel
from ..simulation.kernel import Rules
from ..simulation.levels import BURN_IN, SLOTS, Levels, Network
from ..simulation.properties import Paths, paths_along
from .one_law import (
    BLOCK,
    Assessment,
    Plan,
    assess,
    keys_of,
    level_engine,
    path_measurements,
)

# Replicas of all laws side by side: memory does not grow with laws.
_MOST_LANES = 4096
# With more finders at a level ``simulate`` sees to it that only few are run again.
_MOST_SLOTS = 64


class LawBatch(NamedTuple):
    """Laws that are assessed together.

    Attributes:
        laws: The laws.
        inverses: Their tables to draw from, on the device, one after the other.
        lattice: Whether they are lattice laws; None: some are, and some are not.
    """

    laws: tuple[BlockTimeLaw, ...]
    inverses: InverseHazard | None
    lattice: bool | None


class _Seen(NamedTuple):
    """What simulated replicas are read for; under each law, on the first axis.

    Attributes:
        paths: Of all replicas.
        overflow: Whether some level had more finders than slots.
        finite: Whether every level got its block.
        longest: Time of the longest replica of those with rounds.
        covered: Time that all of these cover, on both chains.
        most: Blocks of the replica with most.
    """

    paths: Paths
    overflow: Bool[Any, " laws"]
    finite: Bool[Any, " laws"]
    longest: Float[Any, " laws"]
    covered: Float[Any, " laws"]
    most: Int[Any, " laws"]


class _Counted(NamedTuple):
    """Counts in the rounds of the horizon; under each law.

    Attributes:
        sums: Successes.
        begin: First round that counts.
    """

    sums: RoundSums
    begin: Int[Any, " laws"]


class Assessments(NamedTuple):
    """What ``assess`` says of a network under each law.

    Attributes:
        outcomes: Assessments, or why there is none.
        slots: How wide the replicas had to be: a good start for like laws.
    """

    outcomes: list[Assessment | Refused]
    slots: int


def law_batch(laws: Sequence[BlockTimeLaw]) -> LawBatch:
    """Laws with what can be computed of them before the network is known."""
    kinds = {bool(law.lattice) for law in laws}
    if len(kinds) != 1:
        return LawBatch(tuple(laws), None, None)
    fields: list[Any] = [np.stack(each) for each in zip(*laws, strict=True)]
    stacked = BlockTimeLaw(*fields)
    return LawBatch(tuple(laws), _inverses(on_device(stacked)), *kinds)


def assess_laws(
    key: Key[Array, ""],
    network: Network,
    batch: LawBatch,
    plan: Plan,
    *,
    slots: int = SLOTS,
    adversaries: LawBatch | None = None,
) -> Assessments:
    """``assess`` of a network under each law, or why it refuses one.

    Args:
        key: Fixes every draw, the same for all laws.
        network: Whose laws are replaced.
        batch: The laws.
        plan: Figures and effort.
        slots: Finders a level that are followed at first; no number depends on it.
        adversaries: The corrupted provers' laws, one beside each; None: the same.
    """
    others = (None,) * len(batch.laws) if adversaries is None else adversaries.laws
    networks = [
        network._replace(law=law, adversary=other)
        for law, other in zip(batch.laws, others, strict=True)
    ]
    window_key, simulate_key, moment_key, _ = keys_of(key, 4)
    found = None
    if _together(batch, adversaries, plan):
        both = batch, adversaries
        found = _seen(simulate_key, moment_key, network, both, plan, slots)
    if found is None:
        alone = [_alone(key, each, plan) for each in networks]
        return Assessments(alone, slots)
    seen, record, slots = found
    ends = _horizons(networks, plan)
    if not plan.windows:
        told = [
            _along(jax.tree.map(lambda x, n=number: x[n], seen), plan)
            or _alone(key, each, plan)
            for number, each in enumerate(networks)
        ]
        return Assessments(told, slots)
    counted, rounds = _counted(record, seen, ends, plan)
    outcomes: list[Assessment | Refused] = []
    asked: dict[int, tuple[Assessment, RoundRates, Question]] = {}
    for number, each in enumerate(networks):
        own, counts = jax.tree.map(lambda x, n=number: x[n], (seen, counted))
        numbered = own.longest / plan.round_steps < ROUND_LIMIT
        end = int(ends[number])
        # A replica that ends before the horizon must be simulated on.
        if not (own.finite and numbered and own.covered >= end * plan.round_steps):
            outcomes.append(_alone(key, each, plan))
            continue
        try:
            outcome = _read(own, counts, end, plan)
        except Refused as refusal:
            outcomes.append(refusal)
            continue
        outcomes.append(outcome)
        if outcome.rates is None:
            continue
        try:
            judged = counted_on(
                outcome.rates, level_engine(each).following, plan.round_steps
            )
            question = question_of(judged, plan.windows, epsilon=plan.epsilon)
            asked[number] = outcome, outcome.rates, question
        except Refused as refusal:
            outcome.refusals.append(str(refusal))
    if not asked:
        return Assessments(outcomes, slots)
    # The number of laws is part of the shape: those without a question get another's.
    *_, other = next(iter(asked.values()))
    filled = [asked[n][2] if n in asked else other for n in range(len(outcomes))]
    question = Question(*map(np.stack, zip(*filled, strict=True)))
    good, longest = jax.device_get(judge(window_key, rounds, question))
    for number, (outcome, rates, _) in asked.items():
        shares = shares_of(rates, plan.windows, good[number], longest[number])
        outcome.measurements.extend(good_period_measurements(shares))
        lengths = map(int, shares.rounds)
        outcome.window_rounds.update(zip(shares.blocks, lengths, strict=True))
    return Assessments(outcomes, slots)


def _together(batch: LawBatch, adversaries: LawBatch | None, plan: Plan) -> bool:
    """Whether the plan is no more than is done for all laws at once."""
    return (
        plan.rel_error is None
        and not plan.detail
        and plan.replicas <= BLOCK
        and plan.replicas * len(batch.laws) <= _MOST_LANES
        and 1 <= plan.confirmations <= plan.levels // 4
        and batch.inverses is not None
        and (adversaries is None or adversaries.inverses is not None)
    )


def _alone(key, network: Network, plan: Plan) -> Assessment | Refused:
    try:
        return assess(key, network, plan)
    except Refused as refusal:
        return refusal


def _seen(
    simulate_key: Key[Array, ""],
    moment_key: Key[Array, ""],
    network: Network,
    both: tuple[LawBatch, LawBatch | None],
    plan: Plan,
    slots: int,
) -> tuple[_Seen, Levels, int] | None:
    """Replicas under each law, as wide as need be; None: too wide to be sensible."""
    batch, adversaries = both
    given = _Traced(
        np.float32(network.honest),
        np.float32(network.adversarial),
        np.float32(network.delay),
        np.int32(plan.confirmations),
    )
    while slots <= _MOST_SLOTS:
        seen, record = _program()(
            simulate_key,
            moment_key,
            batch.inverses,
            None if adversaries is None else adversaries.inverses,
            given,
            levels=plan.levels,
            replicas=plan.replicas,
            read=min(plan.good_period_replicas, plan.replicas),
            slots=slots,
            lattice=(batch.lattice, (adversaries or batch).lattice),
        )
        seen = jax.device_get(seen)
        if not seen.overflow.any():
            return seen, record, slots
        slots *= 2
    return None


def _horizons(networks: Sequence[Network], plan: Plan) -> Int[np.ndarray, " laws"]:
    """The horizon under each law, rounds."""
    sizes = {"levels": plan.levels, "round_steps": plan.round_steps}
    return np.array([horizon_rounds(each, **sizes) for each in networks], np.int32)


def _counted(
    record: Levels, seen: _Seen, ends: Int[np.ndarray, " laws"], plan: Plan
) -> tuple[_Counted, Rounds]:
    """The replicas' successes by round."""
    # Few lengths of the lists: each is a program of its own.
    capacity = 2 * plan.levels
    while capacity < seen.most.max():
        capacity *= 2
    counted, rounds = _sorted(
        record,
        np.float32(plan.round_steps),
        ends,
        capacity=capacity,
    )
    return jax.device_get(counted), rounds


class _Traced(NamedTuple):
    """What points of a program differ in, but for their laws."""

    honest: Float[Any, ""]
    adversarial: Float[Any, ""]
    delay: Float[Any, ""]
    confirmations: Int[Any, ""]


@cache
def _program() -> Callable[..., tuple[_Seen, Levels]]:
    """``_simulated``, made when it is first called: only then is the device known."""
    return jax.jit(
        _simulated,
        static_argnames=("levels", "replicas", "read", "slots", "lattice"),
        compiler_options=kernel.compiler_options(),
    )


def _simulated(
    simulate_key,
    moment_key,
    inverses: InverseHazard,
    privates: InverseHazard | None,
    given: _Traced,
    *,
    levels: int,
    replicas: int,
    read: int,
    slots: int,
    lattice: tuple[bool, bool],
) -> tuple[_Seen, Levels]:
    count = len(inverses.offset)
    lane = jnp.arange(count * replicas, dtype=jnp.int32)
    inverse = side_by_side(inverses, lane // replicas)
    private = inverse
    if privates is not None:
        private = side_by_side(privates, lane // replicas)
    record = kernel.run(
        words_of(simulate_key),
        lane % replicas,
        Rules(inverse, private, given.honest, given.adversarial, given.delay),
        width=len(lane),
        levels=levels,
        burn_in=BURN_IN,
        slots=slots,
        lattice=lattice,
    )

    def one(drawn: Levels) -> _Seen:
        followed = Levels(*(x[:read] for x in drawn))
        longest, most = extent(followed)
        paths = paths_along(moment_key, drawn, given.delay, given.confirmations)
        finite = jnp.isfinite(drawn.interval).all()
        covered = shortest(followed)
        return _Seen(paths, drawn.overflow.any(), finite, longest, covered, most)

    by_law = Levels(*(x.reshape(count, replicas, *x.shape[1:]) for x in record))
    return lax.map(one, by_law), Levels(*(x[:, :read] for x in by_law))


@partial(jax.jit, static_argnames="capacity")
def _sorted(
    record: Levels, round_steps, ends, *, capacity: int
) -> tuple[_Counted, Rounds]:
    def one(law: tuple[Levels, Array]) -> tuple[_Counted, Rounds]:
        drawn, end = law
        rounds = sort_rounds(drawn, round_steps, capacity=capacity)
        return _Counted(*counted_rounds(rounds, end)), rounds

    return lax.map(one, (record, ends))


@jax.jit
def _inverses(laws: BlockTimeLaw) -> InverseHazard:
    return lax.map(of_law, laws)


def _along(seen: _Seen, plan: Plan) -> Assessment | None:
    """The figures of the chain alone; None: some level has no end."""
    if not seen.finite:
        return None
    found = path_measurements([seen.paths], plan, count=plan.replicas)
    return Assessment(*found, {}, None)


def _read(seen: _Seen, counted: _Counted, end: int, plan: Plan) -> Assessment:
    """The figures that need no windows."""
    measurements, refusals = path_measurements([seen.paths], plan, count=plan.replicas)
    try:
        rates = rates_of(counted.sums, int(counted.begin), end)
    except Refused as refusal:
        return Assessment(measurements, [*refusals, str(refusal)], {}, None)
    measurements += measurements_of(counted.sums, rates)
    return Assessment(measurements, refusals, {}, rates)


def compilations() -> int:
    """How many distinct programs the simulation has been compiled to so far."""
    programs: list[Any] = [_program(), _sorted]
    return sum(program._cache_size() for program in programs)
