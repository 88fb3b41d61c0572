"""What a search for settings found, as tables."""

import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...analysis.calibration.choice import Terms
from ...analysis.calibration.targets import (
    Target,
    Verdict,
    overall,
    slack,
)
from ...analysis.estimation.estimate import Estimate
from ...analysis.estimation.training_error import Basis, few_runs
from ..config.experiment import Config
from ..config.hash_targets import (
    format_target,
)
from .design_scan import Candidate, in_steps
from .design_targets import Asked

UNITS = {
    "interval": "steps",
    "liveness": "steps",
    "confirmation": "steps",
    "verification_steps": "steps",
    "block_steps": "steps",
    "depth": "blocks",
    "depth_premined": "blocks",
    "storage": "bytes",
    "bits": "bits a block",
    "cv": "",
}


ASSUMPTIONS = (
    "persistence and depth: private race against the slowest public chain that the "
    "delay allows, ties win; beyond the horizon by plateau rates, whose bracket is in "
    "the intervals",
    "interval: honest provers alone; the corrupted ones withhold",
    "useful: time in training over all time of honest provers; looks, checks and work "
    "that a new tip throws away count as what they were",
    "beta: share below which the private race is lost for good; beta_warm: the same "
    "where each private block refers to the one before, a model above T_acc at every "
    "look, and owes what S_min and the step rule leave",
    "quality: simulated withholding adversary; its training error is that of "
    "1 − E[C]/E[A]",
    "liveness: until as many confirmations as the upper end of depth, while the "
    "adversary withholds",
    "verification: steps run again over steps of a mean block, checkpoints and q of "
    "[protocol]; storage: a block's checkpoints, mean model of the menu",
    "honest_epsilon: one deviator of the policies of dpodl rational, no invalid tips; "
    "models that are referred to have adversary.mtx_share of the config's own t_acc",
    "S_min: no ticket before so many steps of a fresh model",
)


class Finalist(NamedTuple):
    """A setting with all its figures and verdicts."""

    candidate: Candidate
    figures: dict[str, Estimate]
    verdicts: tuple[Verdict, ...]
    confirmations: int
    room: float
    basis: Basis

    @property
    def verdict(self) -> Verdict:
        """The worst of the targets' verdicts."""
        return overall(self.verdicts)


def reasons_of(asked: Asked, candidates: list[Candidate], best: Finalist | None):
    """Why targets are not met, or not surely: the binding one, the nearest values."""
    if best is None:
        errors = Counter(_kind(c.error) for c in candidates)
        return [f"{count} settings: {why}" for why, count in errors.most_common(3)]
    if best.verdict == "met":
        return []
    here = in_steps(asked, best.figures["interval"].value)
    reasons = []
    for target, each in zip(here, best.verdicts, strict=True):
        if each == "met":
            continue
        figure = best.figures[target.figure]
        what = f"{target.text}: {each}, {target.figure} is {_interval(figure)}"
        if not math.isfinite(figure.value):
            what += f" ({figure.method})"
        elif each == "missed":
            what += f", at best {_best_of(candidates, target):.4g}"
        reasons.append(what)
    binding = _binding(asked, candidates, best)
    if best.verdict == "missed" and binding is not None:
        target, alone, without = binding
        reasons.append(
            f"binding: {target.text}; {alone} of {len(candidates)} settings come up to "
            f"it, {without} come up to all the others"
        )
    unknown = Counter(_kind(c.error) for c in candidates if c.error)
    reasons += [f"{n} settings: {why}" for why, n in unknown.most_common(2)]
    return reasons


def _best_of(candidates: list[Candidate], target: Target) -> float:
    """The best that any setting of the scan does for one target."""
    values = [c.figures[target.figure] for c in candidates if c.figures]
    known = [each for each in values if not math.isnan(each)] or [math.nan]
    return min(known) if target.sense == "<=" else max(known)


def _binding(asked, candidates, best: Finalist) -> tuple[Target, int, int] | None:
    """The target whose absence lets most settings through; then the least room."""
    if not asked.targets:
        return None
    slacks = np.array([c.slacks for c in candidates])
    here = in_steps(asked, best.figures["interval"].value)
    rooms = [slack(t, best.figures[t.figure]) for t in here]
    scored = []
    for i in range(len(asked.targets)):
        others = np.delete(slacks, i, axis=1)
        without = int((others >= 0).all(axis=1).sum())
        alone = int((slacks[:, i] >= 0).sum())
        missed = best.verdicts[i] == "missed"
        scored.append((missed, without, -rooms[i], -i, alone))
    _, without, _, place, alone = max(scored)
    return asked.targets[-place], alone, without


def _kind(error: str) -> str:
    """An error without its numbers, so that equal ones are counted together."""
    return error.split(";")[0][:160]


def target_table(asked: Asked, candidates, best: Finalist | None) -> pd.DataFrame:
    """One row a target: the settings that come up to it, and the best one's verdict."""
    rows = []
    for i, target in enumerate(asked.targets):
        known = [(c.slacks[i], c) for c in candidates if c.figures]
        nearest = max(known, key=lambda each: each[0])[1] if known else None
        others = [
            c.figures and all(s >= 0 for j, s in enumerate(c.slacks) if j != i)
            for c in candidates
        ]
        row: dict[str, Any] = {
            "target": target.text,
            "figure": target.figure,
            "sense": target.sense,
            "bound": target.bound,
            "settings_alone": sum(slack_ >= 0 for slack_, _ in known),
            "settings_without": sum(map(bool, others)),
            "settings": len(candidates),
            "nearest": math.nan
            if nearest is None
            else nearest.figures.get(target.figure, math.nan),
        }
        if best is not None:
            row |= {"verdict": best.verdicts[i]}
            row |= best.figures[target.figure]._asdict()
        rows.append(row)
    return pd.DataFrame(rows)


def _setting_row(one: Candidate) -> dict[str, Any]:
    """A setting, its targets exactly: 2^k or all digits."""
    choice = one.choice
    return {
        "t_acc": choice.t_acc,
        "t_1": format_target(one.t_1),
        "log2_t_1": math.log2(one.t_1) if one.t_1 else -math.inf,
        "p_1": choice.p_1,
        "t_2": format_target(one.t_2),
        "log2_t_2": math.log2(one.t_2) if one.t_2 else -math.inf,
        "p_2": choice.p_2,
        "s_min": choice.s_min,
    }


def candidate_table(asked: Asked, candidates: list[Candidate]) -> pd.DataFrame:
    """Every setting that was scanned."""
    rows = []
    for one in candidates:
        slacks = {
            f"slack_{t.figure}": s
            for t, s in zip(asked.targets, one.slacks, strict=True)
        }
        rows.append(_setting_row(one) | one.figures | slacks | {"error": one.error})
    return pd.DataFrame(rows)


def finalist_row(config: Config, terms: Terms, one: Finalist) -> dict[str, Any]:
    """A finalist in one row, figures with the ends of their intervals."""
    row = _setting_row(one.candidate) | {
        "verdict": one.verdict,
        "risk": terms.risk,
        "risk_premined": terms.risk_premined,
        "confirmations": one.confirmations,
        "room": one.room,
    }
    for name, estimate in one.figures.items():
        row[name] = estimate.value
        row[f"{name}_low"], row[f"{name}_high"] = estimate.low, estimate.high
    row["interval_seconds"] = row["interval"] * config.clock.seconds_per_step
    return row


def recommended_table(config: Config, best: Finalist | None) -> pd.DataFrame:
    """Every figure of the best setting; no rows where there is none."""
    columns = [
        *("quantity", "value", "low", "high", "count", "method", "unit", "seconds"),
        *("runs_effective", "warning"),
    ]
    if best is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for name, estimate in best.figures.items():
        unit = UNITS.get(name, "share")
        seconds = math.nan
        if unit == "steps":
            seconds = estimate.value * config.clock.seconds_per_step
        rests = best.basis.runs, few_runs(best.basis)
        rows.append((name, *estimate, unit, seconds, *rests))
    return pd.DataFrame(rows, columns=columns)


def _interval(figure: Estimate) -> str:
    return f"{figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
