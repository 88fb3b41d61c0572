"""What computes the points of tests; workers import it by its bare name."""

import hashlib
import os
import signal
import time
from pathlib import Path

from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.sweep import driver
from dpodl.experiments.sweep.design import frozen
from dpodl.experiments.sweep.evaluation import Outcome
from dpodl.experiments.workers.executors import GivenPool, SerialExecutor

TINY = (
    "name=tiny",
    "data.examples=600",
    "menu.architectures=['softmax']",
    "training.runs=12",
    "training.horizon_steps=60",
    "protocol.abandon_steps=60",
    "training.eval_samples=200",
    "scheme.t_acc=0.3",
    "scheme.t_1=2^248",
    "network.delay_steps=4",
    "security.depths=4",
    "security.confirmations=2",
    "security.windows=[2]",
    "security.levels=32",
    "sweep.replicas=100",
    "sweep.good_period_replicas=100",
    "sweep.bootstraps=2",
    "sweep.bootstrap_replicas=100",
    "sweep.shard=2",
)


def tiny(*settings: str) -> Config:
    return load_config("smoke", [*TINY, *settings])


def quick(configs, curves, costs):
    """Rows of a point's own settings and curves, at once."""
    return [_outcome(config, curves) for config in configs]


def _outcome(config, curves):
    if config.scheme.t_acc > 0.98:
        return Outcome((), f"t_acc = {config.scheme.t_acc:g} is too much")
    seed = hashlib.sha256(config.point_digest().encode()).digest()
    mean = float(curves.accuracy.mean())
    rows = tuple(
        {
            "quantity": "persistence_violation",
            "at": float("nan") if k == 0 else float(k),
            "at_unit": "blocks",
            "value": mean * seed[k] / 255,
            "low": 0.0,
            "high": float("inf") if k == 3 else 1.0,
            "count": 100 + k,
            "method": "of a test",
            # An interval may lack an upper end, but not that of a probability.
            "unit": "" if k == 3 else "probability",
        }
        for k in range(4)
    )
    return Outcome(rows, "")


def slow(configs, curves, costs):
    time.sleep(0.02)
    return quick(configs, curves, costs)


def at_13(configs) -> bool:
    return any(config.network.delay_steps == 13 for config in configs)


def raises_at_13(configs, curves, costs):
    """One point's fault takes its whole shard with it."""
    if at_13(configs):
        raise ZeroDivisionError("of 13")
    return quick(configs, curves, costs)


def dies_at_13(configs, curves, costs):
    """A crash that no handler sees."""
    if at_13(configs):
        os.kill(os.getpid(), signal.SIGKILL)
    return quick(configs, curves, costs)


def dies_once(configs, curves, costs):
    """The first worker that comes to 13 is killed; the next one is not."""
    marker = Path(os.environ["SWEEP_TEST_MARKER"])
    if at_13(configs) and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return quick(configs, curves, costs)


def refuses(configs, curves, costs):
    raise Refused("not caught by the evaluator")


def too_few(configs, curves, costs):
    return quick(configs, curves, costs)[:-1]


def raises_once(configs, curves, costs):
    """Fails until the marker is there."""
    if at_13(configs) and not Path(os.environ["SWEEP_TEST_MARKER"]).exists():
        raise RuntimeError("not yet")
    return quick(configs, curves, costs)


# Whether the command's evaluator is one that raises.
wrong = False

OVER = {
    "scheme.t_acc": (0.3, 0.4, 0.5, 0.99),
    "scheme.t_2": ("2^254", "2^255", "2^256"),
    "network.delay_steps": (4, 13),
}


def run(root: Path, evaluate=quick, pool=None, config=None, **options):
    """A pass over the sweep of the tests."""
    whole = frozen(config or tiny(), over=OVER)
    plan = driver.plan_of(whole, root, evaluate)
    pool = pool or GivenPool(SerialExecutor(), 1)
    return driver.run_sweep(plan, root, pool, lambda *_: None, **options)


def killed(root: Path, moments: list[tuple[int, float]]) -> None:
    """Begin the sweep again and again; kill -9 it at each (shards, seconds later).

    Each pass is a fork of this process, which has imported all but started nothing.
    """
    for count, seconds in moments:
        before = len(list(root.glob("sweep-*/shards/*.parquet")))
        child = os.fork()
        if child == 0:
            run(root, slow)
            os._exit(0)
        deadline = time.monotonic() + 60
        while len(list(root.glob("sweep-*/shards/*.parquet"))) < before + count:
            if os.waitpid(child, os.WNOHANG)[0] or time.monotonic() > deadline:
                raise RuntimeError("it ended before it could be killed")
            time.sleep(0.001)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
