"""The points of a sweep: which settings change, and the values they take together.

Notation:
    axis      one setting of the config, by its dotted path, and its values
    design    how axes combine: their product (grid), side by side (list), or spread
              evenly over ranges: I. M. Sobol', 1967; J. H. Halton, 1960; Latin
              hypercube, McKay, Beckman, Conover, 1979 (scipy.stats.qmc)
    point     the base config with one value of every axis
"""

import copy
import itertools
import json
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ValidationError
from scipy.stats import qmc

from ..config.experiment import Config, fingerprint, plain
from ..config.loading import problems_of, put
from ..config.mining import MiningConfig
from ..config.section import ConfigError
from ..config.sweep import SweepConfig
from .axes import SPREAD, SWEPT, TWINS, Axis, axis_of, drawn

EFFORT = ("replicas", "good_period_replicas", "bootstraps", "bootstrap_replicas")
MOST_POINTS = 1_000_000
_SHOWN = 24  # problems in a message


class Design(NamedTuple):
    """All points of a sweep.

    Attributes:
        base: The config that the points change, frozen by ``frozen``.
        axes: What changes.
        rows: One value an axis for each point.
    """

    base: Config
    axes: tuple[Axis, ...]
    rows: tuple[tuple[Any, ...], ...]

    def values(self, point: int) -> dict[str, Any]:
        """Path → value of a point."""
        paths = (axis.path for axis in self.axes)
        return dict(zip(paths, self.rows[point], strict=True))

    def settings(self, places: Iterable[int] | None = None) -> Iterator[Config | str]:
        """Points' configs, or why their settings do not go together; all, if None."""
        sections = {name: getattr(self.base, name) for name in SWEPT}
        # What no point depends on must not stand in its way either.
        sections |= {"name": self.base.name, "mining": MiningConfig()}
        tables = {
            name: plain(section)
            for name, section in sections.items()
            if isinstance(section, BaseModel)
        }
        for point in range(len(self.rows)) if places is None else places:
            changed = dict(sections)
            for path, value in self.values(point).items():
                head, *rest = path.split(".")
                if not rest:
                    changed[head] = value
                    continue
                if not isinstance(changed[head], dict):
                    changed[head] = copy.deepcopy(tables[head])
                put(changed[head], rest, value, path)
            try:
                # Sections that stay are shared by all points, not copied.
                yield Config.model_validate(changed)
            except ValidationError as error:
                yield "; ".join(problems_of(error))
            except OverflowError:
                yield "a whole number is too large to be computed with"

    def label(self, point: int) -> str:
        """A point's values in words."""
        shown = (f"{path}={text(v)}" for path, v in self.values(point).items())
        return f"point {point} ({', '.join(shown)})"


def frozen(
    config: Config,
    *,
    over: Mapping[str, Any] | None = None,
    design: str | None = None,
    points: int | None = None,
    kept: Sequence[str] = (),
) -> Config:
    """A config that says all of a sweep: its axes, its design, its effort.

    Args:
        config: The base, with or without a [sweep] of its own.
        over: More axes, or other values for its own: text, or a list of values.
        design: Instead of the config's.
        points: Instead of the config's.
        kept: Settings like ``security.replicas`` that count as they are in the
            config; the others' effort is the sweep's.

    Returns:
        The config with [sweep] completed and its effort put into [security].

    Raises:
        ConfigError: If the sweep's own settings are wrong.
    """
    settings = plain(config.sweep)
    merged: dict[str, Any] = dict(config.sweep.over)
    merged |= {path: _listed(values) for path, values in (over or {}).items()}
    settings["over"] = {path: _as_text(values) for path, values in merged.items()}
    if design is not None:
        settings["design"] = design
        if design not in SPREAD:
            settings.pop("points", None)
    if points is not None:
        settings["points"] = points
    for name in EFFORT:
        if f"security.{name}" in kept:
            settings[name] = getattr(config.security, name)
    try:
        sweep = SweepConfig.model_validate(settings)
    except ValidationError as error:
        lines = [f"sweep.{line}" for line in problems_of(error)]
        raise ConfigError(told(lines)) from None
    effort = {name: getattr(sweep, name) for name in EFFORT}
    security = config.security.model_copy(update=effort)
    return config.model_copy(update={"sweep": sweep, "security": security})


def sweep_digest(config: Config) -> str:
    """SHA-256 of what a frozen sweep's results depend on, the order of points too."""
    unseen = ("description", "mining", "sweep", "comparisons")
    settings = {k: v for k, v in plain(config).items() if k not in unseen}
    settings["training"].pop("keep_states")
    sweep = plain(config.sweep)
    # How many points are kept in one file changes no number.
    del sweep["shard"]
    sweep["over"] = list(sweep["over"].items())
    return fingerprint([settings, sweep])


def design_of(config: Config) -> Design:
    """The points of a frozen sweep.

    Raises:
        ConfigError: With every path and value that is wrong.
    """
    sweep, problems = config.sweep, []
    if not sweep.over:
        raise ConfigError(
            told(
                [
                    "nothing changes: give --over scheme.t_acc=0.90:0.98:0.01, or "
                    "[sweep] over in the config"
                ]
            )
        )
    axes = []
    for path, values in sweep.over.items():
        try:
            axis = axis_of(path, values, spread=sweep.design in SPREAD)
            axes.append(axis)
            # Side by side a value may come again; in a product it makes points twice.
            if sweep.design == "grid" and (again := _again(axis.values)):
                problems.append(f"--over {path}: more than once: {', '.join(again)}")
        except ValueError as error:
            problems += [f"--over {path}: {line}" for line in str(error).split("\n")]
    problems += _overlaps(list(sweep.over))
    problems += _combined(sweep, axes) if len(axes) == len(sweep.over) else []
    if problems:
        raise ConfigError(told(problems))
    if sweep.design == "grid":
        rows = itertools.product(*(axis.values for axis in axes))
    elif sweep.design == "list":
        rows = zip(*(axis.values for axis in axes), strict=True)
    else:
        rows = _spread_rows(sweep, axes, config.seed)
    return Design(config, tuple(axes), tuple(rows))


def text(value: Any) -> str:
    """A value in words: text as it is, numbers in their shortest form."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    return json.dumps(value, ensure_ascii=False)


def told(problems: Sequence[str]) -> str:
    """A message of all problems; of very many, the first."""
    shown = list(problems[:_SHOWN])
    if len(problems) > _SHOWN:
        shown.append(f"… and {len(problems) - _SHOWN} more")
    return "the sweep cannot be used:\n  " + "\n  ".join(shown)


def _listed(values: Any) -> Any:
    """Values from Python as TOML has them; numpy's arrays and scalars too."""
    values = getattr(values, "tolist", lambda: values)()
    if isinstance(values, str):
        return values
    if isinstance(values, BaseModel | Mapping) or not hasattr(values, "__iter__"):
        values = [values]
    found = [getattr(value, "tolist", lambda value=value: value)() for value in values]
    return tuple(plain(v) if isinstance(v, BaseModel) else v for v in found)


def _as_text(values: Any) -> Any:
    # TOML would write tables behind everything else and so change the axes' order.
    if isinstance(values, str) or not any(isinstance(v, Mapping) for v in values):
        return values
    return ", ".join(json.dumps(value) for value in values)


def _overlaps(paths: list[str]) -> list[str]:
    problems = []
    for one, other in itertools.combinations(paths, 2):
        short, long = sorted((one, other), key=len)
        twin = ".".join(TWINS.get(part, part) for part in one.split("."))
        same = twin == ".".join(TWINS.get(part, part) for part in other.split("."))
        if same or long.startswith(short + "."):
            problems.append(f"--over {one} and --over {other} set the same thing")
    return problems


def _combined(sweep: SweepConfig, axes: list[Axis]) -> list[str]:
    lengths = {axis.path: len(axis.values) for axis in axes}
    if sweep.design in SPREAD:
        if sweep.points is None:
            return [f"sweep.points: design {sweep.design} needs --points N"]
        if sweep.points > MOST_POINTS:
            return [f"sweep.points must be at most {MOST_POINTS}, got {sweep.points}"]
        return []
    if sweep.points is not None:
        return [
            f"sweep.points: --points is for the designs {', '.join(SPREAD)}; "
            f"{sweep.design} has as many as its values make, got {sweep.points}"
        ]
    if sweep.design == "list" and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{path} has {n}" for path, n in lengths.items())
        return [f"design list needs as many values on every axis: {counts}"]
    if sweep.design == "grid" and math.prod(lengths.values()) > MOST_POINTS:
        product = " × ".join(map(str, lengths.values()))
        return [f"the grid has {product} points; at most {MOST_POINTS}"]
    return []


def _again(values: Sequence[Any]) -> list[str]:
    counts = Counter(json.dumps(value, sort_keys=True) for value in values)
    return [value for value, count in counts.items() if count > 1][:_SHOWN]


def _spread_rows(sweep: SweepConfig, axes: list[Axis], seed: int) -> Iterator[tuple]:
    engines = {"sobol": qmc.Sobol, "halton": qmc.Halton, "latin": qmc.LatinHypercube}
    draws = np.random.default_rng(seed)
    with warnings.catch_warnings():
        # Sobol' asks for powers of 2; any other number is the start of the next one.
        warnings.simplefilter("ignore", UserWarning)
        places = engines[sweep.design](len(axes), seed=draws).random(sweep.points)
    for row in places.tolist():
        yield tuple(
            drawn(axis.kind, axis.spread, place)
            if axis.spread
            else axis.values[min(int(place * len(axis.values)), len(axis.values) - 1)]
            for axis, place in zip(axes, row, strict=True)
        )
