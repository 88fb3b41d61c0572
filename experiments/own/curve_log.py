"""Learning curves as training frameworks log them, irregular as they are.

Long form: a row a look (run, step, accuracy; optional loss, cost). Wide form: a column
a run beside the step. The rules, each of which warns where it changed something:

* A row without an accuracy is no look. Of a step that is repeated in a run the last row
  counts; rows may stand in any order.
* Accuracies above 1 are percent; between 1 and 2 they are refused.
* A ticket is drawn every ``training.check_every`` steps, however often the log looks:
  it sees the last accuracy that was logged at or before it, 0 before the first. A
  first passage is late by up to the gap in which it happened.
* Nothing is used beyond ``training.horizon_steps``; where no run is logged so far, that
  horizon is refused.
* A run that ends before it keeps its last accuracy, as if it had stayed there. Where
  that is below T_acc, what it would have done is not known, and the law is refused;
  ``law.short_runs = "hold"`` lets it stay there too, ``"leave_out"`` leaves out every
  run that ends early.
* cost is what a run has taken so far (seconds, hours), or, where it never changes in a
  run, what a step takes; one time unit is the mean run's step.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...models.learning.architecture import HyperParameters, Initialization
from ...models.learning.curves import CurveSet
from ..config.own_law import LawConfig
from ..config.section import ConfigError
from .tables import Source, columns_of, find_column, numbers_of, read_source, table_of

# correct / SCORED: nine digits of an accuracy.
SCORED = 10**9
_NAMES: Mapping[str, tuple[str, ...]] = {
    "run": ("run", "runid", "runname", "seed", "trial", "experiment", "id", "model"),
    "step": (
        *("step", "steps", "globalstep", "iteration", "iterations", "iter"),
        *("batch", "epoch", "epochs", "seconds", "relativetime"),
    ),
    "accuracy": (
        *("accuracy", "acc", "trainaccuracy", "trainacc", "trainingaccuracy"),
        *("accuracytrain", "acctrain"),
        *("valaccuracy", "valacc", "validationaccuracy", "testaccuracy", "testacc"),
        *("accuracyval", "accval", "accuracytest", "acctest", "evalaccuracy"),
        *("evalacc", "top1", "accuracytop1", "value", "metric"),
    ),
    "loss": ("loss", "trainloss", "trainingloss", "losstrain"),
    "cost": ("cost", "elapsed", "runtime", "wallclock", "elapsedseconds"),
}
_HELD_OUT = ("val", "test", "eval", "top1")
LOGGED = Initialization(
    HyperParameters("logged", "logged", 0.0, 0.0, 0, 0.0), bytes(8), bytes(32)
)


class Looks(NamedTuple):
    """A run's log, in the order of its steps.

    Attributes:
        name: As the file has it.
        step: Of each look, increasing.
        accuracy: Shares in [0, 1].
        loss: NaN where there is none.
        cost: NaN where there is none.
    """

    name: str
    step: np.ndarray
    accuracy: np.ndarray
    loss: np.ndarray
    cost: np.ndarray


class CurveLog(NamedTuple):
    """What a file of curves holds.

    Attributes:
        source: The file.
        runs: The runs by name.
        warnings: What was done to read it.
    """

    source: Source
    runs: tuple[Looks, ...]
    warnings: tuple[str, ...]

    @property
    def longest(self) -> float:
        """The last step of the run that was logged longest."""
        return max(float(each.step[-1]) for each in self.runs)

    @property
    def gap(self) -> float:
        """Median distance of two looks of a run."""
        gaps = [np.diff(each.step) for each in self.runs if len(each.step) > 1]
        return float(np.median(np.concatenate(gaps))) if gaps else 0.0


def read_curves(path: Path | str, columns: Mapping[str, str] | None = None) -> CurveLog:
    """Read a file of learning curves.

    Args:
        path: CSV or Parquet, or a shipped example's name.
        columns: Role → column where names are not recognised.

    Raises:
        ConfigError: Naming what is wrong, and the row.
    """
    named, source = dict(columns or {}), read_source(path)
    table = table_of(source)
    found = {
        role: find_column(source, table, role, named=named, known=known)
        for role, known in _NAMES.items()
    }
    if found["step"] is None:
        raise ConfigError(
            f"{source.name} has no column that is known as the step: name it, "
            f"law.columns = {{step = ...}}; it has {columns_of(table)}"
        )
    warnings: list[str] = []
    if found["accuracy"] is None and found["run"] is None:
        long = _from_wide(source, table, str(found["step"]), warnings)
    else:
        long = _from_long(source, table, found)
    held_out = [n for n in _HELD_OUT if n in str(found["accuracy"]).lower()]
    if held_out:
        warnings.append(
            f"the column {found['accuracy']!r} seems to be accuracy on data that was "
            "not trained on; the scheme judges by training accuracy, whose passage of "
            "the same T_acc is usually earlier"
        )
    runs = _runs(source, long, warnings)
    return CurveLog(source, runs, tuple(warnings))


def _from_long(source: Source, table: Any, found) -> Any:
    for role, why in (("accuracy", ""), ("run", ": every run needs a name of its own")):
        if found[role] is None:
            raise ConfigError(
                f"{source.name} has no column that is known as the {role}{why}; name "
                f"it, law.columns = {{{role} = ...}}; it has {columns_of(table)}"
            )
    long = pd.DataFrame({"run": table[found["run"]].astype(str).str.strip()})
    for role in ("step", "accuracy", "loss", "cost"):
        long[role] = np.nan
        if found[role] is not None:
            long[role] = numbers_of(source, table[found[role]], role)
    unnamed = long["run"].isin(["", "nan", "None", "<NA>"]).to_numpy(bool)
    if unnamed.any():
        row = int(np.argmax(unnamed)) + 1
        raise ConfigError(f"{source.name}, row {row}: the run has no name")
    return long


def _from_wide(source, table, step: str, warnings: list[str]) -> Any:
    # Weights & Biases puts the extremes of what it thinned out beside each run.
    beside = [n for n in table.columns if n.endswith(("__MIN", "__MAX"))]
    names = [n for n in table.columns if n != step and n not in beside]
    if len(names) < 2:
        raise ConfigError(
            f"{source.name}: neither a column of runs nor a column a run was found; it "
            f"has {columns_of(table)}"
        )
    warnings.append(f"wide form: each of {len(names)} columns is taken for a run")
    steps = numbers_of(source, table[step], "step")
    parts = [
        pd.DataFrame(
            {
                "run": name,
                "step": steps,
                "accuracy": numbers_of(source, table[name], "accuracy of a run"),
                "loss": np.nan,
                "cost": np.nan,
            }
        )
        for name in names
    ]
    return pd.concat(parts, ignore_index=True)


def _runs(source: Source, long: Any, warnings: list[str]) -> tuple[Looks, ...]:
    empty = long["accuracy"].isna().to_numpy(bool)
    timeless = long["step"].isna().to_numpy(bool) & ~empty
    if timeless.any():
        row = int(np.argmax(timeless)) + 1
        raise ConfigError(f"{source.name}, row {row}: an accuracy without a step")
    if empty.all():
        raise ConfigError(f"{source.name}: no row has an accuracy")
    names = list(dict.fromkeys(long["run"]))
    long = long[~empty]
    gone = [each for each in names if each not in set(long["run"])]
    if gone:
        warnings.append(f"{len(gone)} runs have no accuracy at all and are left out")
    if empty.any():
        warnings.append(f"{int(empty.sum())} rows without an accuracy are no looks")
    for name, wrong in (
        ("step", long["step"] < 0),
        ("accuracy", long["accuracy"] < 0),
        ("accuracy", long["accuracy"] > 100),
    ):
        if wrong.any():
            value = long[name][wrong].iloc[0]
            raise ConfigError(
                f"{source.name}: {name} must be at least 0"
                + (" and at most 1, or 100 in percent" if name == "accuracy" else "")
                + f", got {value:g} in run {long['run'][wrong].iloc[0]!r}"
            )
    scale, top = 1.0, float(long["accuracy"].max())
    if top > 2:
        scale = 100.0
        warnings.append(f"accuracies up to {top:g} are read as percent")
    elif top > 1 + 1e-6:
        raise ConfigError(
            f"{source.name}: accuracies up to {top:g} are neither shares nor percent"
        )
    runs, repeated = [], 0
    for name, rows in long.groupby("run", sort=False):
        rows = rows.sort_values("step", kind="stable")
        repeated += int(rows["step"].duplicated().sum())
        rows = rows.drop_duplicates("step", keep="last")
        share = np.minimum(rows["accuracy"].to_numpy(float) / scale, 1.0)
        others = (rows[each].to_numpy(float) for each in ("loss", "cost"))
        runs.append(Looks(str(name), rows["step"].to_numpy(float), share, *others))
    if repeated:
        warnings.append(f"{repeated} steps were logged again: the last row counts")
    if len(runs) < 2:
        raise ConfigError(
            f"{source.name} has one run, and a law of block times is a law of many"
        )
    return tuple(runs)


def curve_set(
    log: CurveLog, law: LawConfig, *, spacing: int, horizon: int
) -> tuple[CurveSet, tuple[str, ...]]:
    """The runs as tickets see them, and what a reader must know of it.

    Args:
        log: The file's.
        law: What becomes of short runs.
        spacing: Steps between two tickets.
        horizon: Steps that are looked at.

    Raises:
        ConfigError: If no run is logged up to the horizon, or costs are not numbers.
    """
    looks = horizon // spacing
    tickets = spacing * np.arange(1, looks + 1)
    if log.longest < tickets[-1]:
        raise ConfigError(
            f"training.horizon_steps = {horizon}: the longest run of {log.source.name} "
            f"ends at {log.longest:g}: set it to "
            f"{spacing * int(log.longest // spacing)} or less (training.check_every "
            "is the steps between two tickets)"
        )
    warnings = list(log.warnings)
    ends = np.array([each.step[-1] + _slack(each) for each in log.runs])
    logged = np.minimum(ends // spacing, looks).astype(int)
    warnings += _told(log, spacing, float(tickets[-1]), logged < looks, law)
    if law.short_runs == "leave_out":
        kept = tuple(r for r, n in zip(log.runs, logged, strict=True) if n == looks)
        log, logged = log._replace(runs=kept), logged[logged == looks]
    share, loss = np.zeros((len(log.runs), looks)), np.full((len(log.runs), looks), 0.0)
    for place, run in enumerate(log.runs):
        last = np.searchsorted(run.step, tickets * (1 + 1e-12), side="right") - 1
        seen = last >= 0
        share[place, seen] = run.accuracy[last[seen]]
        loss[place] = np.where(seen, run.loss[np.maximum(last, 0)], np.nan)
    curves = CurveSet(
        initializations=(LOGGED,) * len(log.runs),
        steps=tickets,
        correct=np.rint(share * SCORED).astype(np.int64),
        loss=loss,
        eval_samples=SCORED,
        population=SCORED,
        step_costs=_costs(log, warnings),
        logged=logged
        if law.short_runs == "refuse" and (logged < looks).any()
        else None,
    )
    return curves, tuple(warnings)


def _slack(run: Looks) -> float:
    """A run's log says what it is up to its next look, which did not come."""
    gaps = np.diff(run.step)
    return float(np.median(gaps)) * (1 - 1e-9) if len(gaps) else 0.0


def _told(log: CurveLog, spacing, end, short, law: LawConfig) -> list[str]:
    told = []
    widest = max(float(np.diff(each.step).max(initial=0.0)) for each in log.runs)
    if widest > spacing:
        told.append(
            f"looks are up to {widest:g} apart and tickets {spacing}: between two "
            "looks the last accuracy stands, so first passages may be late by as much"
        )
    if log.longest > end + widest:
        told.append(f"logged up to {log.longest:g}; what is beyond {end:g} is not used")
    if short.any():
        rule = {
            "refuse": "keep their last accuracy where it is at least T_acc, as if they "
            "had stayed there, and a law of a higher T_acc is refused",
            "hold": "keep their last accuracy, as if they had stayed there",
            "leave_out": "are left out: if they ended because they had reached their "
            "goal the law is slower than theirs, if they had failed it is faster",
        }[law.short_runs]
        told.append(
            f"{int(short.sum())} of {len(log.runs)} runs end before {end:g} and {rule} "
            f"(law.short_runs = {law.short_runs})"
        )
    return told


def _costs(log: CurveLog, warnings: list[str]) -> np.ndarray | None:
    """c_i, in the mean run's step."""
    with_cost = [bool(np.isfinite(each.cost).any()) for each in log.runs]
    if not any(with_cost):
        return None
    if not all(with_cost):
        missing = log.runs[with_cost.index(False)].name
        raise ConfigError(f"{log.source.name}: run {missing!r} has no cost")
    costs = []
    for run in log.runs:
        known = np.isfinite(run.cost)
        cost, step = run.cost[known], run.step[known]
        if (np.diff(cost) < 0).any() or cost[-1] <= 0:
            raise ConfigError(
                f"{log.source.name}, run {run.name!r}: cost must be > 0 and either "
                "grow with the steps or stay the same"
            )
        grows = len(cost) > 1 and cost[-1] > cost[0]
        part = cost[0]
        if grows:
            part = (cost[-1] - cost[0]) / (step[-1] - step[0])
        costs.append(part)
    scaled = np.array(costs) / np.mean(costs)
    warnings.append(
        f"a time unit is the mean run's step, {np.mean(costs):.4g} of the column cost; "
        f"runs differ from {scaled.min():.3g} to {scaled.max():.3g}"
    )
    return scaled
