"""What was asked: configs, the runner, the store, the command line.

The names below are the stable ones, each loaded on first use: importing this package,
or asking it for its names, loads no jax. No public name is also a module's, which an
import would put in its place.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import (
        block_time_law,
        draw,
        result_tables,
        security_table,
        simulate_chain,
        sweep_table,
        train,
    )
    from .config import Config, ConfigError, load_config, shipped_configs
    from .runner import run
    from .sweep_store import read_results

_MODULES = {
    "Config": "config",
    "ConfigError": "config",
    "load_config": "config",
    "shipped_configs": "config",
    "train": "api",
    "block_time_law": "api",
    "simulate_chain": "api",
    "result_tables": "api",
    "security_table": "api",
    "draw": "api",
    "sweep_table": "api",
    "run": "runner",
    "read_results": "sweep_store",
}

__all__ = [
    "Config",
    "ConfigError",
    "block_time_law",
    "draw",
    "load_config",
    "read_results",
    "result_tables",
    "run",
    "security_table",
    "shipped_configs",
    "simulate_chain",
    "sweep_table",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
