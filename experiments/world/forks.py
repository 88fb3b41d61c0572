"""Persistence and confirmations against a balance attack, which keeps a fork alive."""

from collections.abc import Callable, Sequence

from ...analysis.attacks.balancing import Balance
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.confirmations.verdict import unsafe_depth
from ...analysis.estimation.estimate import whole_blocks
from ...analysis.estimation.measurement import Measurement
from ...analysis.estimation.quantities import PERSISTENCE_VIOLATION, SAFE_DEPTH
from ...analysis.estimation.training_error import Basis
from ..config.experiment import Config
from .strategies import fork_life

METHOD = "Markov chain of a fork that begins level and is kept so"


def balance_persistence(
    config: Config, law: UncertainLaw, targets: Sequence[float], basis: Basis
) -> list[Measurement]:
    """Pr[a fork lives k levels] at every depth, and the depth of each target.

    Args:
        config: The experiment, whose attack is balance.
        law: Its laws.
        targets: ε; the first one is the verdict's.
        basis: What the fork rests on.

    Raises:
        Refused: If the honest provers cannot be split.
    """
    lives: dict[int, Balance] = {}

    def life(one: BlockTimeLaw) -> Balance:
        if id(one) not in lives:
            lives[id(one)] = fork_life(config, one)
        return lives[id(one)]

    def alive(depth: int) -> Callable[[BlockTimeLaw], float]:
        return lambda one: float(life(one).at(depth))

    risks = [
        Measurement(
            PERSISTENCE_VIOLATION,
            float(depth),
            "blocks",
            law.measured(
                alive(depth), scale="logit", basis=basis, method=METHOD
            ).clipped(0.0, 1.0),
            "probability",
            "tail",
            basis,
        )
        for depth in range(1, config.security.depths + 1)
    ]
    depths = [
        Measurement(
            SAFE_DEPTH,
            target,
            "target",
            whole_blocks(
                law.measured(
                    lambda one, target=target: life(one).depth(target),
                    basis=basis,
                    method=METHOD,
                    lacking=float("inf"),
                )
            ),
            "blocks",
            basis=basis,
        )
        for target in targets
    ]
    unsafe = unsafe_depth(
        config.security.target,
        depths[0],
        risks,
        delay=0.0,
        asked=float(config.security.depths),
        growth=None,
    )
    return [*risks, unsafe, *depths]
