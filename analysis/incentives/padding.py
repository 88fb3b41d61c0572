r"""Steps that only fill: cheap ones, or more of them than the block needs.

The rule of steps counts S, not what a step costs. Two ways to raise the share R:

    cheap    f steps in the time of one (a smaller batch, a smaller model): R(fS)
    longer   a block that is found is trained on for k steps, and published if nobody
             else was first: E[R(T + k); still first]                     ``start`` = k

R is 1 for a block that refers to nothing: then neither gains. With hazard π after a
dead time, training a block of S steps on pays at first iff (1 − R)/S > (n − 1)π; a
prover that always does it gains where that holds on average.
"""

from ..block_time.law import BlockTimeLaw
from .contest import Side, first_block
from .shares import ShareOf


def padding_gain(
    law: BlockTimeLaw,
    share: ShareOf,
    *,
    provers: int,
    extra: float | int = 0.0,
    cheaper: float | int = 1.0,
    hashing: float | int = 0.0,
) -> float:
    """Relative gain of the income from one's own blocks.

    Args:
        law: Block-time law of every prover, from the model they refer to.
        share: R, by steps.
        provers: n ≥ 2.
        extra: k ≥ 0, steps a block is trained on for.
        cheaper: f > 0, steps in the time of an honest one.
        hashing: Time of a block that is no training, steps.

    Raises:
        ValueError: If a number is out of range.
        Refused: As ``contest.first_block``.
    """
    if provers < 2 or not cheaper > 0:
        raise ValueError(
            f"provers must be ≥ 2 and cheaper > 0, got {provers} and {cheaper}"
        )
    honest = float(
        first_block([Side(law, provers)], lambda t: share(t - hashing))[0] / provers
    )
    padded = first_block(
        [Side(law, 1, extra), Side(law, provers - 1)],
        lambda t: share(cheaper * (t - hashing)),
    )[0]
    return float(padded) / honest - 1.0


def longer_pays(
    share: float, steps: float | int, *, provers: int, hazard: float | int
) -> bool:
    """Whether the first step of training on pays: (1 − R)/S > (n − 1)π."""
    return (1.0 - share) / steps > (provers - 1) * hazard
