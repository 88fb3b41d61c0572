"""Cells of ``coverage`` that need a simulation: a sweep's point and attack's rows."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ...models.learning.curves import CurveSet
from .truths import (
    CORRUPTED,
    DELAY,
    HONEST,
    SETTINGS,
    Effort,
    Seen,
    Truth,
    lottery_of_truths,
    seen_of,
)


def simulated_cell(truth: Truth, runs: int, effort: Effort, seed: int) -> list[Seen]:
    """A sweep's point for samples of one truth."""
    from ...experiments.config.loading import load_config
    from ...experiments.sweep import evaluation

    right = load_config("quickstart", [*SETTINGS, "security.bootstraps=0"])
    (outcome,) = evaluation.evaluate([right], truth.whole, None)
    true = {(r["quantity"], _at(r)): r["value"] for r in outcome.rows}
    generator = np.random.default_rng(seed)
    joining = evaluation.with_training_error
    older: dict[tuple, tuple[float, float]] = {}

    def both(measured, resampled, **others):
        older.update(_old_intervals(measured, resampled))
        return joining(measured, resampled, **others)

    evaluation.with_training_error = both  # pyright: ignore
    seen = []
    try:
        for number in range(effort.simulated):
            curves = truth.sample(generator, runs)
            older.clear()
            # With one key the simulation's error of all samples would be the same.
            config = _point(seed + number)
            (outcome,) = evaluation.evaluate([config], curves, None)
            for row in outcome.rows:
                place = row["quantity"], _at(row)
                value = true.get(place, math.nan)
                if not _asked(place, value):
                    continue
                low, high = older[place]
                seen.append(
                    seen_of(
                        ("simulated", _name(place), truth.name, runs),
                        _Row(row["low"], row["high"]),
                        value,
                        low <= value <= high,
                        bool(row["warning"]),
                    )
                )
    finally:
        evaluation.with_training_error = joining
    return seen


class _Row(NamedTuple):
    low: float
    high: float


def _point(seed: int):
    """A sweep's point: its effort is that of the sweep."""
    from ...experiments.config.loading import load_config

    effort = load_config("sweep").sweep
    names = ("replicas", "good_period_replicas", "bootstraps", "bootstrap_replicas")
    tries = [f"security.{name}={getattr(effort, name)}" for name in names]
    return load_config("sweep", [*SETTINGS, *tries, f"seed={seed}"])


def _at(row: dict[str, Any]) -> float:
    return -1.0 if math.isnan(row["at"]) else float(row["at"])


def _asked(place: tuple[str, float], value: float) -> bool:
    quantity, at = place
    known = quantity in _SIMULATED and (at in _SIMULATED[quantity])
    return known and math.isfinite(value)


_SIMULATED: dict[str, tuple[float, ...]] = {
    "block_interval_mean": (-1.0,),
    "block_interval_cv": (-1.0,),
    "chain_growth": (-1.0,),
    "chain_quality": (-1.0,),
    "stale_rate": (-1.0,),
    "persistence_simulated": (1.0, 6.0, 15.0),
    "good_period": (5.0, 10.0),
    "liveness_quantile": (0.5, 0.9),
}


def _name(place: tuple[str, float]) -> str:
    quantity, at = place
    return quantity if at < 0 else f"{quantity} at {at:g}"


def _old_intervals(measured, resampled) -> dict[tuple, tuple[float, float]]:
    """1.96 standard deviations in quadrature; of the logarithm for persistence."""
    found = {}
    for m in measured:
        place = m.quantity, -1.0 if m.at is None else float(m.at)
        drawn = [
            other.estimate.value
            for replicate in resampled
            for other in replicate
            if other.place == m.place
        ]
        value, low, high = m.estimate[:3]
        if m.spread == "tail" and value > 0:
            logs = np.log([each for each in drawn if each > 0])
            extra = 1.96 * float(np.std(logs, ddof=1)) if len(logs) > 1 else 0.0
            down = math.hypot(math.log(value / max(low, 1e-300)), extra)
            up = math.hypot(math.log(high / value), extra)
            found[place] = value * math.exp(-down), value * math.exp(up)
            continue
        extra = 1.96 * float(np.std(drawn, ddof=1)) if len(drawn) > 1 else 0.0
        found[place] = (
            value - math.hypot(value - low, extra),
            value + math.hypot(high - value, extra),
        )
    return found


def attack_cell(truth: Truth, runs: int, effort: Effort, seed: int) -> list[Seen]:
    """``attack``'s rows that need no branches, for samples of one truth."""
    import jax

    from ...analysis.attacks import table
    from ...analysis.attacks.rows import Effort as RowEffort
    from ...analysis.attacks.situation import situation_of
    from ...analysis.estimation.training_error import few_runs

    network = {"provers": HONEST + CORRUPTED, "beta": 0.25, "delay_steps": DELAY}
    names = ("private", "private, pre-mined", "grind_prehash")

    def rows_of(curves: CurveSet, resamples: int, number: int):
        at = situation_of(curves, lottery_of_truths(), **network)
        rows = RowEffort(resamples=resamples)
        if not resamples:
            rows = rows._replace(replicas=20_000)
        key = jax.random.key(seed + number)
        return table.attack_table(
            key, at, targets=(1e-3,), effort=rows, seed=number, only=names
        )

    def numbers(row) -> Iterator[tuple[str, Any]]:
        if row.depths:
            yield "depth for 1e-3", row.depths[0][1]
        for name in ("attacker_rate", "public_rate", "quality", "good_period"):
            if getattr(row, name) is not None:
                yield name, getattr(row, name)

    true = {
        (row.attack, row.on, name): found.value
        for row in rows_of(truth.whole, 0, 0)
        for name, found in numbers(row)
    }
    generator = np.random.default_rng(seed)
    seen = []
    for number in range(effort.attack):
        curves = truth.sample(generator, runs)
        for row in rows_of(curves, 8, 1000 * (number + 1)):
            for name, found in numbers(row):
                value = true.get((row.attack, row.on, name), math.nan)
                if not math.isfinite(value):
                    continue
                place = "attack", name, truth.name, runs
                warned = bool(few_runs(row.basis))
                seen.append(seen_of(place, found, value, False, warned))
    return seen
