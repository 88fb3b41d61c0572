r"""The memoryless chain of the same mean intervals, by closed forms.

Notation (``races.py``, ``latency.py``, ``settlement.py``)

| symbol | name here | meaning |
|---|---|---|
| λ_h, λ_a | `rate_h`, `rate_a` | 1 / mean time of the fastest of n_h, of n_a provers |
| Δ | `delay_steps` | message delay |
| g = λ_h / (1 + λ_hΔ) | `growth` | public chain, every message Δ late |
| β | `beta` | share of corrupted provers |
| q = λ_a / (λ_a + λ_h), x = (λ_a + λ_h)Δ | | share and delay in the brackets' unit |

Provers without memory have an exponential law, so that n of them are n times as fast as
one. Where block times are no such law, λ_h and λ_a are those of the groups' own means
and q is not β. The closed forms:
    growth g, forks 1 − g/λ_h, quality 1 − λ_a/g, isolated blocks λ_h e^{−2λ_hΔ}, CV 1;
    the private race from a tip, with share β and with λ_a / (λ_a + g), and Nakamoto's
    approximation of it, which is too small;
    the brackets of Guo–Ren and of Gaži–Ren–Russell, whose adversary has a head start.
Beside another law they are a yardstick, not a statement about it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..block_time.law import BlockTimeLaw, fastest_of, mean
from ..estimation.estimate import Refused
from ..estimation.quantities import (
    BLOCK_INTERVAL_CV,
    BLOCK_INTERVAL_MEAN,
    CHAIN_GROWTH,
    CHAIN_QUALITY,
    ISOLATED_RATE,
    ISOLATED_SHARE,
    LEFT_ISOLATED_RATE,
    LEFT_ISOLATED_SHARE,
    PERSISTENCE_VIOLATION,
    STALE_RATE,
)
from . import delays, races
from .latency import guo_ren
from .settlement import gazi_ren_russell

SAME_MEANS = "memoryless, same mean intervals"
SAME_SHARE = "memoryless, same share"
NAKAMOTO = "Nakamoto's approximation, same share"
GUO_REN = "Guo–Ren, head start"
GAZI_REN_RUSSELL = "Gaži–Ren–Russell, head start"
LOWER, UPPER = "lower bound", "upper bound"


class Reference(NamedTuple):
    """A closed form beside an estimate.

    Attributes:
        quantity: Name of the estimate.
        at: Where on its curve; None if a single number.
        name: Which closed form.
        value: What it says.
    """

    quantity: str
    at: float | None
    name: str
    value: float


def memoryless_references(
    law: BlockTimeLaw,
    *,
    honest: int,
    adversarial: int,
    delay_steps: float | int,
    depths: Sequence[int],
) -> tuple[list[Reference], list[str]]:
    """Closed forms for growth, forks, quality, isolated blocks and persistence.

    Args:
        law: Block-time law of one prover.
        honest: n_h ≥ 1.
        adversarial: n_a; 0 leaves out quality and persistence.
        delay_steps: Δ.
        depths: k of persistence.

    Returns:
        The references, and why others are refused, a sentence each.
    """
    rate_h = 1.0 / mean(fastest_of(law, honest))
    growth = delays.growth_under_delay(rate_h, delay_steps)
    single = {
        BLOCK_INTERVAL_MEAN: 1 / growth,
        BLOCK_INTERVAL_CV: 1 / (1 + rate_h * delay_steps),
        CHAIN_GROWTH: growth,
        STALE_RATE: 1 - growth / rate_h,
        ISOLATED_RATE: delays.loner_rate(rate_h, delay_steps),
        LEFT_ISOLATED_RATE: delays.nontailgater_rate(rate_h, delay_steps),
        ISOLATED_SHARE: delays.loner_rate(rate_h, delay_steps) / rate_h,
        LEFT_ISOLATED_SHARE: delays.nontailgater_rate(rate_h, delay_steps) / rate_h,
    }
    if not adversarial:
        return [Reference(q, None, SAME_MEANS, v) for q, v in single.items()], []
    rate_a = 1.0 / mean(fastest_of(law, adversarial))
    single[CHAIN_QUALITY] = max(0.0, 1 - rate_a / growth)
    found = [Reference(q, None, SAME_MEANS, v) for q, v in single.items()]
    beta = adversarial / (adversarial + honest)
    ks = np.asarray(depths, int)
    for name, values in (
        (SAME_SHARE, races.private_race(beta, ks)),
        (SAME_MEANS, races.private_race(rate_a / (rate_a + growth), ks)),
        (NAKAMOTO, races.nakamoto_approximation(beta, ks)),
    ):
        found += _curve(name, depths, list(np.atleast_1d(values)))
    together = rate_a + rate_h
    q, x = rate_a / together, together * delay_steps
    refusals = []
    for name, bracket in ((GUO_REN, guo_ren), (GAZI_REN_RUSSELL, gazi_ren_russell)):
        known, ends = [], []
        for depth in depths:
            try:
                ends.append(bracket(q, int(depth), x=x))
            except Refused as refusal:
                # Deeper ones are refused for the same reason.
                refusals.append(f"{name}, from depth {depth}: {refusal}")
                break
            known.append(depth)
        found += _curve(f"{name}: {LOWER}", known, [end.lower for end in ends])
        found += _curve(f"{name}: {UPPER}", known, [end.upper for end in ends])
    return found, refusals


def _curve(
    name: str, depths: Sequence[int], values: Sequence[float]
) -> list[Reference]:
    return [
        Reference(PERSISTENCE_VIOLATION, float(k), name, min(1.0, float(v)))
        for k, v in zip(depths, values, strict=True)
        if math.isfinite(v)
    ]
