"""Model against reality: do really mined blocks behave as the law predicts?

Notation (that of simulation/levels.py):
    n, v_i      provers and their speeds
    Δ           delay of every message                      ``delay_steps``
    f_i         time at which prover i finds a block of a level
    t1          first of them                               ``Chains.interval`` (gaps)
    S_i         survival of prover i's fresh draw, S(v_i x)
    D           sup |F_mined − F_predicted|                 Kolmogorov–Smirnov

A mined chain is one short sample, a prediction rests on a law from finitely many
training runs. Both errors count. s.e. of a mined number: circular block bootstrap over
its levels (neighbours share a head start). s.e. of a predicted one: its standard
deviation over laws of resampled runs (``bootstrap_laws``). Independent, they
add in quadrature in z. Where no z will do (D, χ²) the null distribution is that of
chains as long as the mined one, simulated under the resampled laws and compared with
the prediction of the law of all runs.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..block_time.law import BlockTimeLaw, cv, mean, quantile, survival
from ..estimation.quantities import STALE_RATE
from .chains import Chains, forks_of, joined_chains, repeats_of, winner_of
from .statistics import (
    Side,
    Statistic,
    bootstrap_error,
    chi2,
    distances,
    interval_cv,
    interval_mean,
    staircase,
    stale_rate,
    winner_share,
)

# Fewer forks say too little of their own spread.
_MINIMUM_FORKS = 10
# Chains that are drawn of each resampled law for the null distribution of D.
_CHAINS_A_LAW = 40


class Comparison(NamedTuple):
    """A mined number beside the predicted one.

    Attributes:
        quantity: ``interval_mean`` (steps), ``interval_cv``, ``stale_rate`` (forks /
            blocks), ``winner_share_i``, ``winner_repeats`` (share of levels whose
            winner won the level before), and the tests ``interval_ks`` (D) and
            ``winner_chi2`` (Σ (O−E)²/E), with their null mean and sd as predicted.
        mined: As mined.
        mined_se: Its standard error; NaN for tests.
        predicted: By the law of all runs.
        predicted_se: Of the training runs; for tests, sd of the null distribution.
        z: (mined − predicted) / √(mined_se² + predicted_se²); NaN for tests.
        p_value: Two-sided for z, upper tail for tests.
        count: Mined levels.
        method: How prediction and errors were obtained.
    """

    quantity: str
    mined: float
    mined_se: float
    predicted: float
    predicted_se: float
    z: float
    p_value: float
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    method: str


def compare_chains(
    mined: Chains, predicted: Chains, resampled: Sequence[Chains], *, seed: int = 0
) -> list[Comparison]:
    """Intervals and forks of a mined chain against simulated ones.

    Args:
        mined: One chain, from ``observed_chain``.
        predicted: Replicas as long as it under the law of all runs.
        resampled: Replicas under each bootstrap law, best with the same key.
        seed: Of the block bootstrap.

    Returns:
        ``interval_ks``, ``interval_mean``, ``interval_cv``, and ``stale_rate`` unless
        nothing forks, mined or predicted.

    Raises:
        ValueError: If replicas are not as long as the mined chain, or there are fewer
            than two resampled laws.
    """
    _check_lengths(mined, [predicted, *resampled])
    method = f"simulated chains; {len(resampled)} resampled laws"
    null = np.concatenate([each.interval for each in resampled])
    rows = [
        _distance_row(mined.interval, null, staircase(predicted.interval), method),
        _row("interval_mean", interval_mean, mined, predicted, resampled, method, seed),
        _row("interval_cv", interval_cv, mined, predicted, resampled, method, seed),
    ]
    if forks_of(mined) or forks_of(predicted):
        rows.append(
            _row(STALE_RATE, stale_rate, mined, predicted, resampled, method, seed)
        )
    return rows


def compare_winners(
    mined: Chains, predicted: Chains, resampled: Sequence[Chains], *, seed: int = 0
) -> list[Comparison]:
    """Who wins levels, against ``race``.

    With a delay the last winner has a head start of Δ, so wins are not independent and
    multinomial χ² would see too much; the null distribution here has the same head
    starts.

    Args:
        mined: One chain.
        predicted: ``race`` under the law of all runs, replicas as long as the chain.
        resampled: The same under each bootstrap law, best with the same seed.
        seed: Of the block bootstrap.

    Returns:
        ``winner_share_i`` for every prover, ``winner_repeats``, ``winner_chi2``.

    Raises:
        ValueError: As ``compare_chains``, or if a chain does not tell winners.
    """
    _check_lengths(mined, [predicted, *resampled])
    method = f"race of named provers; {len(resampled)} resampled laws"
    provers = 1 + max(int(winner_of(each).max()) for each in (mined, predicted))
    rows = [
        _row(
            f"winner_share_{i}",
            winner_share(i),
            mined,
            predicted,
            resampled,
            method,
            seed,
        )
        for i in range(provers)
    ]
    own, law, *others = map(repeats_of, (mined, predicted, *resampled))
    rows.append(_row("winner_repeats", winner_share(1), own, law, others, method, seed))
    expected = np.bincount(winner_of(predicted).ravel(), minlength=provers)
    null = np.concatenate([winner_of(each) for each in resampled])
    found = chi2(winner_of(mined)[None], expected)[0]
    count = mined.interval.size
    rows.append(_test_row("winner_chi2", found, chi2(null, expected), count, method))
    return rows


def compare_with_law(
    mined: Chains,
    law: BlockTimeLaw,
    resampled: Sequence[BlockTimeLaw],
    *,
    seed: int = 0,
) -> list[Comparison]:
    """Intervals against the exact law of the fastest, where Δ = 0 and nothing forks.

    Args:
        mined: One chain.
        law: ``fastest_of`` or ``fastest_of_speeds`` of the law of all runs.
        resampled: The same of each bootstrap law.
        seed: Of the draws behind the null distribution, and the bootstrap.

    Returns:
        ``interval_ks``, ``interval_mean``, ``interval_cv``.

    Raises:
        ValueError: If the mined chain has forks, or there are fewer than two laws.
    """
    if forks_of(mined):
        raise ValueError("the fastest-of-n law has no forks, the mined chain has")
    _check_laws(resampled)
    method = f"exact law of the fastest; {len(resampled)} resampled laws"
    count = mined.interval.size
    generator = np.random.default_rng(seed)
    null = np.concatenate(
        [quantile(each, generator.random((_CHAINS_A_LAW, count))) for each in resampled]
    )
    # On a lattice, just before and just after a knot.
    nudge = 1e-6 * law.spacing if law.lattice else 0.0

    def cdf(x: np.ndarray, side: Side) -> np.ndarray:
        return 1.0 - survival(law, x + (nudge if side == "right" else -nudge))

    rows = [_distance_row(mined.interval, null, cdf, method)]
    for quantity, moment, of_law in (
        ("interval_mean", interval_mean, mean),
        ("interval_cv", interval_cv, cv),
    ):
        spread = float(np.std([of_law(each) for each in resampled], ddof=1))
        error = bootstrap_error(seed, moment, mined)
        found = float(moment(mined))
        rows.append(_z_row(quantity, found, error, of_law(law), spread, count, method))
    return rows


def compare_domination(
    mined: Chains, shares: np.ndarray, resampled: Sequence[np.ndarray]
) -> list[Comparison]:
    """Who wins levels, against ``domination``, where Δ = 0.

    All provers start anew at every block, so wins are multinomial: s.e. √(s(1−s)/n),
    and χ² = dᵀ C⁻¹ d with C the multinomial covariance plus that of the resampled laws.

    Args:
        mined: One chain.
        shares: ``domination`` under the law of all runs.
        resampled: The same under each bootstrap law.

    Returns:
        ``winner_share_i`` for every prover, ``winner_chi2`` (n − 1 degrees of freedom).

    Raises:
        ValueError: As ``compare_winners``.
    """
    _check_laws(resampled)
    count, provers = mined.interval.size, len(shares)
    found = np.bincount(winner_of(mined), minlength=provers) / count
    if len(found) > provers:
        raise ValueError(f"prover {len(found) - 1} won, but has no predicted share")
    method = f"∫ of the law, multinomial; {len(resampled)} resampled laws"
    errors = np.sqrt(np.maximum(shares * (1 - shares), 0.0) / count)
    spread = np.std(resampled, axis=0, ddof=1)
    rows = [
        _z_row(f"winner_share_{i}", *values, count, method)
        for i, values in enumerate(zip(found, errors, shares, spread, strict=True))
    ]
    # The last share follows from the others.
    own = np.diag(shares) - np.outer(shares, shares)
    covariance = own / count + np.atleast_2d(
        np.cov(np.asarray(resampled), rowvar=False)
    )
    short = covariance[:-1, :-1]
    d = (found - shares)[:-1]
    x = float(d @ np.linalg.solve(short, d)) if provers > 1 else 0.0
    freedom = provers - 1
    rows.append(
        Comparison(
            "winner_chi2",
            x,
            math.nan,
            float(freedom),
            math.sqrt(2 * freedom),
            math.nan,
            float(stats.chi2.sf(x, freedom)) if freedom else 1.0,
            count,
            method,
        )
    )
    return rows


def interval_curves(
    mined: Chains, predicted: Chains, resampled: Sequence[Chains], points: int = 200
) -> dict[str, np.ndarray]:
    """What the figure shows of the intervals.

    Args:
        mined: One chain.
        predicted: As for ``compare_chains``.
        resampled: As for ``compare_chains``.
        points: Places on the time axis.

    Returns:
        ``time`` (steps); Pr[interval > time] as ``mined`` and ``predicted``; ``low``
        and ``high``, between which 95 % of chains as long as the mined one stay *all
        the way* if the model holds: predicted ± the 95 % quantile of D under it.
    """
    _check_lengths(mined, [predicted, *resampled])
    cdf = staircase(predicted.interval)
    null = np.concatenate([each.interval for each in resampled])
    width = float(np.quantile(distances(null, cdf), 0.95))
    end = max(mined.interval.max(), np.quantile(predicted.interval, 0.999))
    time = np.linspace(0.0, 1.02 * float(end), points)
    expected = 1.0 - cdf(time, "right")
    return {
        "time": time,
        "mined": 1.0 - staircase(mined.interval)(time, "right"),
        "predicted": expected,
        "low": np.maximum(expected - width, 0.0),
        "high": np.minimum(expected + width, 1.0),
    }


def _row(quantity, statistic: Statistic, mined, predicted, resampled, method, seed):
    """Mined and predicted statistic with their standard errors."""
    error = bootstrap_error(seed, statistic, mined)
    if quantity == STALE_RATE and forks_of(mined) < _MINIMUM_FORKS:
        # Too few to show their own spread: that of predicted chains of this length.
        error = float(statistic(predicted).std(ddof=1))
        method += "; too few forks, mined s.e. as predicted"
    pooled = [float(statistic(joined_chains(each))) for each in (predicted, *resampled)]
    spread = float(np.std(pooled[1:], ddof=1))
    found, count = float(statistic(mined)), mined.interval.size
    return _z_row(quantity, found, error, pooled[0], spread, count, method)


def _z_row(quantity, mined, error, predicted, spread, count, method) -> Comparison:
    difference, scale = mined - predicted, math.hypot(error, spread)
    z = difference / scale if scale else math.copysign(math.inf, difference)
    z = float(z) if difference else 0.0
    return Comparison(
        quantity,
        float(mined),
        float(error),
        float(predicted),
        float(spread),
        z,
        float(2 * stats.norm.sf(abs(z))),
        count,
        method,
    )


def _test_row(quantity, found, null: np.ndarray, count, method) -> Comparison:
    """A statistic among its null distribution, the p-value never 0."""
    return Comparison(
        quantity,
        float(found),
        math.nan,
        float(null.mean()),
        float(null.std(ddof=1)),
        math.nan,
        float((1 + (null >= found).sum()) / (1 + null.size)),
        count,
        f"{method}; {null.size} null chains",
    )


def _distance_row(mined, null, cdf, method) -> Comparison:
    found = distances(mined[None], cdf)[0]
    return _test_row("interval_ks", found, distances(null, cdf), mined.size, method)


def _check_lengths(mined: Chains, others: Sequence[Chains]) -> None:
    _check_laws(others[1:])
    for each in others:
        if each.interval.ndim != 2 or each.interval.shape[1] != mined.interval.size:
            raise ValueError(
                f"replicas must be {mined.interval.size} levels long, as the mined "
                f"chain, got shape {each.interval.shape}"
            )


def _check_laws(resampled: Sequence) -> None:
    if len(resampled) < 2:
        raise ValueError(
            f"at least two resampled laws are needed for a spread, got {len(resampled)}"
        )
