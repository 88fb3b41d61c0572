"""A sweep that has been checked: each point's key, and the shards that are missing.

Notation:
    key      SHA-256 of all that a point's numbers depend on: settings, curves, code
    group    points that share curves, clock and static shapes
    job      points of one group that become a shard
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from ...models.learning.data import Dataset
from ..config.experiment import Config, fingerprint, plain
from ..config.section import ConfigError
from ..own.evidence import own_curves, part_digest
from ..pipeline import sources, training
from ..world.dataset import config_dataset
from . import evaluation, quick_evaluation
from .design import Design, design_of, text, told
from .points import parameters, points_table
from .shards import CurveSource, Evaluate, ShardTask
from .store import SweepStore


class SweepPlan(NamedTuple):
    """A sweep that has been checked.

    Attributes:
        config: The frozen config.
        design: Its points.
        keys: A key a point; empty if its settings do not go together.
        groups: What it must share with the others of its shard.
        invalid: Point → why its settings do not go together.
        sources: Group → (a config of it, where its curves are).
        rows: Its parameters.
        code: Digest of the code its numbers depend on.
        evaluate: What computes them.
    """

    config: Config
    design: Design
    keys: Sequence[str]
    groups: Sequence[str]
    invalid: Mapping[int, str]
    sources: Mapping[str, tuple[Config, CurveSource]]
    rows: Sequence[Mapping[str, Any]]
    code: str
    evaluate: Evaluate

    def refuse_invalid(self) -> None:
        """Let no point be left out silently.

        Raises:
            ConfigError: Naming those whose settings do not go together.
        """
        if self.invalid:
            found = [
                f"{self.design.label(p)}: {why}" for p, why in self.invalid.items()
            ]
            raise ConfigError(told(found) + "\n  (--skip-invalid leaves these out)")


def plan_of(config: Config, root: Path, evaluate: Evaluate | None = None) -> SweepPlan:
    """Check a frozen sweep and find out what its points depend on. Computes nothing.

    Args:
        config: The sweep, from ``design.frozen``.
        root: Folder of all results.
        evaluate: What computes points; its name is part of their keys. None: what the
            config's ``quantities`` ask for.

    Raises:
        ConfigError: With every path and value that is wrong.
        DataError: If a data set cannot be read.
    """
    if evaluate is None:
        evaluate = _chosen(config.sweep.quantities)
    design, code = design_of(config), sources.sweep_code_at_start()
    evaluator = _named(evaluate)
    keys: list[str] = []
    groups: list[str] = []
    rows: list[dict[str, Any]] = []
    invalid: dict[int, str] = {}
    made_from: dict[str, tuple[Config, CurveSource]] = {}
    refused: dict[str, str] = {}
    datasets: dict[str, Dataset] = {}
    for place, settings in enumerate(design.settings()):
        key, group, row = "", "", dict(design.values(place))
        if isinstance(settings, str):
            invalid[place] = settings
        else:
            # Costs of steps are one array for all points that are computed together.
            group = fingerprint([evaluation.group(settings), _clock(settings)])
            if group not in made_from and group not in refused:
                what = fingerprint(plain(settings.data))
                try:
                    if not settings.law.trained:
                        source = _own_source(settings, root)
                    else:
                        if what not in datasets:
                            datasets[what] = config_dataset(settings)
                        source = _source(settings, datasets[what], root)
                    made_from[group] = settings, source
                except ConfigError as error:
                    refused[group] = str(error)
            if group in refused:
                invalid[place], group = refused[group], ""
            else:
                curves = Path(made_from[group][1].folder).name
                facts = [settings.point_digest(), curves, code, evaluator]
                if part := settings.adversary.part:
                    facts.append(part_digest(part, "adversary.part"))
                key = fingerprint(facts)
                row = parameters(settings, row)
        keys.append(key)
        groups.append(group)
        rows.append(row)
    return SweepPlan(
        config=config,
        design=design,
        keys=tuple(keys),
        groups=tuple(groups),
        invalid=invalid,
        sources=made_from,
        rows=tuple(rows),
        code=code,
        evaluate=evaluate,
    )


def _chosen(quantities: str | tuple[str, ...]) -> Evaluate:
    if quantities == "all":
        return evaluation.evaluate
    if quantities == "quick":
        return quick_evaluation.evaluate
    return quick_evaluation.Quantities(tuple(quantities))


def _named(evaluate: Evaluate) -> str:
    """What tells points of one way from those of another."""
    if isinstance(evaluate, quick_evaluation.Quantities):
        return ",".join([_named(quick_evaluation.evaluate), *evaluate.names])
    return f"{evaluate.__module__}.{evaluate.__qualname__}"


def _clock(config: Config) -> list[Any]:
    unit = config.clock.unit
    return [unit, sorted(config.clock.step_seconds.items()) if unit == "seconds" else 0]


def _source(config: Config, dataset: Dataset, root: Path) -> CurveSource:
    settings = training.curve_settings(config, dataset)
    return CurveSource(
        folder=str((root / "curves" / training._curve_key(config, dataset)).resolve()),
        seed=config.seed,
        menu=config.menu,
        runs=config.training.runs,
        check_every=settings.check_every,
        looks=settings.looks,
        eval_samples=settings.eval_samples,
        population=len(dataset.x_train),
        image_shape=dataset.x_train.shape[1:],
        classes=dataset.n_classes,
    )


def _own_source(config: Config, root: Path) -> CurveSource:
    curves = own_curves(config)  # what is wrong with a file is told at once
    return CurveSource(
        folder=str(training.curve_folder(config, root).resolve()),
        seed=config.seed,
        menu=config.menu,
        runs=len(curves.correct),
        check_every=int(curves.steps[0]),
        looks=len(curves.steps),
        eval_samples=curves.eval_samples,
        population=curves.population,
        image_shape=(0, 0),
        classes=0,
    )


class Job(NamedTuple):
    """Points that become a shard.

    Attributes:
        group: What they share.
        places: They, in the design.
        attempt: How often they have been tried, this time included.
        again: How many have failed before.
    """

    group: str
    places: tuple[int, ...]
    attempt: int
    again: int


def jobs_of(plan: SweepPlan, store: SweepStore, *, retry_failed: bool) -> list[Job]:
    """What is to be computed: each key once, in the design's order, group by group."""
    known, seen = store.known(), set()
    groups: dict[str, list[int]] = {}
    for place, (key, group) in enumerate(zip(plan.keys, plan.groups, strict=True)):
        what = known.get(key)
        if not key or key in seen:
            continue
        if what is None or (retry_failed and not what.done):
            seen.add(key)
            groups.setdefault(group, []).append(place)
    jobs, size = [], plan.config.sweep.shard
    for group, places in groups.items():
        for start in range(0, len(places), size):
            some = tuple(places[start : start + size])
            tried = [known[plan.keys[p]].attempt for p in some if plan.keys[p] in known]
            jobs.append(Job(group, some, 1 + max(tried, default=0), len(tried)))
    return jobs


def tasks_of(plan: SweepPlan, jobs: Sequence[Job]) -> Iterator[ShardTask]:
    """Jobs as workers get them; configs are made when it is their turn."""
    for job in jobs:
        configs = tuple(plan.design.settings(job.places))
        yield ShardTask(
            keys=tuple(plan.keys[place] for place in job.places),
            configs=configs,  # pyright: ignore[reportArgumentType]
            source=plan.sources[job.group][1],
            code=plan.code,
            attempt=job.attempt,
            evaluate=plan.evaluate,
        )


def table_of(plan: SweepPlan) -> pa.Table:
    """The points as the store keeps them."""
    columns = {
        "key": plan.keys,
        "group": plan.groups,
        "label": _labels(plan),
        "error": [
            f"left out: {plan.invalid[place]}" if place in plan.invalid else ""
            for place in range(len(plan.keys))
        ],
    }
    return points_table(plan.design, plan.rows, columns)


def _labels(plan: SweepPlan) -> list[str]:
    """What is the same in a group and differs between groups, for ``dpodl status``."""
    paths = [axis.path for axis in plan.design.axes]
    values: dict[str, list[set[str]]] = {}
    rows = [
        [text(value) for value in row] if group else []
        for row, group in zip(plan.design.rows, plan.groups, strict=True)
    ]
    for row, group in zip(rows, plan.groups, strict=True):
        for found, value in zip(
            values.setdefault(group, [set() for _ in paths]), row, strict=False
        ):
            found.add(value)
    labels = {
        group: ", ".join(
            f"{path}={next(iter(found))[:40]}"
            for path, found in zip(paths, each, strict=True)
            if len(found) == 1 and len(plan.sources) > 1
        )
        for group, each in values.items()
    }
    return [labels.get(group, "") for group in plan.groups]
