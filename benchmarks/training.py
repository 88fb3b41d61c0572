"""Training: ours, PyTorch's eager loop, and torch.func's vmap, step for step.

Everybody trains the same models on the same images: heavy-ball descent, a fresh order
each epoch, a learning rate and a seed a run. Work is counted in model-steps.

A step's operations are ``networks.step_operations``; their rate over that of the
machine's matrix product, in the same rounds, is the share of the peak. The same peak
bounds what a step of dense products can be against anybody's: a target above that
cannot be met.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from .machine import product_jobs
from .workloads import Claim, Job, Workload

ARCHITECTURES = ("softmax", "mlp-32", "mlp-128", "cnn-4")
BATCHES = (32, 128)
MOMENTUM = 0.9
CLASSES, SIDE = 10, 28


class Task(NamedTuple):
    """What is trained.

    Attributes:
        architecture: Its name.
        batch: Examples a step.
        steps: Steps a run.
        runs: Runs, each with its own seed and learning rate.
    """

    architecture: str
    batch: int
    steps: int
    runs: int

    @property
    def work(self) -> float:
        """Model-steps."""
        return float(self.steps * self.runs)

    @property
    def rates(self) -> list[float]:
        """A learning rate a run."""
        return [float(x) for x in np.geomspace(0.02, 0.1, self.runs)]


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """The embedded training set: pixels in [0, 1], classes."""
    from ..models.learning.data import load_dataset

    dataset = load_dataset()
    return dataset.x_train.astype(np.float32) / np.float32(255), dataset.y_train


def ours(
    architecture: str, batch: int, steps: int, runs: int, lanes: int, threads: int
) -> Callable[[], float]:
    """The library's trainer without looks: one at the end, on one example."""
    from ..models.learning.architecture import HyperParameters, Initialization
    from ..models.learning.chunk_program import Bucket
    from ..models.learning.curves import (
        CurveSettings,
        chunk_size,
        train_chunk,
        training_set,
    )
    from ..models.learning.data import load_dataset

    task = Task(architecture, batch, steps, runs)
    dataset = load_dataset()
    data = training_set(dataset.x_train, dataset.y_train)
    members = [
        Initialization(
            HyperParameters(architecture, "momentum", rate, MOMENTUM, batch, 1.0),
            place.to_bytes(8, "big"),
            place.to_bytes(32, "big"),
        )
        for place, rate in enumerate(task.rates)
    ]
    size = chunk_size(lanes)
    chunks = [members[start : start + size] for start in range(0, runs, size)]
    settings = CurveSettings(steps, steps, 1, lanes)

    def train(chunk) -> None:
        train_chunk(Bucket(architecture, batch), chunk, data, settings)

    pool = ThreadPoolExecutor(threads)

    def once() -> float:
        # As ``runner.train``: a thread a core.
        list(pool.map(train, chunks))
        return task.work

    return once


def products(architecture: str, batch: int, steps: int) -> Callable[[], float]:
    """The matrix products of our steps and nothing else, by NumPy's BLAS."""
    triples = [
        (a, b.T, np.empty((len(a), len(b)), np.float32))
        for a, b in step_products(architecture, batch)
    ]

    def once() -> float:
        for _ in range(steps):
            for a, b, out in triples:
                np.matmul(a, b, out=out)
        return float(steps)

    return once


def step_products(architecture: str, batch: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Operands [m, k] and [n, k] of a step's products, read off its gradient.

    In memory an operand lies as there: a contracted axis that comes first is a
    transposed view.
    """
    import jax
    import optax

    from ..models.learning.networks import build_network, initial_parameters

    network = build_network(architecture, CLASSES)
    images = jax.numpy.zeros((batch, SIDE, SIDE))
    labels = np.zeros(batch, np.int32)
    parameters = initial_parameters(
        network, jax.random.key(0), jax.numpy.float32(1), image_shape=(SIDE, SIDE)
    )

    def loss(parameters):
        logits: Any = network.apply({"params": parameters}, images)
        each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return each.mean()

    def operand(shape: tuple[int, ...], contracted: tuple[int, ...]) -> np.ndarray:
        inner = math.prod(shape[axis] for axis in contracted)
        if contracted[0] == 0:
            return np.ones((inner, math.prod(shape) // inner), np.float32).T
        return np.ones((math.prod(shape) // inner, inner), np.float32)

    found: list[tuple[np.ndarray, np.ndarray]] = []

    def collect(jaxpr) -> None:
        for equation in jaxpr.eqns:
            if equation.primitive.name == "dot_general":
                contracted, _ = equation.params["dimension_numbers"]
                a, b = (each.aval.shape for each in equation.invars)
                found.append((operand(a, contracted[0]), operand(b, contracted[1])))
            for value in equation.params.values():
                if hasattr(value, "jaxpr"):
                    collect(value.jaxpr)

    collect(jax.make_jaxpr(jax.grad(loss))(parameters).jaxpr)
    return found


def curve_job(runs: int, horizon: int, looks: bool) -> Callable[[], float]:
    """The first runs of the config quickstart, with its looks or with none."""
    from ..experiments.config.loading import load_config
    from ..experiments.world.dataset import config_dataset
    from ..models.learning.curves import (
        CurveSettings,
        chunk_runs,
        draw_runs,
        train_chunk,
        training_set,
    )

    config = load_config("quickstart")
    dataset = config_dataset(config)
    data = training_set(dataset.x_train, dataset.y_train)
    drawn = draw_runs(config.seed, runs, config.menu.build())
    every, samples = config.training.check_every, config.training.eval_samples
    horizon -= horizon % every
    samples = len(dataset.x_train) if samples == "all" else samples
    settings = CurveSettings(every, horizon, samples)
    if not looks:
        settings = CurveSettings(horizon, horizon, 1)

    def once() -> float:
        for bucket, members in chunk_runs(drawn, range(runs)):
            train_chunk(bucket, [drawn[run] for run in members], data, settings)
        return float(runs * horizon)

    return once


def workloads(full: bool) -> list[Workload]:
    """Training against PyTorch, with looks, and on both cores."""
    found = [
        _against_torch(architecture, batch, full)
        for architecture in ARCHITECTURES
        for batch in BATCHES
    ]
    lanes = [_lanes(architecture, full) for architecture in ARCHITECTURES]
    return [*found, _looks(full), _both_cores(full), *lanes]


def _against_torch(architecture: str, batch: int, full: bool) -> Workload:
    from ..models.learning.networks import step_operations

    operations = batch * step_operations(architecture, (SIDE, SIDE), CLASSES)
    steps = 2000 if full else 1000
    many = Task(architecture, batch, steps, 8)
    few = Task(architecture, batch, steps // 5, 2)
    mapped = Task(architecture, batch, steps // 5, 8)
    single = {**many._asdict(), "lanes": 1, "threads": 1}
    peaks = product_jobs(1, 1024, 2)
    jobs = (
        Job("ours", "training:ours", single),
        Job(
            "torch, eager", "peers.torch_training:eager", few._asdict(), engine="torch"
        ),
        Job(
            "torch.func, vmap",
            "peers.torch_training:mapped",
            mapped._asdict(),
            engine="torch",
        ),
        Job(
            "its products, NumPy",
            "training:products",
            {"architecture": architecture, "batch": batch, "steps": steps // 5},
            engine="numpy",
        ),
        *peaks,
    )
    cnn = architecture.startswith("cnn")
    mlp = architecture.startswith("mlp")
    claims = (
        Claim(
            "against a PyTorch eager loop",
            ("ours", "torch, eager"),
            lambda a, b: a.rate / b.rate,
            "×",
            4.0 if cnn else 10.0,
        ),
        Claim(
            "against torch.func's vmap",
            ("ours", "torch.func, vmap"),
            lambda a, b: a.rate / b.rate,
            "×",
            2.5,
        ),
        Claim(
            "the same at the f32 matrix-product peak: no dense step can exceed it",
            ("torch, eager", *(job.name for job in peaks)),
            lambda a, *b: np.maximum(*(each.rate for each in b)) / a.rate / operations,
            "×",
        ),
        Claim(
            "share of the f32 matrix-product peak of one core",
            ("ours", *(job.name for job in peaks)),
            lambda a, *b: a.rate * operations / np.maximum(*(each.rate for each in b)),
            "of peak",
            0.5 if mlp else None,
        ),
        Claim(
            "time of a step against its matrix products alone, by NumPy's BLAS",
            ("ours", "its products, NumPy"),
            lambda a, b: b.rate / a.rate,
            "×",
        ),
    )
    return Workload(f"train-{architecture}-{batch}", jobs, claims, "model-steps")


def _looks(full: bool) -> Workload:
    arguments = {"runs": 24 if full else 6, "horizon": 2000 if full else 250}
    return Workload(
        "train-looks",
        (
            Job("with looks", "training:curve_job", {**arguments, "looks": True}),
            Job("no looks", "training:curve_job", {**arguments, "looks": False}),
        ),
        (
            Claim(
                "share of the wall time that looks take, quickstart's menu and looks",
                ("with looks", "no looks"),
                lambda a, b: 1 - b.seconds / a.seconds,
                "of time",
                0.4,
                at_least=False,
            ),
        ),
        "model-steps",
        rounds=7 if full else None,
    )


def _lanes(architecture: str, full: bool) -> Workload:
    """What to set ``training.lanes`` to on this device: it changes a curve's bits."""
    widths = (1, 4, 16, 64) if full else (1, 4)
    task = Task(architecture, 32, 100, max(widths))
    jobs = tuple(
        Job(
            f"{lanes} lanes",
            "training:ours",
            {**task._asdict(), "lanes": lanes, "threads": 1},
        )
        for lanes in widths
    )
    claims = tuple(
        Claim(
            f"{job.name} side by side against one",
            (job.name, jobs[0].name),
            lambda a, b: a.rate / b.rate,
            "×",
        )
        for job in jobs[1:]
    )
    return Workload(f"lanes-{architecture}", jobs, claims, "model-steps")


def _both_cores(full: bool) -> Workload:
    task = Task("mlp-32", 32, 2000 if full else 500, 16)
    one = {**task._asdict(), "lanes": 1, "threads": 1}
    return Workload(
        "train-both-cores",
        (
            Job("one core", "training:ours", one),
            Job("both cores", "training:ours", {**one, "threads": 2}, cores=2),
        ),
        (
            Claim(
                "training on both cores against one, mlp-32",
                ("both cores", "one core"),
                lambda a, b: a.rate / b.rate,
                "×",
                1.7,
            ),
        ),
        "model-steps",
    )
