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
from ..estimation.estimate import Estimate, Refused, whole_blocks
from ..estimation.training_error import Basis, training_interval
from ..good_periods.windows import RoundRates
from ..race.threshold import race_threshold
from ..withholding.best import best_withholding
from . import attack as attacks
from .attack import Attack
from .balancing import Balance, balance
from .catalogue import Build, attack_builders
from .chains import ChainFigures, chain_figures, expected_rates
from .depths import depths_of, network_under
from .resets import reset_rows
from .rows import Effort, Row, interval, judge, refused_row
from .situation import Situation, plain, resampled, ticketed
from .sm1 import sm1_revenue

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
    at: Situation
    others: list[Situation]
    targets: tuple[float, ...]
    effort: Effort
    figures: dict[bytes, _Figures]
    chains: dict[bytes, ChainFigures]
    expected: dict[int, RoundRates | None]
    basis: Basis


def attack_table(
    key: Key[Array, ""],
    at: Situation,
    *,
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
        at: Curves, lottery, network, rules' numbers, measured warm starts.
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
    others = [resampled(at, seed + i) for i in range(effort.resamples)]
    counted = run_laws(
        ticketed(at.curves, np.full(len(at.runs), at.s_min)),
        at.lottery,
        plain(at).law,
        step_costs=at.step_costs,
    )
    basis = network_basis(counted, at.honest, at.adversarial)
    job = _Job(key, at, others, tuple(targets), effort, {}, {}, {}, basis)
    builders = attack_builders(rarer_prehash=rarer_prehash)
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
        list(map(add, reset_rows(seed, at, others, basis)))
        add(_selfish_row(job))
        add(_withholding_row(job))
        add(_balance_row(job))
    return rows


def _law_row(job: _Job, name: str, on: bool, build: Build) -> Row:
    try:
        attack = build(job.at)
    except Refused as refusal:
        return refused_row(name, on, str(refusal))
    value = _figures(job, attack, job.at)
    spread, failed = _each(lambda here: _figures(job, build(here), here), job.others)
    depths = _depth_estimates(job, value.depths, [each.depths for each in spread])
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


def _threshold(attack: Attack, at: Situation) -> tuple[tuple[str, float], ...]:
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


def _selfish_row(job: _Job) -> Row:
    gamma = job.effort.gamma

    def revenue(here: Situation) -> Estimate:
        return sm1_revenue(
            job.key,
            plain(here).law,
            provers=here.provers,
            beta=here.beta,
            gamma=gamma,
            events=2048,
            replicas=256,
        )

    about = f"SM1, no delay, γ = {gamma:g}, all provers of one law; compared with β"
    return _revenue_row(job, "selfish", about, revenue, "SM1 earns")


def _withholding_row(job: _Job) -> Row:
    gamma = job.effort.gamma

    def revenue(here: Situation) -> Estimate:
        return best_withholding(
            job.key,
            plain(here).law,
            honest=here.honest,
            own=here.adversarial,
            gamma=gamma,
            cells=64,
            steps=1024,
        ).revenue

    about = (
        f"best policy on 64 ages, forks up to 7 blocks, no delay, γ = {gamma:g}, all "
        "provers of one law, blind to their accuracy; a lower end; compared with β"
    )
    return _revenue_row(job, "best_withholding", about, revenue, "this policy earns")


def _revenue_row(
    job: _Job,
    name: str,
    assumptions: str,
    revenue: Callable[[Situation], Estimate],
    earns: str,
) -> Row:
    beta = job.at.beta
    try:
        if beta >= 0.5:
            raise Refused(f"{name}: it needs β < ½, got {beta:g}; lower network.beta")
        found = revenue(job.at)
        spread = _each(lambda here: revenue(here).value, job.others)[0]
    except Refused as refusal:
        return refused_row(name, False, str(refusal), assumptions)
    found = training_interval(found, spread, "angle", basis=job.basis)
    if found.low > beta:
        verdict, reason = "fails", f"{earns} more than its share {beta:g}"
    elif found.high <= beta and name == "selfish":
        verdict, reason = "holds", f"{earns} no more than its share {beta:g}"
    elif found.high <= beta:
        # Another one might: honest play alone earns the share.
        reason = f"{earns} less than its share {beta:g}, a better one is not excluded"
        verdict = "undecided"
    else:
        verdict, reason = "undecided", "the interval holds the adversary's share"
    quality = found._replace(
        value=1 - found.value, low=1 - found.high, high=1 - found.low
    )
    return Row(
        name,
        "",
        False,
        (),
        verdict,
        reason,
        assumptions,
        quality=quality,
        revenue=found,
        basis=job.basis,
    )


def _balance_row(job: _Job) -> Row:
    at = job.at
    assumptions = (
        "one strategy: halves cut off by Δ, all corrupted provers on the lagging "
        "branch, nothing saved up, a fork to begin with; better ones may exist"
    )

    def found(here: Situation) -> Balance:
        law = plain(here).law
        return balance(
            law,
            law,
            provers=here.honest,
            adversarial=here.adversarial,
            delay_steps=here.delay_steps,
        )

    def depth(each: Balance) -> dict[float, float]:
        return {target: each.depth(target) for target in job.targets}

    try:
        if at.honest < 2:
            raise Refused(
                f"balance: {at.honest:g} honest provers cannot be split, at least 2 "
                "are needed (network.provers, network.beta)"
            )
        value = found(at)
    except Refused as refusal:
        return refused_row("balance", False, str(refusal), assumptions)
    spread, failed = _each(found, job.others)
    depths = _depth_estimates(job, depth(value), [depth(each) for each in spread])
    verdict, reason = judge(depths[0][1], failed, job.effort)
    return Row(
        "balance",
        "",
        False,
        depths,
        verdict,
        reason,
        assumptions,
        figures=(("level_survival", value.ratio),),
        basis=job.basis,
    )


def _figures(job: _Job, attack: Attack, at: Situation) -> _Figures:
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


def _depth_estimates(
    job: _Job, value: dict[float, float], spread: Sequence[dict[float, float]]
) -> tuple[tuple[float, Estimate], ...]:
    found = []
    for target, depth in value.items():
        drawn = [each[target] for each in spread if target in each]
        found.append((target, whole_blocks(interval(depth, drawn, basis=job.basis))))
    return tuple(found)


def _fingerprint(attack: Attack) -> bytes:
    """The same for attacks that are the same race."""
    laws = b"".join(
        np.asarray(part, float).tobytes()
        for law in (attack.honest, attack.adversary)
        for part in law
    )
    flags = (attack.known_until, attack.premined, attack.free_blocks)
    return hashlib.sha256(laws + repr(flags).encode()).digest()


def _each(figure: Callable, others: Sequence[Situation]) -> tuple[list, int]:
    """A figure of each resample, and how many refused it."""
    found = []
    for here in others:
        try:
            found.append(figure(here))
        except Refused:
            continue
    return found, len(others) - len(found)


def _chain_estimates(job: _Job, attack: Attack, build: Build) -> ChainFigures:
    """Quality and good periods, with the error of the simulation and of the runs."""
    value = _chain(job, attack, job.at, job.effort)
    if value == ChainFigures():
        return value
    effort = job.effort._replace(replicas=job.effort.spread_replicas)
    spread, _ = _each(lambda here: _chain(job, build(here), here, effort), job.others)

    def wide(name: str) -> Estimate | None:
        found = getattr(value, name)
        if found is None:
            return None
        drawn = [getattr(each, name) for each in spread]
        values = [each.value for each in drawn if each is not None]
        return training_interval(found, values, "angle", basis=job.basis)

    return ChainFigures(wide("quality"), wide("good_period"))


def _chain(job: _Job, attack: Attack, at: Situation, effort: Effort) -> ChainFigures:
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


def _expected(job: _Job, at: Situation, effort: Effort) -> RoundRates | None:
    """What the protocol counts on under the situation's own law, without the attack."""
    if id(at) not in job.expected:
        job.expected[id(at)] = expected_rates(
            job.key,
            network_under(attacks.private(at), at),
            effort=effort,
            round_steps=float(at.check_every),
        )
    return job.expected[id(at)]
