"""``dpodl design``: targets in, the setting that meets them out, or why none does.

scan        every (T_acc, T_2, S_min) with T_1 solved for; figures in milliseconds
finalists   the scan's front among those that may meet all targets, or the nearest
figures     of finalists: depths by the grid, a simulated network, intervals
choice      among the best verdict, most room to the target with the least room
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pandas as pd

from ...analysis.adversary.tiers import Tier, three_tiers
from ...analysis.attacks.situation import Situation, plain, resampled, situation_of
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.calibration.choice import Terms, at_choice
from ...analysis.calibration.elasticity import elasticities
from ...analysis.calibration.on_network import simulated
from ...analysis.calibration.quantities import (
    estimates,
    known_law,
    rests_on,
)
from ...analysis.calibration.targets import (
    Verdict,
    pareto,
    slack,
    verdict,
)
from ...analysis.estimation.estimate import Estimate, Refused, standard_error
from ...analysis.estimation.training_error import SOURCE, joined
from ...models.learning.architecture import ImageShape
from ...models.learning.curves import CurveSet
from ...models.learning.networks import build_network, initial_parameters
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..config.section import ConfigError
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..pipeline.branching import branches
from ..store.files import Progress
from ..world import translation
from ..world.dataset import config_dataset
from .any_tiers import TIER, tier_row
from .design_scan import FINALISTS, Candidate, finalists_of, in_steps, scanned
from .design_tables import (
    ASSUMPTIONS,
    Finalist,
    candidate_table,
    finalist_row,
    reasons_of,
    recommended_table,
    target_table,
)
from .design_targets import Asked, read_scan, read_targets
from .rational_game import Asked as RationalAsked, epsilon
from .worlds import require_curves, require_equal_provers

SENSITIVE = ("interval", "depth", "confirmation", "beta", "quality", "useful")
_SENSITIVITY_RESAMPLES = 8
_SLOTS = 4096
# Copies of the parameters that a checkpoint holds (models/scheme/states.py).
COPIES = {"sgd": 1, "momentum": 2, "adam": 3}


class Design(NamedTuple):
    """What came out.

    Attributes:
        verdict: Of the best setting; ``missed`` if there is none.
        reasons: Why there is none, or what is not sure; empty if all is met.
        tables: candidates, front, recommended, tiers, targets, sensitivity,
            assumptions.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    tables: dict[str, pd.DataFrame]


def design(
    config: Config,
    root: Path,
    targets: Sequence[str],
    over: Sequence[str],
    progress: Progress,
) -> Design:
    """Find the setting that meets the targets.

    Args:
        config: n, β, Δ, clock, menu and policies; [scheme] and s_min are starts.
        root: Where trained curves are kept.
        targets: As ``design_targets`` reads them.
        over: As ``design_targets`` reads them.
        progress: Told how far it is.

    Raises:
        ConfigError: With everything that is wrong.
        DataError: If the data set cannot be read.
        Refused: If the config's world is beyond equal provers of fresh models.
    """
    # A head start is a target's: persistence_premined.
    require_equal_provers(config, "design")
    require_curves(config, "design")
    asked = read_targets(config, targets)
    scan = read_scan(config, over, asked)
    if not round(config.network.beta * config.network.provers):
        raise ConfigError("network.beta must leave a corrupted prover, got none")
    curves = training.train(config, root, progress)
    at, terms = _situation(config, curves, asked, root, progress)
    candidates = scanned(config, at, terms, asked, scan, progress)
    finalists = []
    chosen = finalists_of(candidates)
    for done, one in enumerate(chosen):
        progress("exact figures", done, len(chosen))
        try:
            finalists.append(_judged(config, at, terms, asked, one))
        except Refused as refusal:
            place = candidates.index(one)
            candidates[place] = one._replace(error=str(refusal))
    progress("exact figures", len(chosen), len(chosen))
    return _result(config, at, terms, asked, candidates, finalists, progress)


def write(result: Design, folder: Path, config: Config, *, command: str) -> None:
    """Keep every table."""
    keep_answer(folder, "design", result.tables, command=command, config=config)


def state_bytes(config: Config, image_shape: ImageShape, classes: int) -> float:
    """Bytes of a checkpoint's tensors, the mean over the menu by its shares."""
    sizes = {}
    for architecture in config.menu.architectures:
        network = build_network(architecture, classes)
        shapes = jax.eval_shape(
            lambda key, network=network: initial_parameters(
                network, key, jnp.float32(1), image_shape=image_shape
            ),
            seed_key(0),
        )
        sizes[architecture] = sum(4 * leaf.size for leaf in jax.tree.leaves(shapes))
    return sum(
        share * sizes[hpp.architecture] * COPIES[hpp.optimizer]
        for hpp, share in config.menu.build().settings().items()
    )


def _situation(
    config: Config, curves: CurveSet, asked: Asked, root: Path, progress: Progress
) -> tuple[Situation, Terms]:
    mtx = None
    if any(each.figure == "honest_epsilon" for each in asked.targets):
        folder = training.curve_folder(config, root)
        mtx = branches(config, curves, folder, progress, "mtx")
    every = config.protocol.checkpoint_every
    at = situation_of(
        curves,
        translation.lottery_of(config, config.scheme),
        provers=config.network.provers,
        beta=config.network.beta,
        delay_steps=config.network.delay_steps,
        step_costs=translation.costs_of(config, curves),
        checkpoint_every=None if every == "check_every" else every,
        challenges=config.protocol.challenges,
        mtx=mtx,
    )
    risk = asked.risk or asked.risk_premined or config.security.target
    terms = Terms(
        risk=risk,
        risk_premined=asked.risk_premined or risk,
        step_rule=config.protocol.step_rule,
        state_bytes=_state_bytes(config),
    )
    return at, terms


def _state_bytes(config: Config) -> float:
    if not config.law.trained:
        return math.nan  # the networks are not ours
    dataset = config_dataset(config)
    return state_bytes(config, dataset.x_train.shape[1:], dataset.n_classes)


# ------------------------------------------------------------------ the finalists


def _judged(config, at, terms, asked: Asked, one: Candidate) -> Finalist:
    here = at_choice(at, one.choice)
    again = [
        resampled(here, config.seed + i) for i in range(config.security.bootstraps)
    ]
    found = estimates(here, again, terms)
    depth = found["depth"]
    end = depth.high if math.isfinite(depth.high) else depth.value
    given = asked.risk or asked.risk_premined
    confirmations = config.security.confirmations
    if given and math.isfinite(end):
        confirmations = int(end)
    drawn = simulated(
        seed_key(config.seed),
        here,
        plain(here).law,
        confirmations=confirmations,
        level=asked.level,
        replicas=min(config.security.replicas, 1000),
    )
    found |= _with_training(found, drawn)
    if any(each.figure == "honest_epsilon" for each in asked.targets):
        played = RationalAsked(slots=_SLOTS)
        found["honest_epsilon"] = epsilon(
            config, here, again[:_SENSITIVITY_RESAMPLES], played
        )
    verdicts, room = [], math.inf
    for target in in_steps(asked, found["interval"].value):
        verdicts.append(verdict(target, found[target.figure]))
        room = min(room, slack(target, found[target.figure]))
    basis = rests_on(here, known_law(here))
    return Finalist(one, found, tuple(verdicts), confirmations, room, basis)


def _with_training(
    found: dict[str, Estimate], drawn: dict[str, Estimate]
) -> dict[str, Estimate]:
    """Simulated figures with the training's error, and the interval checked."""
    interval, quality = found["interval"], found["quality"]
    shown = drawn["interval"]
    error = standard_error(shown)
    if abs(shown.value - interval.value) > 3.5 * error:
        # Forks make it a little shorter than a cycle's mean; both are inside.
        off = shown.value - interval.value
        interval = interval._replace(
            low=interval.low + min(off, 0.0),
            high=interval.high + max(off, 0.0),
            method=f"{interval.method}; simulated {shown.value:.5g}",
        )
    liveness = drawn["liveness"]
    if math.isfinite(liveness.value):
        liveness = joined(liveness, found["interval"], "log", SOURCE)
    return {
        "interval": interval,
        "liveness": liveness,
        "stale": drawn["stale"],
        "quality": joined(drawn["quality"], quality, "angle", SOURCE),
    }


# ------------------------------------------------------------------ what comes out


def _result(config, at, terms, asked, candidates, finalists, progress) -> Design:
    rank = {"met": 0, "perhaps": 1, "missed": 2}
    finalists.sort(key=lambda f: (rank[f.verdict], -_bounded(f)))
    best = finalists[0] if finalists else None
    kept = _front(finalists)
    reasons = reasons_of(asked, candidates, best)
    sensitivity = pd.DataFrame()
    if best is not None:
        here = at_choice(at, best.candidate.choice)
        count = min(config.security.bootstraps, _SENSITIVITY_RESAMPLES)
        progress("sensitivities", 0, 1)
        again = [resampled(here, config.seed + i) for i in range(count)]
        found = elasticities(here, again, terms, SENSITIVE)
        sensitivity = pd.DataFrame(
            [(e.parameter, e.figure, *e.estimate) for e in found],
            columns=["parameter", "figure", "value", "low", "high", "count", "method"],
        )
        progress("sensitivities", 1, 1)
    tables = {
        "tiers": _tiers(config, at, terms, best),
        "candidates": candidate_table(asked, candidates),
        "front": pd.DataFrame([finalist_row(config, terms, each) for each in kept]),
        "recommended": recommended_table(config, best),
        "targets": target_table(asked, candidates, best),
        "sensitivity": sensitivity,
        "assumptions": pd.DataFrame({"assumption": ASSUMPTIONS}),
    }
    return Design(best.verdict if best else "missed", tuple(reasons), tables)


def _tiers(config, at: Situation, terms: Terms, best: Finalist | None) -> pd.DataFrame:
    """The recommended setting's confirmations in tiers, for the risk of its depth."""
    if best is None:
        return pd.DataFrame(columns=TIER)
    here = at_choice(at, best.candidate.choice)
    count = min(config.security.bootstraps, _SENSITIVITY_RESAMPLES)
    try:
        known = plain(here)
        drawn = [plain(resampled(here, config.seed + i)).law for i in range(count)]
    except Refused as refusal:
        nothing = Tier("private chain", None, "attack", str(refusal))
        return pd.DataFrame([tier_row(nothing, terms.risk, best.basis)], columns=TIER)
    found = three_tiers(
        UncertainLaw(known.law, tuple(drawn), known.extremes, known.known_until),
        honest=here.honest,
        adversarial=here.adversarial,
        delay_steps=here.delay_steps,
        target=terms.risk,
        seed=None,
    )
    rows = [tier_row(each, terms.risk, best.basis) for each in found[:3]]
    return pd.DataFrame(rows, columns=TIER)


def _bounded(one: Finalist) -> float:
    """Room; with nothing but an interval asked for, the useful share."""
    if math.isfinite(one.room) or one.room < 0:
        return one.room
    return one.figures["useful"].value


def _front(finalists: list[Finalist]) -> list[Finalist]:
    """The finalists that no other one beats, the recommended one first."""
    if not finalists:
        return []
    best = finalists[0].verdict
    able = [f for f in finalists if f.verdict == best]
    values = [{name: e.value for name, e in f.figures.items()} for f in able]
    return [f for f, keep in zip(able, pareto(values), strict=True) if keep][:FINALISTS]
