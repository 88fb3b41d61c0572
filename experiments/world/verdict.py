"""The verdict of a run and of a sweep, in words; every command prints these.

Only tables are read, also those of earlier versions, whose persistence was simulated
and whose depths end where the simulation did.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from ...analysis.confirmations.decision import (
    Decision,
    RiskAt,
    models_needed,
    of_curve,
    of_interval,
    owed_to,
)
from ..config.experiment import Config
from ..config.world import STRATEGIES
from ..own.words import evidence, more_evidence
from .tier_words import tier_sentence

_RISK, _UNSAFE, _GROWTH = "persistence_violation", "unsafe_depth", "private_growth"
_LONGER = f"{_RISK}_strict"
VERDICT_QUANTITIES = (_RISK, _LONGER, _UNSAFE)
"""What the verdict on a point is read from."""
# Windows that are good so often are said to be, where they do not help.
_GOOD = 0.9
_DECIDES = {
    "models": "more models",
    "horizon": "a longer horizon",
    "gap": "the network itself, nearer than its bound",
}


class Verdict(NamedTuple):
    """What is safe, what is not, and how sure that is.

    Attributes:
        safe_depth: Smallest depth from which all are safe; None if none is known to be.
        unsafe_depth: Largest depth that is not safe; None if none is known not to be,
            or if ``never``.
        never: Whether no depth is safe.
        asked: SAFE, NOT SAFE or UNDECIDED at ``security.depths``.
        line: The verdict as one sentence.
    """

    safe_depth: int | None
    unsafe_depth: int | None
    never: bool
    asked: str
    line: str


def verdict(config: Config, tables: Mapping[str, pd.DataFrame]) -> Verdict:
    """Judge persistence (ties win) against the config's target."""
    estimates: Any = tables["estimates"]
    if not estimates["quantity"].isin(VERDICT_QUANTITIES).to_numpy().any():
        line = "NO VERDICT: persistence is refused, the notes say why."
        return Verdict(None, None, False, "UNDECIDED", line)
    found = _decision(estimates, config.security.target, _criterion(config))
    runs = int(tables["law_summary"].query("main").iloc[0].runs)
    asked = config.security.depths
    how = _source(config, estimates, runs)
    line = f"{_sentence(config, found, estimates, runs)} ({how})."
    tiers = tier_sentence(estimates)
    line = f"{line} {tiers}" if tiers else line
    if tables["notes"]["kind"].eq("fault").to_numpy().any():
        line = f"NOT TO BE RELIED ON, the notes say what is wrong: {line}"
    return Verdict(
        None if math.isinf(found.safe) else int(found.safe),
        None if found.unsafe == 0 or found.never else int(found.unsafe),
        found.never,
        found.at(asked),
        line,
    )


def _sentence(config: Config, found: Decision, estimates, runs: int) -> str:
    against = _adversary(config)
    target = f"target {config.security.target:g}"
    if found.never:
        return (
            f"NOT SAFE at any depth {against}, {target}: {_outgrown(estimates)}"
            f"{_good_windows(estimates)}"
        )
    parts = []
    if math.isinf(found.safe):
        parts.append(f"NOT SHOWN SAFE at any depth {against}, {target}")
    else:
        parts.append(f"SAFE from {found.safe:.0f} confirmations {against}, {target}")
    if found.unsafe:
        parts.append(f"NOT SAFE up to {found.unsafe:.0f}")
    first, last = found.unsafe + 1, found.safe - 1
    if first <= last:
        where = f"{first:.0f}–{last:.0f}" if first < last else f"{first:.0f}"
        where = f"from {first:.0f}" if math.isinf(last) else f"at {where}"
        parts.append(f"undecided {where}: {_remedy(config, found, runs)}")
    return "; ".join(parts)


def _adversary(config: Config) -> str:
    attack, beta = config.adversary.attack, f"β = {config.network.beta:g}"
    if attack in STRATEGIES and config.attackers:
        played = {"best": "the best withholding policy found"}.get(attack, attack)
        return f"against {played} of {beta}"
    chain = f"against a private chain of {beta}"
    if attack not in ("private", "private_premined", "honest"):
        chain += f" by {attack}"
    if config.adversary.part and config.attackers:
        chain += f" by {config.adversary.part}"
    start = "with" if attack == "private_premined" else "without"
    ties = "ties win" if config.security.criterion == "equal" else "ties lose"
    return f"{chain} {start} a head start, {ties}"


def _remedy(config: Config, found: Decision, runs: int) -> str:
    """What would decide the depth asked for, or narrow the rest."""
    asked, models = config.security.depths, more_evidence(config)
    open_ = found.at(asked) == "UNDECIDED"
    # The wider side, where no depth is asked for.
    above = math.isinf(found.safe) or (
        found.safe * max(found.unsafe, 1) > found.value**2
    )
    place = asked if open_ else (found.value if above else found.value - 1)
    cause = owed_to(found, place)
    if cause == "horizon":
        return (
            "most of that is what training may do beyond the horizon: a longer "
            f"training.horizon_steps narrows it, more {models} do not"
        )
    if cause == "gap":
        return "most of that is the gap between the bound and the network itself" + (
            f", which more {models} do not close" if models else ""
        )
    if not models:
        return (
            "the law is a formula, so a smaller interval of the simulation "
            "(security.replicas) would decide more"
        )
    if open_:
        needed = models_needed(found, asked, runs)
        if needed <= 1e6:
            return (
                f"about {_rounded(needed)} {models}, not {runs}, would decide {asked}"
            )
        return f"more {models} than {runs} narrow it, too slowly to decide {asked}"
    if math.isinf(found.safe):
        return f"more {models} than {runs} would narrow it"
    return f"{4 * runs} {models}, not {runs}, would halve that range"


def _rounded(count: float) -> str:
    """Two digits, upwards: it is no more than a guide."""
    scale = 10 ** max(0, math.floor(math.log10(count)) - 1)
    return f"{math.ceil(count / scale) * scale:,}"


def _outgrown(estimates) -> str:
    growth = estimates[estimates.quantity == _GROWTH]
    if growth.empty:
        return "the private chain grows faster than the public one"
    row = growth.iloc[0]
    return (
        f"it grows {row.value:.3g} [{row.low:.3g}, {row.high:.3g}] times as fast as "
        "the public chain and overtakes it from every depth"
    )


def _good_windows(estimates) -> str:
    """Why good periods do not help where no depth is safe; "" where few are good."""
    windows = estimates[estimates.quantity == "good_period"].sort_values("at")
    if windows.empty or windows.value.iloc[-1] < _GOOD:
        return ""
    row, more = windows.iloc[-1], []
    for quantity, said in (
        ("chain_quality", "chain quality {:.2g}"),
        ("stale_rate", "{:.0%} of the honest blocks stale"),
    ):
        there = estimates.loc[estimates.quantity == quantity, "value"]
        more += [said.format(value) for value in there]
    return (
        f". That Pr[window of {row['at']:g} blocks is good] = {row.value:.3g} does not "
        "help: in a good period the counts are near their means, and the means "
        f"themselves are the adversary's ({', '.join(more)})"
    )


def _source(config: Config, estimates, runs: int) -> str:
    risk = _criterion(config)
    rows = estimates[estimates.quantity == risk]
    name = risk.replace("violation", "simulated")
    simulated = estimates[estimates.quantity == name]
    if simulated.empty:
        simulated = rows
    races = f"{int(simulated['count'].max()):,} simulated races"
    if config.attackers and config.adversary.attack in STRATEGIES:
        races = races.replace("races", "chains")
        if rows["method"].str.startswith("Markov chain").any():
            races = "Markov chain of a fork"
    if rows["method"].str.startswith("Fourier").any():
        how = f"Fourier grid, {races} beside it"
    else:
        how = races
    if config.law.source == "formula":
        return f"{how}; 95 % intervals of the simulation, the law is a formula"
    return f"{how}; 95 % intervals from {runs} {evidence(config)}"


def _criterion(config: Config) -> str:
    """Whose risk the verdict is on: an equal chain's, or a longer one's."""
    return _RISK if config.security.criterion == "equal" else _LONGER


def _decision(rows: Any, target: float, risk: str = _RISK) -> Decision:
    """Of a run's estimates, or of the rows of a point."""
    known = rows[(rows["quantity"] == _UNSAFE) & rows["value"].notna()]
    if len(known):
        row = known.iloc[0]
        return of_interval(row["value"], row["low"], row["high"], str(row["method"]))
    curve = rows[(rows["quantity"] == risk) & rows["value"].notna()]
    return of_curve(
        [RiskAt(*each) for each in curve[["at", "value", "low", "high"]].to_numpy()],
        target,
    )


# ------------------------------------------------------------------ of many points


class Counts(NamedTuple):
    """Points of a sweep by their verdict at the deepest depth that was asked for.

    Attributes:
        done: Points with their rows.
        safe: SAFE there.
        unsafe: NOT SAFE there.
        never: Of these, at any depth.
        undecided: Between.
        missing: Done, without a number.
        depths: The depths, as text.
        decides: What would decide the undecided ones → how many.
    """

    done: int
    safe: int
    unsafe: int
    never: int
    undecided: int
    missing: int
    depths: str
    decides: dict[str, int]


def count_verdicts(points: pd.DataFrame) -> Counts | None:
    """The verdicts of a sweep's points; None where no target is known.

    Args:
        points: ``sweep.results.read_results``.
    """
    table: Any = points
    done: Any = table[table["status"] == "done"]
    named = done["quantity"].isin(VERDICT_QUANTITIES)
    wanted = done[named & done["value"].notna()]
    # Earlier results have the target in a column, where it was swept.
    aside = "security.target" in done
    if not aside and not (wanted["quantity"] == _UNSAFE).any():
        return None
    states: list[str] = []
    never, depths = 0, set()
    decides: dict[str, int] = {}
    for _, rows in wanted.groupby("point", sort=False):
        curve = rows[rows["quantity"].isin((_RISK, _LONGER))]
        if curve.empty:
            continue
        asked = float(curve["at"].max())
        target = float(rows["security.target"].iloc[0]) if aside else math.nan
        found = _decision(rows, target)
        states.append(found.at(asked))
        depths.add(asked)
        never += found.never
        if states[-1] == "UNDECIDED":
            cause = _DECIDES[owed_to(found, asked)]
            decides[cause] = decides.get(cause, 0) + 1
    total = int(done["point"].nunique())
    ends = sorted({min(depths), max(depths)}) if depths else []
    return Counts(
        total,
        states.count("SAFE"),
        states.count("NOT SAFE"),
        never,
        states.count("UNDECIDED"),
        total - len(states),
        "–".join(f"{each:g}" for each in ends),
        decides,
    )


def _adversaries(points: Any) -> str:
    if "adversary.attack" in points:
        return "Against each point's adversary.attack"
    methods = points.loc[points["quantity"] == _UNSAFE, "method"].astype(str)
    ahead = len(methods) and methods.str.contains("with a head start").to_numpy().all()
    return f"Private chain {'with' if ahead else 'without'} a head start"


def _ties(points: Any) -> str:
    if "security.criterion" in points:
        return "each point's security.criterion"
    equal = (points["quantity"] == _RISK).to_numpy().any()
    return "equal length suffices (ties win)" if equal else "a longer one is needed"


def sweep_line(points: pd.DataFrame) -> str:
    """How many points are safe at the depth asked for, as two sentences at most."""
    found = count_verdicts(points)
    if found is None:
        return (
            "No target risk is in the results, so none of them is called safe: "
            "compare Pr[violation] with yours."
        )
    if not found.depths:
        return f"No point of {found.done:,} has a verdict."
    never = f" ({found.never:,} of them at any depth)" if found.never else ""
    line = (
        f"{_adversaries(points)}, {_ties(points)}: "
        f"SAFE at {found.depths} confirmations in {found.safe:,} of {found.done:,} "
        f"points, NOT SAFE in {found.unsafe:,}{never}, undecided in "
        f"{found.undecided:,}, without a number in {found.missing:,}."
    )
    if found.decides:
        told = ", ".join(f"{what} in {n:,}" for what, n in found.decides.items())
        line += f" What would decide the undecided: {told}."
    return line
