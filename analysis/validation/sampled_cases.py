"""Checks with sampling: Monte Carlo, tilting and splitting against exact answers.

Notation
    λ, Δ, S_0   rate of all honest provers, delay, dead time (steps)
    q, k        adversary's share of the provers, depth
    s.e.        that of the reference for shares, else over replicas or batches

Sizes are quick ones: a check sees errors of about one percent. Networks of one size of
arrays are compiled once. Where a closed form lets every honest prover wait Δ, the
network has thousands of them: the finder, who does not wait, is then one of many.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from ..attacks import sm1
from ..block_time.law import exponential, geometric, on_device, time_of_hazard
from ..bounds import backbone, delays, intervals, rounds, selfish
from ..estimation.estimate import Estimate, estimate_ratio
from ..estimation.quantities import BLOCK_INTERVAL_CV, CHAIN_GROWTH
from ..good_periods import windows
from ..good_periods.rounds import horizon_rounds, rounds_until
from ..race import (
    fourier,
    splitting,
    tilting,
    walking,
)
from ..race.tilted_paths import LANES
from ..race.walk import TARGETS, race
from ..simulation import levels as simulation, properties
from ..simulation.levels import Levels, Network, network
from . import published
from .check import Case, Check, sampled_estimate, sampled_share
from .exact_cases import memoryless

_LEVELS, _REPLICAS = 96, 8192
_MANY = 20_000  # provers
_WALKS = 2**19
_PARTICLES, _REPETITIONS = 512, 64


def _simulate(key: Key[Array, ""], net: Network) -> tuple[Levels, properties.Paths]:
    drawn = simulation.simulate(key, net, levels=_LEVELS, replicas=_REPLICAS)
    path_key = jax.random.fold_in(key, 1)
    delay = float(net.delay)
    return drawn, properties.follow(path_key, drawn, delay_steps=delay, confirmations=6)


def _many(rate: float, delay: float, dead_time: float = 0.0) -> Network:
    law = exponential(rate / _MANY, dead_time=dead_time)
    return network(law, provers=_MANY, beta=0.0, delay_steps=delay)


def _chain(paths: properties.Paths) -> dict[str, Estimate]:
    found = properties.chain_measurements(paths, levels=_LEVELS)
    return {m.quantity: m.estimate for m in found}


def _growth(key: Key[Array, ""]) -> list[Check]:
    checks, rate = [], 0.01
    for delay, dead_time in ((0.0, 0.0), (30.0, 0.0), (100.0, 0.0), (30.0, 200.0)):
        key, use = jax.random.split(key)
        _, paths = _simulate(use, _many(rate, delay, dead_time))
        found = _chain(paths)
        if dead_time:
            exact = delays.dead_time_growth(rate, delay, dead_time)
            source = "1/(Δ + S_0 + 1/λ_h)"
        else:
            exact = delays.growth_under_delay(rate, delay)
            source = "λ_h/(1 + λ_hΔ)"
        # To the public chain, delay is dead time.
        spread = intervals.dead_time_mean_cv(delay + dead_time, rate).cv
        place = f"λ_hΔ={rate * delay:g}, λ_hS_0={rate * dead_time:g}"
        for name, value, where in (
            (CHAIN_GROWTH, exact, source),
            (BLOCK_INTERVAL_CV, spread, "1/(1 + λ_h(Δ + S_0))"),
        ):
            checks.append(
                sampled_estimate(
                    f"{name.replace('_', ' ')}, {place}",
                    "Monte Carlo",
                    found[name],
                    _REPLICAS,
                    value,
                    where,
                )
            )
    return checks


def _fork_rates(key: Key[Array, ""]) -> list[Check]:
    rate, delay, replicas = 0.01, 20.0, 4096
    levels, _ = _simulate(key, _many(rate, delay))
    interval = np.asarray(levels.interval, float)[:replicas]
    lag = np.asarray(levels.lag, float)[:replicas]
    times = (np.cumsum(interval, axis=1)[:, :, None] + lag).reshape(replicas, -1)
    order = np.argsort(times, axis=1)
    times = np.take_along_axis(times, order, axis=1)
    level = order // lag.shape[2]
    real = np.isfinite(times)
    times = np.where(real, times, np.max(times, where=real, initial=0.0) + 10 * delay)
    gaps = np.diff(times, axis=1)
    # A level's blocks over a level's time: no edge is counted in part.
    inside = real & (level >= 1) & (level < _LEVELS - 1)
    duration = interval[:, 1:-1].sum(axis=1)
    before, after = inside[:, 1:-1] & (gaps[:, :-1] > delay), gaps[:, 1:] > delay
    checks = []
    for claim, found, exact, source in (
        ("all honest blocks", inside, rate, "λ_h"),
        (
            "non-tailgaters",
            before,
            delays.nontailgater_rate(rate, delay),
            "λ_h e^{−λ_hΔ}",
        ),
        ("loners", before & after, delays.loner_rate(rate, delay), "λ_h e^{−2λ_hΔ}"),
    ):
        count = found.sum(axis=1).astype(float)
        ratio = estimate_ratio(count, duration, claim)
        checks.append(
            sampled_estimate(
                f"rate of {claim}, λ_hΔ=.2",
                "Monte Carlo",
                ratio,
                replicas,
                exact,
                source,
            )
        )
    return checks


def _shares(
    paths: properties.Paths, depths: Sequence[int], exact, place: str, *, source: str
) -> list[Check]:
    """Both tie rules of one network; exact(depth, ties_win) is the reference."""
    checks = []
    for ties_win in (True, False):
        last = np.asarray(paths.last_tie if ties_win else paths.last_strict)
        rule = "ties win" if ties_win else "strict lead"
        checks += [
            sampled_share(
                f"{rule}, {place}, k={k}",
                int((last >= k).sum()),
                len(last),
                exact(k, ties_win),
                source,
            )
            for k in depths
        ]
    return checks


def _grid_of(net: Network):
    def exact(depth: int, ties_win: bool) -> float:
        (risk,) = fourier.persistence(race(net, ties_win=ties_win), [depth])
        return risk.value

    return exact


def _monte_carlo_race(key: Key[Array, ""]) -> list[Check]:
    checks = []
    # Each share has dozens of events, so that its error is nearly normal.
    for q, idle in ((0.1, 0), (0.3, 0), (0.3, 1), (0.3, 5), (0.3, 10)):
        depths = (1, 2) if q == 0.1 else (2, 6)
        key, use = jax.random.split(key)
        # Mean memoryless interval of all ten provers: 10 steps.
        law = exponential(0.01, dead_time=10.0 * idle)
        net = network(law, provers=10, beta=q, delay_steps=0.0)
        _, paths = _simulate(use, net)
        place = f"q={q:g}, S_0={idle}"
        checks += _shares(paths, depths, _grid_of(net), place, source="grid")
    key, use = jax.random.split(key)
    net = network(exponential(0.1 / _MANY), provers=_MANY, beta=0.3, delay_steps=2.0)
    _, paths = _simulate(use, net)
    checks += _shares(paths, (2, 6), _grid_of(net), "q=0.3, λΔ=0.2", source="grid")
    return checks


def _walk(key: Key[Array, ""]) -> list[Check]:
    checks = []
    for rule, k in (("ties win", 6), ("strict lead", 18)):
        key, use = jax.random.split(key)
        given = memoryless(0.25, 1, ties_win=rule == "ties win")._replace(delay=0.1)
        (risk,) = fourier.persistence(given, [k])
        (found,) = walking.persistence(use, given, [k], walks=_WALKS)
        claim = f"{rule}, q=0.25, S_0=1, λΔ=0.1, k={k}"
        violations = round(found.value * found.count)
        checks.append(sampled_share(claim, violations, found.count, risk.value, "grid"))
    return checks


def _typical_windows(key: Key[Array, ""]) -> list[Check]:
    replicas, k, p = 2048, 2000, 0.05
    simulate_key, window_key = jax.random.split(key)
    # One prover, one trial a round: its rounds are i.i.d., X = Y.
    net = network(geometric(p), provers=1, beta=0.0, delay_steps=0.0)
    sizes = {"levels": 384, "round_steps": 1.0}
    end = horizon_rounds(net, **sizes)

    def simulated(levels: int) -> simulation.Levels:
        return simulation.simulate(simulate_key, net, levels=levels, replicas=replicas)

    played = rounds_until(end, simulated, **sizes)
    rates = windows.round_rates(played, end=end)
    rates = rates._replace(x=p, y=p, z=0.0)
    checks = []
    for epsilon in (0.2, 0.3):
        # The limits of ε are whole numbers, which float32 may miss; half a success
        # inside them is the same event.
        shares = windows.window_shares(
            window_key, played, rates, [k * p], epsilon=epsilon - 0.005
        )
        (window, _) = windows.good_period_measurements(shares)
        bad = window.estimate._replace(
            value=1 - window.estimate.value,
            low=1 - 2 * window.estimate.value + window.estimate.low,
        )
        exact = rounds.typicality(k, p, epsilon)
        claim = f"Pr[window not typical], kp=100, ε={epsilon:g}"
        checks.append(
            sampled_estimate(
                claim, "Monte Carlo", bad, replicas, exact, "binomial tails"
            )
        )
    found = np.asarray(played.honest)
    begin = rates.begin
    grown = ((found >= begin) & (found < begin + k)).sum(axis=1)
    exact = backbone.binomial_tails(k, p, p, 0.0, 0.2).x_low
    slow = int((grown <= round(k * rounds.backbone_growth(p, 0.2))).sum())
    checks.append(
        sampled_share(
            "Pr[growth ≤ τs over s = k rounds], ε=.2", slow, replicas, exact, "binomial"
        )
    )
    return checks


def _selfish(key: Key[Array, ""]) -> list[Check]:
    checks, replicas = [], 512
    for beta, gamma in ((0.25, 0.5), (0.3, 0.0), (0.4, 0.5), (0.45, 0.0)):
        key, use = jax.random.split(key)
        found = sm1.sm1_revenue(
            use,
            exponential(0.005),
            provers=20,
            beta=beta,
            gamma=gamma,
            replicas=replicas,
        )
        exact = selfish.selfish_revenue(beta, gamma)
        claim = f"SM1's share, α={beta:g}, γ={gamma:g}"
        source = "Eyal, Sirer (8)"
        checks.append(
            sampled_estimate(claim, "Monte Carlo", found, replicas, exact, source)
        )
    return checks


def _domination(key: Key[Array, ""]) -> list[Check]:
    checks, count = [], 2**17
    for idle in published.DOMINATION:
        key, use = jax.random.split(key)
        law = on_device(exponential(1.0, dead_time=idle))
        finish = time_of_hazard(law, jax.random.exponential(use, (2, count)))
        won = int(jnp.sum(finish[0] / 1.25 < finish[1]))
        exact = intervals.domination(1.0, idle, 1.25, 1.0)
        claim = f"speeds 1.25 : 1, πS_0={idle}"
        checks.append(sampled_share(claim, won, count, exact, "closed form"))
    return checks


def _tilting(key: Key[Array, ""]) -> list[Check]:
    checks = []
    for idle in (0, 3):
        for delay, options in ((0.1, {}), (0.0, {"ties_win": False})):
            key, use = jax.random.split(key)
            given = memoryless(0.25, idle, **options)._replace(delay=delay)
            depths = [s.depth for s in fourier.smallest_depths(given, TARGETS)]
            exact = fourier.persistence(given, depths)
            found = tilting.persistence(use, given, depths)
            rule = "strict" if options else "ties win"
            checks += [
                sampled_estimate(
                    f"{rule}, q=.25, S_0={idle}, λΔ={delay:g}, k={k} (≤ {target:.1e})",
                    "tilting",
                    ours.estimate,
                    ours.estimate.count // LANES,
                    risk.value,
                    "grid",
                )
                for k, target, ours, risk in zip(
                    depths, TARGETS, found, exact, strict=True
                )
            ]
    key, use = jax.random.split(key)
    found = tilting.persistence(use, memoryless(0.3, premined=True), [6, 20])
    place = dict(
        zip(published.PREMINED_DEPTHS, published.PREMINED_RACE[0.3], strict=True)
    )
    checks += [
        sampled_estimate(
            f"pre-mined lead, q=.3, k={k}",
            "tilting",
            ours.estimate,
            ours.estimate.count // LANES,
            place[k],
            "Pr[L + A + M ≥ k]",
        )
        for k, ours in zip((6, 20), found, strict=True)
    ]
    return checks


def _splitting(key: Key[Array, ""]) -> list[Check]:
    checks = []
    for idle in (0, 3):
        law = exponential(0.01, dead_time=10.0 * idle)
        for q, k, ties_win in ((0.2, 12, True), (0.2, 12, False), (0.1, 20, True)):
            key, use = jax.random.split(key)
            net = network(law, provers=10, beta=q, delay_steps=0.0)
            found = splitting.persistence(
                use,
                net,
                k,
                ties_win=ties_win,
                particles=_PARTICLES,
                repetitions=_REPETITIONS,
            )
            rule = "ties win" if ties_win else "strict lead"
            checks.append(
                sampled_estimate(
                    f"{rule}, q={q:g}, S_0={idle}, Δ=0, k={k}",
                    "splitting",
                    found.estimate,
                    _REPETITIONS,
                    _grid_of(net)(k, ties_win),
                    "grid",
                )
            )
    return checks


CASES = (
    Case("growth", "Growth of the simulated network under delay", _growth),
    Case("fork_rates", "Loners and non-tailgaters", _fork_rates),
    Case("monte_carlo_race", "Simulated races against the grid", _monte_carlo_race),
    Case("lattice_walk", "Walks of the race itself against the grid", _walk),
    Case("typical_windows", "Simulated typical windows", _typical_windows),
    Case("selfish_simulated", "Simulated SM1 against its formula", _selfish),
    Case("domination_simulated", "Two provers, drawn", _domination),
    Case("tilting", "Tilting against the grid, 1e-9 to 2^-128", _tilting),
    Case("splitting", "Splitting against the grid", _splitting),
)
