"""``dpodl feedback``: what rules that move T_2 do on a config's curves.

Rules are compared at one sd of the expected interval at constant power. Beside the
config's laws stands the memoryless chain of proof-of-work, where ASERT has the same N.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...analysis.feedback.closed_forms import average_sd, sensitivity
from ...analysis.feedback.laws import Laws, dead_time, gain
from ...analysis.feedback.loop import run_loop
from ...analysis.feedback.measures import quantities
from ...analysis.feedback.responses import frequency_response, step_response
from ...analysis.feedback.rules import LoopRule
from ...analysis.feedback.scenarios import Maker, standard, steady
from ...analysis.feedback.transient import good_levels, persistence
from ...analysis.feedback.tuning import Chosen, Tuned, choose, tuned
from ...figures.questions import feedback_gain, feedback_ranking, feedback_responses
from ...models.chain.retarget import NAMES
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..config.section import ConfigError
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..store.files import Progress
from ..world.translation import costs_of
from .feedback_laws import LoopLaws, loop_laws
from .worlds import require_curves, require_equal_provers

SWITCHES = ("schedule", "anti-windup", "measured")
DEFAULT_RULES = (*NAMES, "asert+anti-windup", "asert+schedule+anti-windup")
PERIODS = (16, 64, 256, 1024)
MEMORYLESS, CURVES = "memoryless", "curves"
# Blocks after the event at which transients are asked about.
_AFTER = (0, 16, 64, 256)
_SHARE_BLOCKS = 32
_EVERY = 16
_FIGURES = {
    "feedback_responses": feedback_responses,
    "feedback_gain": feedback_gain,
    "feedback_ranking": feedback_ranking,
}


class Asked(NamedTuple):
    """What is asked of the rules.

    Attributes:
        rules: As ``parse_rule`` reads them.
        scenarios: Names of ``standard()``; empty: all.
        sd: Of the expected interval at constant power, over T.
        recovery: y of the inverse question, blocks.
        switch: T_acc of the second task; None: the error that is allowed, × 1.4.
        blocks: Length of each chain.
        replicas: Chains.
    """

    rules: Sequence[str] = DEFAULT_RULES
    scenarios: Sequence[str] = ()
    sd: float = 0.01
    recovery: float = 600.0
    switch: float | None = None
    blocks: int = 2048
    replicas: int = 200


class Answer(NamedTuple):
    """What was found; each a table.

    Attributes:
        feedback: Every quantity of every law, rule and scenario.
        law: The design's mean, CV, gains, and least interval over T.
        tuned: N of each rule, its sd, and why it has none.
        responses: Mean expected interval by blocks since the event.
        gains: What is left of a wave, by its period.
        transient: Good levels and persistence while the target is wrong.
        choice: The inverse question.
        ranking: Rules by ``off``, over the best's, over all scenarios.
    """

    feedback: pd.DataFrame
    law: pd.DataFrame
    tuned: pd.DataFrame
    responses: pd.DataFrame
    gains: pd.DataFrame
    transient: pd.DataFrame
    choice: pd.DataFrame
    ranking: pd.DataFrame


def parse_rule(text: str) -> LoopRule:
    """A rule as ``asert``, ``lwma+schedule`` or ``asert+schedule+anti-windup``.

    ``measured`` lets the last 32 blocks' steps tell s of the schedule.

    Raises:
        ConfigError: Naming what is allowed.
    """
    name, *switches = text.split("+")
    if name not in NAMES or not set(switches) <= set(SWITCHES):
        raise ConfigError(
            f"rule must be one of {', '.join(NAMES)}, with any of "
            f"{', '.join('+' + each for each in SWITCHES)}, got {text}"
        )
    known = "measured" in switches
    return LoopRule(
        name,
        2,
        schedule="schedule" in switches or known,
        anti_windup="anti-windup" in switches,
        share_blocks=_SHARE_BLOCKS if known else 0,
    )


def feedback(config: Config, root: Path, progress: Progress, asked: Asked) -> Answer:
    """All answers of a config.

    Args:
        config: Its p_2 is the design; nothing is trained twice.
        root: Where trained curves are kept.
        progress: Told how far it is.
        asked: What is asked.

    Raises:
        ConfigError: If a rule or scenario is unknown.
        Refused: If the runs support no law at some p_2, or the world is beyond equal
            provers of fresh models.
    """
    rules = {text: parse_rule(text) for text in asked.rules}
    makers = _chosen(asked.scenarios)
    known = ("protocol.retarget",)
    require_equal_provers(config, "feedback", attacks=None, known=known)
    require_curves(config, "feedback")
    curves = training.train(config, root, progress)
    switch = asked.switch
    if switch is None:
        switch = 1 - 1.4 * (1 - config.scheme.t_acc)
    progress("laws at every target", 0, 1)
    loop = loop_laws(config, curves, costs_of(config, curves), switch)
    key = seed_key(config.seed)
    fixed = 1.0 - loop.gain
    base = tuned(key, loop.laws, LoopRule("asert", 2), asked.sd).rule.blocks
    worlds: list[tuple[str, Laws, float, float]] = [
        (CURVES, loop.laws, asked.sd, fixed),
        # As many octaves of room as the config has.
        (
            MEMORYLESS,
            dead_time(0.0, most=float(np.exp(loop.laws.log_most)), task=0.0),
            average_sd(0.0, base),
            0.0,
        ),
    ]
    parts: dict[str, list[dict]] = {name: [] for name in Answer._fields}
    jobs = [(world, text) for world in worlds for text in rules]
    for done, ((name, laws, sd, share), text) in enumerate(jobs):
        progress("rules", done, len(jobs))
        rule = rules[text]._replace(share=share)
        equal = tuned(key, laws, rule, sd)
        parts["tuned"].append(_tuned_row(name, text, equal, sd))
        some = {k: m for k, m in makers.items() if not _empty(k, name)}
        _run_scenarios(key, name, laws, text, equal.rule, some, asked, parts)
        _waves(key, name, laws, text, equal.rule, asked, parts)
        if name == CURVES:
            _transients(key, config, loop, text, equal.rule, some, asked, parts)
            _inverse(key, laws, text, rule, some, asked, parts)
    progress("rules", len(jobs), len(jobs))
    parts["law"] = [{"quantity": k, **v._asdict()} for k, v in loop.told.items()]
    tables = {k: pd.DataFrame(v) for k, v in parts.items() if k != "ranking"}
    return Answer(**tables, ranking=_ranking(tables["feedback"]))


def write(found: Answer, folder: Path, config: Config, *, command: str) -> None:
    """Keep tables and figures."""
    tables = {k: v for k, v in found._asdict().items() if not v.empty}
    figures = {
        name: module
        for name, module in _FIGURES.items()
        if not found._asdict()[module.TABLE].empty
    }
    keep_answer(
        folder, "feedback", tables, command=command, config=config, figures=figures
    )


def _chosen(names: Sequence[str]) -> dict[str, Maker]:
    known = standard()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"scenario must be one of {', '.join(known)}, got {', '.join(unknown)}"
        )
    return {k: v for k, v in known.items() if not names or k in names}


def _empty(scenario: str, law: str) -> bool:
    """A memoryless chain has no task to switch; its speed is its provers."""
    return law == MEMORYLESS and scenario == "task-switch"


def _tuned_row(name: str, text: str, equal: Tuned, sd: float) -> dict:
    found = {"law": name, "rule": text, "blocks": equal.rule.blocks}
    return found | {"sd": equal.sd, "asked": sd, "reason": equal.reason}


def _run_scenarios(key, name, laws, text, rule, makers, asked: Asked, parts) -> None:
    for scenario, maker in {"steady": steady, **makers}.items():
        event = maker(asked.blocks)
        paths = run_loop(key, laws, rule, event, replicas=asked.replicas)
        head = {"law": name, "rule": text, "scenario": scenario}
        for each in quantities(laws, paths, event):
            row = head | {"quantity": each.name, **each.estimate._asdict()}
            parts["feedback"].append(row)
        if not 0 < event.begins < asked.blocks:
            continue
        places, answers = step_response(laws, paths, event, _EVERY)
        for place, answer in zip(places, answers, strict=True):
            row = head | {"blocks": int(place), **answer._asdict()}
            parts["responses"].append(row)


def _waves(key, name, laws, text, rule: LoopRule, asked: Asked, parts) -> None:
    for period in PERIODS:
        if period > asked.blocks * 3 // 4:
            continue
        left = frequency_response(
            key, laws, rule, period, blocks=asked.blocks, replicas=asked.replicas
        )
        linear = np.nan
        if not rule.name.startswith("epoch") and not rule.share_blocks:
            linear = sensitivity(rule, gain(laws), period)
        row = {"law": name, "rule": text, "period": period, **left._asdict()}
        parts["gains"].append(row | {"linear": linear})


def _transients(
    key, config: Config, loop: LoopLaws, text, rule, makers, asked: Asked, parts
) -> None:
    net = config.network
    honest = net.provers - round(net.beta * net.provers)
    share = honest / net.provers
    depth = config.security.confirmations
    for scenario, maker in makers.items():
        event = maker(asked.blocks)
        if not 0 < event.begins < asked.blocks:
            continue
        last = asked.blocks - 6 * depth
        places = [event.begins + each for each in _AFTER if event.begins + each < last]
        # Before it, and so far that no race gets there.
        places = [max(0, event.begins - 6 * depth), *places]
        paths = run_loop(key, loop.laws, rule, event, replicas=asked.replicas)
        found = {}
        if honest > 1:
            found["good_level"] = good_levels(
                key, loop.laws, paths, event, places,
                honest=honest, share=share, delay=loop.delay,
            )  # fmt: skip
        if share < 1:
            found["persistence_violation"] = persistence(
                key, loop.laws, paths, event, places,
                depth=depth, beta=1 - share, delay=loop.delay,
            )  # fmt: skip
        for quantity, estimates in found.items():
            for place, each in zip(places, estimates, strict=True):
                parts["transient"].append(
                    {
                        "rule": text,
                        "scenario": scenario,
                        "quantity": quantity,
                        "blocks": place - event.begins,
                        "depth": depth,
                        **each._asdict(),
                    }
                )


def _inverse(key, laws, text, rule, makers, asked: Asked, parts) -> None:
    for scenario, maker in makers.items():
        event = maker(asked.blocks)
        if not 0 < event.begins < asked.blocks:
            continue
        found: Chosen = choose(
            key,
            laws,
            rule,
            maker,
            sd=asked.sd,
            recovery=asked.recovery,
            blocks=asked.blocks,
            replicas=asked.replicas,
        )
        parts["choice"].append(
            {
                "rule": text,
                "scenario": scenario,
                "blocks": found.rule.blocks,
                "sd": found.sd,
                "recovery": found.recovery.value,
                "low": found.recovery.low,
                "high": found.recovery.high,
                "holds": found.holds,
                "reason": found.reason,
            }
        )


def _ranking(rows: pd.DataFrame) -> pd.DataFrame:
    """Geometric mean over scenarios of ``off`` over the best rule's."""
    off = rows[(rows.quantity == "off") & (rows.scenario != "steady")]
    if off.empty:
        return pd.DataFrame()
    best = off.groupby(["law", "scenario"])["value"].transform("min")
    ratio = np.log(off["value"] / best)
    found = (
        off.assign(score=ratio)
        .groupby(["law", "rule"], as_index=False)
        .agg(score=("score", "mean"), scenarios=("scenario", "count"))
    )
    found["score"] = np.exp(found["score"])
    found["rank"] = found.groupby("law")["score"].rank(method="min").astype(int)
    return found.sort_values(["law", "rank", "rule"], ignore_index=True)
