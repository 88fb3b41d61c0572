"""Who wins the next block: a race of provers with names and speeds of their own."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, quantile, survival
from ..estimation.estimate import Refused
from .chains import Chains


def race(
    seed: int,
    law: BlockTimeLaw,
    speeds: Sequence[float | int],
    *,
    delay_steps: float,
    levels: int,
    replicas: int,
    burn_in: int = 16,
) -> Chains:
    """``simulation.levels``' network with names and speeds: who finds what.

    Prover by prover, start_i ← min(f_i, t1 + Δ) and f_i = start_i + X/v_i. It costs n
    draws a level, and is written without the engine.

    Args:
        seed: Fixes the draws.
        law: Block-time law of a unit-speed prover.
        speeds: v_i.
        delay_steps: Δ.
        levels: Levels recorded a replica.
        replicas: Independent replicas.
        burn_in: Levels run and forgotten.

    Raises:
        ValueError: For a speed ≤ 0, or a lattice law, where first blocks tie and the
            winner is a matter of convention.
        Refused: If some block time is infinite.
    """
    pace = np.asarray(speeds, float)
    if not (pace > 0).all():
        raise ValueError(f"speeds must be > 0, got {list(speeds)}")
    if law.lattice:
        raise ValueError("law must not be a lattice law: its winners tie")
    generator = np.random.default_rng(seed)
    start = np.zeros((replicas, len(pace)))
    found = []
    for _ in range(burn_in + levels):
        finish = start + quantile(law, generator.random(start.shape)) / pace
        first = finish.min(axis=1)
        if not np.isfinite(first).all():
            raise Refused(
                "agreement: some level never got a block, since the law leaves mass "
                "that never ends; set abandon_steps or lengthen the horizon"
            )
        lag = finish - first[:, None]
        found.append((first, (lag <= delay_steps).sum(axis=1), finish.argmin(axis=1)))
        start = np.minimum(lag, delay_steps)
    interval, blocks, winner = (
        np.stack(column, axis=1) for column in zip(*found[burn_in:], strict=True)
    )
    return Chains(interval, blocks, winner)


def domination(
    law: BlockTimeLaw, speeds: Sequence[float | int]
) -> Float[np.ndarray, " provers"]:
    """Pr[prover i's fresh draw is the smallest] = ∫ Π_{j≠i} S_j dF_i, Δ = 0.

    Exact for the law's table: where all hazards are constant, the share of prover i in
    the mass of a cell, Π S(a) − Π S(b), is its share of ΣΔΛ_j.

    Args:
        law: Block-time law of a unit-speed prover.
        speeds: v_i.

    Raises:
        ValueError: As ``race``.
        Refused: If all provers may fail for ever.
    """
    pace = np.asarray(speeds, float)
    if not (pace > 0).all():
        raise ValueError(f"speeds must be > 0, got {list(speeds)}")
    if law.lattice:
        raise ValueError("law must not be a lattice law: its winners tie")
    knots = law.offset + law.spacing * np.arange(len(law.cumulative_hazard))
    times = np.unique(np.concatenate([[0.0], *(knots / v for v in pace)]))
    alive = np.stack([survival(law, v * times) for v in pace])
    hazards = -np.log(np.maximum(alive, 1e-300))
    step = np.diff(hazards, axis=1)
    total = step.sum(axis=0)
    mass = -np.diff(alive.prod(axis=0))
    each = np.where(total > 0, step / np.where(total > 0, total, 1.0), 0.0) @ mass
    # Beyond everyone's table the hazards are constant and as the speeds.
    left = float(alive[:, -1].prod())
    if left > 0 and not law.tail_hazard > 0:
        raise Refused(
            "agreement: nobody may ever win, since the law leaves mass that never "
            "ends; set abandon_steps or lengthen the horizon"
        )
    return each + left * pace / pace.sum()
