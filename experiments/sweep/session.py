"""The notes of one pass over a sweep: who, with what, how fast."""

import os
import platform
import sys
import time
from importlib import metadata
from typing import Any

from ..pipeline.machine import usable_cores
from ..pipeline.versions import build
from ..workers.executors import Pool
from . import shard_file
from .plan import SweepPlan
from .store import SweepStore

_NOTE_SECONDS = 2.0


class Session:
    """The notes of one pass; no result depends on them."""

    def __init__(
        self,
        plan: SweepPlan,
        store: SweepStore,
        pool: Pool,
        *,
        command: str,
        reused: int,
    ):
        self.store, self.written = store, 0.0
        self.begun = time.perf_counter()
        self.older = store.sessions()
        self.facts: dict[str, Any] = {
            "command": command,
            "config": plan.config.name,
            "seed": plan.config.seed,
            "version": metadata.version("dpodl"),
            "code": plan.code,
            "build": build(),
            "python": sys.version.split()[0],
            "packages": {
                name: metadata.version(name)
                for name in ("jax", "jaxlib", "numpy", "scipy", "pandas", "pyarrow")
            },
            "machine": {
                "node": platform.node(),
                "system": platform.platform(),
                "cores": usable_cores(),
            },
            "workers": {"kind": type(pool).__name__, "slots": pool.slots},
            "process": os.getpid(),
            "started": _now(),
            "updated": _now(),
            "finished": None,
            "reused": reused,
            "computed": 0,
            "failed": 0,
            "seconds": 0.0,
            "shards": [],
        }
        self.write()

    def starts(self) -> None:
        """Its points begin now: training does not count."""
        self.begun = time.perf_counter()

    def note(self, facts: shard_file.ShardFacts, seconds: float, worker: str) -> None:
        """Note a shard that was kept."""
        mine = self.facts
        mine["computed"] += len(facts.keys)
        mine["failed"] += len(facts.errors)
        mine["seconds"] = round(time.perf_counter() - self.begun, 3)
        mine["updated"] = _now()
        mine["shards"].append(
            {
                "key": shard_file.shard_key(facts.keys, facts.attempt)[:32],
                "points": len(facts.keys),
                "failed": len(facts.errors),
                "seconds": round(seconds, 3),
                "worker": worker,
            }
        )
        # Each write waits for the disk.
        if time.perf_counter() - self.written > _NOTE_SECONDS:
            self.write()

    def ends(self) -> None:
        """Nothing is left to do."""
        self.facts["finished"] = _now()
        self.write()

    def write(self) -> None:
        """Write all notes."""
        self.store.write_sessions([*self.older, self.facts])
        self.written = time.perf_counter()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
