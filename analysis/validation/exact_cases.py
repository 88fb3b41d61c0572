"""Checks without sampling: closed forms, grids, laws and the decision process.

Notation is that of ``bounds``, ``race`` and ``published``. Every
function takes a key, like the sampled ones, and does not use it.
"""

import math

import numpy as np
from jaxtyping import Array, Key

from ..attacks import optimal_selfish
from ..block_time import law as laws
from ..block_time.law import Real, exponential, geometric
from ..bounds import (
    backbone,
    delays,
    intervals,
    latency,
    races,
    rounds,
    selfish,
    settlement,
)
from ..race import fourier
from ..race.threshold import race_threshold
from ..race.walk import TARGETS, Race
from . import published
from .check import Case, Check, below, exact, sampled, shown, worst

# The grid's own bound on its error, at most 1 %, is near 1e-6 in all these races.
GRID = 1e-5
# Tables of eleven digits.
_TABLE = 1e-10
_SPEC = "security.md §7"


def memoryless(q: Real, dead_time: Real = 0.0, **options) -> Race:
    """The race of two exponential laws without delay, q of the rate the adversary's."""
    public, private = (exponential(r, dead_time=dead_time) for r in (1 - q, q))
    return Race(public, private, 0.0, **options)


def _closed(claim, ours, reference, source, **limits) -> Check:
    return exact(claim, "closed form", ours, reference, source, **limits)


def _grid(claim, ours, reference, source, **limits) -> Check:
    return exact(claim, "grid", ours, reference, source, **limits)


def _private_race(_key: Key[Array, ""]) -> list[Check]:
    depths = np.array(published.PRIVATE_DEPTHS)
    places, table, closed, grid, doubled = [], [], [], [], []
    for q, values in published.PRIVATE_RACE.items():
        places += [f"q={q:g}, z={z}" for z in published.PRIVATE_DEPTHS]
        table += values
        closed += list(races.private_race(q, depths))
        doubled += list(2 * races.first_to(q, depths))
        risks = fourier.persistence(memoryless(q), published.PRIVATE_DEPTHS)
        grid += [risk.value for risk in risks]
    source = "Rosenfeld; Grunspan, Pérez-Marco"
    checks = [
        worst(
            "ties win", "closed form", closed, table, places, source, relative=_TABLE
        ),
        worst("ties win", "grid", grid, table, places, source, relative=GRID),
        worst(
            "2 Pr[first to z]",
            "closed form",
            doubled,
            table,
            places,
            "I_{4pq}(z, ½) = 2 I_q(z, z)",
            relative=_TABLE,
        ),
    ]
    for q, z in ((0.1, 6), (0.3, 10), (0.45, 30)):
        # Problem of points, summed in whole numbers: no special function.
        n = 2 * z - 1
        points = math.fsum(
            math.comb(n, m) * q**m * (1 - q) ** (n - m) for m in range(z, n + 1)
        )
        found = races.first_to(q, z)
        claim = f"first to z, q={q:g}, z={z}"
        checks.append(
            _closed(claim, found, points, "Pr[Bin(2z−1, q) ≥ z]", relative=1e-12)
        )
    for (q, z), value in published.STRICT_RACE.items():
        digit = _half_digit(value, 5 if q == 0.1 else 6)
        claim = f"strict lead, q={q:g}, z={z}"
        (risk,) = fourier.persistence(memoryless(q, ties_win=False), [z])
        found = races.private_race(q, z, ties_win=False)
        checks += [
            _closed(claim, found, value, _SPEC, within=digit),
            _grid(claim, risk.value, value, _SPEC, within=digit, relative=GRID),
        ]
    return checks


def _deep_race(_key: Key[Array, ""]) -> list[Check]:
    checks = []
    for ties_win in (True, False):
        race = memoryless(0.25, ties_win=ties_win)
        for safe in fourier.smallest_depths(race, TARGETS):
            reference = races.private_race(0.25, safe.depth, ties_win=ties_win)
            rule = "ties win" if ties_win else "strict lead"
            claim = f"{rule}, q=0.25, z={safe.depth} (≤ {safe.target:.1e})"
            (risk,) = fourier.persistence(race, [safe.depth])
            checks.append(
                _grid(claim, risk.value, reference, "closed form", relative=GRID)
            )
    return checks


def _nakamoto(_key: Key[Array, ""]) -> list[Check]:
    checks = []
    for (q, z), value in published.NAKAMOTO.items():
        found = races.nakamoto_approximation(q, z)
        claim = f"his approximation, q={q:g}, z={z}"
        source = "Nakamoto §11"
        checks.append(_closed(claim, found, value, source, within=5.1e-8))
    for q, z in ((0.1, 6), (0.3, 10)):
        checks.append(
            shown(
                f"his approximation beside the race, q={q:g}, z={z}",
                "closed form",
                races.nakamoto_approximation(q, z),
                races.private_race(q, z),
                "Rosenfeld",
                "an approximation: a faithful simulation gives the race's number",
            )
        )
    return checks


def _premined_race(_key: Key[Array, ""]) -> list[Check]:
    depths = np.array(published.PREMINED_DEPTHS)
    places, table, closed, grid = [], [], [], []
    for q, values in published.PREMINED_RACE.items():
        places += [f"q={q:g}, k={k}" for k in published.PREMINED_DEPTHS]
        table += values
        closed += list(races.premined_race(q, depths))
        race = memoryless(q, premined=True)
        risks = fourier.persistence(race, published.PREMINED_DEPTHS)
        grid += [risk.value for risk in risks]
    source = "Pr[L + A + M ≥ k]"
    return [
        worst(
            "pre-mined lead",
            "closed form",
            closed,
            table,
            places,
            source,
            relative=_TABLE,
        ),
        worst("pre-mined lead", "grid", grid, table, places, source, relative=GRID),
    ]


def _security_threshold(_key: Key[Array, ""]) -> list[Check]:
    source = "Gaži, Kiayias, Russell; Dembo et al."
    checks, rate, provers = [], 0.01, 1000
    for x in (0.01, 0.5, 1.0, 4.0):
        printed = (2 + x - math.sqrt(x**2 + 4)) / (2 * x)
        beta = delays.security_threshold(x)
        claim = f"β*(x), x={x:g}"
        checks.append(_closed(claim, beta, printed, source, relative=1e-12))
        grown = (1 - beta) / (1 + (1 - beta) * x)
        claim = f"β* = (1−β*)/(1+(1−β*)x), x={x:g}"
        checks.append(_closed(claim, beta, grown, source, relative=1e-12))
    for dead_time in (0.0, 50.0, 500.0):
        delay = 40.0
        law = exponential(rate / provers, dead_time=dead_time)
        found = race_threshold(law, provers=provers, delay_steps=delay)
        # B = S_0 + 1/λ: the dead time leaves x = Δ/(B − S_0) as it was.
        interval = intervals.dead_time_mean_cv(dead_time, rate).mean
        reference = delays.security_threshold(delay / (interval - dead_time))
        claim = f"drift's root, x=0.4, S_0={dead_time * rate:g}/λ"
        checks.append(
            exact(
                claim,
                "block-time law",
                found.beta,
                reference,
                "β*(Δ/(B − S_0))",
                relative=1e-6,
            )
        )
    return checks


def _settlement(_key: Key[Array, ""]) -> list[Check]:
    checks, x = [], published.BITCOIN_X
    for name, digits, bracket, anchors in (
        ("Guo, Ren", 6, latency.guo_ren, published.GUO_REN),
        (
            "Gaži, Ren, Russell",
            5,
            settlement.gazi_ren_russell,
            published.GAZI_REN_RUSSELL,
        ),
    ):
        for (q, k), values in anchors.items():
            found = bracket(q, k, x=x)
            for end, ours, value in zip(("lower", "upper"), found, values, strict=True):
                claim = f"Bitcoin, Δ=10 s, q={q:g}, k={k}, {end}"
                within = 1.02 * _half_digit(value, digits)
                checks.append(_closed(claim, ours, value, name, within=within))
    return checks


def _selfish_formula(_key: Key[Array, ""]) -> list[Check]:
    checks = []
    for gamma in (0.0, 0.5, 0.9):
        threshold = selfish.selfish_threshold(gamma)
        claim = f"R(α) = α at α = (1−γ)/(3−2γ), γ={gamma:g}"
        found = selfish.selfish_revenue(threshold, gamma)
        source = "Eyal, Sirer, Obs. 1"
        checks.append(_closed(claim, found, threshold, source, relative=1e-12))
    return checks


def _selfish_optimum(_key: Key[Array, ""]) -> list[Check]:
    checks = []
    for alpha, value in published.SELFISH_OPTIMUM.items():
        found = optimal_selfish.truncated_selfish_revenue(alpha, 0.0)
        claim = f"γ=0, α={alpha:.3g}, branches ≤ 95"
        source = "Sapirshtein, Sompolinsky, Zohar"
        checks.append(exact(claim, "MDP", found, value, source, within=5.1e-6))
    for alpha in (0.4, 0.45):
        truncated = optimal_selfish.truncated_selfish_revenue(alpha, 0.0)
        optimum = optimal_selfish.optimal_selfish_revenue(alpha, 0.0)
        note = "the published anchor is the truncated value"
        claim = f"truncated ≤ optimum, α={alpha:g}"
        checks.append(
            below(claim, "MDP", truncated, optimum.upper, "our optimum", note)
        )
    # Where every tie is won, each of the pool's blocks displaces an honest one.
    optimum = optimal_selfish.optimal_selfish_revenue(0.3, 1.0)
    claim = "γ=1: α/(1−α), α=0.3"
    checks.append(
        exact(claim, "MDP", optimum.lower, 0.3 / 0.7, "α/(1−α)", relative=1e-8)
    )
    return checks


def _typicality(_key: Key[Array, ""]) -> list[Check]:
    checks = []
    for epsilon, value in published.ATYPICAL.items():
        found = rounds.typicality(2000, 0.05, epsilon)
        claim = f"Pr[window not typical], kp=100, p=.05, ε={epsilon:g}"
        within = 1.02 * _half_digit(value, 4)
        checks.append(_closed(claim, found, value, _SPEC, within=within))
        # A second way: with Y = X and no adversary the window's tails are these.
        tails = backbone.binomial_tails(2000, 0.05, 0.05, 0.0, epsilon)
        both = tails.x_low + tails.x_high
        claim = f"both tails, ε={epsilon:g}"
        checks.append(_closed(claim, both, found, "typicality", relative=1e-12))
    return checks


def _backbone(_key: Key[Array, ""]) -> list[Check]:
    f, epsilon, k = 0.05, 0.2, 2000
    found = backbone.backbone_guarantees(k, f, 0.95 * f, 0.3 * f, epsilon)
    source = "Garay, Kiayias, Leonardos"
    lemma = "SLT23 Lemma 2"
    rows = (
        ("τ = (1−ε)f", rounds.backbone_growth(f, epsilon), 0.04, source),
        ("τ among the guarantees", found.growth, 0.04, source),
        ("growth for s ≥ k rounds", found.growth_rounds, k, lemma),
        ("quality, common prefix from 2kp blocks", found.blocks, 2 * k * f, lemma),
    )
    return [
        _closed(claim, ours, value, who, relative=1e-12)
        for claim, ours, value, who in rows
    ]


def _dead_time_law(_key: Key[Array, ""]) -> list[Check]:
    checks, rate = [], 0.01
    for dead_time in (0.0, 100.0, 1000.0):
        law = exponential(rate, dead_time=dead_time)
        whole_rounds = geometric(rate, dead_time=dead_time)
        moments = intervals.dead_time_mean_cv(dead_time, rate)
        whole = math.sqrt(1 - rate) * moments.cv
        place = f"S_0P={dead_time * rate:g}"
        for claim, ours, value, source in (
            ("mean", laws.mean(law), moments.mean, "S_0 + 1/P"),
            ("CV", laws.cv(law), moments.cv, "1/(1 + S_0P)"),
            ("mean, rounds", laws.mean(whole_rounds), moments.mean, "S_0 + 1/P"),
            ("CV, rounds", laws.cv(whole_rounds), whole, "√(1−P)/(1 + S_0P)"),
        ):
            claim = f"{claim}, {place}"
            checks.append(
                exact(claim, "block-time law", ours, value, source, relative=1e-9)
            )
    return checks


def _dead_time_race(_key: Key[Array, ""]) -> list[Check]:
    checks = []
    strict = races.private_race(0.3, 6, ties_win=False)
    for dead_time, value in published.DEAD_TIME_TIES.items():
        (ties,) = fourier.persistence(memoryless(0.3, dead_time), [6])
        claim = f"ties win, q=.3, z=6, S_0={dead_time}"
        error = published.DEAD_TIME_TIES_ERROR
        checks.append(sampled(claim, "grid", ties.value, error, 0, value, _SPEC))
        race = memoryless(0.3, dead_time, ties_win=False)
        (risk,) = fourier.persistence(race, [6])
        claim = f"strict lead, whatever S_0: S_0={dead_time}"
        checks.append(_grid(claim, risk.value, strict, "closed form", relative=GRID))
    return checks


def _domination(_key: Key[Array, ""]) -> list[Check]:
    checks = []
    for idle, value in published.DOMINATION.items():
        found = intervals.domination(1.0, idle, 1.25, 1.0)
        claim = f"speeds 1.25 : 1, πS_0={idle}"
        checks.append(_closed(claim, found, value, _SPEC, within=5.1e-5))
    return checks


def _slt23_table2(_key: Key[Array, ""]) -> list[Check]:
    r"""Its last row against an i.i.d. ½ lottery after the training.

    A run that wins its first ticket ends as plain training does (the pre-hash of 2^12
    takes 7 ms), so Pr[X < 115] ≥ ½ Pr[T < 115] whatever follows a lost ticket, and by
    Cantelli Pr[T ≥ 115] ≤ v/(v + (115 − m)²). Losing it must cost 2(140.60 − m) on
    average, half of the time: Var[X] ≥ (140.60 − m)². Tickets every c = 140.60 − m
    seconds are an example, with the larger variance 2c².
    """
    m, v = published.SLT23_DL
    mean, variance = published.SLT23_LOTTERY
    least, runs = published.SLT23_LOTTERY_MINIMUM, published.SLT23_RUNS
    law = geometric(0.5, trial=mean - m, dead_time=2 * m - mean)
    lost = float(laws.survival(law, least)) ** runs
    late = v / (v + (least - m) ** 2)
    impossible = "so the row is no i.i.d. ½ lottery"
    return [
        exact(
            "Pr[20 of 20 runs above 115 s], training fixed",
            "block-time law",
            lost,
            0.5**runs,
            "every first ticket lost: 2^-20",
            relative=1e-9,
        ),
        below(
            "the same for any law of the training",
            "closed form",
            (1 - (1 - late) / 2) ** runs,
            1e-5,
            "Cantelli; one in 10^5",
            impossible,
        ),
        exact(
            "CV of the ½ lottery that fits the row",
            "block-time law",
            laws.cv(law),
            math.sqrt(2) * (mean - m) / mean,
            "√2(1 − m/140.60)",
            relative=1e-9,
        ),
        below(
            "published CV, at most half of the least possible",
            "closed form",
            math.sqrt(variance) / mean,
            (1 - m / mean) / 2,
            "½(1 − m/140.60)",
            impossible,
        ),
    ]


def _half_digit(value: float, digits: int) -> float:
    """Half a unit of the last of a value's significant digits."""
    return 0.5 * 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)


CASES = (
    Case(
        "private_race",
        "Private race: the table, strict lead, first to z",
        _private_race,
    ),
    Case("deep_race", "Grid against the closed form down to 2^-128", _deep_race),
    Case("nakamoto", "Nakamoto's table, an approximation of the race", _nakamoto),
    Case("premined_race", "Race with the pre-mined lead", _premined_race),
    Case("security_threshold", "β*(x), also with dead time", _security_threshold),
    Case("settlement", "Guo–Ren; Gaži–Ren–Russell, Bitcoin's delay", _settlement),
    Case("selfish_formula", "SM1 pays from its threshold on", _selfish_formula),
    Case("selfish_optimum", "Optimal selfish mining", _selfish_optimum),
    Case("typicality", "Typical windows of i.i.d. rounds", _typicality),
    Case("backbone", "Growth, quality and common prefix", _backbone),
    Case("dead_time_law", "Mean and CV of the dead-time law", _dead_time_law),
    Case("dead_time_race", "What dead time does to the race", _dead_time_race),
    Case("domination", "The faster prover's share of blocks", _domination),
    Case("slt23_table2", "SLT23's impossible row", _slt23_table2),
)
