"""What a run says, in words: the verdict, the summary page, the closing table."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from ..config.experiment import Config
from ..config.world import STRATEGIES
from ..own.words import attempts, evidence
from ..world.verdict import Verdict as Verdict, verdict
from . import pictures

_NAMES = {
    "block_interval_mean": "block interval, steps",
    "block_interval_cv": "interval, CV (memoryless: {memoryless})",
    "chain_growth": "chain growth, blocks per step",
    "stale_rate": "stale blocks, share",
    "chain_quality": "chain quality under withholding",
    "persistence_violation": "Pr[{at:g} deep is replaced, ties win]",
    "private_growth": "private chain's growth over the public one's",
    "safe_depth": "confirmations for risk {risk} †",
    "safe_depth_premined": "with a head start, risk {risk} †",
    "liveness_quantile": "steps until {k} deep, {at:.0%} quantile",
    "good_period": "Pr[window of {at:g} blocks is good]",
    "good_period_all": "Pr[all windows ≥ {at:g} blocks good]",
}

# What is called otherwise where corrupted provers publish by a strategy.
_OF_STRATEGIES = {
    "chain_quality": "chain quality, honest share of settled blocks",
    "revenue": "revenue, the adversary's share of settled blocks",
    "persistence_violation": "Pr[{at:g} deep is reverted]",
    "safe_depth": "confirmations against a private chain, risk {risk} †",
}

# Rows of a criterion that needs a longer chain.
_LONGER = {
    name: f"{name}_strict"
    for name in ("persistence_violation", "safe_depth", "safe_depth_premined")
}

# What carries a figure, said beside it: quantity → sentence.
_FOOTNOTES = {
    "persistence_violation": "ties win: a private chain of equal length counts as "
    "replacing the block. That is the criterion; provers themselves {ties}.",
    "longer": "security.criterion = longer: only a private chain that is longer counts "
    "as replacing the block.",
    "balance": "persistence: a fork that begins level is kept alive for so many "
    "levels by the balance attack; who waited for as many blocks on its losing branch "
    "is reverted.",
    "selfish": "persistence: the share of levels on which a public block that deep was "
    "reverted under SM1.",
    "best": "persistence: the share of levels on which a public block that deep was "
    "reverted under the best withholding policy found, which is played for revenue.",
    "safe_depth": "†: for a private chain only, and carried on from the measured law "
    "far beyond any simulation: it holds if {attempts} are independent of each other, "
    "and no interval has a doubt of that in it.",
}

_TIES = {
    "first_seen": "stay with the block that they saw first",
    "random": "toss a coin between equal tips",
    "adversary": "go over to the later of equal tips",
}

SAME_MEANS = "memoryless, same mean intervals"  # analysis.memoryless's, without jax
# The second table: what a good period rests on.
_DETAILS = {
    "decay_slope": "slope c of −ln Pr[bad] over ε² kp at {at:g}, one window",
    "decay_slope_iid": "the same for independent rounds, at {at:g}",
    "decay_constant": "c of Pr[bad] ∝ e^(−c ε² kp), lengths measured, one window",
    "decay_constant_iid": "the same for independent rounds",
    "decay_ratio": "ratio to independent rounds",
    "decay_slope_all": "slope c at {at:g}, all windows ≥ k",
    "decay_slope_iid_all": "the same for independent rounds, at {at:g}",
    "decay_constant_all": "c over the lengths measured, all windows ≥ k",
    "decay_constant_iid_all": "the same for independent rounds",
    "decay_ratio_all": "ratio to independent rounds",
    "dispersion": "dispersion over {at:g} blocks (independent: {independent})",
    "isolated_rate": "isolated blocks, per step",
    "isolated_share": "isolated, share of honest blocks",
    "left_isolated_share": "left-isolated, share of honest blocks",
    "growth_shortfall": "Pr[growth < (1−ε) mean over {steps} steps]",
    "quality_gap": "Pr[no honest block in {steps} steps]",
}


def closing_rows(config: Config, tables: Mapping[str, pd.DataFrame]) -> list[tuple]:
    """Rows (figure, value, 95 % interval) that a researcher reads first."""
    estimates = tables["estimates"]
    seconds = config.clock.seconds_per_step
    # With Δ the interval is Δ and an exponential time: less than 1.
    memoryless = _memoryless(tables).get("block_interval_cv")
    memoryless = "1 without delay" if memoryless is None else number(memoryless)
    shown_at = {
        "persistence_violation": _chosen_depths(config, tables),
        "good_period": _chosen_windows(estimates),
        "good_period_all": _chosen_windows(estimates),
    }
    strategy = _strategy(config)
    names = _NAMES | (_OF_STRATEGIES if strategy else {})
    if config.security.criterion == "longer":
        names = {_LONGER.get(name, name): text for name, text in names.items()}
        names[_LONGER["persistence_violation"]] = "Pr[{at:g} deep is outgrown]"
        shown_at |= {_LONGER["persistence_violation"]: _chosen_depths(config, tables)}
    if strategy == "balance":
        names |= {"safe_depth": "confirmations for risk {risk}"}
    rows = []
    for row in _rows(estimates):
        if row.quantity not in names:
            continue
        if row.at not in shown_at.get(row.quantity, {row.at}) and row.at == row.at:
            continue
        name = names[row.quantity].format(
            at=row.at,
            k=config.security.confirmations,
            risk=risk_name(row.at),
            memoryless=memoryless,
        )
        value = number(row.value)
        if row.unit == "steps":
            value += f"  ({number(row.value * seconds)} s)"
        if row.value == 0 and row.unit == "probability":
            value = f"< {number(row.high)}"
        rows.append((name, value, f"{number(row.low)} … {number(row.high)}"))
    return rows


def footnotes(config: Config, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What must be read with ``closing_rows``, a sentence or two each."""
    there = set(tables["estimates"]["quantity"])
    ties = _TIES[config.protocol.adopted]
    strategy = _strategy(config)
    if config.security.criterion == "longer":
        there -= {"persistence_violation"}
        there |= {"longer", *(["safe_depth"] if "safe_depth_strict" in there else [])}
    if strategy:
        there = {strategy, *(there & {"safe_depth"})}
    if strategy == "balance":
        there.discard("safe_depth")
    return [
        text.format(ties=ties, attempts=attempts(config))
        for quantity, text in _FOOTNOTES.items()
        if quantity in there
    ]


def _strategy(config: Config) -> str:
    """The attack, where it is one of what is published and when; else nothing."""
    attack = config.adversary.attack
    return attack if config.attackers and attack in STRATEGIES else ""


def detail_rows(tables: Mapping[str, pd.DataFrame]) -> list[tuple]:
    """Rows (figure, value, 95 % interval, memoryless) of slow and of bad periods."""
    estimates: Any = tables["estimates"]
    singles = _memoryless(tables)
    # V(k) of independent rounds is 1 − p, p the chance of a success in a round.
    successes = estimates[estimates.quantity == "round_success"]["value"]
    independent = "1 − p" if successes.empty else number(1 - successes.iloc[0])
    # How far counts are from independent ones is seen at the ends.
    windows = [r.at for r in _rows(estimates) if r.quantity == "dispersion"]
    ends = {min(windows, default=0), max(windows, default=0)}
    rows = []
    for row in _rows(estimates):
        if row.quantity not in _DETAILS:
            continue
        if row.quantity == "dispersion" and row.at not in ends:
            continue
        name = _DETAILS[row.quantity].format(
            at=row.at, steps=number(row.at), independent=independent
        )
        value = number(row.value)
        if row.value == 0 and row.unit == "probability":
            value = f"< {number(row.high)}"
        beside = singles.get(row.quantity)
        interval = f"{number(row.low)} … {number(row.high)}"
        rows.append((name, value, interval, "" if beside is None else number(beside)))
    return rows


def _memoryless(tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Single figures of the memoryless chain with the same mean intervals and Δ."""
    return {
        row.quantity: row.value
        for row in _rows(tables["references"])
        if row.name == SAME_MEANS and row.at != row.at
    }


def oracle_line(tables: Mapping[str, pd.DataFrame]) -> str | None:
    """Whether ½ f_1 f_2 ≤ p ≤ f_2 on the curves, as a sentence; None if not asked."""
    found: dict[str, list[Any]] = {}
    for row in _rows(tables["estimates"]):
        found.setdefault(row.quantity, []).append(row)
    if not {"p", "f_2", "p_lower"} <= set(found):
        return None
    (p,), (f_2,) = found["p"], found["f_2"]
    judged: dict[str, list[str]] = {"holds": [], "fails": [], "is undecided": []}
    for lower in found["p_lower"]:
        judged[_at_most(lower, p)].append(f"{lower.at:g}")
    below = "; ".join(
        f"½ f_1 f_2 ≤ p {verb} at D_acc = {', '.join(places)}"
        for verb, places in judged.items()
        if places
    )
    past = ", ".join(
        f"{number(row.value)} at {row.at:g}" for row in found["past_difficulty"]
    )
    return (
        f"SLT23 Lemma 1 with rounds of one look: p = {number(p.value)} "
        f"[{number(p.low)}, {number(p.high)}], f_2 = {number(f_2.value)}; "
        f"p ≤ f_2 {_at_most(p, f_2)}; {below}. Pr[acc ≥ D_acc], which it takes for "
        f"≥ ½: {past}."
    )


def _at_most(small: Any, large: Any) -> str:
    if small.high <= large.low:
        return "holds"
    return "fails" if small.low > large.high else "is undecided"


def risk_name(risk: float) -> str:
    """A risk as people write it: 2^-128, 1e-09."""
    power = -math.log2(risk) if risk > 0 else 0.5
    if power >= 20 and power == round(power):
        return f"2^-{power:.0f}"
    return f"{risk:g}"


def law_columns(tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Headings of ``law_rows``."""
    columns = ("setting", "mean, steps", "mean ± sd, s", "CV", "at T_acc")
    if "published_cv" in tables["law_summary"]:
        return (*columns, "published: mean ± sd, s (CV)")
    return columns


def law_rows(tables: Mapping[str, pd.DataFrame]) -> list[tuple[str, ...]]:
    """One row a setting, with the published figures beside ours if there are any."""
    rows = []
    columns = len(law_columns(tables))
    for row in _rows(tables["law_summary"]):
        if not math.isfinite(row.mean):
            cells = (row.setting, _no_mean(row), "", "", "")
        else:
            cells = (
                row.setting,
                _pm(row.mean, row.mean_low, row.mean_high),
                f"{number(row.mean_seconds)} ± {number(row.sd_seconds)}",
                _pm(row.cv, row.cv_low, row.cv_high),
                "—"
                if row.kind == "pow" or not row.runs
                else f"{int(row.reached)}/{int(row.runs)}",
            )
        if columns > len(cells):
            cells = (*cells, _published(row))
        rows.append(cells)
    return rows


def _published(row: Any) -> str:
    if not math.isfinite(row.published_cv):
        return ""
    return (
        f"{number(row.published_mean_seconds)} ± {number(row.published_sd_seconds)} "
        f"({number(row.published_cv)})"
    )


def _data(config: Config) -> str:
    if config.law.trained:
        return f"Data: {config.data.name}."
    return f"Law: {config.law.source}, {config.law.path or config.law.formula.family}."


def _resampled(config: Config) -> str:
    if config.law.source == "formula":
        return "of the simulation"
    return f"from resampling the {evidence(config)}"


def markdown(config: Config, tables: Mapping[str, pd.DataFrame]) -> str:
    """The run's summary page."""
    net, scheme = config.network, config.scheme
    lines = [f"# {config.name}", ""]
    if config.description:
        lines += [config.description, ""]
    lines += [f"**{verdict(config, tables).line}**", ""]
    lines += [
        f"Scheme: T_acc = {scheme.t_acc:g}, p_1 = {scheme.p_1:.3g}, p_2 = "
        f"{scheme.p_2:.3g}, retry = {config.protocol.retry}. Network: "
        f"{net.provers} provers, β = {net.beta:g}, Δ = {net.delay_steps:g} steps. "
        f"{_data(config)}",
        "",
        "## Block time of one prover",
        "",
        *_table(law_columns(tables), law_rows(tables)),
        "",
        f"Intervals: 95 %, {_resampled(config)}, and never less than what",
        "the extrapolation beyond the horizon leaves open. Seconds are the",
        "time unit's conversion (`clock`), not a measurement of each run. Beside the",
        "published Table 2 of SLT23 compare the ordering and the CVs: its rows are 20",
        "attempts each on another machine, and its row (2^244, 2^255) cannot come",
        "from an independent lottery of probability ½ (its minimum is 115 of 20).",
        "",
        "## Security",
        "",
        *_table(("quantity", "value", "95 % interval"), closing_rows(config, tables)),
        "",
        *(line for text in footnotes(config, tables) for line in (text, "")),
        *_details(config, tables),
        "## Notes",
        "",
        *(f"* {n.kind}: {n.text}" for n in _rows(tables["notes"])),
        "",
        "## Figures",
        "",
        *(f"![{name}](figures/{name}.png)" for name in pictures.drawn(tables)),
        "",
        "Every number with its method is in `estimates.csv`; closed forms that stand",
        "beside them are in `references.csv`.",
        "",
    ]
    return "\n".join(lines)


def _details(config: Config, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    rows, line = detail_rows(tables), oracle_line(tables)
    if not rows and line is None:
        return []
    lines = ["## Slow stretches, isolated blocks, bad periods", ""]
    if rows:
        header = ("quantity", "value", "95 % interval", "memoryless")
        lines += [
            *_table(header, rows),
            "",
            f"ε = {config.security.epsilon:g}. Memoryless: a closed form with the same",
            "mean intervals and every message Δ late.",
            "",
        ]
    return lines if line is None else [*lines, line, ""]


def number(value: float) -> str:
    """Three significant digits, in the form that reads best."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "—"
    if value == 0:
        return "0"
    if 0.99 < value < 1:
        # Near certainty the distance to 1 is the number.
        return f"{value:.{min(6, 1 - math.floor(math.log10(1 - value)))}g}"
    if 1e-3 <= abs(value) < 1e5:
        digits = max(0, 2 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.2e}"


def _chosen_depths(config: Config, tables: Mapping[str, pd.DataFrame]) -> set[float]:
    judged = verdict(config, tables)
    depths = {1.0, float(config.security.confirmations)}
    depths |= {float(d) for d in (judged.safe_depth, judged.unsafe_depth) if d}
    return depths | {float(config.security.depths)}


def _chosen_windows(estimates: Any) -> set[float]:
    """Window lengths up to the first at which good is the rule, at most three."""
    rows = estimates[estimates.quantity == "good_period_all"].sort_values("at")
    sure = rows[rows.low >= 0.99]["at"]
    last = sure.iloc[0] if len(sure) else rows["at"].max()
    return set(rows[rows["at"] <= last]["at"].iloc[-3:])


def _rows(table: pd.DataFrame) -> Iterable[Any]:
    """A table's rows with its columns as attributes, which no type checker knows."""
    return table.itertuples()


def _no_mean(row: Any) -> str:
    if math.isnan(row.mean):
        return "too few models reach T_acc"
    return f"may never end: {int(row.runs - row.reached)} of {int(row.runs)} models"


def _pm(value: float, low: float, high: float) -> str:
    error = "(exact)" if low == high else f"[{number(low)}, {number(high)}]"
    return f"{number(value)} {error}"


def _table(header: tuple, rows: list[tuple]) -> list[str]:
    lines = (header, tuple("---" for _ in header), *rows)
    return ["| " + " | ".join(map(str, cells)) + " |" for cells in lines]
