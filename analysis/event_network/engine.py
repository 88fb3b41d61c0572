"""The network that no shortcut fits: unequal speeds, weights, ties, random delays.

Notation (docs/science/weight.md for the weights):
    n, v_i       provers and their speeds: block times X/v_i   ``EventNetwork.speeds``
    Δ            longest delay of a message                    ``EventNetwork.delay``
    w, W         weight of a block, cumulative weight of its chain

Every prover mines on the heaviest chain it knows and restarts when it goes over to
another (h_1 covers prevBK). Its own block it knows at once, others after a delay: Δ
(``worst_case``, ``fixed``) or uniform on [0, Δ], independent for each block and
receiver (``random``), or one of a table of measured delays, independent
too (``table``). A block whose parent has not been heard of waits for it.

Ties between equally heavy chains: ``first_seen`` keeps the one heard of first;
``random`` goes over on a fair coin, one for each block and receiver; ``adversary``
always goes over, so the one heard of last wins: no honest prover's first choice lasts.
Messages heard in the same moment come heaviest first, then in random order.

``step.py`` is the engine. Its time is O(n) a block whatever the rules;
``simulation`` is faster, for equal speeds, one delay and the longest chain. Everything
but n and the counts is traced: one compilation serves a sweep. What does not fit the
slots or the window of ancestors is detected and run again wider, with the same draws.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from ..block_time.counter_draws import MAXIMUM_PLACES, words_of
from ..block_time.law import BlockTimeLaw, on_device
from ..estimation.estimate import Refused
from ..simulation.levels import batch_of
from .marked_law import (
    ChainRule,
    Law,
    chain_rule,
    lattice_slack,
    require_weight,
    tickets,
    unit_for,
)
from .state import Rules, State, begin, common_block
from .step import advance

# Numbers of one replica batch that are worked on at once: what a core's cache holds.
BATCH_NUMBERS = 8192
# Replicas that are simulated again together, where so few are.
_AGAIN = (32, 256)
MAXIMUM_SLOTS = 512
MAXIMUM_WORDS = 32
DELAYS = ("worst_case", "fixed", "random", "table")


class EventNetwork(NamedTuple):
    """Who takes part and by which rules, all traced.

    Attributes:
        law: Block-time law of a unit-speed prover; unmarked ones have accuracy 1.
        speeds: v_i.
        delay: Δ, steps.
        random_delay: Whether delays are uniform on [0, Δ].
        rule: Weights and ties.
        shares: Shares of Δ, of which a message that is not random takes one.
    """

    law: Law
    speeds: Float[Array, " n"]
    delay: Float[Array, ""]
    random_delay: Bool[Array, ""]
    rule: ChainRule
    shares: Float[Array, " table"]


class Record(NamedTuple):
    """All blocks of a replica in the order they were found.

    Attributes:
        gap: Time between the block before and this one, steps.
        finder: Prover that found it.
        weight: Its weight in units.
        work: Cumulative weight of its chain in units.
        parent: Index of the block it extends; −1: the block that all started on.
        settled: Index of the newest block that is on the chain of every prover and of
            every message under way at the end; −1: none. Nothing up to it can change.
        reverted: Σ over reorganisations of the discarded blocks at depth ≥ d = 1, 2, …
        adopted: Blocks that provers took into their chains, found or heard of.
        unit: u, the weight of a unit.
        slack: Times nearer than this are one moment (lattice laws).
    """

    gap: Float[Array, "replicas blocks"]
    finder: Int[Array, "replicas blocks"]
    weight: Int[Array, "replicas blocks"]
    work: Int[Array, "replicas blocks"]
    parent: Int[Array, "replicas blocks"]
    settled: Int[Array, " replicas"]
    reverted: Int[Array, "replicas depths"]
    adopted: Int[Array, " replicas"]
    unit: float
    slack: Float[Array, ""]


class _Outcome(NamedTuple):
    """Replicas as compiled code leaves them: rows of a record, and how they ended."""

    rows: Int[Array, "replicas blocks 5"]
    settled: Int[Array, " replicas"]
    reverted: Int[Array, "replicas depths"]
    adopted: Int[Array, " replicas"]
    crowded: Bool[Array, " replicas"]
    deep: Bool[Array, " replicas"]
    dead: Bool[Array, " replicas"]


def event_network(
    law: Law,
    *,
    speeds: Sequence[float] | np.ndarray,
    delay_steps: float,
    delay_model: str = "worst_case",
    delays: Sequence[float] = (),
    rule: ChainRule | None = None,
) -> EventNetwork:
    """A network of provers of given speeds.

    Args:
        law: Block-time law of a unit-speed prover.
        speeds: v_i > 0, one a prover.
        delay_steps: Δ ≥ 0.
        delay_model: ``worst_case`` or ``fixed``: every message takes Δ; ``random``: a
            uniform share of it; ``table``: one of ``delays``, each as often.
        delays: Measured delays, none longer than Δ.
        rule: Weights and ties; None: the longest chain, first seen.

    Raises:
        ValueError: If a parameter is out of range.
        Refused: If no look of any run has positive weight.
    """
    speed = np.asarray(speeds, float)
    if speed.ndim != 1 or not 1 <= len(speed) < MAXIMUM_PLACES:
        raise ValueError(f"speeds must be a list of at least one, got {speeds}")
    if not (np.isfinite(speed).all() and (speed > 0).all()):
        raise ValueError(f"speeds must be > 0 and finite, got {speeds}")
    if not 0 <= delay_steps < np.inf:
        raise ValueError(f"delay_steps must be ≥ 0 and finite, got {delay_steps}")
    if delay_model not in DELAYS:
        raise ValueError(f"delay_model must be one of {DELAYS}, got {delay_model!r}")
    if (delay_model == "table") != bool(len(delays)) or not all(
        0 <= each <= delay_steps for each in delays
    ):
        raise ValueError(
            f"delays must be from 0 to delay_steps = {delay_steps:g}, at least one "
            f"for delay_model = 'table' and none for another, got {list(delays)} for "
            f"{delay_model!r}"
        )
    shares = np.asarray(delays, float) / delay_steps if delay_steps else np.zeros(1)
    rule = chain_rule() if rule is None else rule
    require_weight(law, rule)
    return EventNetwork(
        on_device(law) if isinstance(law, BlockTimeLaw) else law,
        jnp.asarray(speed, jnp.float32),
        jnp.float32(delay_steps),
        jnp.asarray(delay_model == "random"),
        rule,
        jnp.asarray(shares if len(delays) else np.ones(1), jnp.float32),
    )


def simulate_network(
    key: Key[Array, ""],
    network: EventNetwork,
    *,
    blocks: int,
    replicas: int,
    burn_in: int = 16,
    slots: int = 4,
) -> Record:
    """Simulate independent replicas of the network.

    Args:
        key: Fixes every draw.
        network: Law, speeds, delays, rules.
        blocks: Blocks recorded a replica, forks included, from the common start.
        replicas: Independent replicas.
        burn_in: Blocks before reorganisations are counted; the record holds them.
        slots: Messages under way that are followed at first; widened where too few.

    Raises:
        ValueError: If a count is below 1, or the burn-in leaves nothing.
        Refused: If a replica comes to a state in which no prover ever finds a block,
            or has more than 512 messages under way or forks 1024 blocks deep.
    """
    if not (replicas >= 1 and slots >= 1 and 0 <= burn_in < blocks):
        raise ValueError(
            "replicas and slots must be ≥ 1 and burn_in from 0 to below blocks, got "
            f"replicas = {replicas}, slots = {slots}, burn_in = {burn_in}, "
            f"blocks = {blocks}"
        )
    unit = unit_for(network.law, network.rule, blocks)
    slack = lattice_slack(network.law, network.speeds)
    rules = Rules(
        law=tickets(network.law, network.rule, unit),
        speeds=network.speeds,
        delay=network.delay,
        random_delay=network.random_delay,
        shares=network.shares,
        ties=network.rule.ties,
        slack=slack,
        burn_in=jnp.int32(burn_in),
    )

    def run(numbers: Int[np.ndarray, " n"], slots: int, words: int) -> _Outcome:
        return _simulate(
            key,
            jnp.asarray(numbers, jnp.int32),
            rules,
            blocks=blocks,
            replicas=replicas,
            slots=slots,
            words=words,
        )

    words = 1
    outcome = run(np.arange(replicas), slots, words)
    while len(again := np.flatnonzero(outcome.crowded | outcome.deep)):
        slots <<= bool(outcome.crowded.any())
        words <<= bool(outcome.deep.any())
        if slots > MAXIMUM_SLOTS or words > MAXIMUM_WORDS:
            raise Refused(
                f"the network: more than {MAXIMUM_SLOTS} messages under way or forks "
                f"deeper than {32 * MAXIMUM_WORDS} blocks; there is no chain to speak "
                "of (fewer provers, a shorter delay_steps or a rarer post-hash)"
            )
        # Padded to few different lengths, each of which is a program of its own.
        length = next((n for n in _AGAIN if len(again) <= n < replicas), replicas)
        wider = run(np.resize(again, length), slots, words)
        outcome = jax.tree.map(
            lambda old, new: old.at[again].set(new[: len(again)]),
            outcome,
            wider,
        )
    if bool(outcome.dead.any()):
        raise Refused(
            "the network: a replica came to a state in which no prover ever finds a "
            "block, since the law leaves mass that never ends; lower t_acc or lengthen "
            "the horizon"
        )
    rows = outcome.rows
    return Record(
        gap=lax.bitcast_convert_type(rows[:, :, 0], jnp.float32),
        finder=rows[:, :, 1],
        weight=rows[:, :, 2],
        work=rows[:, :, 3],
        parent=rows[:, :, 4],
        settled=outcome.settled,
        reverted=outcome.reverted,
        adopted=outcome.adopted,
        unit=unit,
        slack=slack,
    )


def compilations() -> int:
    """How many distinct programs the simulation has been compiled to so far."""
    return _simulate._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


@partial(jax.jit, static_argnames=("blocks", "replicas", "slots", "words"))
def _simulate(
    key, numbers, rules: Rules, *, blocks, replicas, slots, words
) -> _Outcome:
    count, provers = len(numbers), len(rules.speeds)
    width = batch_of(count, max(1, BATCH_NUMBERS // provers))
    numbers = jnp.pad(numbers, (0, -count % width))
    keys = jax.vmap(words_of)(jax.random.split(key, replicas)[numbers])
    batch = partial(_batch, rules=rules, blocks=blocks, slots=slots, words=words)
    outcome = lax.map(batch, keys.reshape(-1, width, 2))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:count], outcome)


def _batch(keys, *, rules: Rules, blocks, slots, words) -> _Outcome:
    keys, lanes = keys.T, jnp.arange(len(keys))
    rows = jnp.zeros((blocks, 5, len(lanes)), jnp.int32)

    def running(state: State):
        whole = ~(state.dead | state.crowded | state.deep)
        return (state.blocks < blocks) & whole

    def body(carry):
        before, rows = carry
        after, found = advance(before, keys, rules, running=running(before))
        row = jnp.stack(
            [
                lax.bitcast_convert_type(found.gap, jnp.int32),
                found.finder,
                found.weight,
                found.work,
                found.parent,
            ],
            axis=1,
        )
        # Out of the record where nothing was found: dropped.
        place = jnp.where(found.happened, before.blocks, blocks)
        rows = rows.at[place, :, lanes].set(row, mode="drop", unique_indices=True)
        return after, rows

    start = begin(keys, rules, slots=slots, words=words), rows
    state, rows = lax.while_loop(lambda carry: running(carry[0]).any(), body, start)
    return _Outcome(
        rows=jnp.moveaxis(rows, -1, 0),
        settled=common_block(state, rules.slack),
        reverted=state.reverted.T,
        adopted=state.adopted,
        crowded=state.crowded,
        deep=state.deep,
        dead=state.dead,
    )
