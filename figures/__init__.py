"""What is shown: each figure is ``data(tables)`` and ``draw(df)``.

``FIGURES`` maps a figure's name to its module. It is built on first use: importing
this package, or reading ``NAMES``, costs no Matplotlib.
"""

from importlib import import_module
from types import ModuleType

# In the order of the argument: training, its block times, what the chain makes of them.
NAMES = ("learning_curves", "block_times", "good_periods", "persistence")

FIGURES: dict[str, ModuleType]


def __getattr__(name: str) -> dict[str, ModuleType]:
    if name != "FIGURES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    figures = {each: import_module(f".{each}", __name__) for each in NAMES}
    globals()["FIGURES"] = figures
    return figures
