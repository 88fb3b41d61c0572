"""Saved work as an extra network delay: warm starts, and pools on one fast machine.

Notation (race/threshold.py; time unit: one step of a unit-speed prover)

| symbol | name here | meaning |
|---|---|---|
| n, n_a | `provers`, `adversarial` | all provers; corrupted ones |
| A, H | | time between the adversary's blocks; of the fastest honest prover |
| D | `dead` | training before the first ticket: the law at p_2 = 1 |
| ρ | | share of D that is left to the adversary |
| s | `speed` | speed of the pool's machine, in unit provers |
| β* | `threshold` | share at which E[A] = E[H] + Δ |

With X = D + an exponential lottery a saving (1−ρ)D is an extra delay, and one s×
machine has ρ = 1/s of the dead time of s units. Real dead times differ from run to
run, so D is read twice: as the mean of one prover (right where the lottery is so
rare that everyone waits in it) and as that of the fastest of n_a (right where it is
not). Which one predicts β* is what is measured.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import optimize

from ..attacks.situation import Situation, plain, ticketed
from ..attacks.warm import cross_slot_new
from ..block_time.effective_runs import run_laws
from ..block_time.law import BlockTimeLaw, fastest_of, mean
from ..block_time.uncertain import UncertainLaw
from ..estimation.estimate import Refused
from ..estimation.training_error import Basis, Scale
from ..race.threshold import race_threshold
from .memorylessness import Real, Row, Swept, finite, row

Figure = Callable[..., float]


def warm_laws(
    at: Situation, others: Sequence[Situation], p_2s: Sequence[Real]
) -> tuple[dict[float, UncertainLaw], dict[float, UncertainLaw]]:
    """Honest laws and those of provers that start from an old mtx, p_2 by p_2.

    No step rule: the saving is the whole one. A corrupted prover that would be faster
    with a fresh model uses one.

    Args:
        at: The situation, with branches from an mtx.
        others: Resamples of it.
        p_2s: Each in (0, 1].

    Returns:
        Both by p_2. ``runs`` of the second are the runs that were branched from.

    Raises:
        Refused: Without branches, or if too few of them get a ticket.
    """
    fresh, warm = {}, {}
    counted = ticketed(at.curves, np.full(len(at.runs), at.s_min))
    for p_2 in map(float, p_2s):

        def of(one: Situation, p_2: float = p_2) -> tuple[BlockTimeLaw, BlockTimeLaw]:
            here = one._replace(lottery=one.lottery._replace(p_2=p_2))
            return plain(here).law, cross_slot_new(here, False, kind="mtx").adversary

        law, faster = of(at)
        spread = [of(each) for each in others]
        lottery = at.lottery._replace(p_2=p_2)
        fresh[p_2] = UncertainLaw(
            law,
            tuple(each for each, _ in spread),
            by_run=run_laws(counted, lottery, law, step_costs=at.step_costs),
        )
        warm[p_2] = UncertainLaw(
            faster,
            tuple(each for _, each in spread),
            runs=0 if at.mtx is None else len(np.unique(at.mtx.origins)),
        )
    return fresh, warm


def saving_as_delay(
    fresh: Swept,
    warm: Swept,
    dead: tuple[UncertainLaw, UncertainLaw],
    *,
    provers: int,
    adversarial: int,
    delay_steps: Real,
) -> list[Row]:
    """β* of an adversary with a head start beside β* with an extra delay (1−ρ)D.

    Two readings of the dead time: the mean of one prover (``mean``) and that of the
    fastest of n_a (``fastest``). ``difference_*`` is β* measured less β* predicted,
    ``effect`` what the saving costs, β* of equals less β* measured.

    Args:
        fresh: The honest laws.
        warm: The adversary's, at the same p_2.
        dead: Both at p_2 = 1.
        provers: n.
        adversarial: n_a at which the fastest is taken.
        delay_steps: Δ.
    """

    def with_saving(law: BlockTimeLaw, other: BlockTimeLaw) -> float:
        settings: dict[str, Any] = {"provers": provers, "delay_steps": delay_steps}
        return race_threshold(law, adversary=other, **settings).beta

    def predicted(law: BlockTimeLaw, extra: float) -> float:
        return _threshold(law, provers, lambda n: _private(law, n) - extra, delay_steps)

    group = {"mean": 1, "fastest": adversarial}
    rows = []
    for p_2, mine in fresh.items():
        every = (mine, warm[p_2], *dead)
        basis = _at_most(mine.basis(provers - adversarial, adversarial), warm[p_2].runs)

        def equals(law: BlockTimeLaw, *_: BlockTimeLaw) -> float:
            return predicted(law, 0.0)

        def measure(law: BlockTimeLaw, faster: BlockTimeLaw, *_: BlockTimeLaw) -> float:
            return with_saving(law, faster)

        rows += _comparison(p_2, every, basis, equals, measure)
        for reading, n in group.items():

            def saved(*laws: BlockTimeLaw, n: int = n) -> float:
                return _private(laws[2], n) - _private(laws[3], n)

            def prediction(*laws: BlockTimeLaw, saved=saved) -> float:
                return predicted(laws[0], saved(*laws))

            rows += _prediction(
                p_2,
                every,
                basis,
                reading,
                saved=saved,
                measure=measure,
                predicted=prediction,
            )
    return rows


def pooling(
    laws: Swept,
    dead: UncertainLaw,
    *,
    provers: int,
    adversarial: int,
    delay_steps: Real,
) -> list[Row]:
    """n_a unit provers beside one n_a× machine of equal compute, and ρ = 1/s.

    The machine's block time is X/s, the units' the fastest of s. ``extra_delay_*`` is
    (1 − 1/s)D at s = n_a; in the prediction of β* it follows s = βn.

    Raises:
        Refused: If fewer than two provers are corrupted: there is nothing to pool.
    """
    if adversarial < 2:
        raise Refused(
            f"pooling: {adversarial} corrupted provers are no pool, at least 2 are "
            "needed (network.beta, network.provers)"
        )
    rows = []
    for p_2, each in laws.items():
        every = (each, dead)
        basis = each.basis(provers - adversarial, adversarial)

        def equals(law: BlockTimeLaw, _: BlockTimeLaw) -> float:
            units: dict[str, Any] = {"provers": provers, "delay_steps": delay_steps}
            return race_threshold(law, **units).beta

        def measure(law: BlockTimeLaw, _: BlockTimeLaw) -> float:
            alone = mean(law)
            return _threshold(law, provers, lambda s: alone / s, delay_steps)

        growth: dict[str, Callable[..., float]] = {
            "growth_units": lambda law, _: 1 / _private(law, adversarial),
            "growth_machine": lambda law, _: adversarial / mean(law),
            "growth_ratio": lambda law, _: (
                adversarial * _private(law, adversarial) / mean(law)
            ),
        }
        rows += [
            row(
                name,
                finite(figure, *every, basis=basis),
                p_2,
                adversarial,
                basis=basis,
            )
            for name, figure in growth.items()
        ]
        rows += _comparison(p_2, every, basis, equals, measure)
        for reading, n in {"mean": 1, "fastest": adversarial}.items():

            def saved(_: BlockTimeLaw, first: BlockTimeLaw, n: int = n) -> float:
                return (1 - 1 / adversarial) * _private(first, n)

            def prediction(law: BlockTimeLaw, first: BlockTimeLaw, n=n) -> float:
                wait = _private(first, n)

                def private(s: float) -> float:
                    return _private(law, s) - (1 - 1 / s) * wait

                return _threshold(law, provers, private, delay_steps)

            rows += _prediction(
                p_2,
                every,
                basis,
                reading,
                saved=saved,
                measure=measure,
                predicted=prediction,
            )
    return rows


def _comparison(
    p_2: float,
    every: Sequence[UncertainLaw],
    basis: Basis,
    equals: Figure,
    measure: Figure,
) -> list[Row]:
    def effect(*laws: BlockTimeLaw) -> float:
        return equals(*laws) - measure(*laws)

    # Thresholds are shares; differences have a sign.
    figures: list[tuple[str, Figure, Scale]] = [
        ("threshold_equals", equals, "logit"),
        ("threshold", measure, "logit"),
        ("effect", effect, "linear"),
    ]
    return _rows(p_2, every, basis, figures)


def _prediction(
    p_2: float,
    every: Sequence[UncertainLaw],
    basis: Basis,
    reading: str,
    *,
    saved: Figure,
    measure: Figure,
    predicted: Figure,
) -> list[Row]:
    def difference(*laws: BlockTimeLaw) -> float:
        return measure(*laws) - predicted(*laws)

    figures: list[tuple[str, Figure, Scale]] = [
        (f"extra_delay_{reading}", saved, "log"),
        (f"threshold_delay_{reading}", predicted, "logit"),
        (f"difference_{reading}", difference, "linear"),
    ]
    return _rows(p_2, every, basis, figures)


def _rows(
    p_2: float,
    every: Sequence[UncertainLaw],
    basis: Basis,
    figures: Sequence[tuple[str, Figure, Scale]],
) -> list[Row]:
    return [
        row(name, finite(figure, *every, scale=scale, basis=basis), p_2, basis=basis)
        for name, figure, scale in figures
    ]


def _at_most(basis: Basis, runs: int) -> Basis:
    """A basis that is no better than so many runs; 0: they are not known."""
    if not runs:
        return basis
    freedom = min(basis.freedom, max(runs - 1.0, 1.0))
    return Basis(min(basis.runs, float(runs)), freedom, basis.skew)


def _private(law: BlockTimeLaw, provers: Real) -> float:
    return mean(fastest_of(law, provers))


def _threshold(
    law: BlockTimeLaw,
    provers: int,
    private: Callable[[float], float],
    delay_steps: Real,
) -> float:
    """β* where the adversary's interval is any function of its compute βn."""

    def drift(beta: float) -> float:
        honest = _private(law, (1 - beta) * provers)
        return private(beta * provers) - honest - float(delay_steps)

    low, high = 1e-6 / provers, 1 - 1e-6 / provers
    if not drift(low) > 0 > drift(high):
        raise Refused(
            f"threshold: the drift has no root, it is {drift(low):g} steps a level "
            f"almost without adversary and {drift(high):g} almost without honest "
            "provers; a shorter delay_steps may help where the first is not positive"
        )
    return float(optimize.brentq(drift, low, high, xtol=1e-12))  # pyright: ignore
