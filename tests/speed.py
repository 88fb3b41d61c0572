"""Fail if some work takes 1.5 times what it was kept to take.

    python tests/speed.py           # under two minutes
    python tests/speed.py --keep    # write what is measured as what is kept

A row is CPU time over that of a control, a fixed mixture of NumPy and interpreter work,
both done once in every round on one core. CPU time does not count what others had of
the core, and the row's *least* ratio over all rounds is judged: what disturbs some
rounds only cannot fail it. Rows that look slow are measured a second time, in new
processes, and fail if no round of either time was within the limit. What is kept is the
median ratio, so that a row must have become half as slow again in its best round.

A row and the control need not gain alike from wider vectors or larger caches: on
another processor than that of the kept ratios the limit is ``ELSEWHERE``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from dpodl.benchmarks.measure import CONTROL, measure
from dpodl.benchmarks.processes import Process
from dpodl.benchmarks.workloads import Job, Measured, Workload
from dpodl.experiments.pipeline.machine import processor

KEPT = Path(__file__).with_name("speed.json")
LIMIT, ELSEWHERE = 1.5, 3.0
ROUNDS = 9
_CONTROL = Job(
    CONTROL,
    "machine:mixture",
    {"size": 512, "words": 500_000, "steps": 600_000},
    engine="control",
)
_TRAIN = {"architecture": "mlp-32", "batch": 32, "steps": 400, "runs": 4}
_NET = {"provers": 100, "share": 0.1, "levels": 200, "replicas": 2048}
_WINDOWS = {"part": "windows", "levels": 256, "replicas": 2000, "size": 32}
ROWS = (
    Job("dpodl --help", "commands:command", {"words": ["--help"]}, engine="command"),
    Job("training steps", "training:ours", {**_TRAIN, "lanes": 1, "threads": 1}),
    Job("network levels", "simulation:ours", _NET),
    Job("good-period windows", "scaling:figures", _WINDOWS),
    Job("race on the grid", "scaling:race_depth", {"depth": 400}),
)


def machine() -> str:
    """The processor and its vector instructions, as far as ratios depend on them."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        flags = set()
    wide = [name for name in ("avx2", "avx512f") if name in flags]
    return ", ".join([processor(), *wide])


def ratios(rows: Sequence[Job]) -> dict[str, np.ndarray]:
    """CPU time over the control's, a value a round.

    Raises:
        RuntimeError: If a row cannot be measured.
    """
    found = measure(Workload("speed", tuple(rows), (), ""), _CONTROL, ROUNDS, Process)
    return of_rounds(found)


def of_rounds(found: Measured) -> dict[str, np.ndarray]:
    """The ratios of what was measured."""
    spent = {}
    for name, series in found.series.items():
        if series.missing:
            raise RuntimeError(f"{name}: {series.missing}")
        spent[name] = np.array([each.cpu_seconds for each in series.repeats])
    control = spent.pop(CONTROL)
    return {name: each / control for name, each in spent.items()}


def slower(
    kept: dict[str, float], found: dict[str, np.ndarray], limit: float = LIMIT
) -> list[str]:
    """Rows that in no round were within the limit."""
    return [name for name, each in found.items() if each.min() > limit * kept[name]]


def told(kept: dict[str, float], found: dict[str, np.ndarray]) -> str:
    """A line a row."""
    return "\n".join(
        f"{name:22} least {each.min():.3f}, median {np.median(each):.3f}, kept "
        f"{kept.get(name, float('nan')):.3f} of the control's CPU time"
        for name, each in found.items()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and compare or keep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="write what is measured")
    keep = parser.parse_args(arguments).keep
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept, here = known.get("ratios", {}), machine()
    limit = LIMIT if known.get("machine") == here else ELSEWHERE
    found = ratios(ROWS)
    print(told(kept, found), flush=True)
    if keep:
        medians = {name: round(float(np.median(x)), 4) for name, x in found.items()}
        facts = {"machine": here, "ratios": medians}
        KEPT.write_text(json.dumps(facts, indent=1) + "\n")
        return 0
    slow = slower(kept, found, limit)
    if slow:
        print("once more: " + ", ".join(slow), flush=True)
        again = ratios([row for row in ROWS if row.name in slow])
        print(told(kept, again), flush=True)
        slow = slower(kept, again, limit)
    if slow:
        print(f"slower than {limit} times what is kept: {', '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
