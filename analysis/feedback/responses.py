"""How a loop answers: to a step, and to waves of each period.

A step's answer is the mean expected interval of each block. A wave's is what is left of
it: the complex amplitude of ln m at the wave's period over h times that of ln k, the
same without feedback, h = −d ln m / d ln k.
"""

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from ..estimation.estimate import Estimate, estimate_mean
from .laws import Laws, power_gain
from .loop import Paths, run_loop
from .measures import expected_intervals
from .rules import LoopRule
from .scenarios import Scenario, wave

AMPLITUDE = 0.1


def step_response(
    laws: Laws, paths: Paths, scenario: Scenario, every: int
) -> tuple[Int[np.ndarray, " places"], list[Estimate]]:
    """Mean expected interval, in T, at every so many blocks from the event on.

    Returns:
        Blocks since the event, and estimates over the chains.
    """
    expected = expected_intervals(laws, paths, scenario)[:, scenario.begins :]
    places = np.arange(0, expected.shape[1], every)
    return places, [estimate_mean(expected[:, i], "expected interval") for i in places]


def frequency_response(
    key: Key[Array, ""],
    laws: Laws,
    rule: LoopRule,
    period: int,
    *,
    blocks: int,
    replicas: int,
) -> Estimate:
    """Sensitivity S at a period: what is left of a wave of provers in mean intervals.

    Args:
        key: Fixes the draws.
        laws: Of the interval.
        rule: The rule.
        period: Blocks of a wave; whole waves are read after the first quarter.
        blocks: Length of each chain.
        replicas: Chains.

    Raises:
        ValueError: If less than one whole wave is left.
    """
    waves = (blocks - blocks // 4) // period
    if waves < 1:
        raise ValueError(f"period must be at most {blocks * 3 // 4}, got {period}")
    scenario = wave(blocks, period, AMPLITUDE)
    paths = run_loop(jax.random.fold_in(key, period), laws, rule, scenario,
                     replicas=replicas)  # fmt: skip
    first = blocks - waves * period
    logs = np.log(expected_intervals(laws, paths, scenario))[:, first:]
    phase = 2 * np.pi * np.arange(first, blocks) / period
    carrier = np.exp(-1j * phase) * 2 / len(phase)
    found = (logs * carrier).sum(axis=1)
    # Noise has no phase of its own: the mean amplitude's direction is the signal's.
    mean = found.mean()
    along = (found * np.conj(mean)).real / max(abs(mean), 1e-300)
    whole = power_gain(laws) * AMPLITUDE
    return estimate_mean(along / whole, "what is left of a wave")
