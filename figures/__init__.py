"""What is shown: each figure is ``data(tables)`` and ``draw(df)``.

``FIGURES`` maps the name of each of a run's figures to its module, ``MORE_FIGURES``
those of a sweep and of tables that stand alone; ``needs`` says what each is made from.
They are built on first use: importing this package, or reading ``NAMES``, costs no
Matplotlib. A table, ``table_2``, is ``data(tables)`` and ``latex(df)``.
"""

from importlib import import_module
from types import ModuleType

# In the order of the argument: training, its block times, what the chain makes of them.
NAMES = ("learning_curves", "block_times", "good_periods", "persistence")
MORE_NAMES = (
    "table_2",
    "block_rate",
    "good_period_map",
    "confirmation_map",
    "decay",
    "by_adversary",
    "latency",
    "security_map",
    "tier_risks",
    "bracket",
    "verification_cost",
    "attacks",
    "model_against_reality",
    "domination",
    "memorylessness",
)
# Figures of questions have their folder; the registry knows them by the same names.
_QUESTIONS = ("domination", "memorylessness")

FIGURES: dict[str, ModuleType]
MORE_FIGURES: dict[str, ModuleType]


def __getattr__(name: str) -> dict[str, ModuleType]:
    lists = {"FIGURES": NAMES, "MORE_FIGURES": MORE_NAMES}
    if name not in lists:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    where = {each: f".questions.{each}" for each in _QUESTIONS}
    figures = {
        each: import_module(where.get(each, f".{each}"), __name__)
        for each in lists[name]
    }
    globals()[name] = figures
    return figures
