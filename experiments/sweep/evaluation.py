"""The security of many settings that share their trained models: a sweep's points.

A point is a config. Points of one ``group`` share their learning curves and every
static shape, so that one compiled program serves them all; what a point's numbers are
never depends on the points beside it.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...analysis.assessment.many_laws import LawBatch, assess_laws, law_batch
from ...analysis.assessment.one_law import Assessment, Plan
from ...analysis.block_time.empirical import interval_bracket
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Refused
from ...analysis.estimation.measurement import Measurement, with_training_error
from ...analysis.estimation.training_error import UNKNOWN, Basis
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ..config.experiment import Config, fingerprint, plain
from ..config.sweep import QUANTITIES
from ..world.engines import chosen_engine, taken, world_estimates
from ..world.persistence import persistence, race_basis, with_growth
from ..world.situation import NO_STARTS, WarmStarts, own_laws, world_law
from ..world.translation import lottery_of, network_of, plan_of
from ..world.weights import weight_estimates

# What a point may change without training, or compiling, anything again.
_SHARED = ("data", "menu", "training", "law", "seed")
_SHAPES = ("levels", "replicas", "bootstrap_replicas", "good_period_replicas")


_Evidence = tuple[CurveSet, np.ndarray | None, WarmStarts]
# Resampled laws of the race, which is solved and not simulated: more of them narrow
# what decides a point, and cost little.
_RACE_RESAMPLES = 24


class Outcome(NamedTuple):
    """What a point gave.

    Attributes:
        rows: Tidy rows: quantity, at, at_unit, value, low, high, count, method, unit,
            runs_effective, warning.
        error: Why there are none; empty if there are.
    """

    rows: tuple[dict[str, Any], ...]
    error: str


def group(config: Config) -> str:
    """A digest of what the points of one program share: curves and static shapes."""
    settings = plain(config)
    shared: dict[str, Any] = {name: settings[name] for name in _SHARED}
    shared |= {name: settings["security"][name] for name in _SHAPES}
    return fingerprint(shared)


def evaluate(
    configs: Sequence[Config],
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: Sequence[WarmStarts] = (),
    *,
    asked: Collection[str] = QUANTITIES,
) -> list[Outcome]:
    """Estimate every point's security figures.

    Args:
        configs: Points of one group.
        curves: Learning curves of that group.
        costs: ``translation.costs_of`` the points, which must share their clock.
        starts: The warm starts that each needs; none: no point needs any.
        asked: Some of ``config.sweep.QUANTITIES``: races are not solved, and rounds
            not looked at, where nothing of theirs is asked for.

    Returns:
        One outcome a point, in their order. A point whose figures are refused says
        why and takes no other with it.
    """
    # Points that differ in the network alone have the same laws.
    laws: dict[tuple, _Laws] = {}
    given = starts or [NO_STARTS] * len(configs)
    return [
        _evaluate(config, (curves, costs, each), laws, asked)
        for config, each in zip(configs, given, strict=True)
    ]


class _Laws(NamedTuple):
    """What points with one lottery share.

    Attributes:
        law: With its resamples.
        centre: That of all runs, to be assessed, with the corrupted provers' beside it.
        others: Laws of resampled runs, then that of all runs, the slowest
            and the fastest beyond the horizon; None: no resamples were asked for.
        bases: What the figures of so many honest and corrupted provers rest on.
        known: Numbers of provers for which ``interval_bracket`` did not refuse.
    """

    law: UncertainLaw
    centre: tuple[LawBatch, LawBatch | None] | None
    others: tuple[LawBatch, LawBatch | None] | None
    bases: dict[tuple[float, float], Basis]
    known: set[int]


def _evaluate(
    config: Config, evidence: _Evidence, laws, asked: Collection[str]
) -> Outcome:
    plan = plan_of(config)._replace(detail=False)
    if "good_periods" not in asked:
        plan = plan._replace(windows=())
    try:
        known = _laws(config, evidence, laws)
        if chosen_engine(config).name == "level":
            measured, alone = _measured(config, known, plan)
        else:
            measured, whole = _by_events(config, evidence, known.law, plan)
            alone = whole.measurements
        if "persistence" in asked or "confirmations" in asked:
            measured = _with_persistence(config, known, measured, alone)
        measured = taken(config, measured)
    except Refused as refusal:
        return Outcome((), str(refusal))
    return Outcome(tuple(map(row_of, measured)), "")


def _laws(config: Config, evidence: _Evidence, known: dict[tuple, _Laws]) -> _Laws:
    lottery, security = lottery_of(config, config.scheme), config.security
    name = (lottery, config.seed, security.bootstraps, config.protocol.s_min)
    if own_laws(config):
        # The group of the corrupted provers chooses their law.
        more = plain(config.adversary), plain(config.protocol), plain(config.network)
        name = (*name, fingerprint(more))
    if name not in known:
        count = security.bootstraps
        # The first of them are the same, however many follow.
        most = max(count, _RACE_RESAMPLES) if count else 0
        law = world_law(config, *evidence, lottery=lottery, resamples=most)
        some = law.resamples[:count]
        others = [*some, law.law, *law.extremes] if some else []
        centre = [law.law]
        known[name] = _Laws(law, _batch(law, centre), _batch(law, others), {}, set())
    return known[name]


def _batch(
    law: UncertainLaw, laws: Sequence[BlockTimeLaw]
) -> tuple[LawBatch, LawBatch | None] | None:
    """Laws with the corrupted provers' beside them; none: nothing is asked of any."""
    if not laws:
        return None
    against = [law.against(each) for each in laws]
    found = [each for each in against if each is not None]
    return law_batch(laws), law_batch(found) if found else None


def _measured(
    config: Config, laws: _Laws, plan: Plan
) -> tuple[list[Measurement], list[Measurement]]:
    """The simulated figures with the training's error, and without."""
    key, security, net = seed_key(config.seed), config.security, config.network
    honest = net.provers - config.attackers
    if honest not in laws.known:
        interval_bracket(laws.law, honest)
        laws.known.add(honest)
    network = network_of(config, laws.law.law, laws.law)
    centre = _assessed(key, network, laws.centre, plan)
    (found,) = centre.outcomes
    if isinstance(found, Refused):
        raise found
    alone = with_growth(found.measurements, network)
    groups = float(network.honest), float(network.adversarial)
    if groups not in laws.bases:
        laws.bases[groups] = laws.law.basis(*groups)
    basis = laws.bases[groups]
    if laws.others is None:
        return with_training_error(alone, [], basis=basis), alone
    smaller = plan._replace(
        replicas=security.bootstrap_replicas,
        good_period_replicas=security.bootstrap_replicas,
    )
    under = _assessed(key, network, laws.others, smaller, slots=centre.slots)
    replicates = [
        None
        if isinstance(each, Refused)
        else with_growth(each.measurements, network_of(config, law, laws.law))
        for each, law in zip(under.outcomes, laws.others[0].laws, strict=True)
    ]
    # A formula has no resamples, and where nothing is extrapolated, no extremes.
    count = len(laws.law.resamples[: security.bootstraps])
    drawn, (middle, *ends) = replicates[:count], replicates[count:]
    measured = with_training_error(
        alone,
        [each or [] for each in drawn],
        extremes=[each for each in ends if each is not None],
        centre=middle or (),
        basis=basis,
    )
    return measured, alone


def _with_persistence(
    config: Config,
    laws: _Laws,
    measured: list[Measurement],
    alone: list[Measurement],
) -> list[Measurement]:
    """The simulated figures and what the grid knows of persistence."""
    basis = race_basis(config, laws.law) if config.attackers else UNKNOWN
    known = persistence(
        config,
        laws.law,
        measured,
        alone,
        basis=basis,
        thorough=False,
        chosen=chosen_engine(config).name,
    )
    return measured + known.measurements


def _by_events(
    config: Config, evidence: _Evidence, law: UncertainLaw, plan: Plan
) -> tuple[list[Measurement], Assessment]:
    """The figures of a world that is not simulated level by level."""
    security, net = config.security, config.network
    smaller = plan._replace(
        replicas=security.bootstrap_replicas,
        good_period_replicas=security.bootstrap_replicas,
    )
    corrupted = [config.attackers] if config.attackers else []
    basis = law.basis(net.provers - config.attackers, *corrupted)
    plans = plan, smaller
    if config.protocol.chain_rule == "weight":
        curves, costs, _ = evidence
        return weight_estimates(config, curves, costs, plans, basis)[:2]
    interval_bracket(law, net.provers - config.attackers)
    return world_estimates(config, law, plans, basis)[:2]


def _assessed(key, network, both, plan, **options):
    batch, adversaries = both
    return assess_laws(key, network, batch, plan, adversaries=adversaries, **options)


def row_of(m: Measurement) -> dict[str, Any]:
    """A measurement as a row of ``Outcome``."""
    return {
        "quantity": m.quantity,
        "at": np.nan if m.at is None else m.at,
        "at_unit": m.at_unit,
        **m.estimate._asdict(),
        "unit": m.unit,
        "runs_effective": m.basis.runs,
        "warning": m.warning,
    }
