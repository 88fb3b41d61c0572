"""The same trainings in PyTorch: an eager loop, and many models under torch.func.vmap.

As somebody at home in PyTorch would write them: images are tensors in memory, an epoch
is a ``randperm``, the optimizer is ``torch.optim.SGD`` with momentum, the vmapped step
is ``vmap(grad_and_value(...))`` over stacked parameters with a batch and a learning
rate a model.
"""

import importlib
from collections.abc import Callable
from typing import Any

from ..training import CLASSES, MOMENTUM, SIDE, Task, images_and_labels


def eager(architecture: str, batch: int, steps: int, runs: int) -> Callable[[], float]:
    """One model after the other, ``loss.backward()`` and ``optimizer.step()``."""
    torch = _torch()
    task = Task(architecture, batch, steps, runs)
    images, labels = _tensors()
    loss_of = torch.nn.CrossEntropyLoss()

    def once() -> float:
        for seed, rate in enumerate(task.rates):
            torch.manual_seed(seed)
            model = _model(architecture).to(images.device)
            descent = torch.optim.SGD(model.parameters(), lr=rate, momentum=MOMENTUM)
            order = torch.randperm(len(images), device=images.device)
            for step in range(steps):
                place = step % (len(images) // batch) * batch
                if place == 0:
                    order = torch.randperm(len(images), device=images.device)
                chosen = order[place : place + batch]
                descent.zero_grad(set_to_none=True)
                loss_of(model(images[chosen]), labels[chosen]).backward()
                descent.step()
        _wait(images)
        return task.work

    return once


def mapped(
    architecture: str, batch: int, steps: int, runs: int, compiled: bool = False
) -> Callable[[], float]:
    """All models at once, each with its own batches and learning rate."""
    torch = _torch()
    func = torch.func
    task = Task(architecture, batch, steps, runs)
    images, labels = _tensors()
    base = _model(architecture).to(images.device)

    def loss_of(parameters, x, y):
        logits = func.functional_call(base, parameters, (x,))
        return torch.nn.functional.cross_entropy(logits, y)

    gradients = func.vmap(func.grad(loss_of))
    if compiled:
        gradients = torch.compile(gradients)
    rates = torch.tensor(task.rates, device=images.device)

    def once() -> float:
        torch.manual_seed(0)
        models = [_model(architecture).to(images.device) for _ in range(runs)]
        parameters, _ = func.stack_module_state(models)
        parameters = {name: leaf.detach() for name, leaf in parameters.items()}
        velocity = {name: torch.zeros_like(p) for name, p in parameters.items()}
        orders = torch.empty(0)
        for step in range(steps):
            place = step % (len(images) // batch) * batch
            if place == 0:
                shuffles = [torch.randperm(len(images)) for _ in range(runs)]
                orders = torch.stack(shuffles).to(images.device)
            chosen = orders[:, place : place + batch]
            found = gradients(parameters, images[chosen], labels[chosen])
            for name, leaf in parameters.items():
                velocity[name].mul_(MOMENTUM).add_(found[name])
                rate = rates.reshape(-1, *[1] * (leaf.ndim - 1))
                leaf.sub_(rate * velocity[name])
        _wait(images)
        return task.work

    return once


def _torch() -> Any:
    # Not a dependency, and without types where it is not installed.
    return importlib.import_module("torch")


def _tensors() -> tuple[Any, Any]:
    torch = _torch()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, labels = images_and_labels()
    return (
        torch.from_numpy(images).to(device),
        torch.from_numpy(labels.astype("int64")).to(device),
    )


def _model(architecture: str) -> Any:
    nn = _torch().nn
    family, _, width = architecture.partition("-")
    if family == "softmax":
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, CLASSES))
    size = int(width)
    if family == "mlp":
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(SIDE**2, size),
            nn.ReLU(),
            nn.Linear(size, CLASSES),
        )
    return nn.Sequential(
        nn.Unflatten(1, (1, SIDE)),
        nn.Conv2d(1, size, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(size, 2 * size, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * size * 25, CLASSES),
    )


def _wait(images: Any) -> None:
    torch = _torch()
    if images.is_cuda:
        torch.cuda.synchronize()
