"""How often a 95 % interval holds the truth: ``python -m dpodl.benchmarks.coverage``.

A truth is a law of training runs that is known: five are made up, one is a population
of 1,200 models that this program trains (once: they are kept under ``--output``). N
runs are drawn from it, the library makes its figures and their intervals of these, and
the truth's own figure is inside or not.

    mixture     mean and CV of one prover and of the fastest of 15, and confirmations
                to leading order, with a run's 24 resamples; laws are mixtures of the
                runs' own (``effective_runs.run_laws``), so that thousands of samples
                take a minute
    law         the same of the library's laws, confirmations for 1e-9 by the saddle
                point, as ``design``
    simulated   the figures of a sweep's point, with a sweep's effort
    attack      depth, rates, quality and good periods of ``attack``'s private rows
    points      the figures of a design's points as ``assessment.quick`` finds them

``before`` is what was printed until version 0.1: 1.96 standard deviations, linear, or
the smallest and largest resample (attack), without a warning. A cell is judged by its
binomial error: *below* where even the upper end of the coverage's own 95 % interval is
under the target. Samples whose row has a warning are counted apart.
"""

import argparse
import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from .evidence.points_coverage import points_cell
from .evidence.simulated_coverage import attack_cell, simulated_cell
from .evidence.truths import (
    CORRUPTED,
    DELAY,
    HONEST,
    POPULATION,
    TRUTHS,
    Effort,
    Seen,
    Truth,
    lottery_of_truths,
    population,
    seen_of,
    truth_of,
)

TARGETS = {50: (0.90, 0.90), 192: (0.935, 0.90), 1000: (0.935, 0.90)}


QUICK = Effort(300, 20, 5, 5, 0, (50, 192), 0, 20)


# ---------------------------------------------------------------- law figures


def _depth(law) -> float:
    from ..analysis.block_time.law import fastest_of
    from ..analysis.estimation.estimate import Refused
    from ..analysis.race.saddle_point import depth_estimate
    from ..analysis.race.walk import Race

    try:
        return depth_estimate(
            Race(fastest_of(law, HONEST), fastest_of(law, CORRUPTED), DELAY), 1e-9
        )
    except Refused:
        return math.nan


def law_cell(truth: Truth, runs: int, effort: Effort, seed: int) -> list[Seen]:
    """Mean, CV and confirmations of samples of one truth."""
    from ..analysis.block_time import effective_runs as er, law as bt
    from ..analysis.block_time.empirical import bootstrap_laws, empirical_law
    from ..analysis.estimation.estimate import Refused
    from ..analysis.estimation.training_error import few_runs, law_figure
    from ..analysis.race.walk import Race, tilts

    def group(figure):
        return lambda law: figure(bt.fastest_of(law, HONEST))

    figures: dict[str, Callable] = {
        "mean, one prover": bt.mean,
        "CV, one prover": bt.cv,
        "mean, fastest of 15": group(bt.mean),
        "CV, fastest of 15": group(bt.cv),
        "confirmations for 1e-9": _depth,
    }
    lottery = lottery_of_truths()
    right = empirical_law(truth.whole, lottery).law
    true = {name: figure(right) for name, figure in figures.items()}
    generator = np.random.default_rng(seed)
    seen = []
    for number in range(effort.law):
        curves = truth.sample(generator, runs)
        law = empirical_law(curves, lottery)
        drawn = bootstrap_laws(seed + number, curves, lottery, 24)
        counted = er.run_laws(curves, lottery, law.law)
        one, many = er.fastest(counted, 1), er.fastest(counted, HONEST)
        bases = dict(zip(figures, (*one, *many), strict=False))
        for name, figure in figures.items():
            if name not in bases:
                if number >= effort.depth or not math.isfinite(true[name]):
                    continue
                try:
                    running = Race(
                        bt.fastest_of(law.law, HONEST),
                        bt.fastest_of(law.law, CORRUPTED),
                        DELAY,
                    )
                    theta = tilts(running).theta_0
                except Refused:
                    continue
                bases[name] = er.tilted(counted, HONEST, CORRUPTED, theta)
            value, spread = figure(law.law), [figure(each) for each in drawn]
            if not math.isfinite(value):
                continue
            found = law_figure(
                value,
                spread,
                "log",
                "",
                basis=bases[name],
                extremes=[figure(law.slowest), figure(law.fastest)],
                lacking=math.inf,
            )
            half = 1.96 * float(np.nanstd(spread, ddof=1))
            old = abs(value - true[name]) <= half
            warned = bool(few_runs(bases[name]))
            seen.append(
                seen_of(("law", name, truth.name, runs), found, true[name], old, warned)
            )
            bases = {k: v for k, v in bases.items() if k != "confirmations for 1e-9"}
    return seen


def mixture_cell(truth: Truth, runs: int, effort: Effort, seed: int) -> list[Seen]:
    """As ``law_cell``, with laws that are mixtures of the runs' own."""
    from ..analysis.block_time import effective_runs as er
    from ..analysis.block_time.empirical import empirical_law
    from ..analysis.estimation.training_error import few_runs, law_figure

    lottery = lottery_of_truths()
    whole = er.run_laws(truth.whole, lottery, empirical_law(truth.whole, lottery).law)
    true, _ = _mixtures(whole.survival.mean(axis=0), whole.times)
    generator = np.random.default_rng(seed)
    seen = []
    for _ in range(effort.mixture):
        rows = generator.integers(len(whole.survival), size=runs)
        some = er.RunLaws(whole.times, whole.survival[rows])
        values, theta = _mixtures(some.survival.mean(axis=0), whole.times)
        weights = generator.multinomial(runs, np.full(runs, 1 / runs), size=24) / runs
        drawn, _ = _mixtures(weights @ some.survival, whole.times)
        bases = (
            *er.fastest(some, 1),
            *er.fastest(some, HONEST),
            er.tilted(some, HONEST, CORRUPTED, float(theta)),
        )
        for place, basis in enumerate(bases):
            value, spread, right = values[place], drawn[:, place], true[place]
            found = law_figure(float(value), spread, "log", "", basis=basis)
            old = abs(value - right) <= 1.96 * spread.std(ddof=1)
            named = "mixture", _MIXTURES[place], truth.name, runs
            seen.append(seen_of(named, found, right, bool(old), bool(few_runs(basis))))
    return seen


_MIXTURES = (
    *("mean, one prover", "CV, one prover"),
    *("mean, fastest of 15", "CV, fastest of 15"),
    "confirmations, leading order",
)
_TILTS = np.linspace(1e-4, 0.02, 100)


def _mixtures(alive: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The figures of laws, one a row, and the tilt of the last one."""
    found = []
    for provers in (1, HONEST):
        power = alive**provers
        first = np.trapezoid(power, times)
        second = np.trapezoid(2 * times * power, times)
        found += [first, np.sqrt(second - first**2) / first]
    middle = (times[1:] + times[:-1]) / 2
    private = -np.diff(alive**CORRUPTED) @ np.exp(-np.outer(middle, _TILTS))
    public = -np.diff(alive**HONEST) @ np.exp(np.outer(middle - 500, _TILTS))
    with np.errstate(divide="ignore"):
        rate = np.log(private) + np.log(public) + _TILTS * (500 + DELAY)
    found.append(-math.log(1e-9) / -rate.min(axis=-1))
    return np.stack(found, axis=-1), _TILTS[rate.argmin(axis=-1)]


# ---------------------------------------------------------------- all of it


_CELLS = {
    "mixture": mixture_cell,
    "law": law_cell,
    "simulated": simulated_cell,
    "attack": attack_cell,
    "points": points_cell,
}


class Job(NamedTuple):
    """A cell to be measured."""

    kind: str
    truth: str
    runs: int
    effort: Effort
    folder: str


def jobs_of(effort: Effort, folder: Path, kinds: Sequence[str]) -> list[Job]:
    """All cells, the long ones first."""
    names = list(TRUTHS) + ([POPULATION] if effort.trained else [])
    found = [
        Job("simulated", name, 192, effort, str(folder))
        for name in names
        if effort.simulated
    ]
    if effort.attack and effort.trained:
        found.insert(0, Job("attack", POPULATION, 192, effort, str(folder)))
    found += [
        Job(kind, name, runs, effort, str(folder))
        for kind in ("mixture", "law", "points")
        for runs in sorted(effort.runs, reverse=True)
        for name in names
    ]
    return [job for job in found if job.kind in kinds]


def measure(job: Job) -> list[Seen]:
    """One cell."""
    truth = truth_of(job.truth, job.effort.trained, Path(job.folder))
    seed = 1 + sum(map(ord, f"{job.kind}{job.truth}{job.runs}"))
    return _CELLS[job.kind](truth, job.runs, job.effort, seed)


def rows_of(seen: Sequence[Seen]) -> list[dict[str, Any]]:
    """Coverage of every figure, truth by truth and pooled over truths."""
    cells: dict[tuple[str, str, int, str], list[Seen]] = {}
    for one in seen:
        for truth in (one.truth, "pooled"):
            cells.setdefault((one.kind, one.figure, one.runs, truth), []).append(one)
    return [_judged(place, some) for place, some in cells.items()]


def _judged(place: tuple[str, str, int, str], some: Sequence[Seen]) -> dict[str, Any]:
    kind, figure, runs, truth = place
    told = [one for one in some if not one.warned]
    judged = told or some
    hits = sum(not (one.low_missed or one.high_missed) for one in judged)
    test = stats.binomtest(hits, len(judged))
    ends = test.proportion_ci(0.95)
    target = TARGETS[runs][truth != "pooled"]
    if not told:
        verdict = "warned"
    elif hits / len(judged) >= target:
        verdict = "met"
    else:
        verdict = "below" if ends.high < target else "not shown"
    return {
        "kind": kind,
        "figure": figure,
        "runs": runs,
        "truth": truth,
        "samples": len(some),
        "warned": 1 - len(told) / len(some),
        "before": sum(one.old_covered for one in some) / len(some),
        "coverage": hits / len(judged),
        "low": ends.low,
        "high": ends.high,
        "below_interval": sum(one.low_missed for one in judged) / len(judged),
        "above_interval": sum(one.high_missed for one in judged) / len(judged),
        "width": float(np.median([one.width for one in some])),
        "target": target,
        "verdict": verdict,
    }


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table of docs/science/intervals.md."""
    lines = [
        "| kind | figure | N | truth | samples | warned | before | covered | 95 % "
        "| verdict |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        before = "—" if row["kind"] in ("attack", "points") else f"{row['before']:.3f}"
        share = f"{row['coverage']:.3f}"
        lines.append(
            f"| {row['kind']} | {row['figure']} | {row['runs']} | {row['truth']} | "
            f"{row['samples']} | {row['warned']:.0%} | {before} | {share} | "
            f"{row['low']:.3f}–{row['high']:.3f} | {row['verdict']} |"
        )
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, write ``coverage.json`` and ``coverage.md``, print the table."""
    parser = argparse.ArgumentParser(prog="python -m dpodl.benchmarks.coverage")
    parser.add_argument("--quick", action="store_true", help="5 minutes, no training")
    parser.add_argument("--output", type=Path, default=Path("runs/coverage"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=list(_CELLS), action="append")
    for name in ("mixture", "law", "depth", "simulated", "attack", "points"):
        parser.add_argument(f"--{name}", type=int, help=f"samples: {name}")
    parser.add_argument("--runs", type=int, action="append", choices=list(TARGETS))
    parser.add_argument("--trained", type=int, help="models of the population; 0: none")
    given = parser.parse_args(words)
    effort = QUICK if given.quick else Effort()
    names = (
        *("mixture", "law", "depth", "simulated"),
        *("attack", "trained", "points"),
    )
    changed = {n: getattr(given, n) for n in names if getattr(given, n) is not None}
    if given.runs:
        changed["runs"] = tuple(given.runs)
    effort = effort._replace(**changed)
    given.output.mkdir(parents=True, exist_ok=True)
    if effort.trained:
        population(effort.trained, given.output)
    jobs = jobs_of(effort, given.output, given.only or list(_CELLS))
    begun, seen = time.perf_counter(), []
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.jobs, mp_context=fresh) as pool:
        for job, found in zip(jobs, pool.map(measure, jobs), strict=True):
            seen += found
            spent = time.perf_counter() - begun
            print(f"{spent:7.0f} s  {job.kind}, {job.truth}, N = {job.runs}")
            rows = rows_of(seen)
            text = json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
            (given.output / "coverage.json").write_text(text)
            (given.output / "coverage.md").write_text(markdown(rows))
    print(markdown([row for row in rows_of(seen) if row["truth"] == "pooled"]))


if __name__ == "__main__":
    main()
