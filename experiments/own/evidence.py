"""A config's [law]: its file read once, what it holds, and what it is called by."""

import sys
from functools import lru_cache
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...analysis.block_time.formulas import formula_law, survival_law
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.block_time.observed import observed_law
from ...analysis.block_time.uncertain import UncertainLaw
from ...models.learning.architecture import Initialization
from ...models.learning.curves import CurveSet
from ..config.experiment import Config, fingerprint, plain
from ..config.section import ConfigError
from .curve_log import LOGGED, SCORED, CurveLog, curve_set, read_curves
from .tables import read_source
from .time_list import TimeList, read_times


def content_digest(config: Config) -> str:
    """What a law that was not trained here depends on, by content and not by path.

    Raises:
        ConfigError: If the file or the user's module cannot be read.
    """
    law = config.law
    facts: list[Any] = [plain(law) | {"path": ""}]
    if law.source in ("curves", "times"):
        facts.append(read_source(_path(config)).sha256)
    if law.source == "formula" and law.formula.part:
        facts.append(part_digest(law.formula.part, "law.formula.family"))
    training = config.training
    facts.append([training.check_every, training.horizon_steps])
    return fingerprint(facts)


def own_curves(config: Config) -> CurveSet:
    """The learning curves of the config's file; no run where it has none.

    Raises:
        ConfigError: As ``read_curves`` and ``curve_set``.
    """
    if config.law.source == "curves":
        return _curves(config)[0]
    looks = config.training.horizon_steps // config.training.check_every
    return CurveSet(
        initializations=(),
        steps=config.training.check_every * np.arange(1, looks + 1),
        correct=np.zeros((0, looks), np.int64),
        loss=np.zeros((0, looks)),
        eval_samples=SCORED,
        population=SCORED,
    )


def own_initializations(runs: int) -> tuple[Initialization, ...]:
    """What stands for the beginnings of runs that were logged elsewhere."""
    return (LOGGED,) * runs


def own_law(config: Config, resamples: int) -> UncertainLaw:
    """The law of measured times or of a formula.

    Args:
        config: Whose [law].
        resamples: Of measured times; a formula is known.

    Raises:
        ConfigError: If the file cannot be read, or the user's law is none.
        Refused: As ``observed_law``.
    """
    if config.law.source == "formula":
        return UncertainLaw(_formula(config))
    found = times_of(config)
    return observed_law(config.seed, found.times, found.censored, resamples=resamples)


def own_warnings(config: Config) -> tuple[str, ...]:
    """What a reader must know of how the file was read."""
    if config.law.source == "curves":
        return _curves(config)[1]
    return times_of(config).warnings if config.law.source == "times" else ()


def times_of(config: Config) -> TimeList:
    """The times of the config's file."""
    content = read_source(_path(config)).sha256
    return _times(_path(config), _columns(config), content)


def load_part(name: str, setting: str) -> Any:
    """What ``module:name`` names; the module is looked for where Python does, and here.

    Args:
        name: ``module:name``.
        setting: That it is the value of, for messages.

    Raises:
        ConfigError: If there is no such module, it cannot be imported, or has no such
            name.
    """
    module, _, attribute = name.partition(":")
    try:
        with _here():
            found = import_module(module)
    except Exception as error:  # it is a user's, and may do anything
        raise ConfigError(
            f"{setting} = {name}: the module {module} cannot be imported "
            f"({type(error).__name__}: {error}); it must be installed, or lie in the "
            "folder that dpodl is called in"
        ) from None
    if not hasattr(found, attribute):
        raise ConfigError(f"{setting} = {name}: {module} has no {attribute}")
    return getattr(found, attribute)


def part_digest(name: str, setting: str) -> str:
    """A digest of the source of a user's module.

    Raises:
        ConfigError: If it cannot be found or read.
    """
    module = name.partition(":")[0]
    with _here():
        try:
            spec = find_spec(module)
        except (ImportError, ValueError):
            spec = None
    if spec is None or spec.origin is None:
        load_part(name, setting)  # says why
        return name
    return read_source(Path(spec.origin)).sha256


class _here:
    """The current folder on Python's path, as for a script."""

    def __enter__(self) -> None:
        self._folder = str(Path.cwd())
        sys.path.insert(0, self._folder)
        invalidate_caches()

    def __exit__(self, *error: object) -> None:
        sys.path.remove(self._folder)


def _formula(config: Config) -> BlockTimeLaw:
    given = config.law.formula
    if given.part is None:
        return formula_law(
            given.family,
            given.mean,
            dead_time=given.dead_time,
            cv=given.cv,
            stages=given.stages,
            shape=given.shape,
        )
    survival = load_part(given.part, "law.formula.family")
    try:
        return survival_law(survival)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"law.formula.family = {given.part}: {error}") from None


def _path(config: Config) -> Path:
    assert config.law.path is not None  # the section has seen to it
    return config.law.path


def _columns(config: Config) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(config.law.columns.items()))


def _curves(config: Config) -> tuple[CurveSet, tuple[str, ...]]:
    log = _log(_path(config), _columns(config), read_source(_path(config)).sha256)
    training = config.training
    return curve_set(
        log,
        config.law,
        spacing=training.check_every,
        horizon=training.horizon_steps,
    )


# A content's digest among the arguments: what has changed is read anew.
@lru_cache(maxsize=4)
def _log(path: Path, columns: tuple[tuple[str, str], ...], content: str) -> CurveLog:
    return read_curves(path, dict(columns))


@lru_cache(maxsize=4)
def _times(path: Path, columns: tuple[tuple[str, str], ...], content: str) -> TimeList:
    return read_times(path, dict(columns))
