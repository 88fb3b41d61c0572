"""From a config to a folder of results, resumable at any moment.

Stages: curves → laws → estimates → figures → summary. Each is a function of the
config, the code and the stage before; its key is their fingerprint.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ...models.learning.curves import CurveSet
from ...models.learning.pins import decisive_flags, pinned
from ..config.experiment import Config, fingerprint
from ..store.files import Progress, table_bytes
from ..store.locks import exclusive
from ..store.run_folder import RunFolder
from . import pictures, reasons, summary
from .provenance import provenance
from .sources import stage_digests
from .training import curve_bytes, own_data, stored_curves, train
from .versions import versions

if TYPE_CHECKING:
    from ..world.situation import WarmStarts

_log = logging.getLogger(__name__)

TABLES = ("curves", "law_summary", "laws", "estimates", "references", "notes")


class RunResult(NamedTuple):
    """A finished run.

    Attributes:
        folder: Where everything is.
        tables: Tidy tables by name, as stored.
        recomputed: Stages that had to be done this time.
        seconds: Time each of them took.
        reasons: Why a stage that was there had to be done; ``new``: in what the run
            differs from the nearest one that was there.
    """

    folder: Path
    tables: dict[str, pd.DataFrame]
    recomputed: list[str]
    seconds: dict[str, float]
    reasons: dict[str, str]


@pinned()
def run(config: Config, root: Path, progress: Progress, *, command: str) -> RunResult:
    """Run an experiment, or what is missing of it.

    Args:
        config: The experiment.
        root: Folder of all results; the run gets ``<name>-<digest>`` in it.
        progress: Told how far each stage is.
        command: The command line that reproduces the run, kept with the figures.

    Returns:
        The folder and its tables.

    Raises:
        ConfigError: If config and data do not go together.
        Refused: If the runs cannot support a law (no run reaches t_acc, ...).
        DataError: If the data set cannot be read.
    """
    folder = RunFolder(root / f"{config.name}-{config.digest()[:10]}")
    with exclusive(folder.path):
        job = _Job(config, root, folder, progress=progress, command=command)
        for name, make in STAGES.items():
            job.stage(name, make)
        # Also where the last process was killed just before it, or it was changed.
        if job.recomputed or not folder.has_notes(job.key):
            folder.write_notes(job.key, _notes(job))
    return RunResult(
        folder.path, job.tables(), job.recomputed, job.seconds, job.reasons
    )


class _Job:
    """One pass over the stages; keeps what a stage needs from the one before."""

    def __init__(
        self,
        config: Config,
        root: Path,
        folder: RunFolder,
        *,
        progress: Progress,
        command: str,
    ):
        self.config, self.root, self.folder = config, root, folder
        self.progress, self.command = progress, command
        self.code = stage_digests()
        self.recomputed: list[str] = []
        self.seconds: dict[str, float] = {}
        self.reasons: dict[str, str] = {}
        data = own_data(config)
        self.parts = reasons.parts(data)
        if not (folder.path / "manifest.json").is_file():
            self._say("new", reasons.why_new(config, root, self.parts))
        made_with = [self.code["training"], versions(), decisive_flags()]
        self.key = fingerprint([config.digest(), data, *made_with])
        self._curves: CurveSet | None = None

    def stage(self, name: str, make: "Stage") -> None:
        self.key = fingerprint([name, self.key, self.code[name]])
        if self.folder.fresh(name, self.key):
            _log.info("stage %s is there and intact", name)
            return
        names = list(STAGES)
        before = names[: names.index(name)]
        self._say(
            name,
            reasons.why_again(
                self.folder,
                name,
                self.key,
                self.parts,
                before=before,
                done=self.recomputed,
            ),
        )
        start = time.perf_counter()
        self.folder.finish(name, self.key, make(self))
        self.recomputed.append(name)
        self.seconds[name] = time.perf_counter() - start
        _log.info("stage %s done in %.1f s", name, self.seconds[name])

    def _say(self, what: str, reason: str) -> None:
        if reason:
            self.reasons[what] = reason
            _log.info("%s: %s", what, reason)

    def train(self) -> CurveSet:
        self._curves = train(self.config, self.root, self.progress)
        return self._curves

    def curves(self) -> CurveSet:
        if self._curves is None:
            self._curves = stored_curves(self.folder, self.config)
        return self._curves

    def costs(self) -> np.ndarray | None:
        from ..world.translation import costs_of

        return costs_of(self.config, self.curves())

    def starts(self) -> "WarmStarts":
        from .branching import warm_starts

        return warm_starts(self.config, self.curves(), self.root, self.progress)

    def tables(self) -> dict[str, pd.DataFrame]:
        return {name: self.folder.table(f"{name}.csv") for name in TABLES}


def _curves(job: _Job) -> dict[str, bytes]:
    from .laws import curve_table

    curves = job.train()
    return {
        "config.toml": job.config.to_toml().encode(),
        "curves.npz": curve_bytes(curves),
        "curves.csv": table_bytes(curve_table(curves)),
    }


def _laws(job: _Job) -> dict[str, bytes]:
    from .laws import law_tables

    laws, law_summary = law_tables(job.config, job.curves(), job.costs(), job.starts())
    return {
        "laws.csv": table_bytes(laws),
        "law_summary.csv": table_bytes(law_summary),
    }


def _estimates(job: _Job) -> dict[str, bytes]:
    from .estimates import estimate_tables

    tables = estimate_tables(
        job.config, job.curves(), job.costs(), job.progress, job.starts()
    )
    return {f"{name}.csv": table_bytes(table) for name, table in tables.items()}


def _figures(job: _Job) -> dict[str, bytes]:
    job.progress("figures", 0, 1)
    files = pictures.render(job.tables(), command=job.command)
    job.progress("figures", 1, 1)
    return files


def _summary(job: _Job) -> dict[str, bytes]:
    return {"summary.md": summary.markdown(job.config, job.tables()).encode()}


Stage = Callable[[_Job], dict[str, bytes]]
"""Makes the files of a stage."""

# Modules that load scipy.stats, which takes a second, are imported by the stages that
# need them: not for a run that is all there.
STAGES: dict[str, Stage] = {
    "curves": _curves,
    "laws": _laws,
    "estimates": _estimates,
    "figures": _figures,
    "summary": _summary,
}


def _notes(job: _Job) -> dict[str, Any]:
    seconds = {name: round(value, 2) for name, value in job.seconds.items()}
    return {
        **provenance(job.command),
        "code": dict(job.code),
        "seconds": seconds,
        reasons.MADE_FROM: job.parts,
    }
