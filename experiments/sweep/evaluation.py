"""The security of many settings that share their trained models: a sweep's points.

A point is a config. Points of one ``group`` share their learning curves and every
static shape, so that one compiled program serves them all; what a point's numbers are
never depends on the points beside it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...analysis.assessment.many_laws import LawBatch, assess_laws, law_batch
from ...analysis.block_time.empirical import interval_bracket
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Refused
from ...analysis.estimation.measurement import Measurement, with_training_error
from ...analysis.estimation.training_error import UNKNOWN, Basis
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ..config.experiment import Config, fingerprint, plain
from ..pipeline.persistence import persistence, race_basis, with_growth
from ..pipeline.translation import law_of, lottery_of, network_of, plan_of

# What a point may change without training, or compiling, anything again.
_SHARED = ("data", "menu", "training", "seed")
_SHAPES = ("levels", "replicas", "bootstrap_replicas", "good_period_replicas")


# Resampled laws of the race, which is solved and not simulated: more of them narrow
# what decides a point, and cost little.
_RACE_RESAMPLES = 12


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
    configs: Sequence[Config], curves: CurveSet, costs: np.ndarray | None
) -> list[Outcome]:
    """Estimate every point's security figures.

    Args:
        configs: Points of one group.
        curves: Learning curves of that group.
        costs: ``translation.costs_of`` the points, which must share their clock.

    Returns:
        One outcome a point, in their order. A point whose figures are refused says
        why and takes no other with it.
    """
    # Points that differ in the network alone have the same laws.
    laws: dict[tuple, _Laws] = {}
    return [_evaluate(config, curves, costs, laws) for config in configs]


class _Laws(NamedTuple):
    """What points with one lottery share.

    Attributes:
        law: With its resamples.
        centre: That of all runs, to be assessed.
        others: Laws of resampled runs, then that of all runs, the slowest
            and the fastest beyond the horizon; None: no resamples were asked for.
        bases: What the figures of so many honest and corrupted provers rest on.
        known: Numbers of provers for which ``interval_bracket`` did not refuse.
    """

    law: UncertainLaw
    centre: LawBatch
    others: LawBatch | None
    bases: dict[tuple[float, float], Basis]
    known: set[int]


def _evaluate(config: Config, curves: CurveSet, costs, laws) -> Outcome:
    try:
        measured = _measured(config, _laws(config, curves, costs, laws))
    except Refused as refusal:
        return Outcome((), str(refusal))
    return Outcome(tuple(map(_row, measured)), "")


def _laws(config: Config, curves: CurveSet, costs, known: dict[tuple, _Laws]) -> _Laws:
    lottery, security = lottery_of(config, config.scheme), config.security
    name = (lottery, config.seed, security.bootstraps)
    if name not in known:
        count = security.bootstraps
        # The first of them are the same, however many follow.
        most = max(count, _RACE_RESAMPLES) if count else 0
        law = law_of(config, curves, costs, lottery=lottery, resamples=most)
        known[name] = _Laws(
            law,
            law_batch([law.law]),
            law_batch([*law.resamples[:count], law.law, *law.extremes])
            if count
            else None,
            {},
            set(),
        )
    return known[name]


def _measured(config: Config, laws: _Laws) -> list[Measurement]:
    key, security, net = seed_key(config.seed), config.security, config.network
    plan = plan_of(config)._replace(detail=False)
    honest = net.provers - round(net.beta * net.provers)
    if honest not in laws.known:
        interval_bracket(laws.law, honest)
        laws.known.add(honest)
    network = network_of(config, laws.law.law)
    centre = assess_laws(key, network, laws.centre, plan)
    (found,) = centre.outcomes
    if isinstance(found, Refused):
        raise found
    alone = with_growth(found.measurements, network)
    groups = float(network.honest), float(network.adversarial)
    if groups not in laws.bases:
        laws.bases[groups] = laws.law.basis(*groups)
    basis = laws.bases[groups]
    if laws.others is None:
        return _with_persistence(
            config, laws, with_training_error(alone, [], basis=basis), alone
        )
    smaller = plan._replace(
        replicas=security.bootstrap_replicas,
        good_period_replicas=security.bootstrap_replicas,
    )
    under = assess_laws(key, network, laws.others, smaller, slots=centre.slots)
    replicates = [
        None
        if isinstance(each, Refused)
        else with_growth(each.measurements, network._replace(law=law))
        for each, law in zip(under.outcomes, laws.others.laws, strict=True)
    ]
    *drawn, middle, slowest, fastest = replicates
    measured = with_training_error(
        alone,
        [each for each in drawn if each is not None],
        extremes=[each for each in (slowest, fastest) if each is not None],
        centre=middle or (),
        basis=basis,
    )
    return _with_persistence(config, laws, measured, alone)


def _with_persistence(
    config: Config,
    laws: _Laws,
    measured: list[Measurement],
    alone: list[Measurement],
) -> list[Measurement]:
    """The simulated figures and what the grid knows of persistence."""
    basis = race_basis(config, laws.law) if config.network.beta else UNKNOWN
    known = persistence(config, laws.law, measured, alone, basis=basis, thorough=False)
    return measured + known.measurements


def _row(m: Measurement) -> dict[str, Any]:
    return {
        "quantity": m.quantity,
        "at": np.nan if m.at is None else m.at,
        "at_unit": m.at_unit,
        **m.estimate._asdict(),
        "unit": m.unit,
        "runs_effective": m.basis.runs,
        "warning": m.warning,
    }
