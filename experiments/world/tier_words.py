"""A run's three tiers of confirmations in a sentence, from its tables alone."""

import math
from typing import Any

from ...analysis.estimation.quantities import (
    ANY_ADVERSARY_DEPTH,
    BEST_ATTACK_DEPTH,
    PRIVATE_CHAIN_DEPTH,
)

# As ``analysis.adversary.tiers.criterion`` ends, which a page need not load.
_EQUAL, _LONGER = "a chain of equal length reverts", "only a longer chain reverts"
_TIERS = (PRIVATE_CHAIN_DEPTH, BEST_ATTACK_DEPTH, ANY_ADVERSARY_DEPTH)


def what_reverts(method: str) -> str:
    """The criterion of a tier, from how it was found."""
    return _EQUAL if method.endswith(_EQUAL) else _LONGER


def tiers_are(estimates: Any) -> str:
    """Which confirmations ``tier_rows`` says; "" where a run has none."""
    rows = estimates[estimates["quantity"] == PRIVATE_CHAIN_DEPTH]
    if rows.empty:
        return ""
    return (
        f"Confirmations for a risk of {rows.iloc[0]['at']:g}, with a head start, where "
        f"{what_reverts(str(rows.iloc[0]['method']))}:"
    )


def tier_rows(estimates: Any) -> list[tuple[str, str]]:
    """(What is withstood, confirmations) of each tier; none where a run has none."""
    told = _told(estimates)
    if PRIVATE_CHAIN_DEPTH not in told:
        return []
    rows = [("against a private chain", told[PRIVATE_CHAIN_DEPTH])]
    if BEST_ATTACK_DEPTH in told:
        rows.append(("against the best attack found", told[BEST_ATTACK_DEPTH]))
    any_adversary = told.get(ANY_ADVERSARY_DEPTH, "no bound: the notes say why")
    return [*rows, ("against any adversary (conditional)", any_adversary)]


def _told(estimates: Any) -> dict[str, str]:
    told = {}
    for name in _TIERS:
        there = estimates[(estimates["quantity"] == name) & estimates["value"].notna()]
        if len(there):
            row = there.iloc[0]
            ends = "–".join(f"{row[end]:.0f}" for end in ("low", "high"))
            told[name] = f"{row['value']:.0f} [{ends}]"
            if math.isinf(row["value"]):
                told[name] = "no number of them"
    return told


def tier_sentence(estimates: Any) -> str:
    """What the three tiers say together; "" where a run has none."""
    told = _told(estimates)
    if PRIVATE_CHAIN_DEPTH not in told:
        return ""
    private, best = told[PRIVATE_CHAIN_DEPTH], told.get(BEST_ATTACK_DEPTH)
    if best in (None, private):
        parts = [f"{private} against a private chain, the best attack found"]
    else:
        parts = [f"{private} against a private chain"]
        parts.append(f"{best} against the best attack found")
    if ANY_ADVERSARY_DEPTH in told:
        parts.append(f"{told[ANY_ADVERSARY_DEPTH]} against any adversary (conditional)")
    else:
        parts.append("no bound against any adversary (the notes say why)")
    rows = estimates[estimates["quantity"] == PRIVATE_CHAIN_DEPTH]
    return (
        "Confirmations with a head start, where "
        f"{what_reverts(str(rows.iloc[0]['method']))}: {', '.join(parts)}."
    )
