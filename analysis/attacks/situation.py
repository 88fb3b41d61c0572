"""The situation of an attack: a network, the scheme's numbers, and the evidence.

Everything an attack's laws come from is in one value, so that a bootstrap is a function
from situations to situations and every attack is measured anew under each resample.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ...models.learning.curves import CurveSet
from ...models.scheme.branching import Branches
from ..block_time.empirical import EmpiricalLaw, Lottery, accuracy_error, empirical_law
from ..block_time.uncertain import UncertainLaw


class Situation(NamedTuple):
    """A network under the scheme, with the evidence its laws come from.

    Attributes:
        curves: Learning curves of fresh runs.
        lottery: T_acc, p_1, p_2, hash rate, retry policy.
        provers: n.
        beta: β; βn is whole.
        delay_steps: Δ.
        runs: Which original run each curve is (a resample repeats some).
        step_costs: c_i of each run; None: all 1.
        warm: Measured warm starts from models of accuracy ≥ T_acc, a block's; None:
            such a model is taken to stay above T_acc at every look.
        mtx: Measured warm starts from models below T_acc, an mtx's; None: not known.
        s_min: S_min.
        checkpoint_every: Steps of a segment, whole looks; None: one look.
        challenges: q.
        beyond: What training does beyond the horizon, of what is defensible.
    """

    curves: CurveSet
    lottery: Lottery
    provers: int
    beta: float
    delay_steps: float
    runs: Int[np.ndarray, " runs"]
    step_costs: Float[np.ndarray, " runs"] | None = None
    warm: Branches | None = None
    mtx: Branches | None = None
    s_min: int = 0
    checkpoint_every: int | None = None
    challenges: int = 2
    beyond: Literal["central", "slowest", "fastest"] = "central"

    @property
    def adversarial(self) -> int:
        """n_a = βn."""
        return round(self.beta * self.provers)

    @property
    def honest(self) -> int:
        """n_h = n − n_a."""
        return self.provers - self.adversarial

    @property
    def check_every(self) -> int:
        """Steps between two looks."""
        return int(self.curves.steps[0])


class LawSituation(NamedTuple):
    """A network under a law of which nothing else is known: no curves, no lottery.

    Attributes:
        known: The law of a whole attempt, of every prover.
        provers: n.
        beta: β; βn is whole.
        delay_steps: Δ.
        check_every: Steps a round.
    """

    known: EmpiricalLaw
    provers: int
    beta: float
    delay_steps: float
    check_every: int

    @property
    def adversarial(self) -> int:
        """n_a = βn."""
        return round(self.beta * self.provers)

    @property
    def honest(self) -> int:
        """n_h = n − n_a."""
        return self.provers - self.adversarial


def law_situations(
    law: UncertainLaw,
    *,
    provers: int,
    beta: float,
    delay_steps: float,
    round_steps: int,
) -> list[LawSituation]:
    """The situation under a law of times or of a formula, then under each resample.

    Args:
        law: Of a whole attempt of one prover.
        provers: n.
        beta: β.
        delay_steps: Δ.
        round_steps: Steps a round.

    Raises:
        ValueError: As ``situation_of``.
    """
    _check_share(provers, beta)
    slowest, fastest = law.extremes or (law.law, law.law)
    central = EmpiricalLaw(
        law.law,
        slowest,
        fastest,
        law.runs,
        law.reached,
        law.known_until,
        law.late_hazard,
    )
    at = LawSituation(central, provers, beta, delay_steps, round_steps)
    return [
        at,
        *(at._replace(known=central._replace(law=each)) for each in law.resamples),
    ]


def situation_of(
    curves: CurveSet,
    lottery: Lottery,
    *,
    provers: int,
    beta: float,
    delay_steps: float,
    step_costs: np.ndarray | None = None,
    **others,
) -> Situation:
    """The situation with all runs.

    Raises:
        ValueError: If β is not in (0, 1) or βn is not a whole number ≥ 1.
    """
    _check_share(provers, beta)
    runs = np.arange(len(curves.initializations))
    return Situation(
        curves, lottery, provers, beta, delay_steps, runs, step_costs, **others
    )


def _check_share(provers: int, beta: float) -> None:
    adversarial = round(beta * provers)
    if not (0 < beta < 1 and adversarial and abs(adversarial - beta * provers) < 1e-6):
        raise ValueError(
            f"beta × provers must be a whole number from 1 to {provers - 1}, got "
            f"{beta:g} × {provers}"
        )


def resampled(base: Situation, seed: int) -> Situation:
    """The situation with its runs drawn again, with replacement.

    As ``empirical.bootstrap_laws``: a drawn run's accuracies are also shifted by one
    error of the evaluation sample. Warm starts are drawn by the run they come from,
    all branches of a run together, independently of the fresh runs.
    """
    generator = np.random.default_rng(seed)
    count = len(base.runs)
    drawn = generator.integers(count, size=count)
    shift = _shift(generator, base.curves, base.lottery.t_acc, count)
    again = base._replace(
        curves=selected(base.curves, drawn, shift),
        runs=base.runs[drawn],
        step_costs=None if base.step_costs is None else base.step_costs[drawn],
    )
    return again._replace(
        warm=_resampled_branches(base.warm, generator, base.lottery.t_acc),
        mtx=_resampled_branches(base.mtx, generator, base.lottery.t_acc),
    )


def resamples(base: Situation, seed: int, count: int) -> Iterator[Situation]:
    """Situations whose b-th one has the runs of the b-th law of ``bootstrap_laws``.

    Warm starts are drawn as in ``resampled``, from draws of their own.
    """
    generator = np.random.default_rng(seed)
    branches = np.random.default_rng([seed, 1])
    runs, t_acc = len(base.runs), base.lottery.t_acc
    error = accuracy_error(base.curves, t_acc) * base.curves.eval_samples
    for _ in range(count):
        drawn = generator.integers(runs, size=runs)
        shift = error * generator.standard_normal((runs, 1))
        costs = base.step_costs
        yield base._replace(
            curves=selected(base.curves, drawn, shift),
            runs=base.runs[drawn],
            step_costs=None if costs is None else costs[drawn],
            warm=_resampled_branches(base.warm, branches, t_acc),
            mtx=_resampled_branches(base.mtx, branches, t_acc),
        )


def extreme(base: Situation) -> tuple[Situation, Situation]:
    """The situation under the slowest and the fastest behaviour beyond the horizon."""
    return base._replace(beyond="slowest"), base._replace(beyond="fastest")


def ticketed(curves: CurveSet, due: np.ndarray) -> CurveSet:
    """Curves whose looks before ``due`` steps (one number a run) are no tickets."""
    counted = curves.steps[None, :] >= np.asarray(due)[:, None]
    return curves._replace(correct=np.where(counted, curves.correct, 0))


def plain(at: Situation | LawSituation) -> EmpiricalLaw:
    """X: a fresh model for each block, S_min steps at least; or the law that is known.

    Raises:
        Refused: If the runs cannot support a law, or none may make a block.
    """
    if isinstance(at, LawSituation):
        return at.known
    due = np.full(len(at.runs), at.s_min)
    return law_in(at, ticketed(at.curves, due), at.lottery, at.step_costs)


def law_in(
    at: Situation, curves: CurveSet, lottery: Lottery, step_costs: np.ndarray | None
) -> EmpiricalLaw:
    """``empirical_law``, its law the one of the situation's ``beyond``."""
    found = empirical_law(curves, lottery, step_costs=step_costs)
    if at.beyond == "central":
        return found
    return found._replace(law=getattr(found, at.beyond))


def selected(
    curves: CurveSet, rows: np.ndarray, shift: np.ndarray | None = None
) -> CurveSet:
    """Some of the curves, counts shifted by so many examples (one number a row)."""
    correct = curves.correct[rows]
    if shift is not None:
        correct = correct + np.rint(shift).astype(correct.dtype)
    return curves._replace(
        initializations=tuple(curves.initializations[i] for i in rows),
        correct=correct,
        loss=curves.loss[rows],
        step_costs=None if curves.step_costs is None else curves.step_costs[rows],
        logged=None if curves.logged is None else curves.logged[rows],
    )


def _resampled_branches(warm: Branches | None, generator, t_acc) -> Branches | None:
    if warm is None:
        return None
    origins = np.unique(warm.origins)
    chosen = generator.choice(origins, size=len(origins))
    rows = np.concatenate([np.flatnonzero(warm.origins == each) for each in chosen])
    return warm._replace(
        curves=selected(
            warm.curves, rows, _shift(generator, warm.curves, t_acc, len(rows))
        ),
        origins=warm.origins[rows],
        reference_steps=warm.reference_steps[rows],
        reference_correct=warm.reference_correct[rows],
    )


def _shift(generator, curves: CurveSet, t_acc: float, rows: int) -> np.ndarray | None:
    error = accuracy_error(curves, t_acc) * curves.eval_samples
    return error * generator.standard_normal((rows, 1)) if error else None
