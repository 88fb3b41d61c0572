"""Warm starts of a config: measured once, and kept beside its learning curves."""

import io
import logging
from pathlib import Path

import numpy as np

from ...models.learning.architecture import hash_to_architecture, run_digest
from ...models.learning.curves import CurveSet, training_set
from ...models.learning.files import write_atomically
from ...models.learning.pins import pinned
from ...models.scheme.branching import (
    FIRST_DIGEST,
    Branches,
    branch_curves,
    warm_start,
)
from ..config.experiment import Config, fingerprint
from ..store.files import Progress, read_sealed, sealed_name
from ..world.dataset import config_dataset
from ..world.situation import WarmStarts
from ..world.translation import conduct_of
from .sources import stage_digest
from .training import curve_folder, curve_settings

_log = logging.getLogger(__name__)
_WORDS = {"warm": "from T_acc", "mtx": "from an mtx"}


def warm_starts(
    config: Config, curves: CurveSet, root: Path, progress: Progress
) -> WarmStarts:
    """The warm starts that a config's adversary or honest provers need.

    Args:
        config: The experiment.
        curves: Its learning curves.
        root: Where trained curves are kept; what has been measured is read from there.
        progress: Told how far it is.
    """
    needed = needs(config)
    folder = curve_folder(config, root)
    return WarmStarts(
        **{name: branches(config, curves, folder, progress, name) for name in needed}
    )


def starts_of(
    config: Config, curves: CurveSet | None, root: Path, progress: Progress
) -> WarmStarts:
    """``warm_starts`` where a law needs any; a law without curves needs none."""
    if curves is None or not needs(config):
        return WarmStarts()
    return warm_starts(config, curves, root, progress)


def stored_warm_starts(config: Config, curves: CurveSet, folder: Path) -> WarmStarts:
    """The same from a folder of curves, where they have been measured before."""
    return WarmStarts(
        **{name: _read(config, curves, folder, name) for name in needs(config)}
    )


def needs(config: Config) -> tuple[str, ...]:
    """Which warm starts a config's laws come from."""
    return conduct_of(config).needs() if config.network.corrupted else ()


@pinned()
def branches(
    config: Config, curves: CurveSet, folder: Path, progress: Progress, name: str
) -> Branches | None:
    """Trainings from referenced models; None where no run has such a model.

    Args:
        config: ``adversary.branches``, ``mtx_share``, ``protocol.way``.
        curves: Its learning curves.
        folder: Where they are kept.
        progress: Told how far it is.
        name: ``warm`` or ``mtx``.
    """
    stem = _stem(config, folder, name)
    found = _read(config, curves, folder, name)
    accuracy = _accuracy(config, name)
    some = curves.initializations[: config.adversary.branches]
    if found is not None or not (curves.accuracy[: len(some)] >= accuracy).any():
        return found
    dataset = config_dataset(config)
    what = f"branching {_WORDS[name]}"
    try:
        measured = branch_curves(
            some,
            training_set(dataset.x_train, dataset.y_train),
            config.menu.build(),
            curve_settings(config, dataset),
            seed=config.seed,
            accuracy=accuracy,
            way=config.protocol.way,
            progress=lambda _, done, total: progress(what, done, total),
        )
    except ValueError as error:
        # Branched trainings are run one by one, whose last bits may differ.
        if "accuracy must be one that a run shows" in str(error):
            return None
        raise
    _write(stem, measured)
    return measured


def _accuracy(config: Config, name: str) -> float:
    share = config.adversary.mtx_share if name == "mtx" else 1.0
    return share * config.scheme.t_acc


def identity(config: Config, name: str) -> tuple[float | int | str, ...]:
    """What the warm starts of one set of curves differ in."""
    return (
        _accuracy(config, name),
        config.protocol.way,
        min(config.adversary.branches, config.training.runs),
        config.training.horizon_steps,
    )


def _stem(config: Config, folder: Path, name: str) -> Path:
    facts = [*identity(config, name), stage_digest("branching")]
    return folder / f"branches-{fingerprint(facts)[:16]}"


def _write(stem: Path, found: Branches) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        correct=found.curves.correct,
        steps=found.curves.steps,
        origins=found.origins,
        reference_steps=found.reference_steps,
        reference_correct=found.reference_correct,
        missed=found.missed,
    )
    name = sealed_name(stem.name, buffer.getvalue(), ".npz")
    write_atomically(stem.parent / name, buffer.getvalue())


def _read(config: Config, curves: CurveSet, folder: Path, name: str) -> Branches | None:
    stem = _stem(config, folder, name)
    for path in sorted(stem.parent.glob(f"{stem.name}*.npz")):
        try:
            with np.load(io.BytesIO(read_sealed(path)), allow_pickle=False) as file:
                held = {name: file[name] for name in file.files}
        except Exception:  # whatever zipfile and numpy meet in a damaged file
            _log.warning("%s is damaged: its branches are trained again", path)
            path.unlink(missing_ok=True)
            continue
        menu, way = config.menu.build(), config.protocol.way
        origins = held["origins"]
        correct = held["correct"]
        return Branches(
            curves=curves._replace(
                initializations=tuple(
                    warm_start(
                        hash_to_architecture(
                            run_digest(config.seed, FIRST_DIGEST + int(run)), menu
                        ),
                        curves.initializations[int(run)],
                        way,
                    )
                    for run in origins
                ),
                steps=held["steps"],
                correct=correct,
                loss=np.full(correct.shape, np.nan),
            ),
            origins=origins,
            reference_steps=held["reference_steps"],
            reference_correct=held["reference_correct"],
            accuracy=_accuracy(config, name),
            way=way,
            missed=int(held["missed"]),
        )
    return None
