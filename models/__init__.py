"""What happens: data, networks, hash-to-architecture, training, learning curves.

The names below are the stable ones, each loaded on first use: importing this package
loads no jax. No public name is also a module's, which an import would put in its place.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .architecture import Menu, hash_to_architecture
    from .curves import (
        CurveSet,
        CurveSettings,
        draw_runs,
        train_chunk,
        training_set,
    )
    from .data import Dataset, load_dataset
    from .instances import setup
    from .scheme import solve, verify

_MODULES = {
    "Menu": "architecture",
    "hash_to_architecture": "architecture",
    "CurveSet": "curves",
    "CurveSettings": "curves",
    "draw_runs": "curves",
    "train_chunk": "curves",
    "training_set": "curves",
    "Dataset": "data",
    "load_dataset": "data",
    "setup": "instances",
    "solve": "scheme",
    "verify": "scheme",
}

__all__ = [
    "CurveSet",
    "CurveSettings",
    "Dataset",
    "Menu",
    "draw_runs",
    "hash_to_architecture",
    "load_dataset",
    "setup",
    "solve",
    "train_chunk",
    "training_set",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
