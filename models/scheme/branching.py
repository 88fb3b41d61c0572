"""Warm starts, measured: real trainings that branch off a referenced model.

Notation ([SLT23] §3.2):
    a            accuracy a model must have shown to be referenced   ``accuracy``
    refM, S'     the model at its first look with acc ≥ a; its steps ``reference_steps``
    resume       initM = refM
    transplant   refM's architecture and weights under fresh hyper-parameters

A branch is what ``scheme.initialize`` makes of a reference: fresh r (batch order and
evaluation sample) from a digest of its own, optimizer buffers and S at zero. It is
trained by ``states.run_segment``, the program proofs are made and checked with.

Where a look scores a sample of the training set, refM was chosen by *its* sample and a
branch is judged by another: a branch starts below a on average, as real ones do.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..learning.architecture import (
    Initialization,
    Menu,
    hash_to_architecture,
    run_digest,
)
from ..learning.curves import CurveSet, CurveSettings, TrainingSet
from .records import Way
from .states import Look, first_look, parameters_of, run_segment

# Branches take digests from here on, so that no r is that of a run of the same seed.
FIRST_DIGEST = 1 << 48


class Branches(NamedTuple):
    """Learning curves of warm starts.

    Attributes:
        curves: At the looks *after* the branch, S counted from it. The loss is not
            measured (NaN).
        origins: The run a branch comes from. Branches of one run share its model.
        reference_steps: S' of the branch's referenced model.
        reference_correct: What that model scored on its own evaluation sample.
        accuracy: a.
        way: How the model is used.
        missed: Runs that showed no model of accuracy a within the horizon.
    """

    curves: CurveSet
    origins: Int[np.ndarray, " branches"]
    reference_steps: Int[np.ndarray, " branches"]
    reference_correct: Int[np.ndarray, " branches"]
    accuracy: float
    way: Way
    missed: int

    @property
    def reference_accuracy(self) -> Float[np.ndarray, " branches"]:
        """Accuracy of the referenced models when they were chosen."""
        return self.reference_correct / self.curves.eval_samples


def branch_curves(
    initializations: Sequence[Initialization],
    data: TrainingSet,
    menu: Menu,
    settings: CurveSettings,
    *,
    seed: int,
    accuracy: float,
    way: Way = "resume",
    branches: int = 1,
    branch_horizon: int | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Branches:
    """Train runs to their first look with acc ≥ a and branch off there.

    Args:
        initializations: The runs referenced models come from.
        data: The training set.
        menu: What HtoA picks a branch's r (and hyper-parameters) from.
        settings: Looks, horizon, evaluation sample; ``lanes`` is not used, models are
            trained one by one as proofs are.
        seed: Fixes the branches' digests.
        accuracy: a in (0, 1].
        way: How the referenced model is used.
        branches: Branches a run.
        branch_horizon: Steps of a branch; None: as long as a run.
        progress: Told how many runs are done.

    Returns:
        The branches' curves, ordered by run. Runs without such a model are counted,
        not replaced.

    Raises:
        ValueError: If a parameter is out of range, or no run showed accuracy a.
    """
    if not 0 < accuracy <= 1:
        raise ValueError(f"accuracy must be in (0, 1], got {accuracy}")
    if branches < 1:
        raise ValueError(f"branches must be ≥ 1, got {branches}")
    horizon = settings.horizon_steps if branch_horizon is None else branch_horizon
    looks = horizon // settings.check_every
    if looks < 1:
        raise ValueError(
            f"branch_horizon must be at least check_every, {settings.check_every}, "
            f"got {horizon}"
        )
    warm, rows, origins, references = [], [], [], []
    for run, origin in enumerate(initializations):
        reference = first_reaching(origin, data, settings, accuracy)
        for each in range(branches):
            if reference is None:
                break
            digest = run_digest(seed, FIRST_DIGEST + run * branches + each)
            branch = warm_start(hash_to_architecture(digest, menu), origin, way)
            warm.append(branch)
            rows.append(_counts(branch, reference, data, settings, looks))
            origins.append(run)
            references.append((reference.steps, reference.correct))
        progress("branching models", run + 1, len(initializations))
    if not rows:
        raise ValueError(
            f"accuracy must be one that a run shows within {settings.horizon_steps} "
            f"steps, got {accuracy} of {len(initializations)} runs"
        )
    correct = np.stack(rows)
    steps, scored = np.array(references).T
    return Branches(
        curves=CurveSet(
            tuple(warm),
            settings.check_every * np.arange(1, looks + 1),
            correct,
            np.full(correct.shape, np.nan),
            settings.eval_samples,
            data.images.shape[0],
        ),
        origins=np.array(origins),
        reference_steps=steps,
        reference_correct=scored,
        accuracy=accuracy,
        way=way,
        missed=len(initializations) - len(set(origins)),
    )


def first_reaching(
    initialization: Initialization,
    data: TrainingSet,
    settings: CurveSettings,
    accuracy: float,
) -> Look | None:
    """The first look of a run with acc ≥ a; None if there is none in the horizon."""
    now = first_look(initialization, data, None)
    for _ in range(settings.looks):
        now = _to_next_look(initialization, now, data, settings)
        if now.correct / settings.eval_samples >= accuracy:
            return now
    return None


def warm_start(
    fresh: Initialization, origin: Initialization, way: Way
) -> Initialization:
    """A branch: fresh draws on the origin's model; its setting too, if resumed."""
    hpp = origin.hpp
    if way == "transplant":
        hpp = fresh.hpp._replace(architecture=hpp.architecture)
    return fresh._replace(hpp=hpp)


def _counts(
    branch: Initialization,
    reference: Look,
    data: TrainingSet,
    settings: CurveSettings,
    looks: int,
) -> Int[np.ndarray, " looks"]:
    now = first_look(branch, data, parameters_of(reference.tensors))
    counts = []
    for _ in range(looks):
        now = _to_next_look(branch, now, data, settings)
        counts.append(now.correct)
    return np.array(counts)


def _to_next_look(
    initialization: Initialization,
    now: Look,
    data: TrainingSet,
    settings: CurveSettings,
) -> Look:
    return run_segment(
        initialization,
        data,
        now,
        steps=settings.check_every,
        check_every=settings.check_every,
        eval_samples=settings.eval_samples,
    )
