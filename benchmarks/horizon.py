"""Does the law hold beyond the horizon? ``python -m dpodl.benchmarks.horizon``.

Models are trained well beyond a horizon. The law is made of what they had shown at the
horizon, and again of all that they have shown, under the same protocol: a model below
T_acc at the horizon is given up. A case is a menu, T_acc, p_2, a horizon and a number
of provers; mean and CV of the fastest are *right* where what was seen lies inside the
printed interval and within 12 % of the printed value.

    mixed     the menu of ``quickstart``, 192 models, 16,000 steps
    thinned   the same models, looked at every 200 steps instead of 25
    softmax, mlp-32, mlp-64, cnn-4
              those of them that have this architecture: menus of one
    paper     SLT23's settings on full MNIST (``--data``), 24 models, one look an epoch

Wanted: both in at least 90 % of the cases. Curves are kept under ``--output``, so what
was trained is not trained again. Some ten minutes on two idle cores.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..analysis.block_time.empirical import Lottery, bootstrap_laws, empirical_law
from ..analysis.block_time.law import BlockTimeLaw, cv, fastest_of, mean
from ..analysis.estimation.estimate import Refused
from ..analysis.estimation.training_error import law_figure
from ..experiments.config.loading import load_config
from ..experiments.pipeline.training import train
from ..models.learning.curves import CurveSet

NEAR = 0.12
RESAMPLES = 24
P_1, HASHES = 2.0**-15, 150.0
PROVERS = (1, 15)
LOTTERIES = (1 / 8, 1 / 64, 1 / 512)


class Population(NamedTuple):
    """Models and the cases they are asked about.

    Attributes:
        config: Shipped config that is trained.
        changes: Its overrides.
        every: Every so manieth look counts.
        t_acc: T_acc of the cases.
        horizons: Steps.
        architecture: Only models of this one; None: all.
    """

    config: str
    changes: tuple[str, ...]
    every: int
    t_acc: tuple[float, ...]
    horizons: tuple[int, ...]
    architecture: str | None = None


_FAR = ("training.horizon_steps=16000",)
POPULATIONS = {
    "mixed": Population("quickstart", _FAR, 1, (0.9, 0.95, 0.97), (1000, 2000, 4000)),
    "thinned": Population("quickstart", _FAR, 8, (0.93, 0.96), (2000, 4000)),
    "softmax": Population(
        "quickstart", _FAR, 1, (0.88, 0.9, 0.92), (2000, 4000), "softmax"
    ),
    "mlp-32": Population("quickstart", _FAR, 1, (0.93, 0.96), (1000, 2000), "mlp-32"),
    "mlp-64": Population("quickstart", _FAR, 1, (0.93, 0.97), (1000, 2000), "mlp-64"),
    "cnn-4": Population("quickstart", _FAR, 1, (0.85, 0.9), (1000, 2000), "cnn-4"),
    "paper": Population(
        "paper",
        ("training.runs=24", "training.horizon_steps=9360"),
        1,
        (0.97, 0.99),
        (2340, 4680),
    ),
}
QUICK = {
    "mixed": Population(
        "quickstart",
        (
            "training.runs=48",
            "training.horizon_steps=1600",
            "protocol.abandon_steps=never",
        ),
        1,
        (0.85, 0.9),
        (400, 800),
    )
}


def cases(name: str, population: Population, curves: CurveSet) -> pd.DataFrame:
    """Every case of a population, one row for mean and one for CV of each.

    Args:
        name: For the table.
        population: What is asked.
        curves: Its models, trained to the end.
    """
    if population.architecture is not None:
        curves = _of(curves, population.architecture)
    whole = _until(curves, int(curves.steps[-1]), population.every)
    rows = []
    for horizon in population.horizons:
        short = _until(curves, horizon, population.every)
        for t_acc in population.t_acc:
            for p_2 in LOTTERIES:
                lottery = Lottery(t_acc, P_1, p_2, HASHES, abandon_steps=horizon)
                where = {
                    "menu": name,
                    "t_acc": t_acc,
                    "1/p_2": round(1 / p_2),
                    "horizon": horizon,
                }
                try:
                    rows += [where | row for row in _judged(short, whole, lottery)]
                except Refused as refusal:
                    rows.append(where | {"refused": str(refusal)})
    return pd.DataFrame(rows)


def _judged(short: CurveSet, whole: CurveSet, lottery: Lottery) -> list[dict]:
    seen = empirical_law(whole, lottery).law
    found = empirical_law(short, lottery)
    resamples = bootstrap_laws(1, short, lottery, RESAMPLES)
    rows = []
    for provers in PROVERS:
        for figure, of in (("mean", mean), ("cv", cv)):

            def value(law: BlockTimeLaw, of=of, provers=provers) -> float:
                return of(fastest_of(law, provers))

            extremes = [value(found.slowest), value(found.fastest)]
            estimate = law_figure(
                value(found.law),
                list(map(value, resamples)),
                "log",
                "law",
                extremes=extremes,
            )
            truth = value(seen)
            rows.append(
                {
                    "provers": provers,
                    "figure": figure,
                    "seen": truth,
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "off": estimate.value / truth - 1,
                    "inside": estimate.low <= truth <= estimate.high,
                    "near": abs(estimate.value / truth - 1) <= NEAR,
                    "bracketed": min(*extremes, estimate.value) * (1 - 1e-3)
                    <= truth
                    <= max(*extremes, estimate.value) * (1 + 1e-3),
                }
            )
    return rows


def _of(curves: CurveSet, architecture: str) -> CurveSet:
    runs = curves.initializations
    mine = [i for i, run in enumerate(runs) if run.hpp.architecture == architecture]
    return curves._replace(
        initializations=tuple(runs[i] for i in mine),
        correct=curves.correct[mine],
        loss=curves.loss[mine],
    )


def _until(curves: CurveSet, horizon: int, every: int) -> CurveSet:
    kept = slice(every - 1, int(horizon // curves.steps[0]), every)
    return curves._replace(
        steps=curves.steps[kept],
        correct=curves.correct[:, kept],
        loss=curves.loss[:, kept],
    )


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Shares of right cases by menu and quantity, and over all."""
    known = table[table["off"].notna()]
    parts = []
    for keys in (["menu", "figure"], ["figure"]):
        grouped = known.groupby(keys, sort=False)
        part = grouped.agg(
            cases=("off", "size"),
            inside=("inside", "mean"),
            near=("near", "mean"),
            bracketed=("bracketed", "mean"),
            worst=("off", lambda off: off.abs().max()),
        )
        parts.append(part.reset_index())
    return pd.concat(parts, ignore_index=True).fillna({"menu": "all"})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dpodl.benchmarks.horizon")
    parser.add_argument("--output", type=Path, default=Path("runs/horizon"))
    parser.add_argument("--data", help="full MNIST as npz, for the menu of the paper")
    parser.add_argument("--quick", action="store_true", help="one small population")
    parser.add_argument("--only", nargs="*", default=None, help="populations")
    given = parser.parse_args(arguments)
    populations = QUICK if given.quick else dict(POPULATIONS)
    if not given.data:
        populations.pop("paper", None)
    tables = []
    for name, population in populations.items():
        if given.only and name not in given.only:
            continue
        data = [f"data.path={given.data}"] if name == "paper" else []
        config = load_config(population.config, [*population.changes, *data])
        curves = train(config, given.output, partial(_progress, name))
        tables.append(cases(name, population, curves))
    table = pd.concat(tables, ignore_index=True)
    given.output.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.output / "horizon.csv", index=False)
    print(summary(table).to_string(index=False, float_format="{:.3f}".format))
    refused = table[table["off"].isna()]
    print(f"{len(table) - len(refused)} values judged, {len(refused)} cases refused")
    total = summary(table).tail(2)
    return int(not (total[["inside", "near"]].to_numpy(float) >= 0.9).all())


def _progress(name: str, what: str, done: int, total: int) -> None:
    print(f"\r{name}: {what} {done}/{total}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
