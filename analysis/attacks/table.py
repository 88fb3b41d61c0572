"""The table attack × mitigation: depth, rates, quality, verdict, with their intervals.

Notation:
    k(ε)         smallest depth with Pr[violation at depth k] ≤ ε   ``Row.depths``
    n_a, n_h     corrupted and honest provers
    A, H         fastest of n_a under the attack; fastest of n_h
    1/E[A]       the private chain's growth, blocks per unit of time
    1/(E[H]+Δ)   the public chain's, where every level waits for Δ

A depth is infinite where the private chain outgrows the public one. What a row holds
and how its verdict comes about is in ``rows.py``.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Key

from ..block_time.effective_runs import network as network_basis, run_laws
from ..block_time.law import fastest_of, mean
from ..estimation.estimate import Estimate, Refused
from ..estimation.training_error import UNKNOWN, Basis, training_interval
from ..good_periods.windows import RoundRates
from ..race.threshold import race_threshold
from . import attack as attacks
from .attack import Attack
from .catalogue import Build, attack_builders, law_builders
from .chains import ChainFigures, chain_figures, expected_rates
from .depths import depths_of, network_under
from .resets import reset_rows
from .rows import (
    Effort,
    Row,
    depth_estimates,
    interval,
    judge,
    refused_row,
    spread_of,
)
from .situation import LawSituation, Situation, plain, resampled, ticketed
from .strategy_rows import Evidence, balance_row, selfish_row, withholding_row

TARGETS = (1e-3, 1e-9, 2.0**-40)
_EFFORT = Effort()


class _Figures(NamedTuple):
    """What one law of the runs gives: k by ε, why others are missing, and rates."""

    depths: dict[float, float]
    refusal: str
    attacker_rate: float
    public_rate: float


class _Job(NamedTuple):
    """What all rows share; many rows are the same race, which is solved once."""

    key: Key[Array, ""]
    at: Situation | LawSituation
    others: Sequence[Situation | LawSituation]
    targets: tuple[float, ...]
    effort: Effort
    figures: dict[bytes, _Figures]
    chains: dict[bytes, ChainFigures]
    expected: dict[int, RoundRates | None]
    basis: Basis


def attack_table(
    key: Key[Array, ""],
    at: Situation | LawSituation,
    *,
    others: Sequence[LawSituation] = (),
    basis: Basis = UNKNOWN,
    targets: Sequence[float] = TARGETS,
    effort: Effort = _EFFORT,
    seed: int = 0,
    rarer_prehash: float = 1 / 16,
    only: Collection[str] | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Row]:
    """All attacks on a situation, each with its mitigation off and on.

    Args:
        key: Fixes the simulations (quality, SM1); all rows share it.
        at: Curves, lottery, network, rules' numbers, measured warm starts; or a law
            of which nothing else is known.
        others: Such a law's resamples; those of curves are drawn here.
        basis: What such a law rests on.
        targets: ε; the first decides the verdict.
        effort: Resamples and replicas.
        seed: Fixes the resamples.
        rarer_prehash: As ``attack_builders``.
        only: Names of ``attack_builders`` that are asked for; None: every attack.
        progress: Told how many rows are done.

    Raises:
        ValueError: If a target is not in (0, 1).
        Refused: If the runs cannot support the honest law itself.
    """
    if not targets or not all(0 < each < 1 for each in targets):
        raise ValueError(f"targets must be in (0, 1), got {list(targets)}")
    if isinstance(at, Situation):
        drawn = [resampled(at, seed + i) for i in range(effort.resamples)]
        counted = run_laws(
            ticketed(at.curves, np.full(len(at.runs), at.s_min)),
            at.lottery,
            plain(at).law,
            step_costs=at.step_costs,
        )
        basis = network_basis(counted, at.honest, at.adversarial)
        builders = attack_builders(rarer_prehash=rarer_prehash)
    else:
        drawn, builders = others, law_builders()
    job = _Job(key, at, drawn, tuple(targets), effort, {}, {}, {}, basis)
    if only is not None:
        builders = {name: builders[name] for name in only}
    total = sum(map(len, builders.values())) + 5 * (only is None)
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        progress("attacking", len(rows), total)

    for name, builds in builders.items():
        for place, build in enumerate(builds):
            add(_law_row(job, name, place == 1, build))
    if only is None:
        list(map(add, reset_rows(seed, at, drawn, basis)))
        alone = Evidence(key, at, drawn, basis)
        add(selfish_row(alone, effort.gamma))
        add(withholding_row(alone, effort.gamma))
        add(balance_row(alone, job.targets, effort))
    return rows


def _law_row(job: _Job, name: str, on: bool, build: Build) -> Row:
    try:
        attack = build(job.at)
    except Refused as refusal:
        return refused_row(name, on, str(refusal))
    value = _figures(job, attack, job.at)
    spread, failed = spread_of(
        lambda here: _figures(job, build(here), here), job.others
    )
    depths = depth_estimates(value.depths, [each.depths for each in spread], job.basis)
    rates = [
        interval(
            getattr(value, each), [getattr(x, each) for x in spread], basis=job.basis
        )
        for each in ("attacker_rate", "public_rate")
    ]
    (quality, good_period), revenue = _chain_estimates(job, attack, build), None
    if attack.takes_all:
        every = "every public block is relabelled"
        quality, revenue = (Estimate(x, x, x, 0, every) for x in (0.0, 1.0))
        verdict, reason = "fails", "no block of the chain is an honest prover's"
    elif job.targets[0] not in value.depths:
        verdict, reason = "refused", value.refusal
    else:
        failed += sum(job.targets[0] not in each.depths for each in spread)
        verdict, reason = judge(depths[0][1], failed, job.effort)
    return Row(
        attack.name,
        attack.mitigation,
        attack.on,
        depths,
        verdict,
        reason,
        attack.assumptions,
        *rates,
        quality=quality,
        good_period=good_period,
        revenue=revenue,
        figures=(*attack.figures, *_threshold(attack, job.at)),
        basis=job.basis,
    )


def _threshold(
    attack: Attack, at: Situation | LawSituation
) -> tuple[tuple[str, float], ...]:
    """β*: the share of provers at which this attack's private chain keeps up."""
    try:
        found = race_threshold(
            attack.honest,
            provers=at.provers,
            delay_steps=at.delay_steps,
            adversary=attack.adversary,
        )
    except Refused:
        return ()
    return (("beta_star", found.beta),)


def _figures(job: _Job, attack: Attack, at: Situation | LawSituation) -> _Figures:
    name = _fingerprint(attack)
    if name not in job.figures:
        honest = mean(fastest_of(attack.honest, at.honest)) + at.delay_steps
        private = mean(fastest_of(attack.adversary, at.adversarial))
        depths, refusal = {}, ""
        for target in job.targets:
            # One by one: a target that is out of reach leaves the others.
            try:
                (depths[target],) = depths_of(
                    attack, at, [target], ties_win=job.effort.ties_win
                )
            except Refused as refused:
                refusal = str(refused)
                break
        job.figures[name] = _Figures(depths, refusal, 1 / private, 1 / honest)
    return job.figures[name]


def _fingerprint(attack: Attack) -> bytes:
    """The same for attacks that are the same race."""
    laws = b"".join(
        np.asarray(part, float).tobytes()
        for law in (attack.honest, attack.adversary)
        for part in law
    )
    flags = (attack.known_until, attack.premined, attack.free_blocks)
    return hashlib.sha256(laws + repr(flags).encode()).digest()


def _chain_estimates(job: _Job, attack: Attack, build: Build) -> ChainFigures:
    """Quality and good periods, with the error of the simulation and of the runs."""
    value = _chain(job, attack, job.at, job.effort)
    if value == ChainFigures():
        return value
    effort = job.effort._replace(replicas=job.effort.spread_replicas)
    spread, _ = spread_of(
        lambda here: _chain(job, build(here), here, effort), job.others
    )

    def wide(name: str) -> Estimate | None:
        found = getattr(value, name)
        if found is None:
            return None
        drawn = [getattr(each, name) for each in spread]
        values = [each.value for each in drawn if each is not None]
        return training_interval(found, values, "angle", basis=job.basis)

    return ChainFigures(wide("quality"), wide("good_period"))


def _chain(
    job: _Job, attack: Attack, at: Situation | LawSituation, effort: Effort
) -> ChainFigures:
    name = _fingerprint(attack._replace(premined=False, free_blocks=0))
    name += effort.replicas.to_bytes(8)
    if name not in job.chains:
        job.chains[name] = chain_figures(
            job.key,
            network_under(attack, at),
            _expected(job, at, effort),
            effort=effort,
            round_steps=float(at.check_every),
        )
    return job.chains[name]


def _expected(
    job: _Job, at: Situation | LawSituation, effort: Effort
) -> RoundRates | None:
    """What the protocol counts on under the situation's own law, without the attack."""
    if id(at) not in job.expected:
        job.expected[id(at)] = expected_rates(
            job.key,
            network_under(attacks.private(at), at),
            effort=effort,
            round_steps=float(at.check_every),
        )
    return job.expected[id(at)]
