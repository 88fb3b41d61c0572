"""What an attack does to a simulated chain: its quality, and its good periods.

Notation (``simulation/properties.py``, ``good_periods/windows.py``)
    μ           honest share of the chain under a withholding adversary
    E[X_r], E[Y_r], E[Z_r]   means per round that the protocol counts on: corrupted
                provers mine as honest ones do                  ``expected_rates``

A window of an attacked chain is good if it is what the protocol *expects*. Measured
against the attacked chain's own means, an attack that changes the rate would hide.
"""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array, Key

from ..estimation.estimate import Estimate, Refused
from ..estimation.quantities import CHAIN_QUALITY
from ..good_periods.rounds import horizon_rounds, rounds_until
from ..good_periods.search import Rounds
from ..good_periods.windows import (
    RoundRates,
    good_period_measurements,
    round_rates,
    window_shares,
)
from ..simulation.levels import Levels, Network, simulate
from ..simulation.properties import chain_measurements, follow
from .rows import Effort


class ChainFigures(NamedTuple):
    """Figures of a simulated chain; None where they are refused.

    Attributes:
        quality: μ.
        good_period: Pr[a window is good].
    """

    quality: Estimate | None = None
    good_period: Estimate | None = None


def expected_rates(
    key: Key[Array, ""], network: Network, *, effort: Effort, round_steps: float
) -> RoundRates | None:
    """E[X_r], E[Y_r], E[Z_r] without the attack; None where they are refused.

    Args:
        key: The same as for ``chain_figures``: common random numbers.
        network: Corrupted provers have the honest law.
        effort: Replicas and levels.
        round_steps: Steps a round.
    """
    if not effort.replicas:
        return None
    run_key, _, _ = jax.random.split(key, 3)
    drawn = _simulated(run_key, network, effort)
    try:
        rounds, end = _covered(drawn, network, effort, round_steps)
        return round_rates(rounds, end=end)
    except Refused:
        return None


def chain_figures(
    key: Key[Array, ""],
    network: Network,
    expected: RoundRates | None,
    *,
    effort: Effort,
    round_steps: float,
) -> ChainFigures:
    """Quality and good periods of a network under attack.

    Args:
        key: Fixes every draw.
        network: Corrupted provers have the attack's law.
        expected: ``expected_rates``; None: no good periods.
        effort: Replicas, levels, window, ε.
        round_steps: Steps a round.
    """
    if not effort.replicas:
        return ChainFigures()
    run_key, moment_key, window_key = jax.random.split(key, 3)
    simulated = _simulated(run_key, network, effort)
    try:
        drawn = simulated(effort.levels)
    except Refused:
        return ChainFigures()
    delay = float(network.delay)
    paths = follow(moment_key, drawn, delay_steps=delay, confirmations=1)
    measured = chain_measurements(paths, levels=effort.levels)
    (quality,) = [m.estimate for m in measured if m.quantity == CHAIN_QUALITY]
    good = None
    if expected is not None:
        with contextlib.suppress(Refused):
            rounds, end = _covered(
                lambda count: drawn if count == effort.levels else simulated(count),
                network,
                effort,
                round_steps,
            )
            seen = round_rates(rounds, end=end)
            means = expected._replace(begin=seen.begin, end=seen.end)
            shares = window_shares(
                window_key, rounds, means, [effort.window], epsilon=effort.epsilon
            )
            good = good_period_measurements(shares)[0].estimate
    return ChainFigures(quality, good)


def _simulated(
    key: Key[Array, ""], network: Network, effort: Effort
) -> Callable[[int], Levels]:
    return lambda count: simulate(key, network, levels=count, replicas=effort.replicas)


def _covered(
    simulated: Callable[[int], Levels],
    network: Network,
    effort: Effort,
    round_steps: float,
) -> tuple[Rounds, int]:
    """Successes of the horizon, and its end."""
    sizes = {"levels": effort.levels, "round_steps": round_steps}
    end = horizon_rounds(network, **sizes)
    return rounds_until(end, simulated, **sizes), end
