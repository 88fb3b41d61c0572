"""Which engine simulates a config's world: the config alone decides."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ...analysis.assessment.by_weight import assess_weights
from ...analysis.assessment.one_law import (
    Assessment,
    Engine,
    Plan,
    assess,
)
from ...analysis.block_time.empirical import empirical_law
from ...analysis.block_time.law import BlockTimeLaw, fastest_of_speeds
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.measurement import Measurement, with_training_error
from ...analysis.estimation.quantities import CHAIN_QUALITY, QUALITY_GAP, REVENUE
from ...analysis.estimation.sampling import Mapped, one_by_one
from ...analysis.estimation.training_error import Basis, Drawn
from ...analysis.event_network.as_levels import event_levels
from ...analysis.event_network.engine import EventNetwork, event_network
from ...analysis.event_network.many_races import Chains, race_measurements
from ...analysis.event_network.marked_law import Law, chain_rule, marked_law
from ...analysis.simulation.levels import Levels
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ...models.scheme.records import Weight
from ..config.experiment import Config
from ..config.world import STRATEGIES
from ..store.files import Progress
from .persistence import with_growth
from .strategies import WHY, assess_strategy
from .translation import conduct_of, lottery_of, network_of

# Keys of the event engine's races: away from those of the other figures.
_RACES = 2**19


class Chosen(NamedTuple):
    """An engine, and why.

    Attributes:
        name: ``level``, ``event`` or ``strategy``.
        why: A sentence.
    """

    name: str
    why: str


def chosen_engine(config: Config) -> Chosen:
    """The level engine where it is exact, the event engine otherwise."""
    net, rules = config.network, config.protocol
    if config.attackers and config.adversary.attack in STRATEGIES:
        return Chosen("strategy", WHY[config.adversary.attack])
    beyond = []
    if rules.chain_rule != "longest":
        beyond.append(f"protocol.chain_rule = {rules.chain_rule}")
    if rules.adopted != "first_seen":
        beyond.append(f"protocol.tie_rule = {rules.tie_rule}")
    if not net.equal_speeds:
        beyond.append("network.classes of unequal speeds")
    if net.delay_model in ("random", "table"):
        beyond.append(f"network.delay_model = {net.delay_model}")
    if beyond:
        return Chosen(
            "event",
            f"the event engine, block by block and message by message: "
            f"{', '.join(beyond)}",
        )
    return Chosen(
        "level",
        "the level engine, exact here: equal provers, every message takes Δ, the "
        "longest chain, the first seen of equals",
    )


def assess_world(
    config: Config,
    known: UncertainLaw,
    law: BlockTimeLaw,
    key: Key[Array, ""],
    plan: Plan,
    *,
    mapped: Mapped = one_by_one,
) -> Assessment:
    """``assess`` of a config's world under one of its laws, by the engine that has it.

    Args:
        config: The experiment, under the longest rule.
        known: Its laws.
        law: One of them.
        key: Fixes every draw.
        plan: Figures and effort.
        mapped: As ``assess``.

    Raises:
        Refused: As ``assess`` and ``network_of``.
    """
    network = network_of(config, law, known)
    chosen = chosen_engine(config).name
    if chosen == "strategy":
        public = partial(event_network_of, config, law)
        return assess_strategy(config, known, law, key, plan, public)
    if chosen == "level":
        return assess(key, network, plan, mapped=mapped)
    public = event_network_of(config, law)
    corrupted = config.network.corrupted_speeds if config.attackers else ()
    other = known.against(law)

    def simulate(key, *, levels: int, replicas: int):
        return event_levels(
            key,
            public,
            corrupted=corrupted,
            adversary=other,
            levels=levels,
            replicas=replicas,
        )

    following = fastest_of_speeds(law, corrupted) if other is not None else None
    # Persistence, which is rare, is raced on replicas of its own.
    rest = plan._replace(depths=()) if corrupted else plan
    found = assess(
        key, network, rest, mapped=mapped, engine=Engine(simulate, following)
    )
    if not corrupted:
        return found
    rows, missing = _races(key, simulate, plan, float(config.network.delay_steps))
    return found._replace(
        measurements=[*found.measurements, *rows],
        missing=(*found.missing, *missing),
    )


def _races(
    key: Key[Array, ""], simulate: Callable[..., Levels], plan: Plan, delay: float
) -> tuple[list[Measurement], tuple[str, ...]]:
    """Persistence by many races on each replica of the event engine."""

    def draw(key: Key[Array, ""], replicas: int) -> Chains:
        levels = simulate(key, levels=plan.levels, replicas=replicas)
        interval = np.asarray(levels.interval, float)
        reached = np.cumsum(np.pad(interval, ((0, 0), (1, 0))), axis=1)
        return Chains(reached, np.asarray(levels.private, float))

    return race_measurements(
        jax.random.fold_in(key, _RACES),
        draw,
        plan.depths,
        delay_steps=delay,
        replicas=plan.replicas,
        rel_error=plan.rel_error,
        most=plan.most_replicas,
    )


def world_estimates(
    config: Config,
    law: UncertainLaw,
    plans: tuple[Plan, Plan],
    basis: Basis,
    *,
    progress: Progress = lambda *_: None,
    mapped: Mapped = one_by_one,
) -> tuple[list[Measurement], Assessment, int]:
    """A world's figures under the longest rule, with both errors.

    Args:
        config: The experiment.
        law: Its laws.
        plans: Effort under the law of all runs, and under each other one.
        basis: What the figures rest on.
        progress: Told how far it is.
        mapped: As ``assess``.

    Returns:
        Measurements, what was assessed, and how many resamples could not be.

    Raises:
        Refused: As ``assess_world`` under the law of all runs.
    """
    key, (plan, smaller) = seed_key(config.seed), plans
    # The same effort for the laws beyond the horizon, and one to compare them with.
    others = [*law.resamples, law.law, *law.extremes] if law.resamples else []
    total = 1 + len(others)
    progress("estimating security", 0, total)
    assessment = assess_world(config, law, law.law, key, plan, mapped=mapped)
    progress("estimating security", 1, total)

    def grown(found: Assessment, one: BlockTimeLaw) -> list[Measurement]:
        return with_growth(found.measurements, network_of(config, one, law))

    def replicate(number: int) -> list[Measurement] | None:
        try:
            one = others[number]
            return grown(assess_world(config, law, one, key, smaller), one)
        except Refused:
            return None

    replicates = []
    for done, found in enumerate(mapped(replicate, len(others))):
        replicates.append(found)
        progress("estimating security", 2 + done, total)
    count = len(law.resamples)
    drawn, beyond = replicates[:count], replicates[count:]
    failed = drawn.count(None)
    centre, *extremes = beyond if beyond else [None]
    measurements = with_training_error(
        grown(assessment, law.law),
        [each or [] for each in drawn],
        extremes=[each for each in extremes if each is not None],
        centre=centre or (),
        basis=basis,
    )
    return measurements, assessment, failed


def taken(config: Config, measured: list[Measurement]) -> list[Measurement]:
    """Figures with what the adversary has of the settled blocks: ``revenue``.

    A withholding adversary has what is not honest; where every public block is
    relabelled, all; where the corrupted provers obey, their share by symmetry.
    """
    every = config.adversary.attack == "relabel" and config.protocol.binding == "none"
    if every and config.attackers:
        how = "every public block is relabelled (binding none)"
        none = Estimate(0.0, 0.0, 0.0, 0, how)
        measured = [
            each._replace(estimate=none, drawn=None)
            if each.quantity == CHAIN_QUALITY
            else each
            for each in measured
            if each.quantity != QUALITY_GAP
        ]
    there = any(m.quantity == REVENUE for m in measured)
    if there or not config.network.corrupted:
        return measured
    revenue = _revenue(config, measured)
    return measured if revenue is None else [*measured, revenue]


def _revenue(config: Config, measured: list[Measurement]) -> Measurement | None:
    if not config.attackers:
        if not config.network.equal_speeds:
            return None
        share = config.network.beta
        fair = Estimate(share, share, share, 0, "equal provers that obey have a share")
        return Measurement(REVENUE, None, "", fair, "share")
    for m in measured:
        if m.quantity == CHAIN_QUALITY:
            e = m.estimate
            kept = None if m.drawn is None else _rest_of(m.drawn)
            return m._replace(quantity=REVENUE, estimate=_rest(e), drawn=kept)
    return None


def _rest(e: Estimate) -> Estimate:
    return e._replace(value=1 - e.value, low=1 - e.high, high=1 - e.low)


def _rest_of(drawn: Drawn) -> Drawn:
    return Drawn(
        _rest(drawn.own),
        tuple(1 - each for each in drawn.resamples),
        tuple(1 - each for each in drawn.extremes),
        None if drawn.centre is None else 1 - drawn.centre,
    )


def event_network_of(config: Config, law: Law) -> EventNetwork:
    """The honest provers of a config as the event engine takes them."""
    net, rules = config.network, config.protocol
    honest = net.honest_speeds
    if not config.attackers:
        honest += net.corrupted_speeds
    try:
        return event_network(
            law,
            speeds=honest,
            delay_steps=net.delay_steps,
            delay_model=net.delay_model,
            delays=net.delays,
            rule=chain_rule(
                rules.chain_rule,
                t_acc=config.scheme.t_acc,
                weight=Weight(rules.weight.family, rules.weight.kappa),
                ties=rules.adopted,
            ),
        )
    except ValueError as error:
        raise Refused(f"the event engine has no such network: {error}") from None


class WeightWorld(NamedTuple):
    """A network under the weight rule, for one set of curves.

    Attributes:
        network: Its honest provers.
        next_block: Law of the first of their blocks.
    """

    network: EventNetwork
    next_block: BlockTimeLaw


def weight_world(
    config: Config, curves: CurveSet, costs: np.ndarray | None
) -> WeightWorld:
    """The config's network under the weight rule.

    Raises:
        Refused: If the protocol has a rule that no marked law has.
    """
    rules, lottery = config.protocol, lottery_of(config, config.scheme)
    problems: Mapping[str, Any] = {
        "protocol.retry": (rules.retry, "continue"),
        "protocol.abandon_steps": (rules.abandon_steps, "never"),
        "protocol.s_min": (rules.s_min, 0),
        "protocol.reference": (rules.reference, "fresh"),
    }
    wrong = [
        f"{field} = {has} (known: {known})"
        for field, (has, known) in problems.items()
        if has != known
    ]
    if conduct_of(config).changes_law() and config.attackers:
        wrong.append(f"adversary.attack = {config.adversary.attack} (known: private)")
    if wrong:
        raise Refused(
            "protocol.chain_rule = weight: a law with the accuracies of its blocks is "
            f"not known for {'; '.join(wrong)}"
        )
    whole = curves
    if rules.weight.family != "indicator":
        full = np.full_like(curves.correct, curves.eval_samples)
        whole = curves._replace(correct=full)
    ticket = empirical_law(whole, lottery, step_costs=costs).law
    network = event_network_of(config, marked_law(curves, lottery, step_costs=costs))
    speeds = tuple(float(each) for each in jnp.asarray(network.speeds))
    return WeightWorld(network, fastest_of_speeds(ticket, speeds))


def assess_weight_world(
    config: Config, world: WeightWorld, key: Key[Array, ""], plan: Plan
) -> Assessment:
    """The figures of a config under the weight rule."""
    corrupted = config.network.corrupted_speeds if config.attackers else ()
    return assess_weights(
        key, world.network, world.next_block, plan, corrupted=corrupted
    )
