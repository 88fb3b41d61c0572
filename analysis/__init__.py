"""What it means: block-time laws, simulated races, estimates, closed forms.

The names below are the stable ones, each loaded on first use: importing this package
loads no jax. No public name is also a module's, which an import would put in its place.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assessment import Plan, assess
    from .block_time import BlockTimeLaw, exponential, fastest_of
    from .empirical import Lottery, bootstrap_laws, empirical_law
    from .estimate import Estimate, Refused
    from .simulation import network, simulate

_MODULES = {
    "BlockTimeLaw": "block_time",
    "exponential": "block_time",
    "fastest_of": "block_time",
    "Lottery": "empirical",
    "bootstrap_laws": "empirical",
    "empirical_law": "empirical",
    "network": "simulation",
    "simulate": "simulation",
    "Plan": "assessment",
    "assess": "assessment",
    "Estimate": "estimate",
    "Refused": "estimate",
}

__all__ = [
    "BlockTimeLaw",
    "Estimate",
    "Lottery",
    "Plan",
    "Refused",
    "assess",
    "bootstrap_laws",
    "empirical_law",
    "exponential",
    "fastest_of",
    "network",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
