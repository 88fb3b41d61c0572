"""SLT23's Table 2 has a row that no lottery of the kind described can have produced."""

import math

from jaxtyping import Array, Key

from ..block_time import law as laws
from ..block_time.law import geometric
from . import published
from .check import Check, below, exact


def slt23_table2(_key: Key[Array, ""]) -> list[Check]:
    r"""Its last row against an i.i.d. ½ lottery after the training.

    A run that wins its first ticket ends as plain training does (the pre-hash of 2^12
    takes 7 ms), so Pr[X < 115] ≥ ½ Pr[T < 115] whatever follows a lost ticket, and by
    Cantelli Pr[T ≥ 115] ≤ v/(v + (115 − m)²). Losing it must cost 2(140.60 − m) on
    average, half of the time: Var[X] ≥ (140.60 − m)². Tickets every c = 140.60 − m
    seconds are an example, with the larger variance 2c².
    """
    m, v = published.SLT23_DL
    mean, variance = published.SLT23_LOTTERY
    least, runs = published.SLT23_LOTTERY_MINIMUM, published.SLT23_RUNS
    law = geometric(0.5, trial=mean - m, dead_time=2 * m - mean)
    lost = float(laws.survival(law, least)) ** runs
    late = v / (v + (least - m) ** 2)
    impossible = "so the row is no i.i.d. ½ lottery"
    return [
        exact(
            "Pr[20 of 20 runs above 115 s], training fixed",
            "block-time law",
            lost,
            0.5**runs,
            "every first ticket lost: 2^-20",
            relative=1e-9,
        ),
        below(
            "the same for any law of the training",
            "closed form",
            (1 - (1 - late) / 2) ** runs,
            1e-5,
            "Cantelli; one in 10^5",
            impossible,
        ),
        exact(
            "CV of the ½ lottery that fits the row",
            "block-time law",
            laws.cv(law),
            math.sqrt(2) * (mean - m) / mean,
            "√2(1 − m/140.60)",
            relative=1e-9,
        ),
        below(
            "published CV, at most half of the least possible",
            "closed form",
            math.sqrt(variance) / mean,
            (1 - m / mean) / 2,
            "½(1 − m/140.60)",
            impossible,
        ),
    ]
