"""From learning curves to the block-time law of a D-PoDL prover.

Notation (security.md §1, scheme.md §2):
    acc_i(t)    accuracy of run i at look t = e, 2e, ...     ``curves.accuracy``
    L_i(t)      1{acc_i(t) ≥ T_acc}: is the look a ticket?
    p_1, p_2    success probabilities of pre- and post-hash  ``lottery.p_1, .p_2``
    P           pre-hash time, Geometric(p_1) hashes
    K           training time from initM to the passing ticket
    c_i         cost of one step of run i, in units of time  ``step_costs``

Retry policies after a failed ticket:
    continue    X = P + K, Pr[K > t] = mean_i Π_{s ≤ t} (1 − p_2 L_i(s))
    restart     a new nonce and model each time: X = Σ (P_j + first passage_j), the
                number of attempts geometric with p_2
A run that has not reached T_acc after ``abandon_steps`` is given up for a new nonce
(another Σ term); without such a rule it stays *censored* and the law's mass behind
the horizon is unknown.

The lottery is integrated out; only the training is sampled. Behind the horizon a run
that has reached T_acc keeps drawing tickets at its plateau rate. The share of the
last quarter of its looks above T_acc is the central rate, 1 the fastest defensible
one, the smaller of that share and the share since the first passage the slowest.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import fft, stats

from ..models.curves import CurveSet
from .block_time import HAZARD_CAP, KNOTS, BlockTimeLaw, Real, fastest_of, mean
from .estimate import Refused

Plateau = Literal["central", "slowest", "fastest"]

# The table reaches this many horizons where the looks are few enough, and never less
# than two; behind it the hazard is constant.
_TABLE_HORIZONS = 8
MAXIMUM_LOOKS = KNOTS // 2
_MINIMUM_REACHED = 5
# Share of the mean behind the table, and difference of hazards, that do not matter.
_BEHIND, _DIFFER = 0.01, 0.05


class Lottery(NamedTuple):
    """The scheme's parameters as probabilities and times.

    Attributes:
        t_acc: T_acc in (0, 1].
        p_1: Pre-hash success probability in (0, 1].
        p_2: Post-hash success probability in (0, 1].
        hashes_per_step: Hashes a prover does in one unit of time.
        retry: ``continue`` or ``restart`` after a failed ticket.
        abandon_steps: Steps, whole looks, after which a model below T_acc is given up;
            None: never.
    """

    t_acc: float
    p_1: float
    p_2: float
    hashes_per_step: float
    retry: Literal["continue", "restart"] = "continue"
    abandon_steps: int | None = None


class EmpiricalLaw(NamedTuple):
    """A law with what it rests on.

    Attributes:
        law: With the central plateau rates.
        slowest: With the slowest defensible behaviour behind the horizon.
        fastest: With the fastest.
        runs: Training runs behind it.
        reached: Runs that reached T_acc within the horizon and before abandonment.
        known_until: Time behind which runs are extrapolated, not observed.
    """

    law: BlockTimeLaw
    slowest: BlockTimeLaw
    fastest: BlockTimeLaw
    runs: int
    reached: int
    known_until: float


class _Attempts(NamedTuple):
    """Training of one attempt, averaged over runs.

    Attributes:
        success: Mass of ending with a block, by grid cell.
        retry: Mass of ending with the need for a new nonce, by grid cell.
        never: Mass that does neither, ever.
        success_total: All mass of success, behind the grid too.
        duration: Mean length of an attempt, in cells.
    """

    success: Float[np.ndarray, " knots"]
    retry: Float[np.ndarray, " knots"]
    never: float
    success_total: float
    duration: float


def empirical_law(
    curves: CurveSet, lottery: Lottery, *, step_costs: np.ndarray | None = None
) -> EmpiricalLaw:
    """The block-time law of one prover, from learning curves.

    Args:
        curves: Learning curves of independent runs.
        lottery: T_acc, p_1, p_2, hash rate, retry policy.
        step_costs: c_i, time of a step of run i; None: all 1, time in steps. One grid
            serves all runs: times are good to 8 horizons of the costliest over 8192.

    Returns:
        The law with its bracket and counts.

    Raises:
        ValueError: If a parameter is out of its range.
        Refused: If fewer than 5 runs reached T_acc before the horizon or abandonment;
            says what the runs did reach.

    Reference: security.md §1; SLT23 §3.2.
    """
    _check(lottery, curves)
    reached = _require_reached(curves, lottery.t_acc, lottery.abandon_steps)
    costs = run_costs(curves, step_costs)
    laws = {
        plateau: _law(curves.accuracy, lottery, curves, costs, plateau)
        for plateau in ("central", "slowest", "fastest")
    }
    return EmpiricalLaw(
        law=laws["central"],
        slowest=laws["slowest"],
        fastest=laws["fastest"],
        runs=len(reached),
        reached=int(reached.sum()),
        known_until=float(curves.steps[-1] * costs.min()),
    )


def bootstrap_laws(
    seed: int,
    curves: CurveSet,
    lottery: Lottery,
    count: int,
    *,
    step_costs: np.ndarray | None = None,
) -> list[BlockTimeLaw]:
    """Laws of resampled training runs: the sampling error of the training.

    Runs are drawn with replacement, which carries the variance of everything that
    differs between runs. Where a look scored a sample of the training set, each drawn
    run's accuracies are also shifted by one normal error of that sample's
    standard deviation at T_acc, √(T_acc(1−T_acc)/m · (N−m)/(N−1)).

    Args:
        seed: Fixes the draws.
        curves: The curves to resample.
        lottery: As for ``empirical_law``.
        count: Number of laws.
        step_costs: As for ``empirical_law``.

    Raises:
        As ``empirical_law``.
    """
    _check(lottery, curves)
    _require_reached(curves, lottery.t_acc, lottery.abandon_steps)
    generator = np.random.default_rng(seed)
    runs = len(curves.initializations)
    noise = accuracy_error(curves, lottery.t_acc)
    costs = run_costs(curves, step_costs)
    laws = []
    for _ in range(count):
        drawn = generator.integers(runs, size=runs)
        shift = noise * generator.standard_normal((runs, 1))
        accuracy = curves.accuracy[drawn] + shift
        laws.append(_law(accuracy, lottery, curves, costs[drawn], "central"))
    return laws


def accuracy_error(curves: CurveSet, accuracy: float) -> float:
    """Standard error of a look's accuracy: sampling m of N without replacement."""
    m, population = curves.eval_samples, curves.population
    if m >= population:
        return 0.0
    variance = accuracy * (1 - accuracy) / m
    return float(np.sqrt(variance * (population - m) / (population - 1)))


def first_passage(curves: CurveSet, t_acc: float):
    """Kaplan–Meier estimate of the steps to T_acc; runs below it are right-censored.

    Returns:
        ``scipy.stats.ecdf`` result: ``.sf.evaluate(t)``, ``.sf.confidence_interval()``.

    Raises:
        Refused: As ``empirical_law``.
    """
    above = curves.accuracy >= t_acc
    reached = _require_reached(curves, t_acc)
    steps = curves.steps[np.argmax(above, axis=1)].astype(float)
    horizon = np.full(int((~reached).sum()), float(curves.steps[-1]))
    return stats.ecdf(stats.CensoredData(steps[reached], right=horizon))


def interval_bracket(law: EmpiricalLaw, provers: int) -> tuple[float, float]:
    """Mean time of the fastest of n under the two defensible extrapolations.

    Raises:
        Refused: If they differ by more than 10 % of the central mean: the runs are
            too short for this T_acc, T_2 and n; or as ``require_shape``.
    """
    low = mean(fastest_of(law.fastest, provers))
    high = mean(fastest_of(law.slowest, provers))
    centre = mean(fastest_of(law.law, provers))
    require_shape(law.law, provers)
    # Where a run may never end, high is infinite, and so may the centre be.
    if not (math.isfinite(high) and high - low <= 0.1 * centre):
        raise Refused(
            f"mean block time of the fastest of {provers}: between {low:.4g} and "
            f"{high:.4g}, depending on what training does behind the horizon; "
            "horizon_steps must be longer (or t_acc lower, or abandon_steps set)"
        )
    return low, high


def require_shape(law: BlockTimeLaw, provers: Real) -> None:
    """Refuse a law whose tail decides, where the tail is not what the table ends with.

    Args:
        law: Block-time law of one prover.
        provers: n > 0, of the smaller group that races.

    Raises:
        Refused: If more than 1 % of the mean lies behind the table, and the hazards
            differ by more than 5 %.
    """
    knots, hazard = np.asarray(law.cumulative_hazard), float(law.tail_hazard)
    if hazard <= 0:
        return
    behind = math.exp(-provers * float(knots[-1])) / (provers * hazard)
    part = len(knots) // 8
    ends_with = float(knots[-1] - knots[-1 - part]) / (part * float(law.spacing))
    differ = abs(ends_with / hazard - 1)
    if behind > _BEHIND * mean(fastest_of(law, provers)) and differ > _DIFFER:
        length = float(law.spacing) * (len(knots) - 1)
        raise Refused(
            f"the law: behind {length:.4g} steps, where many blocks come, its hazard "
            "is not yet constant; horizon_steps must be longer, or t_1 or t_2 larger"
        )


def _law(accuracy, lottery, curves, costs, plateau: Plateau) -> BlockTimeLaw:
    looks = accuracy.shape[1]
    check_every = float(curves.steps[0])
    # A lattice law keeps ties; it needs one look spacing and no pre-hash lottery.
    lattice = bool(np.all(costs == costs[0])) and lottery.p_1 == 1.0
    look = check_every * float(costs.max())
    cells = 1 if lattice else max(1, KNOTS // (_TABLE_HORIZONS * looks))
    spacing = look / cells
    if not lattice:
        # Behind the table the hazard is constant. It still rises where hashing and
        # waiting for a ticket both go on: the table must be longer than the shorter.
        hashing = 1.0 / (lottery.p_1 * lottery.hashes_per_step)
        both = min(hashing, look / lottery.p_2)
        spacing = max(spacing, _TABLE_HORIZONS * both / KNOTS)
    look_cells = costs * check_every / spacing
    attempts = attempts_of(accuracy, lottery, check_every, look_cells, plateau)
    return _table(attempts, lottery, spacing, lattice)


def run_costs(
    curves: CurveSet, step_costs: np.ndarray | None
) -> Float[np.ndarray, " runs"]:
    """c_i of each run; 1 where none are given."""
    runs = len(curves.initializations)
    if step_costs is None:
        return np.ones(runs)
    costs = np.asarray(step_costs, float)
    if costs.shape != (runs,) or not (costs > 0).all():
        raise ValueError(f"step_costs must be {runs} numbers > 0, got {step_costs}")
    return costs


def attempts_of(accuracy, lottery, check_every, look_cells, plateau) -> _Attempts:
    """What one attempt of each run comes to, look by look and behind the horizon."""
    runs, looks = accuracy.shape
    tickets = accuracy >= lottery.t_acc
    reached = tickets.any(axis=1)
    first = np.argmax(tickets, axis=1)
    rate = _plateau_rates(tickets, reached, first, plateau)
    given_up = looks
    if lottery.abandon_steps is not None:
        given_up = int(lottery.abandon_steps // check_every)
        reached = reached & (first < given_up)
        tickets = tickets & reached[:, None]
    elif plateau == "fastest":
        # The most that a run below T_acc can do: be above it from the next look on.
        rate = np.where(reached, rate, 1.0)

    # Under `restart` an attempt ends at its first look above T_acc, with a block or
    # without one; under `continue` it ends with its block.
    restart = lottery.retry == "restart"
    ending, winning = (1.0, lottery.p_2) if restart else (lottery.p_2, 1.0)
    draw = ending * tickets
    spent = np.concatenate([np.ones((runs, 1)), np.cumprod(1.0 - draw, axis=1)], axis=1)
    ends = spent[:, :-1] * draw
    fails = (1.0 - winning) * ends
    if lottery.abandon_steps is not None:
        # Given up at the look `given_up`: the attempt ends there in a new nonce.
        fails[~reached, given_up - 1] = 1.0
        spent[~reached, given_up:] = 0.0

    # Behind the last look the ends are geometric: mean remaining looks 1/per_look.
    left, per_look = spent[:, -1], ending * rate
    goes_on = (left > 0) & (per_look > 0)
    late = _late_ends(left[goes_on], per_look[goes_on], look_cells[goes_on], looks)
    looks_done = spent[:, :-1].sum(axis=1)
    looks_done[goes_on] += left[goes_on] / per_look[goes_on]
    places = look_cells[:, None] * np.arange(1, looks + 1)
    return _Attempts(
        success=winning * (_onto_grid(places, ends) + late) / runs,
        retry=(_onto_grid(places, fails) + (1.0 - winning) * late) / runs,
        never=float(left[~goes_on].sum() / runs),
        success_total=float(winning * (ends.sum() + left[goes_on].sum()) / runs),
        duration=float((look_cells * looks_done).sum() / runs),
    )


def _onto_grid(places: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Mass at its place in cells, shared by the two knots around it: mean kept."""
    # Never at knot 0: an attempt takes time, even where it is less than a cell.
    low = np.maximum(np.floor(places + 1e-9), 1.0)
    share = np.clip(places - low, 0.0, 1.0)
    keep = low < KNOTS
    knot, share, mass = low[keep].astype(int), share[keep], mass[keep]
    grid = np.bincount(knot, mass * (1.0 - share), KNOTS + 1)
    return (grid + np.bincount(knot + 1, mass * share, KNOTS + 1))[:KNOTS]


def _late_ends(left, per_look, look_cells, looks: int) -> np.ndarray:
    """Ends behind the last look, on the grid as by ``_onto_grid``, summed over runs.

    There may be millions of looks where one is much cheaper than another, so the
    looks of a cell are summed in closed form: shared between the knots, the
    mass up to knot k is 1 − ∫_k^{k+1} S with S a geometric staircase.
    """
    total = np.zeros(KNOTS)
    knots = np.arange(KNOTS + 1.0)
    for cells in np.unique(look_cells):
        mine = look_cells == cells
        hit, which = np.unique(per_look[mine], return_inverse=True)
        mass = np.bincount(which, left[mine])
        done = np.maximum(np.floor(knots / cells + 1e-9) - looks, 0.0)
        here, after = done[:-1], done[1:]
        # Whole looks between a knot's first and its last: none where looks are longer.
        until = np.maximum(after - 1.0, here)
        count, place = np.arange(done[-1] + 1.0), np.array([here, after, until], int)
        if done[-1] > KNOTS:
            count, place = np.unique([here, after, until], return_inverse=True)
        alive = np.exp(count * np.log1p(-np.minimum(hit, 1.0 - 1e-16))[:, None])
        left_here, left_after, _ = (mass @ alive)[place]
        late, _, later = ((mass * (1.0 - hit) / hit) @ alive)[place]
        before_next = cells * (looks + here + 1.0) - knots[:-1]
        behind_last = knots[1:] - cells * (looks + after)
        stairs = before_next * left_here + cells * (late - later)
        stairs += behind_last * left_after
        total += mass.sum() - np.where(after > here, stairs, left_here)
    return np.maximum(np.diff(total, prepend=0.0), 0.0)


def _table(attempts: _Attempts, lottery: Lottery, spacing, lattice) -> BlockTimeLaw:
    """X = Σ over failed attempts (P + K) + the last P + K, as a table of Λ.

    CDF = U ∗ success ∗ F_P with U = Σ_j (p_P ∗ retry)^{∗j}; the tail hazard is the
    one that makes E[X] exact (Wald: E[X] = E[attempt] / Pr[attempt succeeds]).
    """
    hash_time = 1.0 / lottery.hashes_per_step
    # A table spreads an atom over the cell before its knot, half a cell too early on
    # average: a knot holds the CDF half a cell later, and dead time shifts it back.
    grid = spacing * (np.arange(KNOTS) + (0.0 if lattice else 0.5))
    prehash_cdf = np.ones(KNOTS)
    if lottery.p_1 < 1:
        misses = np.floor(grid / hash_time + 1e-9) + 1
        prehash_cdf = -np.expm1(misses * np.log1p(-lottery.p_1))
    prehash_mass = prehash_masses(lottery.p_1, hash_time, spacing)
    renewals = renewals_of(convolve(prehash_mass, attempts.retry))
    trained = convolve(renewals, attempts.success)
    cdf = convolve(trained, prehash_cdf)
    # The transform's rounding must not put a block before the first possible one.
    cdf[: np.argmax(attempts.success > 1e-12)] = 0.0
    alive = 1.0 - np.minimum(np.maximum.accumulate(np.clip(cdf, 0.0, 1.0)), 1.0)
    hazard = np.minimum(-np.log(np.maximum(alive, np.exp(-HAZARD_CAP))), HAZARD_CAP)
    law = BlockTimeLaw(hazard, spacing, 0.0, hash_time, lattice)
    if attempts.never > 0 or attempts.success_total == 0:
        return law
    attempt = hash_time / lottery.p_1 + spacing * attempts.duration
    exact = attempt / attempts.success_total
    # ∫ S on the table without the interpolation: end − Σ trained · E[(end − a − P)⁺].
    excess = prehash_excess(lottery.p_1, hash_time, grid + hash_time)
    spared = grid - hash_time * (1.0 / lottery.p_1 - 1.0) + excess
    on_table = grid[-1] - float(trained @ spared[::-1])
    law = law._replace(tail_hazard=_tail_hazard(law, exact - hash_time - on_table))
    if lattice:
        return law
    # About half a cell, and so much that E[X] is exact.
    return law._replace(offset=hash_time + exact - mean(law))


def _tail_hazard(law: BlockTimeLaw, rest: float) -> float:
    """The constant hazard behind the table for which ∫ S there is ``rest``."""
    alive = float(np.exp(-law.cumulative_hazard[-1]))
    length = float(law.spacing * (KNOTS - 1))
    if rest <= 1e-9 * length:
        # Nothing worth extrapolating, only rounding: the average hazard so far.
        return float(law.cumulative_hazard[-1]) / length
    if law.lattice:
        gone = min(law.spacing * alive / rest, 1 - 1e-12)
        return float(-np.log1p(-gone) / law.spacing)
    return float(alive / rest)


def renewals_of(lost: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Σ_j lost^{∗j} on the grid, by doubling: Π_i (δ + lost^{∗2^i})."""
    total = np.zeros_like(lost)
    total[0] = 1.0
    power = lost
    # An attempt takes at least a cell, so 2^13 of them leave the table.
    while power.sum() > 1e-15:
        spectrum = _spectrum(power)
        total = total + _of_spectrum(_spectrum(total) * spectrum)
        power = _of_spectrum(spectrum * spectrum)
    return total


def convolve(
    a: Float[np.ndarray, " knots"], b: Float[np.ndarray, " knots"]
) -> Float[np.ndarray, " knots"]:
    """The law of a sum on the grid; what leaves the table is dropped."""
    if not a.any() or not b.any():
        return np.zeros_like(a)
    return _of_spectrum(_spectrum(a) * _spectrum(b))


def _spectrum(mass: Float[np.ndarray, " knots"]) -> np.ndarray:
    """Padded so that a product of two wraps nothing into the table."""
    return np.asarray(fft.rfft(mass, 2 * KNOTS))


def _of_spectrum(spectrum: np.ndarray) -> Float[np.ndarray, " knots"]:
    return np.maximum(np.asarray(fft.irfft(spectrum, 2 * KNOTS))[:KNOTS], 0.0)


def prehash_masses(p_1: float, hash_time: float, spacing: float) -> np.ndarray:
    """Masses of P on the grid that keep its mean (second differences of E[(P−x)⁺])."""
    excess = prehash_excess(p_1, hash_time, spacing * np.arange(KNOTS + 1))
    excess = np.concatenate([excess[:1] + spacing, excess])
    return np.maximum(np.diff(excess, 2) / spacing, 0.0)


def prehash_excess(p_1: float, hash_time: float, x: np.ndarray) -> np.ndarray:
    """E[(P−x)⁺] for x ≥ 0."""
    hashes = x / hash_time
    k = np.floor(hashes)
    missed = np.exp(k * np.log1p(-p_1)) if p_1 < 1 else np.where(k == 0, 1.0, 0.0)
    return hash_time * missed * (1.0 / p_1 - (hashes - k))


def _plateau_rates(tickets, reached, first, plateau: Plateau) -> np.ndarray:
    runs, looks = tickets.shape
    last_quarter = tickets[:, -max(1, looks // 4) :].mean(axis=1)
    since = tickets.sum(axis=1) / (looks - first)
    if plateau == "fastest":
        rate = np.ones(runs)
    elif plateau == "slowest":
        rate = np.minimum(last_quarter, since)
    else:
        rate = last_quarter
    # A run that passed once and fell back still draws now and then: one look in all
    # of those since its passage is the least it has shown.
    rate = np.where(rate > 0, rate, 1.0 / (looks - first))
    return np.where(reached, rate, 0.0)


def _require_reached(
    curves: CurveSet, t_acc: float, abandon_steps: int | None = None
) -> np.ndarray:
    accuracy, when = curves.accuracy, "within the horizon"
    if abandon_steps is not None:
        accuracy = accuracy[:, curves.steps <= abandon_steps]
        when = f"before abandon_steps = {abandon_steps}"
    best = accuracy.max(axis=1)
    reached = best >= t_acc
    if reached.sum() < _MINIMUM_REACHED:
        half, tenth, top = np.quantile(best, [0.5, 0.9, 1.0])
        raise Refused(
            f"t_acc = {t_acc:g}: {int(reached.sum())} of {len(best)} runs reached it "
            f"{when}, at least {_MINIMUM_REACHED} are needed. Half of the "
            f"runs reached {half:.4f}, a tenth {tenth:.4f}, the best {top:.4f}: lower "
            "t_acc, train longer (horizon_steps, abandon_steps), or choose a faster "
            "menu"
        )
    return reached


def _check(lottery: Lottery, curves: CurveSet) -> None:
    for name in ("t_acc", "p_1", "p_2"):
        value = getattr(lottery, name)
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be in (0, 1], got {value}")
    if not 0 < lottery.hashes_per_step < math.inf:
        raise ValueError(
            f"hashes_per_step must be > 0 and finite, got {lottery.hashes_per_step}"
        )
    horizon, check_every = int(curves.steps[-1]), int(curves.steps[0])
    if len(curves.steps) > MAXIMUM_LOOKS:
        raise ValueError(
            f"a run may have at most {MAXIMUM_LOOKS} looks, so that its horizon fits "
            f"the law's table twice, got {len(curves.steps)}: raise check_every"
        )
    abandon = lottery.abandon_steps
    if abandon is not None and (
        not check_every <= abandon <= horizon or abandon % check_every
    ):
        raise ValueError(
            f"abandon_steps must be a multiple of check_every = {check_every} up to "
            f"the horizon = {horizon}, got {abandon}"
        )
    if lottery.retry not in ("continue", "restart"):
        raise ValueError(
            f"retry must be 'continue' or 'restart', got {lottery.retry!r}"
        )
