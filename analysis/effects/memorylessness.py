"""What a law that is not memoryless does to a chain, measured at each p_2.

Notation (time unit: one training step of a unit-speed prover)

| symbol | name here | meaning |
|---|---|---|
| p_2 | `p_2` | post-hash success probability, swept |
| n, n_h | `provers`, `honest` | all provers; honest ones |
| X, S(x) | `law` | block time of one prover; Pr[X > x] |
| s | `speed` | speed of a machine, in unit provers |
| Δ | `delay_steps` | bound on message delay |
| β* | `threshold` | share at which E[A] = E[H] + Δ (race/threshold.py) |

Sources: β*, race/threshold.py; the share of a fast machine, agreement/named_race.py;
forks of memoryless provers, below. Saved and pooled work: delay_equivalence.py.

Every number is a function of one law (or of laws from the same runs). Its error is the
spread of that function over laws of resampled runs, and what the slowest and the
fastest defensible behaviour beyond the horizon make of it (``training_error.py``).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Key

from ...models.learning.curves import CurveSet
from ..block_time.empirical import Lottery
from ..block_time.law import BlockTimeLaw, cv, exponential, fastest_of, mean, survival
from ..block_time.uncertain import UncertainLaw, measured, uncertain_law
from ..bounds.delays import security_threshold
from ..estimation.estimate import Estimate, Refused, estimate_ratio, standard_error
from ..estimation.training_error import UNKNOWN, Basis, Scale, few_runs
from ..race.threshold import race_threshold
from ..simulation.levels import Network, simulate

Real = float | int
Swept = Mapping[float, UncertainLaw]
"""Laws of the same runs by p_2."""


class Row(NamedTuple):
    """A number of an effect.

    Attributes:
        quantity: What it is.
        speed: s; NaN where there is no machine.
        at: p_2.
        value: The number.
        low: Lower end of its 95 % interval.
        high: Upper end.
        se: Half the interval over 1.96.
        count: Resampled laws behind the interval.
        method: How value and interval were obtained.
        runs_effective: Training runs that it rests on in effect (``Basis.runs``); NaN
            where none are behind it.
        warning: What to say where these are few.
    """

    quantity: str
    speed: float
    at: float
    value: float
    low: float
    high: float
    se: float
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    method: str
    runs_effective: float = math.nan
    warning: str = ""


def swept_laws(
    curves: CurveSet,
    lottery: Lottery,
    p_2s: Sequence[Real],
    *,
    provers: int,
    seed: int,
    resamples: int,
    step_costs: np.ndarray | None = None,
) -> tuple[dict[float, UncertainLaw], dict[float, str]]:
    """The law at each p_2, from the same runs and the same resamples of them.

    Args:
        curves: Learning curves.
        lottery: All but p_2.
        p_2s: p_2, each in (0, 1].
        provers: n_h whose fastest must be known (``interval_bracket``).
        seed: Fixes the resamples.
        resamples: Their number.
        step_costs: As ``empirical_law``.

    Returns:
        The laws, and the reason for every p_2 that is left out.
    """
    found, refused = {}, {}
    for p_2 in map(float, p_2s):
        try:
            found[p_2] = uncertain_law(
                seed,
                curves,
                lottery._replace(p_2=p_2),
                resamples,
                step_costs=step_costs,
                known_for=[provers],
            )
        except Refused as refusal:
            refused[p_2] = str(refusal)
    return found, refused


def finite(
    figure: Callable[..., float],
    *laws: UncertainLaw,
    scale: Scale = "log",
    basis: Basis = UNKNOWN,
) -> Estimate:
    """``uncertain.measured`` of a number that must be finite.

    Raises:
        Refused: If the number is not finite or is refused for the law of all runs.
    """
    found = measured(figure, *laws, scale=scale, basis=basis)
    if not math.isfinite(found.value):
        raise Refused(
            f"effects: the number is {found.value}, some block time has no end; set "
            "abandon_steps or lengthen the horizon"
        )
    return found


def memorylessness(
    laws: Swept, *, provers: int, honest: int, delay_share: Real = 0.1
) -> list[Row]:
    """CV of one prover and of the network, and β* beside that of memoryless provers.

    ``cv_network`` is that of the fastest of n_h: its ratio to the memoryless 1. Δ is a
    share of the mean interval of all n provers, so that the memoryless β* is the
    same at every p_2; ``margin_lost`` is that one less the law's.
    """

    def share(law: BlockTimeLaw) -> float:
        delay = delay_share * mean(fastest_of(law, provers))
        return race_threshold(law, provers=provers, delay_steps=delay).beta

    memoryless = security_threshold(float(delay_share))
    one, group = (1,), (honest,)
    # Differences have a sign, and a share stays below 1. Last, who races.
    figures: list[tuple[str, Scale, Callable[..., float], tuple[int, ...]]] = [
        ("cv_prover", "log", cv, one),
        ("cv_network", "log", lambda law: cv(fastest_of(law, honest)), group),
        (
            "cv_difference",
            "linear",
            lambda law: cv(law) - cv(fastest_of(law, honest)),
            one + group,
        ),
        ("interval_mean", "log", lambda law: mean(fastest_of(law, honest)), group),
        ("threshold", "logit", share, group),
        ("margin_lost", "linear", lambda law: memoryless - share(law), group),
    ]
    rows = []
    for p_2, law in laws.items():
        for name, scale, figure, groups in figures:
            basis = law.basis(*groups)
            found = finite(figure, law, scale=scale, basis=basis)
            rows.append(row(name, found, p_2, basis=basis))
    return rows


def machine_share(law: BlockTimeLaw, *, speed: Real, units: Real) -> float:
    r"""Pr[one s× machine is before the fastest of m unit provers], Δ = 0.

        ∫ S(x)^m dF(s x),   cell by cell the mass Π(a) − Π(b) times ΔΛ_s / ΣΔΛ

    As ``named_race.domination`` for speeds (s, 1, 1, ...), with the units as one group:
    the price does not grow with m, which need not be whole.

    Raises:
        ValueError: For a lattice law (its winners tie), s ≤ 0 or m ≤ 0.
        Refused: If all provers may fail for ever.
    """
    if law.lattice:
        raise ValueError("law must not be a lattice law: its winners tie")
    if not (speed > 0 and units > 0):
        raise ValueError(f"speed and units must be > 0, got {speed} and {units}")
    knots = law.offset + law.spacing * np.arange(len(law.cumulative_hazard))
    times = np.unique(np.concatenate([[0.0], knots / speed, knots]))
    fast, slow = (
        -np.log(np.maximum(survival(law, v * times), 1e-300)) for v in (speed, 1)
    )
    alive = np.exp(-fast - units * slow)
    own, all_of_them = np.diff(fast), np.diff(fast + units * slow)
    part = np.divide(own, all_of_them, out=np.zeros_like(own), where=all_of_them > 0)
    left = float(alive[-1])
    # What is beyond everyone's table is below 1e-300 where the hazard is capped.
    if left > 0 and not law.tail_hazard > 0:
        raise Refused(
            "effects: nobody may ever win, since the law leaves mass that never ends; "
            "set abandon_steps or lengthen the horizon"
        )
    return float(part @ -np.diff(alive)) + left * float(speed) / (speed + units)


def fast_machine(laws: Swept, *, speeds: Sequence[Real], total: Real) -> list[Row]:
    """Block share of one s× machine against total − s unit provers, and its excess.

    ``compute_share`` is s / total; ``excess`` the block share less that;
    ``advantage`` the block share over it.

    Raises:
        ValueError: If a machine is all of the compute, or for a lattice law.
    """
    if not 0 < max(speeds) < total:
        raise ValueError(f"speeds must be in (0, total = {total}), got {list(speeds)}")
    rows = []
    for p_2, each in laws.items():
        for speed in speeds:
            compute = speed / total
            basis = each.basis(1, total - speed)

            def share(law: BlockTimeLaw, speed: Real = speed) -> float:
                return machine_share(law, speed=speed, units=total - speed)

            found = finite(share, each, scale="logit", basis=basis)
            excess = _changed(found, -compute)
            advantage = _changed(found, 0, 1 / compute)
            rows += [
                row("block_share", found, p_2, speed, basis=basis),
                row("excess", excess, p_2, speed, basis=basis),
                row("advantage", advantage, p_2, speed, basis=basis),
                row("compute_share", exactly(compute, "s / total"), p_2, speed),
            ]
    return rows


def memoryless_forks(honest: Real, delay: Real) -> float:
    r"""Forks a level of memoryless provers, delay in mean intervals of all of them.

        (n − 1)(1 − e^{−x/n}),   x = λΔ

    Each of the n − 1 others goes on with the old tip for Δ. Finders' head starts are
    left out, a share of about 1/n of it: the limit x is exact as n → ∞.
    """
    return float(-(honest - 1) * math.expm1(-delay / honest))


def restart_forks(
    key: Key[Array, ""],
    laws: Swept,
    *,
    honest: int,
    delay_share: Real = 0.1,
    levels: int = 64,
    replicas: int = 512,
) -> list[Row]:
    """Forks of the law beside those of memoryless provers of the same mean interval.

    ``forks`` is per level, ``stale_rate`` per block. The memoryless network is
    simulated once: Δ is a share of the mean interval, so only n_h matters.
    """

    def blocks_of(law: BlockTimeLaw) -> np.ndarray:
        delay = delay_share * mean(fastest_of(law, honest))
        net = Network(law, honest, 0, delay)
        levels_found = simulate(key, net, levels=levels, replicas=replicas)
        return np.asarray(levels_found.blocks, float).sum(axis=1)

    def figures(blocks: np.ndarray) -> dict[str, Estimate]:
        ones = np.full(len(blocks), float(levels))
        return {
            "forks": estimate_ratio(blocks - ones, ones, "forks a level"),
            "stale_rate": estimate_ratio(blocks - ones, blocks, "stale rate"),
        }

    plain = figures(blocks_of(exponential(1.0 / honest)))
    expected = exactly(memoryless_forks(honest, delay_share), "(n−1)(1 − e^{−x/n})")
    rows = []
    for p_2, each in laws.items():
        everyone = (each.law, *each.extremes, *each.resamples)
        # The same random numbers under every law: only the law makes the spread.
        known = {id(law): figures(blocks_of(law)) for law in everyone}
        basis = each.basis(honest)
        for name, memoryless in plain.items():
            found = each.measured(
                lambda law, known=known, name=name: known[id(law)][name],
                scale="log",
                basis=basis,
            )
            excess = _changed(found, -memoryless.value).widened(
                standard_error(memoryless), "simulated memoryless network"
            )
            rows += [
                row(name, found, p_2, basis=basis),
                row(f"{name}_memoryless", memoryless, p_2),
                row(f"{name}_excess", excess, p_2, basis=basis),
            ]
        rows.append(row("forks_closed_form", expected, p_2))
    return rows


def row(
    quantity: str,
    found: Estimate,
    p_2: Real,
    speed: Real = math.nan,
    *,
    basis: Basis = UNKNOWN,
) -> Row:
    """An estimate as a row, with the runs that it rests on."""
    return Row(
        quantity,
        float(speed),
        float(p_2),
        found.value,
        found.low,
        found.high,
        standard_error(found),
        found.count,
        found.method,
        basis.runs,
        few_runs(basis),
    )


def exactly(value: float, method: str) -> Estimate:
    """A number without error."""
    return Estimate(value, value, value, 0, method)


def _changed(found: Estimate, shift: Real, factor: Real = 1) -> Estimate:
    return found._replace(
        **{k: factor * (getattr(found, k) + shift) for k in ("value", "low", "high")}
    )
