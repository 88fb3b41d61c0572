"""A run's three tiers of confirmations in a sentence, from its tables alone."""

import math
from typing import Any

from ...analysis.estimation.quantities import (
    ANY_ADVERSARY_DEPTH,
    BEST_ATTACK_DEPTH,
    PRIVATE_CHAIN_DEPTH,
)

_TIERS = (PRIVATE_CHAIN_DEPTH, BEST_ATTACK_DEPTH, ANY_ADVERSARY_DEPTH)


def tier_sentence(estimates: Any) -> str:
    """What the three tiers say together; "" where a run has none."""
    told = {}
    for name in _TIERS:
        there = estimates[(estimates["quantity"] == name) & estimates["value"].notna()]
        if len(there):
            row = there.iloc[0]
            ends = "–".join(f"{row[end]:.0f}" for end in ("low", "high"))
            told[name] = f"{row['value']:.0f} [{ends}]"
            if math.isinf(row["value"]):
                told[name] = "no number of them"
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
    return (
        "Confirmations with a head start, where only a longer chain reverts: "
        f"{', '.join(parts)}."
    )
