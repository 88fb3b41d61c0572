"""A run's second stage: laws of block times, with what is uncertain of them."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from ...analysis.assessment.one_law import Assessment
from ...analysis.block_time.effective_runs import RunLaws, fastest
from ...analysis.block_time.horizon import owed_to_horizon
from ...analysis.block_time.law import (
    BlockTimeLaw,
    cv,
    mean,
    proof_of_work,
    quantile,
    survival,
)
from ...analysis.block_time.uncertain import EXACT, UncertainLaw
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.measurement import Measurement
from ...analysis.estimation.quantities import (
    BLOCK_TIME_CV,
    BLOCK_TIME_MEAN,
    ROUND_SUCCESS,
)
from ...analysis.estimation.training_error import UNKNOWN, Drawn, few_runs
from ...models.learning.architecture import HyperParameters
from ...models.learning.curves import CurveSet
from ..config.experiment import Config
from ..config.hash_targets import format_target
from ..config.sections import ComparisonConfig, LotteryConfig
from ..own.words import law_label
from ..world.situation import NO_STARTS, WarmStarts, world_law
from ..world.translation import law_of, lottery_of, plan_of
from .notes import further

_LAW_POINTS = 400
_NO_LOTTERY = {"t_acc": np.nan, "t_1": "", "t_2": "", "p_1": np.nan, "p_2": np.nan}


def curve_table(curves: CurveSet) -> pd.DataFrame:
    """One row a run and look: setting, step, accuracy, loss."""
    runs, looks = curves.correct.shape
    hpps = [i.hpp for i in curves.initializations]
    settings = pd.DataFrame(hpps, columns=list(HyperParameters._fields))
    table = settings.loc[settings.index.repeat(looks)].reset_index(drop=True)
    table.insert(0, "run", np.repeat(np.arange(runs), looks))
    return table.assign(
        step=np.tile(curves.steps, runs),
        accuracy=curves.accuracy.ravel(),
        loss=curves.loss.ravel(),
    )


def law_tables(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: WarmStarts = NO_STARTS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Survival curves and a summary of the scheme's law and its comparisons.

    Returns:
        (laws, law_summary). Intervals of mean and CV hold the bootstrap's spread and
        the plateau bracket; a comparison that the runs cannot support is left empty.
    """
    laws, rows = [], []
    scheme_label = law_label(config) or "D-PoDL " + _targets(config.scheme)
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
            **(_NO_LOTTERY if main and not config.law.has_curves else {}),
        }
        if not main and kind != "pow" and not config.law.has_curves:
            rows.append(row)  # no curves say what another T_acc would take
            continue
        try:
            if main:
                law = world_law(config, curves, costs, starts)
            else:
                law = _setting_law(config, curves, costs, setting, kind)
        except Refused:
            if main:
                raise
            rows.append(row)
            continue
        seconds = config.clock.seconds_per_step
        centre = law.law
        row |= {
            **_with_interval("mean", mean, law),
            **_with_interval("cv", cv, law),
            "mean_seconds": mean(centre) * seconds,
            "sd_seconds": cv(centre) * mean(centre) * seconds,
            "runs": law.runs,
            "reached": law.reached,
            **_counted(law.by_run),
        }
        row["warning"] = _joined(row["warning"], _owed(config, law))
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


def _setting_law(config, curves, costs, setting, kind) -> UncertainLaw:
    """The law of a comparison; proof of work's is certain."""
    if kind == "pow":
        rate = config.clock.hashes_per_step
        return UncertainLaw(proof_of_work(setting.p_1, hashes_per_step=rate))
    lottery = lottery_of(config, setting)
    if kind == "dl":
        # Plain deep learning: no hash before or after, only the training.
        lottery = lottery._replace(p_1=1.0, p_2=1.0)
    return law_of(config, curves, costs, lottery=lottery)


def _with_interval(
    name: str, figure: Callable[[BlockTimeLaw], float], law: UncertainLaw
) -> dict[str, float]:
    """A law's mean or CV with the error of the runs and of what lies beyond them."""
    basis = UNKNOWN
    if law.by_run is not None:
        basis = fastest(law.by_run, 1)[0 if name == "mean" else 1]
    found = law.measured(figure, scale="log", basis=basis, lacking=math.inf)
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def law_measurements(law: UncertainLaw) -> list[Measurement]:
    """Mean and CV of one prover's block time under every law; no interval yet."""
    found = []
    bases = (UNKNOWN, UNKNOWN) if law.by_run is None else fastest(law.by_run, 1)
    named = (BLOCK_TIME_MEAN, mean), (BLOCK_TIME_CV, cv)
    for (name, figure), basis in zip(named, bases, strict=True):
        value = figure(law.law)
        own = Estimate(value, value, value, len(law.resamples), EXACT)
        resamples, extremes = (
            tuple(map(figure, laws)) for laws in (law.resamples, law.extremes)
        )
        drawn = Drawn(own, resamples, extremes)
        found.append(
            Measurement(name, 1.0, "provers", own, "", basis=basis, drawn=drawn)
        )
    return found


def _counted(counted: RunLaws | None) -> dict[str, float | str]:
    """On how many runs mean and CV of one prover rest."""
    if counted is None:
        return {"runs_effective": np.nan, "warning": ""}
    least = min(fastest(counted, 1), key=lambda basis: basis.runs)
    return {"runs_effective": least.runs, "warning": few_runs(least)}


def _owed(config: Config, law: UncertainLaw) -> str:
    """Which of mean and CV owe more to the horizon than to the runs."""
    told = {
        name: owed
        for name, figure in (("mean", mean), ("CV", cv))
        if (owed := owed_to_horizon(law, figure)) is not None
    }
    if not told:
        return ""
    most = max(told.values(), key=lambda owed: owed.further_steps)
    return f"{' and '.join(told)} {further(most, config)}"


def _look_success(
    config: Config, measurements: list[Measurement], again: Callable[[dict], Assessment]
) -> Estimate | None:
    """E[X_r] with rounds of one look, which is a query of SLT23's oracle.

    With other rounds in the config it is simulated apart, without the training's error.
    """
    look = float(config.training.check_every)
    if plan_of(config).round_steps != look:
        measurements = again({"round_steps": look, "detail": False}).measurements
    found = (m.estimate for m in measurements if m.quantity == ROUND_SUCCESS)
    return next(found, None)


def _targets(setting: LotteryConfig | ComparisonConfig) -> str:
    return (
        f"({setting.t_acc:g}, {format_target(setting.t_1)}, "
        f"{format_target(setting.t_2)})"
    )


def _joined(*texts: str) -> str:
    return "; ".join(text for text in texts if text)
