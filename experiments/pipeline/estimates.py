"""From a config and its curves to tidy tables of laws and estimates."""

import numpy as np
import pandas as pd

from ...analysis.assessment.one_law import MOST_REPLICAS, Assessment, Plan, assess
from ...analysis.block_time.empirical import interval_bracket
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.bounds.memoryless import Reference, memoryless_references
from ...analysis.bounds.rounds import good_window
from ...analysis.estimation.estimate import Refused
from ...analysis.estimation.measurement import Measurement, with_training_error
from ...analysis.estimation.quantities import GOOD_PERIOD
from ...analysis.estimation.training_error import UNKNOWN
from ...analysis.good_periods.training_oracle import oracle_figures
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..store.files import Progress
from .devices import on_devices
from .laws import _look_success
from .notes import notes_table
from .persistence import persistence, race_basis, with_growth
from .translation import network_of, plan_of
from .world import NO_STARTS, WarmStarts, world_law

_NOTES = ["kind", "text"]


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
    # The same effort for the laws beyond the horizon, and one to compare them with.
    others = [*law.resamples, law.law, *law.extremes] if law.resamples else []
    total = 1 + len(others)
    progress("estimating security", 0, total)

    def at(one_law: BlockTimeLaw, one_plan: Plan) -> Assessment:
        return assess(key, network_of(config, one_law, law), one_plan)

    def grown(measured: list[Measurement], one_law: BlockTimeLaw) -> list[Measurement]:
        return with_growth(measured, network_of(config, one_law, law))

    adversarial = config.attackers
    groups = {"honest": net.provers - adversarial}
    if adversarial:
        groups["corrupted"] = adversarial
    brackets = {who: interval_bracket(law, n) for who, n in groups.items()}
    assessment = assess(key, network_of(config, law.law, law), plan, mapped=on_devices)
    progress("estimating security", 1, total)

    def replicate(number: int) -> list[Measurement] | None:
        try:
            return grown(at(others[number], smaller).measurements, others[number])
        except Refused:
            return None

    replicates = []
    for done, found in enumerate(on_devices(replicate, len(others))):
        replicates.append(found)
        progress("estimating security", 2 + done, total)
    count = len(law.resamples)
    drawn, beyond = replicates[:count], replicates[count:]
    failed = drawn.count(None)
    centre, *extremes = beyond if beyond else [None]
    measurements = with_training_error(
        grown(assessment.measurements, law.law),
        [each for each in drawn if each is not None],
        extremes=[each for each in extremes if each is not None],
        centre=centre or (),
        basis=law.basis(*groups.values()),
    )
    known = persistence(
        config,
        law,
        measurements,
        assessment.measurements,
        basis=race_basis(config, law) if adversarial else UNKNOWN,
        progress=progress,
        mapped=on_devices,
    )
    measurements += known.measurements
    assessment.refusals.extend(known.refusals)
    success = _look_success(
        config, measurements, lambda one: at(law.law, smaller._replace(**one))
    )
    oracle, refusals = [], []
    if success is not None:
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
    references, refusals = _references(config, law.law, assessment, there)
    assessment.refusals.extend(refusals)
    notes = notes_table(config, curves, law, groups, brackets, assessment, failed)
    wrong = pd.DataFrame([("fault", text) for text in known.faults], columns=_NOTES)
    few = _few_runs_note(measurements)
    notes = pd.concat([wrong, notes, few], ignore_index=True)
    return {
        "estimates": measurement_table(measurements + oracle),
        "references": references,
        "notes": notes,
    }


def _few_runs_note(measurements: list[Measurement]) -> pd.DataFrame:
    """The rows with a warning, in one sentence."""
    told = {m.quantity: m.basis.runs for m in measurements if m.warning}
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


def _references(
    config: Config, law: BlockTimeLaw, assessment: Assessment, there: set[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Closed forms to stand beside the estimates, and what was refused."""
    net, security = config.network, config.security
    adversarial = config.attackers
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
