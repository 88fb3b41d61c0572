"""From a config and its curves to tidy tables of laws and estimates."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from ..analysis import bounds
from ..analysis.assessment import MOST_REPLICAS, Assessment, Plan, assess
from ..analysis.block_time import (
    BlockTimeLaw,
    cv,
    mean,
    proof_of_work,
    quantile,
    survival,
)
from ..analysis.deep_persistence import safe_depths
from ..analysis.effective_runs import RunLaws, fastest, run_laws, tilted
from ..analysis.effective_runs import network as network_basis
from ..analysis.empirical import (
    EmpiricalLaw,
    Lottery,
    bootstrap_laws,
    empirical_law,
    interval_bracket,
)
from ..analysis.estimate import Estimate, Refused
from ..analysis.horizon import owed_to_horizon
from ..analysis.measurement import Measurement, with_training_error
from ..analysis.memoryless import Reference, memoryless_references
from ..analysis.oracle_figures import oracle_figures
from ..analysis.race import race, tilts
from ..analysis.simulation import Network, network
from ..analysis.training_error import Basis, few_runs, law_figure
from ..models.curves import Bucket, CurveSet
from ..models.networks import step_operations
from ..models.pins import seed_key
from .config import Config
from .datasets import config_dataset
from .devices import on_devices
from .notes import further, notes_table
from .sections import ComparisonConfig, LotteryConfig, SchemeConfig, format_target
from .store import Progress

_LAW_POINTS = 400


def curve_table(curves: CurveSet) -> pd.DataFrame:
    """One row a run and look: setting, step, accuracy, loss."""
    runs, looks = curves.correct.shape
    settings = pd.DataFrame([i.hpp._asdict() for i in curves.initializations])
    table = settings.loc[settings.index.repeat(looks)].reset_index(drop=True)
    table.insert(0, "run", np.repeat(np.arange(runs), looks))
    return table.assign(
        step=np.tile(curves.steps, runs),
        accuracy=curves.accuracy.ravel(),
        loss=curves.loss.ravel(),
    )


def step_costs(
    config: Config, curves: CurveSet, image_shape: tuple[int, int], classes: int
) -> np.ndarray | None:
    """c_i: what a step of each run costs, in the menu's mean step; None: all alike."""
    costs = bucket_costs(config, image_shape, classes)
    if not costs:
        return None
    runs = [i.hpp for i in curves.initializations]
    return np.array([costs[Bucket(h.architecture, h.batch_size)] for h in runs])


def costs_of(config: Config, curves: CurveSet) -> np.ndarray | None:
    """``step_costs`` with the config's own data set."""
    if config.clock.unit == "steps":
        return None
    dataset = config_dataset(config)
    height, width = dataset.x_train.shape[1:]
    return step_costs(config, curves, (height, width), dataset.n_classes)


def bucket_costs(
    config: Config, image_shape: tuple[int, int], classes: int
) -> dict[Bucket, float]:
    """What a step costs by bucket, in the menu's mean step; empty: all alike."""
    if config.clock.unit == "steps":
        return {}

    def cost(architecture: str, batch_size: int) -> float:
        if config.clock.unit == "seconds":
            return config.clock.step_seconds[f"{architecture}/{batch_size}"]
        return float(batch_size * step_operations(architecture, image_shape, classes))

    menu = config.menu.build().settings()
    unit = sum(p * cost(hpp.architecture, hpp.batch_size) for hpp, p in menu.items())
    return {
        Bucket(architecture, batch): cost(architecture, batch) / unit
        for architecture in config.menu.architectures
        for batch in config.menu.batch_sizes
    }


def law_tables(
    config: Config, curves: CurveSet, costs: np.ndarray | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Survival curves and a summary of the scheme's law and its comparisons.

    Returns:
        (laws, law_summary). Intervals of mean and CV hold the bootstrap's spread and
        the plateau bracket; a comparison that the runs cannot support is left empty.
    """
    laws, rows = [], []
    scheme_label = "D-PoDL " + _targets(config.scheme)
    settings: list[tuple[str, str, LotteryConfig, bool]] = [
        (c.label, c.kind, c, False) for c in config.comparisons
    ]
    settings.append((scheme_label, "dpodl", config.scheme, True))
    for label, kind, setting, main in settings:
        row = {
            "setting": label,
            "kind": kind,
            "t_acc": np.nan if kind == "pow" else setting.t_acc,
            "t_1": "" if kind == "dl" else format_target(setting.t_1),
            "t_2": format_target(setting.t_2) if kind == "dpodl" else "",
            "p_1": np.nan if kind == "dl" else setting.p_1,
            "p_2": setting.p_2 if kind == "dpodl" else np.nan,
            "main": main,
            **_published(setting),
        }
        try:
            law, spread, counted = _setting_law(config, curves, costs, setting, kind)
        except Refused:
            if main:
                raise
            rows.append(row)
            continue
        seconds = config.clock.seconds_per_step
        centre = law.law if isinstance(law, EmpiricalLaw) else law
        row |= {
            **_with_interval("mean", mean, law, spread, counted),
            **_with_interval("cv", cv, law, spread, counted),
            "mean_seconds": mean(centre) * seconds,
            "sd_seconds": cv(centre) * mean(centre) * seconds,
            "runs": law.runs if isinstance(law, EmpiricalLaw) else 0,
            "reached": law.reached if isinstance(law, EmpiricalLaw) else 0,
            **_counted(counted),
        }
        row["warning"] = _joined(row["warning"], _owed(config, law, spread))
        rows.append(row)
        # A law that may never end has no high quantiles: its curve stops earlier.
        ends = quantile(centre, [0.5, 0.9, 0.995, 0.999, 0.9999])
        ends = ends[np.isfinite(ends)]
        if len(ends) == 0:
            continue
        stop = ends[:3].max()
        times = np.concatenate([np.linspace(0, stop, _LAW_POINTS), ends[ends > stop]])
        laws.append(
            pd.DataFrame(
                {
                    "setting": label,
                    "kind": kind,
                    "time": times,
                    "survival": survival(centre, times),
                }
            )
        )
    return pd.concat(laws, ignore_index=True), pd.DataFrame(rows)


def _published(setting: LotteryConfig) -> dict[str, float | str]:
    if setting.published is None:
        return {}
    mean_seconds, variance, source = (
        setting.published.mean_seconds,
        setting.published.variance,
        setting.published.source,
    )
    return {
        "published_mean_seconds": mean_seconds,
        "published_sd_seconds": variance**0.5,
        "published_cv": variance**0.5 / mean_seconds,
        "published_source": source,
    }


def estimate_tables(
    config: Config, curves: CurveSet, costs: np.ndarray | None, progress: Progress
) -> dict[str, pd.DataFrame]:
    """Security figures with both errors, exact references, and notes.

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
    lottery = lottery_of(config, config.scheme)
    law = empirical_law(curves, lottery, step_costs=costs)
    resamples = bootstrap_laws(
        config.seed, curves, lottery, security.bootstraps, step_costs=costs
    )
    # The same effort for the laws beyond the horizon, and one to compare them with.
    others = [*resamples, law.law, law.slowest, law.fastest]
    if not resamples:
        others = []
    total = 1 + len(others)
    progress("estimating security", 0, total)

    def at(one_law: BlockTimeLaw, one_plan: Plan) -> Assessment:
        return assess(key, network_of(config, one_law), one_plan)

    adversarial = round(net.beta * net.provers)
    groups = {"honest": net.provers - adversarial}
    if adversarial:
        groups["corrupted"] = adversarial
    brackets = {who: interval_bracket(law, n) for who, n in groups.items()}
    assessment = assess(key, network_of(config, law.law), plan, mapped=on_devices)
    progress("estimating security", 1, total)

    def replicate(number: int) -> list[Measurement] | None:
        try:
            return at(others[number], smaller).measurements
        except Refused:
            return None

    replicates = []
    for done, found in enumerate(on_devices(replicate, len(others))):
        replicates.append(found)
        progress("estimating security", 2 + done, total)
    drawn, beyond = replicates[: len(resamples)], replicates[len(resamples) :]
    failed = drawn.count(None)
    counted = run_laws(curves, lottery, law.law, step_costs=costs)
    centre, *extremes = beyond if beyond else [None]
    measurements = with_training_error(
        assessment.measurements,
        [each for each in drawn if each is not None],
        extremes=[each for each in extremes if each is not None],
        centre=centre or (),
        basis=network_basis(counted, *groups.values()),
    )
    if adversarial:
        deep, refusals = _deep_measurements(config, law, resamples, counted, progress)
        measurements += deep
        assessment.refusals.extend(refusals)
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
    references, refusals = _references(config, law.law, assessment)
    assessment.refusals.extend(refusals)
    notes = notes_table(
        config, curves, law, groups, brackets, resamples, assessment, failed
    )
    notes = pd.concat([notes, _few_runs_note(measurements)], ignore_index=True)
    return {
        "estimates": measurement_table(measurements + oracle),
        "references": references,
        "notes": notes,
    }


def _few_runs_note(measurements: list[Measurement]) -> pd.DataFrame:
    """The rows with a warning, in one sentence."""
    told = {m.quantity: m.basis.runs for m in measurements if m.warning}
    if not told:
        return pd.DataFrame(columns=["kind", "text"])
    text = (
        f"{', '.join(told)}: rest on few training runs in effect (the fewest "
        f"{min(told.values()):.0f}, ``runs_effective`` in estimates.csv); their "
        "intervals may cover less than 95 %: train more models"
    )
    return pd.DataFrame([("warning", text)], columns=["kind", "text"])


def network_of(config: Config, law: BlockTimeLaw) -> Network:
    """The config's network under a law."""
    net = config.network
    return network(law, provers=net.provers, beta=net.beta, delay_steps=net.delay_steps)


def _deep_measurements(
    config: Config,
    law: EmpiricalLaw,
    resamples: list[BlockTimeLaw],
    counted: RunLaws,
    progress: Progress,
) -> tuple[list[Measurement], list[str]]:
    """Confirmations for 1e-9 … 2^-128, with and without a head start."""
    found, refusals = [], []
    basis = race_basis(network_of(config, law.law), counted, law.known_until)
    for premined in (False, True):
        what = "confirmations, " + ("head start" if premined else "no head start")
        try:
            found += safe_depths(
                law.law,
                resamples,
                lambda one: network_of(config, one),
                premined=premined,
                known_until=law.known_until,
                extremes=(law.slowest, law.fastest),
                basis=basis,
                progress=lambda done, total, what=what: progress(what, done, total),
                mapped=on_devices,
            )
        except Refused as refusal:
            refusals.append(f"{what}: {refusal}")
    return found, refusals


def race_basis(net: Network, counted: RunLaws, known_until: float) -> Basis:
    """What the private race rests on; what the network does where it has no tilt."""
    honest, adversarial = float(net.honest), float(net.adversarial)
    plain = network_basis(counted, honest, adversarial)
    try:
        theta = tilts(race(net, known_until=known_until)).theta_0
    except Refused:
        return plain
    tilt = tilted(counted, honest, adversarial, float(theta))
    return Basis(min(plain.runs, tilt.runs), min(plain.freedom, tilt.freedom))


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


def plan_of(config: Config) -> Plan:
    """Figures and effort that the config asks for, but for ``security.rel_error``.

    That is the run's: resampled laws and the points of a sweep have fixed replicas.
    """
    security = config.security
    rounds = security.round_steps
    return Plan(
        levels=security.levels,
        replicas=security.replicas,
        good_period_replicas=security.good_period_replicas,
        depths=range(1, security.depths + 1),
        confirmations=security.confirmations,
        windows=security.windows,
        epsilon=security.epsilon,
        round_steps=float(
            config.training.check_every if rounds == "check_every" else rounds
        ),
    )


def lottery_of(config: Config, setting: LotteryConfig) -> Lottery:
    """The setting's parameters with the scheme's policies."""
    scheme: SchemeConfig = config.scheme
    training = config.training
    abandon = scheme.abandon_steps
    if abandon == "horizon":
        looks = training.horizon_steps // training.check_every
        abandon = looks * training.check_every
    return Lottery(
        t_acc=setting.t_acc,
        p_1=setting.p_1,
        p_2=setting.p_2,
        hashes_per_step=config.clock.hashes_per_step,
        retry=scheme.retry,
        abandon_steps=None if abandon == "never" else abandon,
    )


def _setting_law(config, curves, costs, setting, kind):
    """Law, bootstrap laws and laws of the runs of a comparison or the scheme itself."""
    if kind == "pow":
        rate = config.clock.hashes_per_step
        return proof_of_work(setting.p_1, hashes_per_step=rate), [], None
    lottery = lottery_of(config, setting)
    if kind == "dl":
        # Plain deep learning: no hash before or after, only the training.
        lottery = lottery._replace(p_1=1.0, p_2=1.0)
    law = empirical_law(curves, lottery, step_costs=costs)
    count = config.security.bootstraps
    resamples = bootstrap_laws(config.seed, curves, lottery, count, step_costs=costs)
    return law, resamples, run_laws(curves, lottery, law.law, step_costs=costs)


def _with_interval(
    name: str,
    figure: Callable[[BlockTimeLaw], float],
    law: EmpiricalLaw | BlockTimeLaw,
    resamples: list[BlockTimeLaw],
    counted: RunLaws | None,
) -> dict[str, float]:
    """A law's mean or CV with the error of the runs and of what lies beyond them."""
    if not isinstance(law, EmpiricalLaw) or counted is None:
        value = figure(law.law if isinstance(law, EmpiricalLaw) else law)
        return {name: value, f"{name}_low": value, f"{name}_high": value}
    found = law_figure(
        figure(law.law),
        [figure(each) for each in resamples],
        "log",
        "law",
        basis=fastest(counted, 1)[0 if name == "mean" else 1],
        extremes=[figure(law.slowest), figure(law.fastest)],
        lacking=math.inf,
    )
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _counted(counted: RunLaws | None) -> dict[str, float | str]:
    """On how many runs mean and CV of one prover rest."""
    if counted is None:
        return {"runs_effective": np.nan, "warning": ""}
    least = min(fastest(counted, 1), key=lambda basis: basis.runs)
    return {"runs_effective": least.runs, "warning": few_runs(least)}


def _owed(
    config: Config, law: EmpiricalLaw | BlockTimeLaw, resamples: list[BlockTimeLaw]
) -> str:
    """Which of mean and CV owe more to the horizon than to the runs."""
    if not isinstance(law, EmpiricalLaw):
        return ""
    told = {
        name: owed
        for name, figure in (("mean", mean), ("CV", cv))
        if (owed := owed_to_horizon(law, resamples, figure)) is not None
    }
    if not told:
        return ""
    most = max(told.values(), key=lambda owed: owed.further_steps)
    return f"{' and '.join(told)} {further(most, config)}"


def _joined(*texts: str) -> str:
    return "; ".join(text for text in texts if text)


def _references(
    config: Config, law: BlockTimeLaw, assessment: Assessment
) -> tuple[pd.DataFrame, list[str]]:
    """Closed forms to stand beside the estimates, and what was refused."""
    net, security = config.network, config.security
    adversarial = round(net.beta * net.provers)
    found, refusals = memoryless_references(
        law,
        honest=net.provers - adversarial,
        adversarial=adversarial,
        delay_steps=net.delay_steps,
        depths=range(1, security.depths + 1),
    )
    measured = {m.quantity for m in assessment.measurements}
    rows = [each for each in found if each.quantity in measured]
    if assessment.rates is not None:
        x, y, z = assessment.rates[:3]
        for blocks, rounds in assessment.window_rounds.items():
            value = bounds.good_window(rounds, x, y, min(z, 1.0), security.epsilon)
            rows.append(Reference("good_period", blocks, "independent rounds", value))
    table = pd.DataFrame(rows, columns=list(Reference._fields))
    return table.assign(at=table["at"].astype(float)), refusals


def _look_success(
    config: Config, measurements: list[Measurement], again: Callable[[dict], Assessment]
) -> Estimate | None:
    """E[X_r] with rounds of one look, which is a query of SLT23's oracle.

    With other rounds in the config it is simulated apart, without the training's error.
    """
    look = float(config.training.check_every)
    if plan_of(config).round_steps != look:
        measurements = again({"round_steps": look, "detail": False}).measurements
    found = (m.estimate for m in measurements if m.quantity == "round_success")
    return next(found, None)


def _targets(setting: LotteryConfig | ComparisonConfig) -> str:
    return (
        f"({setting.t_acc:g}, {format_target(setting.t_1)}, "
        f"{format_target(setting.t_2)})"
    )
