"""Calibration: which (T_acc, T_1, T_2, S_min) meet targets, and how near others come.

Notation (SLT23 §3.2 for the scheme)
    T_acc, p_1, p_2, S_min      what is chosen                  ``Choice``
    E[C]                        mean interval (work_cycle.py)   ``interval``
    β*                          largest share the private race is safe from ``beta``
    k*(ε)                       confirmations for risk ε        ``depth``
    q, c                        drawn segments, steps of each   ``Terms``

E[C] falls in p_1, so that for every (T_acc, p_2, S_min) one p_1 gives the interval that
is asked for: a root, not a scan. S_min counts as in the ledger: no look before S_min
steps is a ticket, for an honest prover with a fresh model; the adversary of
``beta_warm`` refers to its last block's model, which is above T_acc at every look, and
owes what ``attacks.warm.step_debt`` leaves.

k* is estimated by a saddle point (``race/saddle_point.py``), which costs milliseconds,
and found on the grid (``race/fourier.py``) for the settings that are shown. Intervals
join the spread over resampled trainings and the two defensible extrapolations beyond
the horizon (``training_error.py``).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize

from ..attacks.situation import Situation, plain, ticketed
from ..attacks.warm import cross_slot_new
from ..block_time.effective_runs import network as network_basis, run_laws
from ..block_time.empirical import (
    EmpiricalLaw,
    empirical_law,
    interval_bracket,
    require_shape,
)
from ..block_time.law import BlockTimeLaw, Real, cv, fastest_of, mean
from ..estimation.estimate import Estimate, Refused
from ..estimation.training_error import UNKNOWN, Basis, Scale, law_figure
from ..race.fourier import smallest_depths
from ..race.saddle_point import depth_estimate
from ..race.threshold import race_drift
from ..race.walk import Race, bounded, tilts
from .choice import Party, Terms, party_of
from .work_cycle import cycle

_METHOD = "law"
# Where a figure is spread evenly; the others are positive numbers.
_SCALES: dict[str, Scale] = {
    "useful": "logit",
    "verification": "logit",
    "beta": "logit",
    "beta_warm": "logit",
    # Its bound may be 0.
    "quality": "angle",
}
_MOST: dict[Scale, float] = {"logit": 1.0, "angle": 1.0}


def threshold_share(
    law: BlockTimeLaw, party: Party, adversary: BlockTimeLaw | None = None
) -> float:
    """β* as ``race_threshold``, for numbers of provers that are not whole.

    Raises:
        Refused: If the drift has no root.
    """
    provers = party.honest + party.adversarial

    def drift(beta: float) -> float:
        return race_drift(
            law,
            provers=provers,
            adversarial=beta * provers,
            delay_steps=party.delay,
            adversary=adversary,
        )

    low, high = 1e-6 / provers, 1 - 1e-6 / provers
    if drift(high) >= 0:
        raise Refused(
            "threshold: the honest chain is faster than an adversary with all but a "
            "millionth of a prover; there is no share that it is not safe from"
        )
    if drift(low) <= 0:
        return 0.0
    return float(optimize.brentq(drift, low, high, xtol=1e-9))  # pyright: ignore


def figures(
    at: Situation,
    law: BlockTimeLaw,
    party: Party,
    terms: Terms,
    *,
    warm: bool = True,
    reasons: dict[str, str] | None = None,
) -> dict[str, float]:
    """The figures of a situation under one law; NaN where one is not known.

    Args:
        at: The situation (``at_choice``).
        law: ``attacks.situation.plain`` of it, or one end of its bracket.
        party: Provers and delay.
        terms: Risks, step rule, bytes.
        warm: Whether to find ``beta_warm`` too, which takes two laws.
        reasons: Filled with why figures are not known, by name.

    Returns:
        interval and confirmation (steps); depth, depth_premined (blocks); beta and
        beta_warm; quality (its lower bound 1 − E[C]/E[A]: exact for memoryless laws);
        cv (of the fastest honest prover);
        useful, verification (shares); verification_steps and block_steps; storage
        (bytes); bits (−log2 of what a block more multiplies the risk by).
    """
    # The transforms' rounding may leave 1e-15 in front, which no race takes.
    knots = np.asarray(law.cumulative_hazard)
    law = law._replace(cumulative_hazard=knots - knots[0])
    one = cycle(at, law, honest=party.honest, delay=party.delay)
    honest = fastest_of(law, party.honest)
    against = fastest_of(law, party.adversarial)
    # The bracket says what extrapolation may do; known_until would also refuse what
    # the pre-hash, which is no extrapolation, makes long.
    race = Race(honest, against, party.delay)
    found = {
        "interval": one.interval,
        "useful": 1 - one.hashing,
        "block_steps": one.block_steps,
        "quality": max(0.0, 1 - one.interval / mean(against)),
        "cv": cv(honest),
        **proof_costs(at, one.block_steps, terms.state_bytes),
    }

    def add(name: str, figure: Callable[[], float]) -> None:
        try:
            found[name] = figure()
        except Refused as refusal:
            found[name] = math.nan
            if reasons is not None:
                reasons[name] = str(refusal)

    add("beta", lambda: threshold_share(law, party))
    add("depth", lambda: depth_estimate(race, terms.risk))
    ahead = race._replace(premined=True)
    add("depth_premined", lambda: depth_estimate(ahead, terms.risk_premined))
    add("bits", lambda: -tilts(bounded(race)).log_rate / math.log(2))
    add("confirmation", lambda: found["depth"] * one.interval + party.delay)
    if warm:
        add("beta_warm", lambda: _warm_share(at, law, party, terms))
    return found


def proof_costs(
    at: Situation, block_steps: Real, state_bytes: Real
) -> dict[str, float]:
    """What a block of S steps costs to check and to keep.

    q distinct of n = ⌈S/c⌉ segments and the last are run again, in the mean
    c (1 + q (1 − 1/n)) steps; n + 1 states are kept.
    """
    every = float(at.checkpoint_every or at.check_every)
    if not math.isfinite(block_steps):
        names = ("verification", "verification_steps", "storage")
        return dict.fromkeys(names, math.nan)
    segments = max(1, math.ceil(block_steps / every - 1e-9))
    drawn = min(at.challenges, segments)
    again = min(block_steps, every * (1 + drawn * (1 - 1 / segments)))
    return {
        "verification": again / block_steps,
        "verification_steps": again,
        "storage": (segments + 1) * state_bytes,
    }


def estimates(
    at: Situation, resamples: Sequence[Situation], terms: Terms, *, exact: bool = True
) -> dict[str, Estimate]:
    """Every figure with its interval.

    Args:
        at: The situation (``at_choice``).
        resamples: The same with resampled runs (``attacks.situation.resampled``).
        terms: Risks, step rule, bytes.
        exact: Whether depths come from the grid; else from the saddle point.

    Returns:
        An estimate a figure of ``figures``. A depth whose resample has none has no
        upper end; what is not known is NaN with the reason as method.

    Raises:
        Refused: If no law is known, or what is extrapolated decides the interval.
    """
    law, party = known_law(at), party_of(at)
    basis = rests_on(at, law)
    reasons: dict[str, str] = {}
    centre = figures(at, law.law, party, terms, reasons=reasons)
    ends = [
        figures(at, each, party, terms, warm=False)
        for each in (law.slowest, law.fastest)
    ]
    spread = []
    for one in resamples:
        try:
            spread.append(figures(one, plain(one).law, party, terms))
        except Refused:
            spread.append({})
    found = {}
    for name, value in centre.items():
        drawn = np.array([each.get(name, math.nan) for each in spread])
        bracket = [each[name] for each in ends if name in each]
        scale = _SCALES.get(name, "log")
        found[name] = joined(value, drawn, bracket, scale, basis=basis)
        if name in reasons:
            found[name] = found[name]._replace(method=f"refused: {reasons[name]}")
    if exact:
        for name, premined, risk in (
            ("depth", False, terms.risk),
            ("depth_premined", True, terms.risk_premined),
        ):
            found[name] = _on_grid(found[name], law, party, premined, risk)
        blocks, interval = found["depth"].value, centre["interval"]
        scale = (blocks * interval + party.delay) / centre["confirmation"]
        if math.isfinite(scale):
            old = found["confirmation"]
            found["confirmation"] = old._replace(
                value=old.value * scale, low=old.low * scale, high=old.high * scale
            )
    return found


def known_law(at: Situation) -> EmpiricalLaw:
    """The law, where it does not depend on what training does beyond the horizon.

    Raises:
        Refused: As ``empirical_law``, ``interval_bracket`` and ``require_shape``.
    """
    due = np.full(len(at.runs), at.s_min)
    law = empirical_law(ticketed(at.curves, due), at.lottery, step_costs=at.step_costs)
    interval_bracket(law, at.honest)
    require_shape(law.law, min(at.honest, at.adversarial))
    return law


def rests_on(at: Situation, law: EmpiricalLaw) -> Basis:
    """What the figures of a situation rest on.

    Args:
        at: The situation.
        law: ``known_law`` of it.
    """
    due = np.full(len(at.runs), at.s_min)
    counted = run_laws(
        ticketed(at.curves, due), at.lottery, law.law, step_costs=at.step_costs
    )
    return network_basis(counted, at.honest, at.adversarial)


def joined(
    value: float,
    drawn: np.ndarray,
    bracket: Sequence[float],
    scale: Scale,
    *,
    basis: Basis = UNKNOWN,
) -> Estimate:
    """A figure with the spread of the resamples and its bracket.

    Args:
        value: Under the law of all runs.
        drawn: Under each resampled law; NaN or infinite where it has none: the upper
            end is then open.
        bracket: Under the slowest and the fastest defensible extrapolation.
        scale: Where it is spread evenly.
        basis: What it rests on.
    """
    if not math.isfinite(value):
        what = "not known" if math.isnan(value) else "unbounded"
        return Estimate(value, value, value, 0, what)
    ends = [each for each in bracket if not math.isnan(each)]
    return law_figure(
        value,
        drawn,
        scale,
        _METHOD,
        basis=basis,
        extremes=ends,
        lacking=_MOST.get(scale, math.inf),
    )


def _on_grid(
    quick: Estimate, law: EmpiricalLaw, party: Party, premined: bool, risk: float
) -> Estimate:
    """The depth by the grid, with the quick estimate's relative interval."""
    if not math.isfinite(quick.value):
        return quick
    race = Race(
        fastest_of(law.law, party.honest),
        fastest_of(law.law, party.adversarial),
        party.delay,
        premined=premined,
    )
    try:
        depth = smallest_depths(race, [risk])[0].depth
    except Refused as refusal:
        return Estimate(math.nan, math.nan, math.nan, 0, f"refused: {refusal}")
    low = max(1, math.floor(depth * quick.low / quick.value + 1e-9))
    high = depth * quick.high / quick.value
    high = math.ceil(high - 1e-9) if math.isfinite(high) else math.inf
    method = f"grid; {_METHOD} by the saddle point"
    return Estimate(float(depth), float(low), float(high), quick.count, method)


def _warm_share(at: Situation, law: BlockTimeLaw, party: Party, terms: Terms) -> float:
    attack = cross_slot_new(at, terms.step_rule, kind="block")
    return threshold_share(law, party, attack.adversary)
