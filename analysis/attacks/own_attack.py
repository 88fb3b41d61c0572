"""Attacks of the user's own: the law of a corrupted prover's blocks, as a function.

    def half_trained(honest: BlockTimeLaw, party: Party) -> BlockTimeLaw: ...

An attack is what it makes of a prover's block time: given the law of an honest prover,
it returns that of one who attacks. It is asked for the law of all runs and for every
resampled one, so its intervals are those of any attack. Who races whom, the public
chain, ties and Δ are the config's (``adversary.part = "module:name"``).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from ..block_time.law import KNOTS, BlockTimeLaw


class Party(NamedTuple):
    """What an attack may know of its world.

    Attributes:
        provers: n, all of them.
        corrupted: Those that attack.
        delay_steps: Δ, which honest messages take.
        s_min: Steps that the protocol asks of a model, 0: none.
    """

    provers: int
    corrupted: int
    delay_steps: float | int
    s_min: int


@runtime_checkable
class OwnAttack(Protocol):
    """A corrupted prover's law, from an honest one's."""

    def __call__(self, honest: BlockTimeLaw, party: Party) -> BlockTimeLaw:
        """The law of one corrupted prover's blocks, each from its own tip.

        Args:
            honest: Law of an honest prover's.
            party: Of which world.
        """
        ...


def attacked(
    attack: OwnAttack, laws: Sequence[BlockTimeLaw], party: Party
) -> tuple[BlockTimeLaw, ...]:
    """The corrupted provers' laws beside honest ones.

    Args:
        attack: The user's.
        laws: Of an honest prover.
        party: Of which world.

    Raises:
        ValueError: If the attack returns what is no law; says what.
    """
    return tuple(_checked(attack(law, party)) for law in laws)


def _checked(law: object) -> BlockTimeLaw:
    if not isinstance(law, BlockTimeLaw):
        raise ValueError(f"an attack must return a BlockTimeLaw, got {type(law)}")
    knots = np.asarray(law.cumulative_hazard, float)
    if knots.shape != (KNOTS,) or not np.isfinite(knots).all():
        raise ValueError(f"cumulative_hazard must be {KNOTS} finite numbers")
    if knots[0] < 0 or (np.diff(knots) < 0).any():
        raise ValueError("cumulative_hazard must be ≥ 0 and never fall")
    if not (law.spacing > 0 and law.tail_hazard >= 0 and law.offset >= 0):
        raise ValueError("spacing must be > 0, tail_hazard and offset ≥ 0")
    return law
