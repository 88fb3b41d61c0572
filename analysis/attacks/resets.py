"""Siblings that reset honest provers, as rows of the attack table.

Notation (``adversary/reset.py``)
    H, T        time of a level without the attack, and under it, no delay
    E[H]/E[T]   what is left of the chain's growth, the figure ``growth``

The row with the mitigation off is a chain that adopts ties; on, the first seen stays.
Keeping the work done over a change of tip (``progress``) mitigates as well as that.
"""

from collections.abc import Sequence

from ..adversary.reset import Reset, best_keeping, reset_growth
from ..block_time.law import fastest_of, mean
from ..estimation.estimate import Estimate, Refused
from ..estimation.training_error import Basis, training_interval
from .rows import Row, refused_row
from .situation import LawSituation, Situation, plain

NAME, MITIGATION = "reset", "ties: the first seen stays, or work is kept"
_LEVELS = 4000
_ASSUMED = (
    "no delay, an equal sibling is adopted and begun on anew; one training gives many "
    "siblings; kept until honest work has the age that slows the chain most"
)


def reset_rows(
    seed: int,
    at: Situation | LawSituation,
    others: Sequence[Situation | LawSituation],
    basis: Basis,
) -> list[Row]:
    """Growth under resets where ties are adopted, and where they are not.

    Args:
        seed: Fixes the draws.
        at: The situation.
        others: Its resamples.
        basis: What its figures rest on.
    """
    try:
        law = plain(at).law
        provers = {"honest": at.honest, "adversarial": at.adversarial}
        best, growth = best_keeping(seed, law, Reset(), levels=_LEVELS, **provers)
    except Refused as refusal:
        return [refused_row(NAME, on, str(refusal), _ASSUMED) for on in (False, True)]
    drawn = []
    for here in others:
        try:
            one = reset_growth(seed, plain(here).law, best, levels=_LEVELS, **provers)
        except Refused:
            continue
        drawn.append(one.value)
    growth = training_interval(growth, drawn, "log", basis=basis)
    free = 1 / mean(fastest_of(law, at.honest))
    slow = growth.high < 1
    off = Row(
        NAME,
        MITIGATION,
        False,
        (),
        "fails" if slow else "holds" if growth.low >= 1 else "undecided",
        f"siblings leave {growth.value:.3g} of the chain's growth",
        _ASSUMED,
        public_rate=_times(growth, free),
        figures=(("growth", growth.value), ("kept_until", best.kept_until)),
        basis=basis,
    )
    whole = reset_growth(seed, law, best._replace(rule="sticky"), **provers)
    on = off._replace(
        on=True,
        verdict="holds",
        reason="an equal sibling changes nobody's tip",
        public_rate=_times(whole, free),
        figures=(("growth", whole.value), ("kept_until", 0.0)),
    )
    return [off, on]


def _times(found: Estimate, factor: float) -> Estimate:
    value, low, high = (each * factor for each in found[:3])
    return found._replace(value=value, low=low, high=high)
