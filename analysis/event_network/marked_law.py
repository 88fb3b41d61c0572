"""Marked block-time laws: when a prover's next block comes, and how heavy it is.

Notation (scheme.md §4, security.md §1; time unit: one training step):
    acc_i(t)       accuracy of run i at look t = e, 2e, ...  ``MarkedLaw.accuracy``
    X, acc(X)      block time and the accuracy shown with it: the mark
    w(acc, T_acc)  weight of a block                         ``weigh``
    p_1, p_2       success probabilities of the lotteries
    c_i            time of a step of run i                   ``step_costs``
    u              weights are whole multiples of it         ``Tickets.unit``

Under the weight rule R ≡ 1: every look of a run is a ticket with probability p_2, and
the block counts w(acc, T_acc). A block of weight 0 makes no chain heavier, so not even
its finder goes over to it: training goes on, policy ``continue``. Only looks of
positive weight are therefore drawn for. So one sampler serves both rules: ``longest``
is the indicator weight, and its law of X is the one of ``empirical.empirical_law``.

Beyond the horizon a run that has had a look of weight goes on at the one rate that has
the mean of the rates by which ``ticket_rates.py`` carries it on, each time with one of
the marks of its last quarter, or with its last mark of positive weight where that
quarter has none. Its mean time is that of ``empirical_law``; within a run the rate no
longer grows, so a longer horizon says more.
"""

import math
from functools import partial
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from ...models.learning.curves import CurveSet
from ...models.scheme.records import Weight
from ..block_time.attempts import remaining_looks
from ..block_time.counter_draws import below, exponential, two_words
from ..block_time.empirical import Lottery, empirical_law
from ..block_time.inverse_hazard import InverseHazard, of_law, time_at
from ..block_time.law import BlockTimeLaw, on_device
from ..block_time.ticket_rates import ticket_rates
from ..estimation.estimate import Refused

FAMILIES = ("indicator", "linear", "exponential")
TIES = ("first_seen", "random", "adversary")
# Float32 ends at 2^127.
_LARGEST_EXPONENT = 100.0
# Hazard of a sure success; JAX's and our Exp(1) never get there.
_SURE = 100.0


class MarkedLaw(NamedTuple):
    """The joint law of a prover's block time and the accuracy it is shown with.

    Attributes:
        accuracy: acc_i at the looks.
        look_time: e c_i, time between two looks of a run.
        pre_hazard: −ln(1 − p_1), of one hash.
        post_hazard: −ln(1 − p_2), of one look.
        hash_time: Time of one hash, steps.
        lattice: Whether all block times are hash_time + multiples of one look time.
    """

    accuracy: Float[Array, "runs looks"]
    look_time: Float[Array, " runs"]
    pre_hazard: Float[Array, ""]
    post_hazard: Float[Array, ""]
    hash_time: Float[Array, ""]
    lattice: Bool[Array, ""]


Law: TypeAlias = BlockTimeLaw | MarkedLaw


class ChainRule(NamedTuple):
    """What a block weighs and who wins a tie, all traced.

    Attributes:
        t_acc: T_acc.
        family: Index of the weight in ``FAMILIES``.
        kappa: κ of the exponential weight.
        ties: Index of the tie rule in ``TIES``.
    """

    t_acc: Float[Array, ""]
    family: Int[Array, ""]
    kappa: Float[Array, ""]
    ties: Int[Array, ""]


class Tickets(NamedTuple):
    """A marked law under a chain rule, ready to be drawn from (traced).

    Attributes:
        look: The c-th look of positive weight of each run, counted from 1.
        weight: Its weight, in units.
        total: Looks of positive weight, by run.
        recent: Those in the last quarter of the run.
        late_hazard: Of a look beyond the horizon; 0: never.
        law: The law itself.
    """

    look: Int[Array, "runs looks"]
    weight: Int[Array, "runs looks"]
    total: Int[Array, " runs"]
    recent: Int[Array, " runs"]
    late_hazard: Float[Array, " runs"]
    law: MarkedLaw


class PlainTickets(NamedTuple):
    """An unmarked law: every block has accuracy 1 and therefore one weight."""

    law: InverseHazard
    lattice: Bool[Array, ""]
    weight: Int[Array, ""]


def chain_rule(
    chain: str = "longest",
    *,
    t_acc: float = 1.0,
    weight: Weight | None = None,
    ties: str = "first_seen",
) -> ChainRule:
    """A chain rule as compiled code takes it; any of them is the same program.

    Args:
        chain: ``longest``: a block is a look of accuracy ≥ T_acc and counts 1;
            ``weight``: every look may be a block and counts w(acc, T_acc).
        t_acc: T_acc in (0, 1].
        weight: The family w of the ``weight`` rule; None: the indicator.
        ties: ``first_seen``, ``random`` or ``adversary``: who wins between equally
            heavy chains (``event_network``).

    Raises:
        ValueError: If a name is unknown or a number out of its range.
    """
    weight = Weight() if weight is None else weight
    for name, given, allowed in (
        ("chain", chain, ("longest", "weight")),
        ("weight.family", weight.family, FAMILIES),
        ("ties", ties, TIES),
    ):
        if given not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {given!r}")
    if not 0 < t_acc <= 1:
        raise ValueError(f"t_acc must be in (0, 1], got {t_acc}")
    if not 0 <= weight.kappa * max(t_acc, 1 - t_acc) <= _LARGEST_EXPONENT:
        raise ValueError(
            f"weight.kappa must be from 0 to {_LARGEST_EXPONENT:g} / max(t_acc, "
            f"1 - t_acc), float32 ends there, got {weight.kappa}"
        )
    family = "indicator" if chain == "longest" else weight.family
    return ChainRule(
        jnp.float32(t_acc),
        jnp.int32(FAMILIES.index(family)),
        jnp.float32(weight.kappa),
        jnp.int32(TIES.index(ties)),
    )


def marked_law(
    curves: CurveSet, lottery: Lottery, *, step_costs: np.ndarray | None = None
) -> MarkedLaw:
    """The marked law of one prover, from learning curves.

    Args:
        curves: Learning curves of independent runs.
        lottery: p_1, p_2 and the hash rate; T_acc belongs to the chain rule.
        step_costs: c_i; None: all 1.

    Raises:
        ValueError: If a parameter is out of range, or the retry policy is one that a
            marked law does not have: only ``continue`` without abandonment, since no
            look fails for its accuracy.
    """
    if lottery.retry != "continue" or lottery.abandon_steps is not None:
        raise ValueError(
            "a marked law needs retry = 'continue' and abandon_steps = None: under the "
            "weight rule no model is below T_acc, so none is given up; got retry = "
            f"{lottery.retry!r}, abandon_steps = {lottery.abandon_steps}"
        )
    # The law of a lottery that every look enters checks all the other parameters.
    whole = curves._replace(correct=np.full_like(curves.correct, curves.eval_samples))
    checked = empirical_law(whole, lottery._replace(t_acc=1.0), step_costs=step_costs)
    runs = len(curves.correct)
    costs = np.ones(runs) if step_costs is None else np.asarray(step_costs, float)
    number = partial(jnp.asarray, dtype=jnp.float32)
    return MarkedLaw(
        accuracy=number(curves.accuracy),
        look_time=number(costs * float(curves.steps[0])),
        pre_hazard=number(_hazard(lottery.p_1)),
        post_hazard=number(_hazard(lottery.p_2)),
        hash_time=number(1.0 / lottery.hashes_per_step),
        lattice=jnp.asarray(bool(checked.law.lattice)),
    )


def weigh(
    accuracy: Float[np.ndarray, "*shape"], rule: ChainRule
) -> Float[np.ndarray, "*shape"]:
    """w(acc, T_acc) of scheme.md §4, as ``models.scheme.weight`` in float64."""
    t_acc, family = float(rule.t_acc), FAMILIES[int(rule.family)]
    if family == "indicator":
        return (accuracy >= t_acc).astype(float)
    if family == "linear":
        return np.minimum(1.0, accuracy / t_acc)
    return np.exp2(float(rule.kappa) * (accuracy - t_acc))


def unit_for(law: Law, rule: ChainRule, blocks: int) -> float:
    """u: a power of two so small that ``blocks`` of the heaviest fit in 2^30 units.

    Sums of whole units are exact, so chains of equal weight are equal whatever the
    order of their blocks. Weights are good to u, about 1e-9 × blocks of the heaviest.
    """
    heaviest = max(float(weigh(_marks(law), rule).max()), 2.0**-120)
    return 2.0 ** (math.ceil(math.log2(heaviest * blocks)) - 30)


def tickets(law: Law, rule: ChainRule, unit: float) -> Tickets | PlainTickets:
    """A law under a rule, with its weights in units.

    On the host, in float64: two compiled programs could round one weight to two
    neighbouring units, and a tie between a public and a private chain would be none.
    """
    weight = weigh(_marks(law), rule)
    whole = np.maximum(np.round(weight / unit), 1.0)
    units = np.where(weight > 0, whole, 0.0).astype(np.int32)
    if isinstance(law, BlockTimeLaw):
        return PlainTickets(
            _inverse(on_device(law)), jnp.asarray(law.lattice), jnp.asarray(units[0])
        )
    looks = units.shape[1]
    counts = units > 0
    order = np.argsort(~counts, axis=1, stable=True)
    quarter = max(1, looks // 4)
    recent = counts[:, -quarter:].sum(axis=1)
    success = -np.expm1(-float(law.post_hazard))
    late = np.zeros(len(counts))
    some = counts.any(axis=1)
    if some.any():
        rates = ticket_rates(counts[some], np.argmax(counts[some], axis=1))
        per_look = np.minimum(1.0 / remaining_looks(rates, success, looks), 1.0)
        with np.errstate(divide="ignore"):
            late[some] = np.minimum(-np.log1p(-per_look), _SURE)
    whole = partial(jnp.asarray, dtype=jnp.int32)
    return Tickets(
        look=whole(order + 1),
        weight=whole(np.take_along_axis(units, order, axis=1)),
        total=whole(counts.sum(axis=1)),
        recent=whole(recent),
        late_hazard=jnp.asarray(late, jnp.float32),
        law=law,
    )


def draw(
    key: UInt32[Array, "two *keys"],
    under: Tickets | PlainTickets,
    place: Int[Array, "*shape"],
    turn: Int[Array, "*shape"],
) -> tuple[Float[Array, "*shape"], Int[Array, "*shape"]]:
    """A unit-speed prover's block time and its weight in units; inf: never.

    Args:
        key: Words of a key, or of keys (``two_words``); streams 0 and 1 are used.
        under: The law under its rule.
        place: Whose draws.
        turn: Which of his.
    """
    ticket_word, run_word = two_words(key, 0, place, turn)
    hazard = exponential(ticket_word)
    if isinstance(under, PlainTickets):
        # A branch, not a choice: only lattices pay for their atoms.
        time = lax.cond(
            under.lattice,
            partial(time_at, lattice=True),
            partial(time_at, lattice=False),
            under.law,
            hazard,
        )
        return time, jnp.broadcast_to(under.weight, time.shape)
    law = under.law
    hash_word, late_word = two_words(key, 1, place, turn)
    runs, looks = under.look.shape
    run = below(run_word, runs)
    count, late = under.total[run], under.late_hazard[run]

    needed = jnp.maximum(jnp.ceil(hazard / law.post_hazard), 1.0)
    beyond = needed > count
    # What is left of E beyond the horizon is Exp(1) again.
    left = hazard - count * law.post_hazard
    # Draws of a hazard that rounds to 0 take one look, those of no hazard for ever.
    more = jnp.maximum(jnp.ceil(left / late), 1.0)
    back = below(late_word, jnp.maximum(under.recent[run], 1))
    ticket = jnp.where(beyond, count - 1 - back, needed.astype(jnp.int32) - 1)
    ticket = jnp.clip(ticket, 0, looks - 1)
    look = jnp.where(beyond, looks + more, under.look[run, ticket].astype(jnp.float32))
    look = jnp.where(beyond & (late == 0), jnp.inf, look)
    hashes = jnp.maximum(jnp.ceil(exponential(hash_word) / law.pre_hazard), 1.0)
    time = law.hash_time * hashes + law.look_time[run] * look
    return time, under.weight[run, ticket]


def lattice_slack(law: Law, speeds: Float[Array, " n"]) -> Float[Array, ""]:
    """Times nearer than this are one moment: a lattice's ties, which float32 blurs."""
    spacing = law.look_time.min() if isinstance(law, MarkedLaw) else law.spacing
    return jnp.where(law.lattice, 1e-3 * jnp.asarray(spacing) / speeds.max(), 0.0)


def require_weight(law: Law, rule: ChainRule) -> None:
    """Refuse a law under which no run ever makes a block of positive weight.

    Raises:
        Refused: If so; says what the runs reached.
    """
    if not (weigh(_marks(law), rule) > 0).any():
        best = float(_marks(law).max())
        raise Refused(
            f"t_acc = {float(rule.t_acc):g}: no look of any run has positive weight, "
            f"the best accuracy is {best:.4f}; lower t_acc or train longer "
            "(horizon_steps)"
        )


@jax.jit
def _inverse(law: BlockTimeLaw) -> InverseHazard:
    return of_law(law)


def _marks(law: Law) -> Float[np.ndarray, "..."]:
    if isinstance(law, MarkedLaw):
        return np.asarray(law.accuracy, float)
    return np.ones(1)


def _hazard(probability: float) -> float:
    return _SURE if probability == 1 else min(float(-np.log1p(-probability)), _SURE)
