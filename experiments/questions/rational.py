"""``dpodl rational``: which deviations pay on a config, and what a crowd comes to.

deviations    gain of every deviation, by reward rule and p_2, with its interval
turning       the p_2 at which it begins to pay, between those that were tried
equilibrium   ε of one deviator and of two, by reward rule, at the config's own p_2
market        who can afford to mine at the prices that are given
simplex       paths of the replicator equation over honest, hoard and skip
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...analysis.attacks.situation import Situation, extreme, resamples, situation_of
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.training_error import training_interval
from ...analysis.incentives.equilibrium import (
    coalition_regret,
    honest_regret,
    price_of_anarchy,
    replicate,
)
from ...analysis.incentives.market import cost_of_interval, free_entry
from ...analysis.incentives.payoffs import Payoffs, payoff_table
from ...analysis.incentives.slots import (
    draw_slots,
)
from ...analysis.incentives.table import (
    GAINS,
    Slot,
    SlotLaws,
    gains,
    pays,
    slot_laws,
    turning_point,
)
from ...figures.questions import rational_regions, simplex
from ...models.scheme.records import RewardRule
from ..config.experiment import Config
from ..config.section import ConfigError
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..pipeline.branching import branches
from ..store.files import Progress
from ..world import translation
from .rational_game import (
    P_2S as P_2S,
    Asked as Asked,
    Family,
    game_of,
    policies_of,
    rule_of,
    rules_of,
    slot_of,
)
from .worlds import require_curves, require_equal_provers

FAMILIES: tuple[Family, ...] = ("steps", "equal", "own", "decay")
"""Rules that differ where every step has the same operations."""
_SIMPLEX = ("honest", "hoard", "skip")
_MOST_CROWD = 20
_STARTS = 21
_FACTS = ("invalid_threshold", "takeover_speed", "interval")


def rational(
    config: Config, root: Path, progress: Progress, asked: Asked
) -> dict[str, pd.DataFrame]:
    """The tables of a config.

    Args:
        config: The experiment; its delay makes stale blocks, its corrupted provers are
            as rational as all others.
        root: Where trained curves are kept.
        progress: Told how far it is.
        asked: What is tried.

    Raises:
        ConfigError: If a lottery is out of range, or there are fewer than three
            provers.
        Refused: If the runs cannot support a law at the config's own p_2, or the
            config's world is beyond equal provers.
    """
    require_equal_provers(
        config, "rational", attacks=None, known=("protocol.reference",)
    )
    require_curves(config, "rational")
    provers = config.network.provers
    if provers < 3:
        raise ConfigError(f"network.provers must be ≥ 3 for a game, got {provers}")
    for p_2 in asked.p_2s:
        if not 0 < p_2 <= 1:
            raise ConfigError(f"--p-2 must be in (0, 1], got {p_2}")
    curves = training.train(config, root, progress)
    base = _situation(config, curves, root, progress)
    slot = slot_of(config, asked)
    p_2s = sorted({*asked.p_2s, config.scheme.p_2}, reverse=True)
    rows, facts, own = [], [], None
    for done, p_2 in enumerate(p_2s):
        progress("deviations", done, len(p_2s))
        try:
            laws = _laws(config, base, p_2, asked.resamples)
        except Refused as refusal:
            if p_2 == config.scheme.p_2:
                raise
            rows += [
                (name, family, p_2, *[math.nan] * 3, 0, f"refused: {refusal}", "")
                for name in GAINS
                for family in FAMILIES
            ]
            continue
        if p_2 == config.scheme.p_2:
            own = laws
        for family in FAMILIES:
            found = _gains(laws, rule_of(config, family), slot)
            for name, gain in found.items():
                if name in GAINS:
                    rows.append((name, family, p_2, *gain, pays(gain)))
                elif family == FAMILIES[0]:
                    facts.append((name, p_2, *gain))
    progress("deviations", len(p_2s), len(p_2s))
    assert own is not None
    deviations = pd.DataFrame(rows, columns=list(_COLUMNS))
    games = {
        family: game_of(config, own[0], rule_of(config, family), slot, asked)
        for family in FAMILIES
    }
    equilibrium = [
        _equilibrium_row(config, own, family, games[family], slot, asked)
        for family in FAMILIES
    ]
    own_family = config.protocol.reward_rule
    family = own_family if own_family in FAMILIES else FAMILIES[0]
    crowd = _crowd(config, own[0], rule_of(config, family), slot, asked)
    return {
        "deviations": deviations,
        "turning": _turning(deviations),
        "facts": pd.DataFrame(facts, columns=["quantity", "p_2", *_ESTIMATE]),
        "equilibrium": pd.DataFrame(equilibrium),
        "market": _market(config, own[0], games[family], asked),
        "simplex": _paths(crowd, family),
    }


def write(
    tables: Mapping[str, pd.DataFrame], folder: Path, config: Config, *, command: str
) -> None:
    """Keep the tables and figures."""
    keep_answer(
        folder,
        "rational",
        tables,
        command=command,
        config=config,
        figures={"rational_regions": rational_regions, "simplex": simplex},
    )


_ESTIMATE = ("value", "low", "high", "count", "method")
_COLUMNS = ("deviation", "rule", "p_2", *_ESTIMATE, "pays")


def _situation(config: Config, curves, root: Path, progress: Progress) -> Situation:
    net = config.network
    folder = training.curve_folder(config, root)
    return situation_of(
        curves,
        translation.lottery_of(config, config.scheme),
        provers=net.provers,
        beta=max(config.network.corrupted, 1) / net.provers,
        delay_steps=net.delay_steps,
        step_costs=translation.costs_of(config, curves),
        mtx=branches(config, curves, folder, progress, "mtx"),
        s_min=config.protocol.s_min,
    )


def _laws(config: Config, base: Situation, p_2: float, count: int) -> list[SlotLaws]:
    """Laws of all runs, of resampled ones, and of the two ends beyond the horizon."""
    at = base._replace(lottery=base.lottery._replace(p_2=p_2))
    found = [slot_laws(at)]
    for each in (*resamples(at, config.seed, count), *extreme(at)):
        try:
            found.append(slot_laws(each))
        except Refused:
            continue
    return found


def _gains(
    laws: Sequence[SlotLaws], rule: RewardRule, slot: Slot
) -> dict[str, Estimate]:
    each = [gains(one, rule, slot) for one in laws]
    found = {}
    for name, value in each[0].items():
        exact = Estimate(value, value, value, len(each) - 1, "exact for the law")
        scale = "log" if name in _FACTS else "linear"
        found[name] = training_interval(exact, [one[name] for one in each[1:]], scale)
    return found


def _turning(deviations: pd.DataFrame) -> pd.DataFrame:
    rows = []
    groups: Any = deviations.groupby(["deviation", "rule"], sort=False)
    for (name, family), some in groups:
        known = some.dropna(subset=["value"])
        values = dict(
            zip(map(float, known["p_2"]), map(float, known["value"]), strict=True)
        )
        least = min(values.values(), default=math.nan)
        most = max(values.values(), default=math.nan)
        rows.append((name, family, turning_point(values), least, most))
    return pd.DataFrame(rows, columns=["deviation", "rule", "p_2", "least", "most"])


# ------------------------------------------------------------------ the game


def _equilibrium_row(config, laws, family: Family, game: Payoffs, slot, asked) -> dict:
    rule = rule_of(config, family)
    one, two = honest_regret(game), coalition_regret(game)
    fewer = asked._replace(slots=max(asked.slots // 4 // 64 * 64, 64))
    drawn = [
        honest_regret(game_of(config, each, rule, slot, fewer)).epsilon.value
        for each in laws[1:]
    ]
    found = training_interval(one.epsilon, drawn, "linear").clipped(0, math.inf)
    return {
        "rule": family,
        "p_2": config.scheme.p_2,
        "epsilon": found.value,
        "low": found.low,
        "high": found.high,
        "count": found.count,
        "method": found.method,
        "best": " ".join(one.policies),
        "epsilon_pair": two.epsilon.value,
        "pair_low": two.epsilon.low,
        "pair_high": two.epsilon.high,
        "pair": " + ".join(two.policies),
        **{f"gain_{name[0]}": gain.value for name, gain in one.gains.items()},
    }


def _crowd(config, laws, rule, slot: Slot, asked: Asked) -> Payoffs:
    """All mixes of three policies, of at most 20 provers."""
    few = slot._replace(provers=min(slot.provers, _MOST_CROWD))
    draws = draw_slots(
        config.seed,
        laws.laws,
        provers=few.provers,
        slots=max(asked.slots // 8 // 64 * 64, 64),
        invalid=slot.invalid,
    )
    named = {each.name: each for each in policies_of(slot)}
    return payoff_table(
        draws,
        rules_of(config, laws, rule, few, asked),
        [named[name] for name in _SIMPLEX],
    )


def _paths(table: Payoffs, family: str) -> pd.DataFrame:
    """Paths from a grid inside the simplex, thinned to what a figure shows."""
    rows = []
    corners = np.linspace(0.06, 0.88, 6)
    starts = [(a, b, 1 - a - b) for a in corners for b in corners if a + b < 0.95]
    for number, start in enumerate(starts[:_STARTS]):
        path = replicate(table, start)
        shown = np.unique(np.linspace(0, len(path) - 1, 60).astype(int))
        rows += [(family, number, int(i), *path[i]) for i in shown]
    return pd.DataFrame(rows, columns=["rule", "start", "round", *_SIMPLEX])


def _market(
    config: Config, laws: SlotLaws, game: Payoffs, asked: Asked
) -> pd.DataFrame:
    """Costs of an interval, who can pay them, and what selfishness makes of work."""
    provers = config.network.provers
    honest = (provers, *[0] * (len(game.policies) - 1))
    welfare = game.welfare[honest]
    hashes = laws.hashing * config.clock.hashes_per_step
    cost = cost_of_interval(asked.prices, interval=welfare.interval, hashes=hashes)
    worst = price_of_anarchy(game, list(game.welfare))
    rows = [
        ("interval", welfare.interval, "steps"),
        ("useful_share", welfare.useful, "of the steps trained"),
        ("stale_blocks", welfare.stale, "for each that counts"),
        ("cost_of_interval", cost, "block rewards"),
        ("provers_fed", float(free_entry(cost, 10**9)), "equal provers"),
        ("break_even_step_price", 1 / (provers * welfare.interval), "block rewards"),
        ("anarchy_useful", worst.useful, "honest over the worst of one or two"),
        ("anarchy_interval", worst.interval, "the worst of one or two over honest"),
    ]
    return pd.DataFrame(rows, columns=["quantity", "value", "unit"])
