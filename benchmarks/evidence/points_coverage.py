"""A cell of ``coverage``: figures of a design's points, found quickly."""

import math

import numpy as np

from .truths import (
    CORRUPTED,
    DELAY,
    HONEST,
    Effort,
    Seen,
    Truth,
    lottery_of_truths,
    seen_of,
)

# Of 2,048 levels each: the truth's own chain is known to a tenth of a sample's.
_ROUNDS = 100


def points_cell(truth: Truth, runs: int, effort: Effort, seed: int) -> list[Seen]:
    """``assessment.quick`` for samples of one truth."""
    import jax

    from ...analysis.assessment.quick import Found, Point, quick_figures

    point = Point(lottery_of_truths(), HONEST, CORRUPTED, DELAY)
    true = _true(truth, point)
    generator = np.random.default_rng(seed)
    seen = []
    for number in range(effort.points):
        curves = truth.sample(generator, runs)
        # With one key the simulation's error of all samples would be the same.
        key = jax.random.key(seed + number)
        (found,) = quick_figures(key, seed + number, curves, [point], 24)
        if not isinstance(found, Found):
            continue
        for m in found.measurements:
            right = true.get(m.place, math.nan)
            if not math.isfinite(right) or not math.isfinite(m.estimate.value):
                continue
            name = m.quantity if m.at is None else f"{m.quantity} at {m.at:g}"
            place = "points", name, truth.name, runs
            seen.append(seen_of(place, m.estimate, right, False, bool(m.warning)))
    return seen


def _true(truth: Truth, point) -> dict[tuple[str, float | None], float]:
    """The figures under the truth's own law."""
    import jax

    from ...analysis.assessment.quick import Found, quick_figures
    from ...analysis.block_time.empirical import empirical_law
    from ...analysis.estimation.quantities import CHAIN_GROWTH, STALE_RATE
    from ...analysis.simulation.chain_rates import Case, ChainRates, chain_rates

    key = jax.random.key(0)
    (found,) = quick_figures(key, 0, truth.whole, [point], 0)
    law = empirical_law(truth.whole, point.lottery).law
    case = Case(law, float(HONEST), DELAY)
    (chain,) = chain_rates(key, [case], rounds=_ROUNDS)
    assert isinstance(found, Found)
    assert isinstance(chain, ChainRates)
    values = {m.place: m.estimate.value for m in found.measurements}
    values[CHAIN_GROWTH, None] = chain.growth.value
    values[STALE_RATE, None] = chain.stale.value
    return values
