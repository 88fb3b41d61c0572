"""Model against reality: do really mined blocks behave as the law predicts?

Notation (security.md §1, §3; analysis/simulation.py):
    n, v_i      provers and their speeds
    Δ           delay of every message                      ``delay_steps``
    f_i         time at which prover i finds a block of a level
    t1          first of them                               ``Chains.interval`` (gaps)
    S_i         survival of prover i's fresh draw, S(v_i x)
    D           sup |F_mined − F_predicted|                 Kolmogorov–Smirnov

A mined chain is one short sample, a prediction rests on a law from finitely many
training runs. Both errors count. s.e. of a mined number: circular block bootstrap over
its levels (neighbours share a head start). s.e. of a predicted one: its standard
deviation over laws of resampled runs (``empirical.bootstrap_laws``). Independent, they
add in quadrature in z. Where no z will do (D, χ²) the null distribution is that of
chains as long as the mined one, simulated under the resampled laws and compared with
the prediction of the law of all runs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from .block_time import BlockTimeLaw, cv, mean, quantile, survival
from .estimate import Refused
from .simulation import Levels

_MINIMUM_LEVELS = 30
# Fewer forks say too little of their own spread.
_MINIMUM_FORKS = 10
_BOOTSTRAPS = 2000
# Chains that are drawn of each resampled law for the null distribution of D.
_CHAINS_A_LAW = 40
# The simulation is float32. On a lattice law equal times must stay equal; elsewhere
# 2^-16 of a mean interval is far below what D can see.
_RESOLUTION = 2.0**-16

Side = Literal["left", "right"]


class Chains(NamedTuple):
    """The public chain, level by level: one that was mined, or simulated replicas.

    Attributes:
        interval: Time between the first block of level j−1 and that of level j, steps.
        blocks: Blocks of level j; all but one are forks.
        winner: Index of the prover that found the level's first block; None where
            the source does not tell.
    """

    interval: Float[np.ndarray, "*replicas levels"]
    blocks: Int[np.ndarray, "*replicas levels"]
    winner: Int[np.ndarray, "*replicas levels"] | None


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


def observed_chain(
    times: Float[np.ndarray, " found"],
    heights: Int[np.ndarray, " found"],
    miners: Int[np.ndarray, " found"],
    *,
    delay_steps: float,
    until: float,
    burn_in: int = 1,
) -> Chains:
    """The levels of a mined chain, from the blocks that were found.

    Args:
        times: When each block was found, in the order of finding.
        heights: Its height; the genesis has 0.
        miners: Index of its finder.
        delay_steps: Δ.
        until: Moment up to which the mining was watched. A level counts once no fork
            of it can come any more, t1 + Δ < until.
        burn_in: Levels to forget, at least 1: all provers start height 1 at once, later
            levels with the head starts that a delay gives.

    Returns:
        Intervals and blocks from height ``burn_in + 1`` on.

    Raises:
        ValueError: If blocks are out of order, a height is missing, or a block comes
            later than Δ after its level's first: such a network is not the model's.
        Refused: If fewer than 30 levels are settled.
    """
    # How the world's events are the model's (worst-case delay, first-seen ties, one
    # weight a block, fresh starts):
    # - A level is a height, whatever fork it is on. Who finds a block of height h is
    #   the first to know of that height, adopts the block at once and mines on h + 1
    #   from f_i. Everyone else hears of the height at t1 + Δ: the first arrival of a
    #   height is that of its first block, since all messages take Δ. Later blocks of
    #   the same height lose the tie (first seen), so they restart nobody.
    # - Hence prover i starts level h + 1 at min(f_i, t1 + Δ), and its f_i ≤ t1 + Δ is
    #   a block at h. "≤", for the world works on looks before messages of a moment.
    # - Blocks of h + 1 may rest on different blocks of h, and be found before t1 + Δ
    #   of h by someone with a head start: both as in the model, which keeps the
    #   starts of the early finders and never asks for the parent.
    # - An mtx restarts nobody: it changes no tip, and fresh starts refer to none.
    if not (np.diff(times) >= 0).all():
        raise ValueError("times must be in the order of finding")
    if burn_in < 1:
        raise ValueError(f"burn_in must be ≥ 1, got {burn_in}")
    reached, first, blocks = np.unique(heights, return_index=True, return_counts=True)
    if not np.array_equal(reached, np.arange(1, len(reached) + 1)):
        raise ValueError(f"heights must be 1, 2, ... without a gap, got {reached}")
    lag = times - times[first][heights - 1]
    if not (lag <= delay_steps * (1 + 1e-9)).all():
        raise ValueError(
            f"a block came {lag.max():g} steps after the first of its height, with a "
            f"delay of {delay_steps:g} it should have been known"
        )
    settled = int((times[first] + delay_steps < until).sum())
    if settled - burn_in < _MINIMUM_LEVELS:
        raise Refused(
            f"agreement: at least {_MINIMUM_LEVELS} settled levels are needed, got "
            f"{max(settled - burn_in, 0)}; mine more blocks"
        )
    return Chains(
        np.diff(times[first])[burn_in - 1 : settled - 1],
        blocks[burn_in:settled],
        miners[first][burn_in:settled],
    )


def simulated_chains(levels: Levels) -> Chains:
    """What ``simulation.simulate`` says of the public chain."""
    return Chains(
        np.asarray(levels.interval, float), np.asarray(levels.blocks, int), None
    )


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
    """The network of analysis/simulation.py with names and speeds: who finds what.

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
    # Behind everyone's table the hazards are constant and as the speeds.
    left = float(alive[:, -1].prod())
    if left > 0 and not law.tail_hazard > 0:
        raise Refused(
            "agreement: nobody may ever win, since the law leaves mass that never "
            "ends; set abandon_steps or lengthen the horizon"
        )
    return each + left * pace / pace.sum()


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
        _distance_row(mined.interval, null, _staircase(predicted.interval), method),
        _row("interval_mean", _mean, mined, predicted, resampled, method, seed),
        _row("interval_cv", _cv, mined, predicted, resampled, method, seed),
    ]
    if _forks(mined) or _forks(predicted):
        rows.append(
            _row("stale_rate", _stale, mined, predicted, resampled, method, seed)
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
    provers = 1 + max(int(_winner(each).max()) for each in (mined, predicted))
    rows = [
        _row(f"winner_share_{i}", _share(i), mined, predicted, resampled, method, seed)
        for i in range(provers)
    ]
    own, law, *others = map(_repeated, (mined, predicted, *resampled))
    rows.append(_row("winner_repeats", _share(1), own, law, others, method, seed))
    expected = np.bincount(_winner(predicted).ravel(), minlength=provers)
    null = np.concatenate([_winner(each) for each in resampled])
    found = _chi2(_winner(mined)[None], expected)[0]
    count = mined.interval.size
    rows.append(_test_row("winner_chi2", found, _chi2(null, expected), count, method))
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
    if _forks(mined):
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
        ("interval_mean", _mean, mean),
        ("interval_cv", _cv, cv),
    ):
        spread = float(np.std([of_law(each) for each in resampled], ddof=1))
        error = _block_bootstrap(seed, moment, mined)
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
    found = np.bincount(_winner(mined), minlength=provers) / count
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
    cdf = _staircase(predicted.interval)
    null = np.concatenate([each.interval for each in resampled])
    width = float(np.quantile(_distances(null, cdf), 0.95))
    end = max(mined.interval.max(), np.quantile(predicted.interval, 0.999))
    time = np.linspace(0.0, 1.02 * float(end), points)
    expected = 1.0 - cdf(time, "right")
    return {
        "time": time,
        "mined": 1.0 - _staircase(mined.interval)(time, "right"),
        "predicted": expected,
        "low": np.maximum(expected - width, 0.0),
        "high": np.minimum(expected + width, 1.0),
    }


_Statistic = Callable[[Chains], np.ndarray]


def _mean(chains: Chains) -> np.ndarray:
    return np.asarray(chains.interval.mean(axis=-1))


def _cv(chains: Chains) -> np.ndarray:
    return np.asarray(chains.interval.std(axis=-1, ddof=1) / _mean(chains))


def _stale(chains: Chains) -> np.ndarray:
    blocks = chains.blocks.sum(axis=-1)
    return np.asarray((blocks - chains.blocks.shape[-1]) / blocks)


def _share(prover: int) -> _Statistic:
    return lambda chains: np.asarray((_winner(chains) == prover).mean(axis=-1))


def _repeated(chains: Chains) -> Chains:
    """The same chains without their first level; "winner" 1 if it is the last one's.

    A column of its own, so that resampling levels does not tear neighbours apart.
    """
    winner = _winner(chains)
    again = (winner[..., 1:] == winner[..., :-1]).astype(int)
    return Chains(chains.interval[..., 1:], chains.blocks[..., 1:], again)


def _winner(chains: Chains) -> np.ndarray:
    if chains.winner is None:
        raise ValueError("these chains do not tell who won; take them from race")
    return chains.winner


def _forks(chains: Chains) -> int:
    return int(chains.blocks.sum()) - chains.blocks.size


def _row(quantity, statistic: _Statistic, mined, predicted, resampled, method, seed):
    """Mined and predicted statistic with their standard errors."""
    error = _block_bootstrap(seed, statistic, mined)
    if quantity == "stale_rate" and _forks(mined) < _MINIMUM_FORKS:
        # Too few to show their own spread: that of predicted chains of this length.
        error = float(statistic(predicted).std(ddof=1))
        method += "; too few forks, mined s.e. as predicted"
    pooled = [float(statistic(_joined(each))) for each in (predicted, *resampled)]
    spread = float(np.std(pooled[1:], ddof=1))
    found, count = float(statistic(mined)), mined.interval.size
    return _z_row(quantity, found, error, pooled[0], spread, count, method)


def _joined(chains: Chains) -> Chains:
    """Replicas one behind the other."""
    return _mapped(np.ravel, chains)


def _mapped(change: Callable[[np.ndarray], np.ndarray], chains: Chains) -> Chains:
    winner = None if chains.winner is None else change(chains.winner)
    return Chains(change(chains.interval), change(chains.blocks), winner)


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
    found = _distances(mined[None], cdf)[0]
    return _test_row("interval_ks", found, _distances(null, cdf), mined.size, method)


def _distances(chains: np.ndarray, cdf) -> np.ndarray:
    """D of each chain, ties counted right on both sides of a jump."""
    ordered = np.sort(chains, axis=-1)
    count = ordered.shape[-1]
    rank = np.arange(1, count + 1)
    # Of equal times the last has the whole jump, the first what was before it: the
    # others give less on either side, never more.
    above = rank / count - cdf(ordered, "right")
    below = cdf(ordered, "left") - (rank - 1) / count
    return np.maximum(above.max(axis=-1), below.max(axis=-1))


def _staircase(sample: np.ndarray) -> Callable[[np.ndarray, Side], np.ndarray]:
    """The empirical distribution function, at and just before a place."""
    ordered = np.sort(sample, axis=None)
    nudge = _RESOLUTION * float(ordered.mean())

    def cdf(x: np.ndarray, side: Side) -> np.ndarray:
        place = x + (nudge if side == "right" else -nudge)
        return np.searchsorted(ordered, place, side=side) / ordered.size

    return cdf


def _chi2(winner: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Σ (O−E)²/E of each chain, E the expected shares of its length."""
    levels, provers = winner.shape[-1], len(expected)
    share = expected / expected.sum()
    observed = (winner[..., None] == np.arange(provers)).mean(axis=-2)
    # A winner that is never expected is refutation enough.
    terms = (observed - share) ** 2 / np.maximum(share, 1e-12)
    return levels * terms.sum(axis=-1)


def _block_bootstrap(seed: int, statistic: _Statistic, chain: Chains) -> float:
    """Standard error of one chain's statistic: circular blocks of n^{1/3} levels."""
    levels = chain.interval.size
    block = max(1, round(levels ** (1 / 3)))
    starts = np.random.default_rng(seed).integers(
        levels, size=(_BOOTSTRAPS, -(-levels // block), 1)
    )
    drawn = (starts + np.arange(block)) % levels
    drawn = drawn.reshape(_BOOTSTRAPS, -1)[:, :levels]
    each = statistic(_mapped(lambda column: column[drawn], chain))
    return float(each.std(ddof=1))


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
