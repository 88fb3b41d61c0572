"""A config's persistence by the engine that knows it, and the verdict that follows.

The private chain on equal provers is the grid's; the simulated network stands beside it
as a check, and gives the lower ends where messages take time. Where the grid refuses,
the simulated curve takes its place.

``adversary.attack`` = private_premined: risks, the depth that is not safe and the
verdict are those of the race with the stationary lead. The network is simulated and
split without it, whose risk is below: lower ends and the check hold.

``security.criterion`` = longer: that is the race of the verdict and of the safe depths,
whose rows end in ``_strict``; an equal chain's risk stands beside.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax

from ...analysis.block_time.effective_runs import tilted
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.confirmations.lower_ends import anchors, faults, with_lower_ends
from ...analysis.confirmations.private_chain import PrivateChain, private_chain
from ...analysis.confirmations.tables import NO_ADVERSARY
from ...analysis.confirmations.verdict import private_growth, unsafe_depth
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.measurement import Measurement
from ...analysis.estimation.quantities import (
    PERSISTENCE_SIMULATED,
    PERSISTENCE_VIOLATION,
    PRIVATE_GROWTH,
    STRICT,
    UNSAFE_DEPTH,
)
from ...analysis.estimation.sampling import Mapped, one_by_one
from ...analysis.estimation.training_error import Basis
from ...analysis.race import splitting
from ...analysis.race.walk import OUTGROWS, TARGETS, race, tilts
from ...analysis.simulation.levels import Network
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..store.files import Progress
from .forks import balance_persistence
from .translation import network_of

_REPETITIONS = 16
# Keys of the network's splitting: away from those of the simulated blocks.
_SPLIT = 2**20
# Finders a level of a sweep's splitting: enough for nearly all, so that it is compiled
# once.
_SLOTS = 16

_UNBOUND = (
    "confirmations: the grid counts blocks, and bounds how slow the public chain may "
    "be where nobody begins anew at an equal tip; protocol.chain_rule = longest with "
    "protocol.tie_rule = first_seen has them"
)

_NO_LEAD = (
    "persistence with a head start: races are simulated without one, and no grid knows "
    "this chain; adversary.attack = private has the risk without it, "
    "protocol.chain_rule = longest with protocol.tie_rule = first_seen the one with it"
)


class Persistence(NamedTuple):
    """What is known of persistence.

    Attributes:
        measurements: ``persistence_violation``, ``safe_depth`` (without and with head
            start), ``unsafe_depth``.
        refusals: Why some of it is not there.
        faults: Where the simulation contradicts the grid.
    """

    measurements: list[Measurement]
    refusals: list[str]
    faults: list[str]


def targets_of(config: Config) -> list[float]:
    """The config's target, then those that everybody asks for."""
    return list(dict.fromkeys((float(config.security.target), *TARGETS)))


def with_growth(measured: list[Measurement], network: Network) -> list[Measurement]:
    """Figures under a law with ``private_growth``, which needs the law itself."""
    growth = private_growth(measured, network)
    return measured if growth is None else [*measured, growth]


def persistence(
    config: Config,
    law: UncertainLaw,
    measured: Sequence[Measurement],
    alone: Sequence[Measurement],
    *,
    basis: Basis,
    thorough: bool = True,
    chosen: str = "level",
    progress: Progress = lambda what, done, total: None,
    mapped: Mapped = one_by_one,
) -> Persistence:
    """Risks at all depths, safe depths for all targets, and what is not safe.

    Args:
        config: The experiment.
        law: Block-time law with its resamples.
        measured: Simulated figures with the training's error.
        alone: The same without it, under the law of all runs.
        basis: What the race rests on.
        thorough: Whether the other criterion is asked for too, and the network where
            its risk crosses the target; else only what decides the last depth.
        chosen: The engine that simulated the figures (``engines.chosen_engine``).
        progress: Told how far the laws are.
        mapped: As for ``assess``.
    """
    security, delay = config.security, float(config.network.delay_steps)
    chain_rule, tie_rule = config.protocol.chain_rule, config.protocol.adopted
    network = network_of(config, law.law, law)
    asked = range(1, security.depths + 1)
    if not float(network.adversarial) > 0:
        return Persistence(_no_adversary(asked, security.target), [], [])

    def told(what: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(what, done, total)

    def raced(what: str, of: UncertainLaw = law, **others) -> PrivateChain:
        return private_chain(
            of,
            lambda one: network_of(config, one, law),
            brief=not thorough,
            basis=basis,
            progress=told(what),
            mapped=mapped,
            **others,
        )

    targets = targets_of(config)
    if chosen == "strategy":
        few = law._replace(resamples=law.resamples[: security.bootstraps])
        if config.adversary.attack == "balance":
            return Persistence(balance_persistence(config, few, targets, basis), [], [])
        counted = _unbounded(config, measured, basis, refusals=[])
        chains = [
            raced(
                f"confirmations, {start} head start",
                few,
                depths=(1,),
                targets=targets,
                premined=premined,
            )
            for start, premined in (("without", False), ("with", True))
        ]
        rows = [m for chain in chains for m in chain.depths]
        reasons = [text for chain in chains for text in chain.refusals]
        return counted._replace(
            measurements=[*counted.measurements, *rows],
            refusals=list(dict.fromkeys(reasons)),
        )
    if chain_rule != "longest" or tie_rule != "first_seen":
        if config.adversary.attack == "private_premined":
            return Persistence([], [_NO_LEAD], [])
        return _unbounded(config, measured, basis)
    lead = config.adversary.attack == "private_premined"
    suffices = security.criterion == "equal"
    mine = raced(
        "persistence",
        depths=asked,
        targets=targets,
        carried_on=True,
        premined=lead,
        ties_win=suffices,
    )
    other = raced(
        "persistence, without head start" if lead else "persistence, head start",
        depths=(1,),
        targets=targets,
        premined=not lead,
        ties_win=suffices,
    )
    beside: list[Measurement] = []
    if thorough:
        criterion = raced(
            "persistence, strict" if suffices else "persistence, ties win",
            depths=asked,
            targets=(),
            ties_win=not suffices,
            premined=lead,
        )
        beside = criterion.risks
    rule, rule_beside = ("", STRICT) if suffices else (STRICT, "")
    simulated = _curve(measured, PERSISTENCE_SIMULATED + rule)
    simulated_beside = _curve(measured, PERSISTENCE_SIMULATED + rule_beside)
    seen = _curve(alone, PERSISTENCE_SIMULATED + rule)
    seen_beside = _curve(alone, PERSISTENCE_SIMULATED + rule_beside)
    wrong = faults(mine.risks, seen) + faults(beside, seen_beside)
    refusals = [f"persistence: {text}" for text in mine.refusals]
    start = "without" if lead else "with"
    refusals += [f"{start} a head start: {text}" for text in other.refusals]
    if lead and not (mine.risks or mine.further):
        refusals.append(
            "persistence with a head start: simulated races have none "
            "(adversary.attack = private has the risk without it)"
        )
        return Persistence([*mine.depths, *other.depths], refusals, wrong)

    def split(depth: int) -> Estimate:
        key = jax.random.fold_in(seed_key(config.seed), _SPLIT + depth)
        return splitting.persistence(
            key,
            network,
            depth,
            ties_win=suffices,
            repetitions=_REPETITIONS,
            slots=_SLOTS if not thorough else 8,
        ).estimate

    risks = [*mine.risks, *mine.further]
    if not risks:
        risks = _only_simulated(simulated, PERSISTENCE_VIOLATION + rule, basis)
        beside = _only_simulated(
            simulated_beside if thorough else {},
            PERSISTENCE_VIOLATION + rule_beside,
            basis,
        )
    elif delay > 0:
        at = anchors(risks, seen, security.target, security.depths)
        last = risks[security.depths - 1].estimate
        if not thorough:
            at = [k for k in at if k == security.depths and last.low > security.target]
        if chosen != "level":
            at = []  # splitting knows equal provers and messages that take Δ
        risks, lacking = with_lower_ends(risks, seen, simulated, at, split)
        beside, _ = with_lower_ends(beside, seen_beside, simulated_beside)
        refusals += lacking
    growth = [m.estimate for m in measured if m.quantity == PRIVATE_GROWTH]
    unsafe = unsafe_depth(
        security.target,
        next((m for m in mine.depths if m.at == security.target), None),
        risks,
        delay=delay,
        asked=float(security.depths),
        growth=growth[0] if growth else None,
    )
    risks = [m for m in risks if m.at is not None and m.at <= security.depths]
    if math.isinf(unsafe.estimate.low):
        sure = Estimate(1.0, 1.0, 1.0, unsafe.estimate.count, OUTGROWS)
        risks, beside = (
            [m._replace(estimate=sure, drawn=None) for m in c] for c in (risks, beside)
        )
    rows = [*risks, *beside, unsafe, *mine.depths, *other.depths]
    return Persistence(rows, list(dict.fromkeys(refusals)), wrong)


def _unbounded(
    config: Config,
    measured: Sequence[Measurement],
    basis: Basis,
    refusals: Sequence[str] = (_UNBOUND,),
) -> Persistence:
    """Simulated persistence where no bound is known."""
    security = config.security
    risks, strict = (
        _only_simulated(_curve(measured, PERSISTENCE_SIMULATED + rule), name, basis)
        for rule, name in (
            ("", PERSISTENCE_VIOLATION),
            (STRICT, PERSISTENCE_VIOLATION + STRICT),
        )
    )
    unsafe = unsafe_depth(
        security.target,
        None,
        risks if security.criterion == "equal" else strict,
        delay=float(config.network.delay_steps),
        asked=float(security.depths),
        growth=None,
    )
    return Persistence([*risks, *strict, unsafe], list(refusals), [])


def race_basis(config: Config, law: UncertainLaw) -> Basis:
    """What the private race rests on; what the network does where it has no tilt."""
    net = network_of(config, law.law, law)
    adversarial = float(config.attackers)
    honest = config.network.provers - adversarial
    plain = law.basis(honest, adversarial)
    if law.by_run is None:
        return plain
    try:
        theta = tilts(race(net, known_until=law.known_until)).theta_0
    except Refused:
        return plain
    tilt = tilted(law.by_run, honest, adversarial, float(theta))
    return Basis(min(plain.runs, tilt.runs), min(plain.freedom, tilt.freedom))


def _curve(measured: Sequence[Measurement], name: str) -> dict[float, Estimate]:
    return {
        m.at: m.estimate for m in measured if m.quantity == name and m.at is not None
    }


def _only_simulated(
    simulated: dict[float, Estimate], name: str, basis: Basis
) -> list[Measurement]:
    return [
        Measurement(name, at, "blocks", found, "probability", "tail", basis)
        for at, found in simulated.items()
    ]


def _no_adversary(depths: Iterable[int], target: float) -> list[Measurement]:
    never = Estimate(0.0, 0.0, 0.0, 0, NO_ADVERSARY)
    risks = [
        Measurement(PERSISTENCE_VIOLATION, float(k), "blocks", never, "probability")
        for k in depths
    ]
    unsafe = Measurement(UNSAFE_DEPTH, target, "target", never, unit="blocks")
    return [*risks, unsafe]
