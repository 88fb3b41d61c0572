"""What each figure is made from, so that a command can say why one is left out.

Notation:
    points      a sweep's results: a row for each number of each point, or for a point
                that has none; of a run, its one point
    quantity    what a row's number is, such as ``persistence_violation``

The other tables are a run's, or a file of that name that another command writes.
"""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from .criterion import STRICT


class Need(NamedTuple):
    """What a figure cannot be without.

    Attributes:
        shows: What it is, as a list of figures says it.
        tables: Names of tables.
        quantities: Of ``points``: each must have a number at some point, by either
            criterion.
        source: Where the tables come from, if they are neither a run's nor a sweep's.
    """

    shows: str
    tables: tuple[str, ...]
    quantities: tuple[str, ...] = ()
    source: str = ""


class Lacking(ValueError):
    """The tables are sound, but a figure could say nothing with them; says why."""


NEEDS = {
    "learning_curves": Need(
        "accuracy against training steps", ("curves", "law_summary")
    ),
    "block_times": Need("block times of PoW, DL and D-PoDL", ("laws", "law_summary")),
    "good_periods": Need("good period against the window's length", ("estimates",)),
    "persistence": Need("Pr[violation] against depth", ("estimates",)),
    "table_2": Need("the published table beside ours", ("law_summary",)),
    "block_rate": Need(
        "mean and CV of the block interval over a sweep",
        ("points",),
        ("block_interval_mean", "block_interval_cv"),
    ),
    "good_period_map": Need(
        "good period over two parameters", ("points",), ("good_period",)
    ),
    "confirmation_map": Need(
        "confirmations over two parameters", ("points",), ("safe_depth",)
    ),
    "decay": Need(
        "decay of bad periods, its slope, independent rounds",
        ("points",),
        ("good_period", "round_success"),
    ),
    "by_adversary": Need(
        "persistence and liveness by β and Δ",
        ("points",),
        ("persistence_violation", "liveness_quantile"),
    ),
    "latency": Need(
        "risk against waiting time, memoryless bounds beside it",
        ("points",),
        ("persistence_violation", "block_interval_mean"),
    ),
    "security_map": Need(
        "largest adversary over accuracy and lottery",
        ("thresholds",),
        source="name security_map and it is computed",
    ),
    "tier_risks": Need(
        "risk by depth of a private chain, and what nobody exceeds",
        ("tier_risks",),
        source="dpodl risk CONFIG writes a folder that has it: draw that TARGET",
    ),
    "bracket": Need(
        "share that an attack needs, and that is safe from anybody, by depth",
        ("bracket",),
        source="dpodl threshold CONFIG writes a folder that has it: draw that TARGET",
    ),
    "verification_cost": Need(
        "what a proof costs to check",
        ("verification_cost",),
        source="dpodl verification-cost CONFIG --output TARGET/verification_cost.csv",
    ),
    "attacks": Need(
        "confirmations that each attack asks for",
        ("attacks",),
        source="dpodl attack CONFIG writes a folder that has it: draw that TARGET",
    ),
    "model_against_reality": Need(
        "mined blocks against their law",
        ("mined_intervals", "agreement"),
        source="dpodl compare CHAIN writes a folder that has them: draw that TARGET",
    ),
    "domination": Need(
        "blocks of one fast machine against its compute",
        ("domination",),
        source="dpodl effects CONFIG writes a folder that has it: draw that TARGET",
    ),
    "memorylessness": Need(
        "how far from memoryless, and what that costs",
        ("memorylessness",),
        source="dpodl effects CONFIG writes a folder that has it: draw that TARGET",
    ),
}
"""Name → what it needs, in the order of the argument."""


def lacking(name: str, tables: Mapping[str, pd.DataFrame]) -> str:
    """Why a figure cannot be made from some tables; empty if it can.

    Args:
        name: One of ``NEEDS``.
        tables: Tidy tables by name.
    """
    need = NEEDS[name]
    absent = [each for each in need.tables if each not in tables or tables[each].empty]
    if absent:
        hint = need.source or (
            "a sweep's results, or a run's estimates, have them"
            if absent == ["points"]
            else "a run folder has them"
        )
        return f"needs the table(s) {', '.join(absent)} ({hint})"
    if not need.quantities:
        return ""
    points = tables["points"]
    if not {"quantity", "value"} <= set(points.columns):
        return "needs the columns quantity and value of the table points"
    there = set(points.loc[points["value"].notna(), "quantity"])
    missing = [each for each in need.quantities if not {each, each + STRICT} & there]
    if missing:
        return f"no point has a number for {', '.join(missing)}"
    return ""
