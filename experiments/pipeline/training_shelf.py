"""What is trained already, and from where the rest goes on.

A run with a curve as long as the horizon is done. One with a shorter curve and the
state behind its last look (``training.keep_states``) is taken up there; any other is
trained from its first step. With one lane all three come to the same bits.
"""

import logging
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...models.learning.architecture import Initialization
from ...models.learning.chunk_program import Bucket, Tensors
from ...models.learning.curves import (
    CurveSettings,
    Extended,
    TrainingSet,
    extend_chunk,
)
from ...models.learning.looks import Curve
from ..store.curve_store import CurveStore
from ..store.state_store import StateStore

_log = logging.getLogger(__name__)


class Part(NamedTuple):
    """Runs of a bucket whose trainings go on from the same look.

    Attributes:
        members: The runs.
        first: Looks that they have; 0: none.
        starts: What each is taken up from; None: initM.
    """

    members: tuple[int, ...]
    first: int
    starts: tuple[Tensors, ...] | None

    def only(self, runs: Container[int]) -> "Part":
        """The part of some runs."""
        return self._at([i for i, run in enumerate(self.members) if run in runs])

    def pieces(self, size: int) -> Iterator["Part"]:
        """Parts of so many runs each, the last of fewer."""
        for begin in range(0, len(self.members), size):
            yield self._at(range(len(self.members))[begin : begin + size])

    def _at(self, places: Sequence[int]) -> "Part":
        starts = self.starts
        return self._replace(
            members=tuple(self.members[i] for i in places),
            starts=None if starts is None else tuple(starts[i] for i in places),
        )


class TrainingShelf:
    """Curves and states of one (seed, menu, settings, data, build)."""

    def __init__(self, path: Path, settings: CurveSettings, *, keep: bool):
        self.settings, self.keep = settings, keep
        self.curves = CurveStore(path, settings.looks)
        self.states = StateStore(path)
        self._shorter: dict[int, Curve] = {}
        self._looks: dict[int, list[int]] = {}

    def done(self) -> dict[int, Curve]:
        """Run → its curve up to the horizon; the shorter ones are remembered."""
        looks, found = self.settings.looks, self.curves.longest()
        self._shorter = {r: c for r, c in found.items() if len(c.correct) < looks}
        self._looks = self.states.looks() if self._shorter else {}
        return {
            run: Curve(curve.correct[:looks], curve.loss[:looks])
            for run, curve in found.items()
            if run not in self._shorter
        }

    def tell(self, missing: Sequence[int]) -> None:
        """Log what is to be trained, and what states would have saved."""
        again = [r for r in missing if r in self._shorter and not self._usable(r)]
        _log.info(
            "%s: %d runs to train, %d of them from where they were left",
            self.curves.path,
            len(missing),
            sum(bool(self._usable(run)) for run in missing),
        )
        if again:
            most = max(len(self._shorter[run].correct) for run in again)
            _log.warning(
                "%d models were trained for %d steps without keeping their states, and "
                "are trained again from their first step: training.keep_states = true "
                "lets the next horizon train only what is missing",
                len(again),
                most * self.settings.check_every,
            )

    def train(
        self,
        bucket: Bucket,
        members: Sequence[int],
        runs: Sequence[Initialization],
        data: TrainingSet,
    ) -> Curve:
        """Curves [members, looks] of a chunk; keeps their last states if asked to."""
        parts = self.begun(members)
        found = [
            extend_chunk(
                bucket,
                [runs[run] for run in part.members],
                data,
                self.settings,
                first=part.first,
                starts=part.starts,
                keep=self.keep,
            )
            for part in parts
        ]
        return self.joined(members, parts, found)

    def begun(self, members: Sequence[int]) -> list[Part]:
        """Runs by the look from which their training goes on."""
        places: dict[int, list[tuple[int, Tensors | None]]] = {}
        for run in members:
            first, state = self._start(run)
            places.setdefault(first, []).append((run, state))
        parts = []
        for first, each in sorted(places.items()):
            some, states = zip(*each, strict=True)
            parts.append(Part(some, first, states if first else None))
        return parts

    def joined(
        self, members: Sequence[int], parts: Sequence[Part], found: Sequence[Extended]
    ) -> Curve:
        """Curves [members, looks] of parts that were trained; keeps their states."""
        looks = self.settings.looks
        whole = Curve(
            np.empty((len(members), looks), np.int32),  # pyright: ignore
            np.empty((len(members), looks), np.float32),  # pyright: ignore
        )
        place = {run: number for number, run in enumerate(members)}
        for part, trained in zip(parts, found, strict=True):
            for i, run in enumerate(part.members):
                before = self._shorter.get(run)
                for all_, new, name in zip(
                    whole, trained.curve, Curve._fields, strict=True
                ):
                    if part.first:
                        all_[place[run], : part.first] = getattr(before, name)[
                            : part.first
                        ]
                    all_[place[run], part.first :] = new[i]
                if trained.states is not None:
                    self.states.add(run, looks, trained.states[i])
        return whole

    def add(self, members: Sequence[int], curve: Curve) -> None:
        """Keep a chunk's curves, and no state that is shorter than its run's."""
        self.curves.add(members, curve)
        if self.keep:
            for run in members:
                self.states.keep_only(run, self.settings.looks)

    def _start(self, run: int) -> tuple[int, Tensors | None]:
        for looks in self._usable(run):
            state = self.states.read(run, looks)
            if state is not None:
                return looks, state
        return 0, None

    def _usable(self, run: int) -> list[int]:
        """Looks that a state and a curve of the run both have, most first."""
        curve = self._shorter.get(run)
        known = 0 if curve is None else len(curve.correct)
        return [looks for looks in self._looks.get(run, ()) if looks <= known]
