"""From a config and its curves to tidy tables of laws and estimates."""

import numpy as np
import pandas as pd

from ...analysis.assessment.one_law import MOST_REPLICAS, Assessment
from ...analysis.block_time.empirical import interval_bracket
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.bounds.memoryless import Reference, memoryless_references
from ...analysis.bounds.rounds import good_window
from ...analysis.estimation.measurement import Measurement
from ...analysis.estimation.quantities import GOOD_PERIOD, REVENUE
from ...analysis.estimation.training_error import UNKNOWN
from ...analysis.good_periods.training_oracle import oracle_figures
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..store.files import Progress
from ..world.engines import assess_world, chosen_engine, taken, world_estimates
from ..world.persistence import persistence, race_basis
from ..world.situation import NO_STARTS, WarmStarts, world_law
from ..world.tiers import tier_measurements
from ..world.translation import plan_of
from ..world.weights import weight_estimates
from .devices import on_devices
from .laws import _look_success, law_measurements
from .notes import notes_table

_NOTES = ["kind", "text"]
_NO_FORMS = (
    "closed forms: they are of equal provers of one law, and stand beside none of "
    "these figures"
)


def estimate_tables(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    progress: Progress,
    starts: WarmStarts = NO_STARTS,
) -> dict[str, pd.DataFrame]:
    """Security figures with both errors, exact references, and notes.

    Args:
        config: The experiment.
        curves: Its learning curves.
        costs: ``costs_of`` it.
        progress: Told how far it is.
        starts: The warm starts that its world needs (``branching.warm_starts``).

    Raises:
        Refused: If the law of the block time cannot be known well enough.
    """
    security, net = config.security, config.network
    smaller = plan_of(config)._replace(
        replicas=security.bootstrap_replicas,
        good_period_replicas=security.bootstrap_replicas,
    )
    plan = plan_of(config)._replace(
        rel_error=security.rel_error,
        most_replicas=security.max_replicas or MOST_REPLICAS,
    )
    key = seed_key(config.seed)
    law = world_law(config, curves, costs, starts)
    adversarial = config.attackers
    groups = {"honest": net.provers - adversarial}
    if adversarial:
        groups["corrupted"] = adversarial
    by_weight = config.protocol.chain_rule == "weight"
    brackets: dict[str, tuple[float, float]] = {}
    plans, basis = (plan, smaller), law.basis(*groups.values())
    if by_weight:
        measurements, assessment, failed = weight_estimates(
            config, curves, costs, plans, basis, progress
        )
    else:
        brackets = {who: interval_bracket(law, n) for who, n in groups.items()}
        measurements, assessment, failed = world_estimates(
            config, law, plans, basis, progress=progress, mapped=on_devices
        )
    known = persistence(
        config,
        law,
        measurements,
        assessment.measurements,
        basis=race_basis(config, law) if adversarial else UNKNOWN,
        chosen=chosen_engine(config).name,
        progress=progress,
        mapped=on_devices,
    )
    tiers, without = tier_measurements(config, law)
    measurements = taken(config, measurements + known.measurements + tiers)
    assessment.refusals.extend([*known.refusals, *without])
    success = None
    if net.equal_speeds and not by_weight:
        success = _look_success(
            config,
            measurements,
            lambda one: assess_world(
                config, law, law.law, key, smaller._replace(**one)
            ),
        )
    oracle, refusals = [], []
    if success is not None and config.law.has_curves:
        oracle, refusals = oracle_figures(
            config.seed,
            curves,
            law.law,
            t_acc=config.scheme.t_acc,
            p_2=config.scheme.p_2,
            honest=groups["honest"],
            delay_steps=net.delay_steps,
            p=success,
        )
    assessment.refusals.extend(refusals)
    there = {m.quantity for m in measurements}
    references, refusals = _references(config, law, assessment, there)
    assessment.refusals.extend(refusals)
    notes = notes_table(config, curves, law, groups, brackets, assessment, failed)
    wrong = pd.DataFrame([("fault", text) for text in known.faults], columns=_NOTES)
    engine = pd.DataFrame([("engine", chosen_engine(config).why)], columns=_NOTES)
    few = _few_runs_note(measurements)
    notes = pd.concat([wrong, notes, engine, few], ignore_index=True)
    return {
        "estimates": measurement_table(measurements + oracle),
        "references": references,
        "notes": notes,
        "resamples": resample_table([*law_measurements(law), *measurements]),
    }


def _few_runs_note(measurements: list[Measurement]) -> pd.DataFrame:
    """The rows with a warning, in one sentence."""
    # Revenue is the complement of quality, which is named.
    told = {
        m.quantity: m.basis.runs
        for m in measurements
        if m.warning and m.quantity != REVENUE
    }
    if not told:
        return pd.DataFrame(columns=_NOTES)
    text = (
        f"{', '.join(told)}: rest on few training runs in effect (the fewest "
        f"{min(told.values()):.0f}, ``runs_effective`` in estimates.csv); their "
        "intervals may cover less than 95 %: train more models"
    )
    return pd.DataFrame([("warning", text)], columns=_NOTES)


def measurement_table(measurements: list[Measurement]) -> pd.DataFrame:
    """Measurements as a tidy table."""
    return pd.DataFrame(
        [
            {
                "quantity": m.quantity,
                "at": np.nan if m.at is None else m.at,
                "at_unit": m.at_unit,
                **m.estimate._asdict(),
                "unit": m.unit,
                "runs_effective": m.basis.runs,
                "warning": m.warning,
            }
            for m in measurements
        ]
    )


def resample_table(measurements: list[Measurement]) -> pd.DataFrame:
    """What each interval was made from, for whoever compares two runs.

    Returns:
        A row a figure that keeps it: ``own``, ``own_low`` and ``own_high`` without the
        training's error; ``freedom`` of the runs behind it; ``centre``, ``slowest`` and
        ``fastest``; ``resample_1``, ``resample_2``, ...
    """
    rows = []
    for m in measurements:
        if m.drawn is None:
            continue
        own = m.drawn.own
        ends = m.drawn.extremes if len(m.drawn.extremes) == 2 else (np.nan, np.nan)
        rows.append(
            {
                "quantity": m.quantity,
                "at": np.nan if m.at is None else m.at,
                "own": own.value,
                "own_low": own.low,
                "own_high": own.high,
                "count": own.count,
                "freedom": m.basis.freedom,
                "centre": np.nan if m.drawn.centre is None else m.drawn.centre,
                "slowest": ends[0],
                "fastest": ends[1],
                **{f"resample_{b}": x for b, x in enumerate(m.drawn.resamples, 1)},
            }
        )
    return pd.DataFrame(rows, columns=None if rows else ["quantity", "at"])


def _references(
    config: Config, known: UncertainLaw, assessment: Assessment, there: set[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Closed forms to stand beside the estimates, and what was refused."""
    net, security = config.network, config.security
    adversarial, law = config.attackers, known.law
    if known.adversaries or chosen_engine(config).name != "level":
        table = pd.DataFrame(columns=list(Reference._fields))
        return table.astype({"at": float, "value": float}), [_NO_FORMS]
    found, refusals = memoryless_references(
        law,
        honest=net.provers - adversarial,
        adversarial=adversarial,
        delay_steps=net.delay_steps,
        depths=range(1, security.depths + 1),
    )
    rows = [each for each in found if each.quantity in there]
    if assessment.rates is not None:
        x, y, z = assessment.rates[:3]
        for blocks, rounds in assessment.window_rounds.items():
            value = good_window(rounds, x, y, min(z, 1.0), security.epsilon)
            rows.append(Reference(GOOD_PERIOD, blocks, "independent rounds", value))
    table = pd.DataFrame(rows, columns=list(Reference._fields))
    return table.assign(at=table["at"].astype(float)), refusals
