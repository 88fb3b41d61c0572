"""A run's first stage: the menu's models are trained, once for all who ask."""

import io
import logging
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from ...models.learning.architecture import Initialization
from ...models.learning.curves import (
    Bucket,
    CurveSet,
    CurveSettings,
    TrainingSet,
    chunk_runs,
    draw_runs,
    training_set,
)
from ...models.learning.data import SHA256, Dataset
from ...models.learning.looks import Curve
from ...models.learning.pins import pinned
from ..config.experiment import Config, fingerprint, plain
from ..config.section import ConfigError
from ..store.files import Progress
from ..store.run_folder import RunFolder
from ..store.state_store import StateStore
from ..world.dataset import check_images, config_dataset
from .devices import turns
from .sources import stage_digest
from .training_shelf import TrainingShelf
from .versions import build

_log = logging.getLogger(__name__)
# Of a CurveSet, what only curves from elsewhere have.
_MAY_LACK = ("step_costs", "logged")


def curve_settings(config: Config, dataset: Dataset) -> CurveSettings:
    """The curve settings of a config, checked against the data.

    Raises:
        ConfigError: If a batch or an evaluation sample is larger than the data set, or
            a network needs larger images.
    """
    check_images(dataset, config.menu.architectures)
    examples = len(dataset.x_train)
    training = config.training
    samples = examples if training.eval_samples == "all" else training.eval_samples
    problems = []
    if samples > examples:
        problems.append(
            f"training.eval_samples must be at most the {examples} training examples "
            f"of {dataset.name}, got {samples}"
        )
    largest = max(config.menu.batch_sizes)
    if largest > examples:
        problems.append(
            f"menu.batch_sizes must be at most the {examples} training examples of "
            f"{dataset.name}, got {largest}"
        )
    if problems:
        raise ConfigError("\n  ".join(problems))
    return CurveSettings(
        check_every=training.check_every,
        horizon_steps=training.horizon_steps,
        eval_samples=samples,
        lanes=training.lanes,
    )


def curve_bytes(curves: CurveSet) -> bytes:
    """Learning curves as the file that ``stored_curves`` reads."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        correct=curves.correct,
        loss=curves.loss,
        steps=curves.steps,
        eval_samples=curves.eval_samples,
        population=curves.population,
        **{k: v for k in _MAY_LACK if (v := getattr(curves, k)) is not None},
    )
    return buffer.getvalue()


def stored_curves(folder: RunFolder, config: Config) -> CurveSet:
    """The learning curves that a run keeps in its folder.

    Raises:
        Changed: If they are not what was written.
    """
    content = io.BytesIO(folder.read("curves.npz"))
    with np.load(content, allow_pickle=False) as file:
        return CurveSet(
            initializations=_runs_of(config, len(file["correct"])),
            steps=file["steps"],
            correct=file["correct"],
            loss=file["loss"],
            eval_samples=int(file["eval_samples"]),
            population=int(file["population"]),
            **{k: file[k] for k in _MAY_LACK if k in file.files},
        )


def _runs_of(config: Config, count: int) -> tuple[Initialization, ...]:
    if config.law.trained:
        return initializations_of(config)
    from ..own.evidence import own_initializations

    return own_initializations(count)


@pinned()
def train(config: Config, root: Path, progress: Progress) -> CurveSet:
    """Train the config's runs, or those that the curve store does not have yet.

    Work is spread over the accelerators, or over the cores of a CPU by threads (a
    compiled training occupies about one core). Finished chunks are stored at once.

    Returns:
        The curves, ordered by run; those of [law] where it has some.
    """
    if not config.law.trained:
        from ..own.evidence import own_curves  # loads scipy.stats

        return own_curves(config)
    dataset = config_dataset(config)
    settings = curve_settings(config, dataset)
    runs = initializations_of(config)
    shelf = TrainingShelf(
        curve_folder(config, root),
        settings,
        keep=config.training.keep_states,
    )
    done = shelf.done()
    chunks = [
        (bucket, missing)
        for bucket, members in chunk_runs(runs, range(len(runs)), settings.lanes)
        if (missing := [run for run in members if run not in done])
    ]
    shelf.tell([run for _, missing in chunks for run in missing])
    progress("training models", len(runs) - sum(len(m) for _, m in chunks), len(runs))
    with closing(_trained(chunks, runs, dataset, shelf)) as trained:
        for members, curve in trained:
            for i, run in enumerate(members):
                done[run] = Curve(curve.correct[i], curve.loss[i])
            # A store may have more runs than this experiment asks for.
            there = sum(run in done for run in range(len(runs)))
            progress("training models", there, len(runs))
    return CurveSet(
        initializations=runs,
        steps=settings.check_every * np.arange(1, settings.looks + 1),
        correct=np.stack([done[run].correct for run in range(len(runs))]),
        loss=np.stack([done[run].loss for run in range(len(runs))]),
        eval_samples=settings.eval_samples,
        population=len(dataset.x_train),
    )


def curve_folder(config: Config, root: Path) -> Path:
    """Where the config's learning curves are kept."""
    if not config.law.trained:
        return root / "curves" / _content(config)[:16]
    return root / "curves" / _curve_key(config, config_dataset(config))


def kept_states(config: Config, root: Path) -> tuple[int, Path]:
    """Bytes of the states that are kept of the config's trainings, and where."""
    path = curve_folder(config, root)
    return StateStore(path).size(), path


def _trained(
    chunks: Sequence[tuple[Bucket, list[int]]],
    runs: Sequence[Initialization],
    dataset: Dataset,
    shelf: TrainingShelf,
) -> Generator[tuple[list[int], Curve]]:
    """Train chunks side by side; each is stored and given as soon as it is done."""
    if not chunks:
        return
    seats: SimpleQueue[TrainingSet] = SimpleQueue()
    places = turns()
    data = {
        device: training_set(dataset.x_train, dataset.y_train, device)
        for device in dict.fromkeys(places)
    }
    for device in places:
        seats.put(data[device])

    @pinned()
    def work(place: int) -> tuple[list[int], Curve]:
        bucket, members = chunks[place]
        # Whichever device is free: no bit hangs on it.
        mine = seats.get()
        try:
            return members, shelf.train(bucket, members, runs, mine)
        finally:
            seats.put(mine)

    # Loaded while models train: the stages behind this one need it.
    threading.Thread(target=import_module, args=(f"{__package__}.estimates",)).start()
    pool = ThreadPoolExecutor(len(places))
    pending: set[Future] = {pool.submit(work, i) for i in range(len(chunks))}
    try:
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                members, curve = future.result()
                shelf.add(members, curve)
                _log.info("trained runs %s", ", ".join(map(str, members)))
                yield members, curve
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def initializations_of(config: Config) -> tuple[Initialization, ...]:
    """HtoA of the config's runs."""
    return draw_runs(config.seed, config.training.runs, config.menu.build())


def own_data(config: Config) -> str | None:
    """SHA-256 of the user's own data set or law; None for what comes with us."""
    part, attack = config.adversary.part, ""
    if part:
        from ..own.evidence import part_digest

        attack = part_digest(part, "adversary.part")
    if not config.law.trained:
        return _content(config) + attack
    # What is pinned cannot change behind its name; a file of the user's can.
    if config.data.name in SHA256:
        return attack or None
    return config_dataset(config).sha256 + attack


def _content(config: Config) -> str:
    from ..own.evidence import content_digest  # loads scipy.stats

    return content_digest(config)


def _curve_key(config: Config, dataset: Dataset) -> str:
    training = plain(config.training)
    # More runs of the same kind, and longer ones, extend a store instead of starting a
    # new one.
    for name in ("runs", "horizon_steps", "keep_states"):
        del training[name]
    facts = [
        config.seed,
        plain(config.menu),
        training,
        dataset.sha256,
        build(),
        stage_digest("training"),
    ]
    return fingerprint(facts)[:16]
