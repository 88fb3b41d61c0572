"""``dpodl risk``: share and depth to risk, target to depth and to age, for a config."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.confirmations.any_block import any_block, any_block_bound
from ...analysis.confirmations.near_ages import near_ages
from ...analysis.confirmations.rare_ages import safe_time, time_rule_rare
from ...analysis.confirmations.tables import (
    DepthCell,
    RiskCell,
    TableTerms,
    depth_table,
    risk_table,
)
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.measurement import Measurement
from ...analysis.estimation.training_error import UNKNOWN, Basis, few_runs
from ...analysis.race.walk import TARGETS, Race, bounded, outgrows, race, tilts
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..config.section import ConfigError
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..pipeline.branching import starts_of
from ..store.files import Progress
from ..world import persistence, translation
from ..world.situation import world_law
from .any_tiers import no_tiers, tier_tables
from .risk_words import assumptions
from .worlds import RACED, RACES, require_equal_provers

BETAS = (0.1, 0.2, 0.3, 0.4)
DEPTHS = (1, 2, 3, 6, 10, 20, 50)
# A table is read at a glance; more resamples would not move its second digit.
_RESAMPLES = 8


class _Races(NamedTuple):
    """The race of a config's network, as uncertain as its law.

    Attributes:
        config: Whose network.
        law: Of one prover, with its resamples.
        basis: What the race rests on.
        made: Those that were made, by the identity of their law.
        premined: Whether the adversary has a head start.
    """

    config: Config
    law: UncertainLaw
    basis: Basis
    made: dict[int, Race]
    premined: bool = False

    @property
    def laws(self) -> tuple[BlockTimeLaw, ...]:
        """That of all runs, then all others."""
        return self.law.law, *self.law.resamples, *self.law.extremes

    def under(self, law: BlockTimeLaw) -> Race:
        """The race under one of the laws, the same object each time."""
        if id(law) not in self.made:
            self.made[id(law)] = race(
                translation.network_of(self.config, law, self.law),
                ties_win=self.config.security.criterion == "equal",
                premined=self.premined,
                known_until=self.law.known_until,
            )
        return self.made[id(law)]


class Question(NamedTuple):
    """What is asked about a config's law.

    Attributes:
        betas: Shares of the tables; the config's own is added.
        depths: Depths of the tables.
        horizon: N, levels within which any block may be reverted.
        ages: Ages whose risk is asked, steps.
        premined: Whether the adversary starts with its stationary lead; it does under
            ``adversary.attack`` = private_premined.
    """

    betas: Sequence[float] = BETAS
    depths: Sequence[int] = DEPTHS
    horizon: int = 10_000
    ages: Sequence[float] = ()
    premined: bool = False


def of_world(config: Config, question: Question) -> Question:
    """The question with the head start that the config's adversary has."""
    ahead = question.premined or config.adversary.attack == "private_premined"
    return question._replace(premined=ahead)


def risk_tables(
    config: Config, root: Path, progress: Progress, question: Question
) -> dict[str, pd.DataFrame]:
    """Answers as tidy tables.

    Args:
        config: The experiment; ``security.target`` is the first target.
        root: Where trained curves are kept (``--output`` of ``dpodl run``).
        progress: Told how far it is.
        question: What is asked.

    Returns:
        ``risk`` (beta, depth) and ``confirmations`` (beta, target), each with
        memoryless and nakamoto; ``any_block`` (quantity, depth), ``age`` (quantity,
        at) and those of ``tier_tables`` for the config's own share, empty if nobody is
        corrupted; ``notes`` (kind, text). Cells have value, low, high, count, method,
        status (``estimated``, ``certain``, ``refused``) and refusal, the reason.

    Raises:
        ConfigError: If config and data do not go together.
        ValueError: If a share, a depth, an age or the horizon is out of range.
        Refused: If the runs cannot support a law, or the config's world is beyond equal
            provers of fresh models.
    """
    _check(question)
    require_equal_provers(config, "risk", attacks=RACES, known=RACED)
    question = of_world(config, question)
    curves = training.train(config, root, progress)
    costs = translation.costs_of(config, curves)
    count = min(config.security.bootstraps, _RESAMPLES)
    starts = starts_of(config, curves, root, progress)
    law = world_law(config, curves, costs, starts, resamples=count)
    net = config.network
    corrupted = net.beta * net.provers
    basis = law.basis(net.provers - corrupted, corrupted)
    setting = TableTerms(
        net.provers,
        net.delay_steps,
        ties_win=config.security.criterion == "equal",
        premined=question.premined,
        known_until=law.known_until,
    )
    targets = tuple(dict.fromkeys((config.security.target, *TARGETS)))
    betas = sorted({*question.betas, net.beta})
    total = 2 * len(betas) + 3
    risks, depths = [], []
    for done, beta in enumerate(betas):
        progress("risk tables", 2 * done, total)
        risks += risk_table(
            law, setting, betas=[beta], depths=question.depths, basis=basis
        )
        progress("risk tables", 2 * done + 1, total)
        depths += depth_table(law, setting, betas=[beta], targets=targets, basis=basis)
    progress("risk tables", total - 3, total)
    blocks, ages = [], []
    tiers, assumed = no_tiers(), []
    if round(net.beta * net.provers):
        races = _Races(config, law, persistence.race_basis(config, law), {})
        blocks = _any_block_rows(races, question, risks, net.beta)
        progress("risk tables", total - 2, total)
        tiers, assumed = tier_tables(config, law, races.basis, curves)
        progress("risk tables", total - 1, total)
        moved = races._replace(premined=question.premined, made={})
        ages = _age_rows(seed_key(config.seed), moved, question, targets, progress)
    progress("risk tables", total, total)
    own = pd.DataFrame(blocks, columns=_ROW), pd.DataFrame(ages, columns=_ROW)
    seconds = own[1]["value"].where(own[1]["unit"] == "steps")
    return {
        "risk": pd.DataFrame([_table_row(cell, basis) for cell in risks]),
        "confirmations": pd.DataFrame([_table_row(cell, basis) for cell in depths]),
        "any_block": own[0],
        "age": own[1].assign(seconds=seconds * config.clock.seconds_per_step),
        **tiers,
        "notes": pd.DataFrame(
            [
                ("assumption", text)
                for text in [
                    *assumptions(config, question.horizon, question.premined, count),
                    *assumed,
                ]
            ]
            + [("warning", text) for text in [few_runs(basis)] if text],
            columns=["kind", "text"],
        ),
    }


def write(
    tables: dict[str, pd.DataFrame], folder: Path, config: Config, *, command: str
) -> None:
    """Keep the tables."""
    keep_answer(folder, "risk", tables, command=command, config=config)


_CELL = [
    *("value", "low", "high", "count", "method"),
    *("status", "refusal", "runs_effective", "warning"),
]
_ROW = ["quantity", "at", "at_unit", "unit", *_CELL]


def _table_row(cell: RiskCell | DepthCell, basis: Basis) -> dict:
    row = cell._asdict()
    for name in ("estimate", "refusal", "certain"):
        del row[name]
    return row | _cell(cell.estimate, cell.refusal, certain=cell.certain, basis=basis)


def _cell(
    estimate: Estimate | None,
    refusal: str = "",
    *,
    certain: bool = False,
    basis: Basis = UNKNOWN,
) -> dict:
    rests = {"runs_effective": basis.runs, "warning": few_runs(basis)}
    if estimate is None:
        unknown = Estimate(math.nan, math.nan, math.nan, 0, "")
        return unknown._asdict() | {"status": "refused", "refusal": refusal} | rests
    status = "certain" if certain else "estimated"
    return estimate._asdict() | {"status": status, "refusal": ""} | rests


def _row(m: Measurement, *, certain: bool = False) -> dict:
    kept = {"quantity": m.quantity, "at": m.at, "at_unit": m.at_unit, "unit": m.unit}
    return kept | _cell(m.estimate, certain=certain)


def _any_block_rows(
    races: "_Races", question: Question, risks: list[RiskCell], beta: float
) -> list[dict]:
    """A given block, any block under restarts, and the bound on the best restarts."""
    rows = [
        {"quantity": "given_block", "at": cell.depth, "at_unit": "blocks"}
        | {"unit": "probability"}
        | _cell(cell.estimate, cell.refusal, certain=cell.certain)
        for cell in risks
        if cell.beta == beta
    ]
    for name, figure in (
        ("any_block_violation", any_block),
        ("any_block_bound", any_block_bound),
    ):
        known = _all_depths(partial(figure, horizon=question.horizon), question.depths)
        for depth in question.depths:
            solve = partial(known, depth=depth)
            rows.append(_with_spread(name, depth, "blocks", races, solve, log=True))
    return rows


def _all_depths(
    figure: Callable[[Race, Sequence[int]], list[Measurement]], depths: Sequence[int]
) -> Callable[..., Measurement]:
    """(race, depth) → its figure; a race is solved once, for all depths together.

    Where one depth is refused, each is asked for by itself.
    """
    solved: dict[int, dict[int, Measurement]] = {}

    def known(one: Race, depth: int) -> Measurement:
        if id(one) not in solved:
            try:
                found = dict(zip(depths, figure(one, depths), strict=True))
            except Refused:
                found = {}
            solved[id(one)] = found
        found = solved[id(one)].get(depth)
        return figure(one, [depth])[0] if found is None else found

    return known


def _age_rows(
    key,
    races: "_Races",
    question: Question,
    targets: Sequence[float],
    progress: Progress,
) -> list[dict]:
    """The smallest safe age of each target, and the risk at each age asked.

    Both are sampled under the law of all runs; other laws are taken relative to it
    where ``near_ages`` serves them. Near the share from which the private chain
    outgrows the public one races are long: how long is told before the first of them.
    """
    total = len(targets) + len(question.ages)
    what = "safe ages" + _length(races.under(races.law.law), min(targets))
    suffix = "_premined" if question.premined else ""
    near = near_ages([races.under(law) for law in races.laws])
    rows = []
    for target in targets:
        progress(what, len(rows), total)

        def age(one: Race, target=target) -> Measurement:
            return safe_time(key, one, [target])[0]

        name, moved = f"safe_time{suffix}", near.safe_time
        rows.append(_with_spread(name, target, "target", races, age, moved))
    for asked in question.ages:
        progress(what, len(rows), total)

        def risk(one: Race, asked=asked) -> Measurement:
            return time_rule_rare(key, one, [asked])[0]

        moved = partial(near.risk, asked)
        name = f"time_rule_violation{suffix}"
        rows.append(_with_spread(name, asked, "steps", races, risk, moved, log=True))
    progress(what, total, total)
    return rows


def _length(one: Race, target: float) -> str:
    """How many blocks it takes until a race's risk is a target's, roughly: ln ε / K."""
    if outgrows(one):
        return ""
    try:
        rate = tilts(bounded(one)).log_rate
    except Refused:
        return ""
    length = math.log(target) / rate
    length = round(length, 1 - math.floor(math.log10(length)))
    return f", races of some {length:,.0f} blocks"


def _with_spread(
    name: str,
    at: float,
    at_unit: str,
    races: "_Races",
    solve: Callable[[Race], Measurement],
    moved: Callable[[int, float], float | None] | None = None,
    *,
    log: bool = False,
) -> dict:
    """A number of the race, with the error of the training runs.

    Where another law is refused the interval has no upper end but the largest there is.

    Args:
        name: Of the number.
        at: Where it is.
        at_unit: Unit of that.
        races: The race under every law.
        solve: The number.
        moved: The number under another law, by its place and the number under the law
            of all runs; None, or where it gives None: that law's is solved too.
        log: Whether it is a probability, not a time.
    """
    unit = "probability" if log else "steps"
    place = {"quantity": name, "at": at, "at_unit": at_unit, "unit": unit}
    laws = races.laws
    try:
        own = solve(races.under(laws[0]))
        if log and outgrows(races.under(laws[0])):
            return _row(own, certain=True)

        def figure(law: BlockTimeLaw) -> float | Estimate:
            other = next(n for n, one in enumerate(laws) if one is law)
            if other == 0:
                return own.estimate
            found = moved and moved(other, own.estimate.value)
            return solve(races.under(law)).estimate if found is None else found

        found = races.law.measured(
            figure,
            scale="logit" if log else "log",
            basis=races.basis,
            lacking=1.0 if log else math.inf,
        )
    except Refused as refusal:
        return place | _cell(None, str(refusal))
    return place | _cell(found, basis=races.basis)


def _check(question: Question) -> None:
    for beta in question.betas:
        if not 0 <= beta < 1:
            raise ConfigError(f"--beta must lie in [0, 1), got {beta:g}")
    for age in question.ages:
        if not 0 <= age < math.inf:
            raise ConfigError(f"--age must be ≥ 0 and finite, got {age:g}")
    for name, values in (
        ("--depth", question.depths),
        ("--horizon", [question.horizon]),
    ):
        if min(values, default=0) < 1:
            raise ConfigError(f"{name} must be ≥ 1, got {list(values)}")
