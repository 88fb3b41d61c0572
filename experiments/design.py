"""``dpodl design``: targets in, the setting that meets them out, or why none does.

scan        every (T_acc, T_2, S_min) with T_1 solved for; figures in milliseconds
finalists   the scan's front among those that may meet all targets, or the nearest
figures     of finalists: depths by the grid, a simulated network, intervals
choice      among the best verdict, most room to the target with the least room
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from ..analysis.attack_setting import Setting, plain, resampled, setting
from ..analysis.block_time import BlockTimeLaw
from ..analysis.design import (
    Choice,
    Terms,
    at_choice,
    estimates,
    figures,
    known_law,
    party_of,
    simulated,
    solve_interval,
)
from ..analysis.design_choice import (
    BETTER,
    Target,
    Verdict,
    overall,
    pareto,
    slack,
    verdict,
)
from ..analysis.elasticity import elasticities
from ..analysis.estimate import Estimate, Refused, standard_error
from ..analysis.training_error import SOURCE, joined
from ..models.curves import CurveSet
from ..models.networks import build_network, initial_parameters
from ..models.pins import seed_key
from . import evaluation, runner
from .config import Config, ConfigError, fingerprint
from .datasets import config_dataset
from .design_targets import Asked, Scan, read_scan, read_targets
from .sections import format_target, success_probability, target_of_probability
from .store import Progress, keep, table_bytes

FINALISTS, NEAREST = 10, 5
UNITS = {
    "interval": "steps",
    "liveness": "steps",
    "confirmation": "steps",
    "verification_steps": "steps",
    "block_steps": "steps",
    "depth": "blocks",
    "depth_premined": "blocks",
    "storage": "bytes",
    "bits": "bits a block",
    "cv": "",
}
SENSITIVE = ("interval", "depth", "confirmation", "beta", "quality", "useful")
ASSUMPTIONS = (
    "persistence and depth: private race against the slowest public chain that the "
    "delay allows, ties win; behind the horizon by plateau rates, whose bracket is in "
    "the intervals",
    "interval: honest provers alone; the corrupted ones withhold",
    "useful: time in training over all time of honest provers; looks, checks and work "
    "that a new tip throws away count as what they were",
    "beta: share below which the private race is lost for good; beta_warm: the same "
    "where each private block refers to the one before, a model above T_acc at every "
    "look, and owes what S_min and the step rule leave",
    "quality: simulated withholding adversary; its training error is that of "
    "1 − E[C]/E[A]",
    "liveness: until as many confirmations as the upper end of depth, while the "
    "adversary withholds",
    "verification: steps run again over steps of a mean block, checkpoints and q of "
    "[mining]; storage: a block's checkpoints, mean model of the menu",
    "S_min: no ticket before so many steps of a fresh model",
)
_QUICK = 0.15  # ln: what the quick figures may be off without costing a setting
_GLANCE = 200  # replicas
_HALVINGS, _MOST_HALVINGS, _RARITIES = 16, 40, 9  # of T_2
_SENSITIVITY_RESAMPLES = 8
# Copies of the parameters that a checkpoint holds (models/states.py).
_COPIES = {"sgd": 1, "momentum": 2, "adam": 3}


class Candidate(NamedTuple):
    """A setting of the scan: its quick figures, or why it has none."""

    choice: Choice
    t_1: int
    t_2: int
    figures: dict[str, float]
    slacks: tuple[float, ...]
    error: str = ""

    @property
    def room(self) -> float:
        """The least slack."""
        return min(self.slacks, default=0.0)


class Finalist(NamedTuple):
    """A setting with all its figures and verdicts."""

    candidate: Candidate
    figures: dict[str, Estimate]
    verdicts: tuple[Verdict, ...]
    confirmations: int
    room: float

    @property
    def verdict(self) -> Verdict:
        """The worst of the targets' verdicts."""
        return overall(self.verdicts)


class Design(NamedTuple):
    """What came out.

    Attributes:
        verdict: Of the best setting; ``missed`` if there is none.
        reasons: Why there is none, or what is not sure; empty if all is met.
        tables: candidates, front, recommended, targets, sensitivity, assumptions.
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
    """
    asked = read_targets(config, targets)
    scan = read_scan(config, over, asked)
    if not round(config.network.beta * config.network.provers):
        raise ConfigError("network.beta must leave a corrupted prover, got none")
    curves = runner.train(config, root, progress)
    at, terms = _situation(config, curves, asked)
    candidates = _scanned(config, at, terms, asked, scan, progress)
    finalists = []
    chosen = _finalists(candidates)
    for done, one in enumerate(chosen):
        progress("exact figures", done, len(chosen))
        try:
            finalists.append(_judged(config, at, terms, asked, one))
        except Refused as refusal:
            place = candidates.index(one)
            candidates[place] = one._replace(error=str(refusal))
    progress("exact figures", len(chosen), len(chosen))
    return _result(config, at, terms, asked, candidates, finalists, progress)


def write(result: Design, folder: Path, *, command: str) -> None:
    """Write every table as CSV, and the command that made them."""
    files = {f"{name}.csv": table_bytes(table) for name, table in result.tables.items()}
    files["command.txt"] = f"{command}\n".encode()
    keep(folder, "design", command, files)


def folder_name(config: Config, targets: Sequence[str], over: Sequence[str]) -> str:
    """``design-<name>-<digest>`` of all that the result depends on."""
    digest = fingerprint([config.chain_digest(), list(targets), list(over)])
    return f"design-{config.name}-{digest[:10]}"


def state_bytes(config: Config, image_shape: tuple[int, int], classes: int) -> float:
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
        share * sizes[hpp.architecture] * _COPIES[hpp.optimizer]
        for hpp, share in config.menu.build().settings().items()
    )


def _situation(config: Config, curves: CurveSet, asked: Asked) -> tuple[Setting, Terms]:
    dataset = config_dataset(config)
    height, width = dataset.x_train.shape[1:]
    shape = (height, width)
    every = config.mining.checkpoint_every
    at = setting(
        curves,
        evaluation.lottery_of(config, config.scheme),
        provers=config.network.provers,
        beta=config.network.beta,
        delay_steps=config.network.delay_steps,
        step_costs=evaluation.step_costs(config, curves, shape, dataset.n_classes),
        checkpoint_every=None if every == "check_every" else every,
        challenges=config.mining.challenges,
    )
    risk = asked.risk or asked.risk_premined or config.security.target
    terms = Terms(
        risk=risk,
        risk_premined=asked.risk_premined or risk,
        step_rule=config.mining.step_rule,
        state_bytes=state_bytes(config, shape, dataset.n_classes),
    )
    return at, terms


# ------------------------------------------------------------------ the scan


def _rows(config: Config, at: Setting, asked: Asked, scan: Scan) -> list[tuple]:
    """(T_acc, T_1, T_2, S_min) to try; defaults for what the command line leaves."""
    own = config.scheme.t_acc
    best = at.curves.accuracy.max(axis=1)
    # What 95 % … 50 % of the runs reach, to three digits.
    reached = np.floor(1e3 * np.quantile(best, (0.05, 0.15, 0.3, 0.5))) / 1e3
    accuracies = scan.t_acc or sorted({own, *map(float, reached[reached > 0])})
    first = at.curves.steps[np.argmax(at.curves.accuracy >= own, axis=1)]
    late = np.quantile(first[best >= own], (0.25, 0.75)) if (best >= own).any() else ()
    look, horizon = at.check_every, int(at.curves.steps[-1])
    typical = {min(look * round(x / look), horizon // 2 // look * look) for x in late}
    s_min = scan.s_min or sorted({0, config.mining.s_min, *typical})
    return [
        (t_acc, t_1, t_2, least)
        for t_acc in accuracies
        for t_1 in scan.t_1 or (config.scheme.t_1,)
        for t_2 in scan.t_2 or _rarities(config, at, asked, t_acc)
        for least in s_min
    ]


def _rarities(config: Config, at: Setting, asked: Asked, t_acc: float) -> list[int]:
    """T_2 from no lottery to the rarest power of 2 that the interval has time for."""
    rarest = _HALVINGS
    if asked.interval_steps is not None:
        low, high = 0, _MOST_HALVINGS
        while low < high:
            middle = (low + high + 1) // 2
            choice = Choice(t_acc, 1.0, 2.0**-middle, 0)
            try:
                solve_interval(at, choice, asked.interval_steps)
                low = middle
            except Refused:
                high = middle - 1
        rarest = low
    halvings = {round(each) for each in np.linspace(0, rarest, _RARITIES)}
    return sorted({config.scheme.t_2, *(1 << 256 - each for each in halvings)})


def _scanned(config, at, terms, asked: Asked, scan: Scan, progress) -> list[Candidate]:
    rows = _rows(config, at, asked, scan)
    found = []
    for done, row in enumerate(rows):
        progress("scanning settings", done, len(rows))
        found.append(_candidate(at, terms, asked, *row))
    progress("scanning settings", len(rows), len(rows))
    return found


def _candidate(at, terms, asked: Asked, t_acc, t_1, t_2, s_min) -> Candidate:
    choice = Choice(t_acc, success_probability(t_1), success_probability(t_2), s_min)
    try:
        if asked.interval_steps is not None:
            choice = solve_interval(at, choice, asked.interval_steps)
            t_1 = target_of_probability(choice.p_1)
            choice = choice._replace(p_1=success_probability(t_1))
        one = at_choice(at, choice)
        known_law(one)
        reasons: dict[str, str] = {}
        law = plain(one).law
        quick = figures(one, law, party_of(one), terms, reasons=reasons)
        wanted = {each.figure for each in asked.targets}
        if wanted & {"quality", "stale"}:
            drawn = _glance(one, law)
            quick |= {name: drawn[name].value for name in ("quality", "stale")}
    except (Refused, ValueError) as error:
        missed = (-math.inf,) * len(asked.targets)
        return Candidate(choice, t_1, t_2, {}, missed, str(error))
    quick["liveness"] = _quick_liveness(quick, asked.level, at.delay_steps)
    slacks = tuple(
        slack(each, quick[each.figure]) for each in _in_steps(asked, quick["interval"])
    )
    error = "; ".join(why for name, why in reasons.items() if name in wanted)
    return Candidate(choice, t_1, t_2, quick, slacks, error)


def _glance(at: Setting, law: BlockTimeLaw) -> dict[str, Estimate]:
    """A short look at the simulated network, for quality and stale blocks."""
    # 1 − E[C]/E[A] is far below quality where X has dead time: good settings would be
    # thrown away.
    return simulated(seed_key(0), at, law, confirmations=1, level=0.5, replicas=_GLANCE)


def _quick_liveness(quick: dict[str, float], level: float, delay: float) -> float:
    """Intervals k + 1/quality, and as many standard deviations as the level has."""
    if not math.isfinite(quick["depth"]) or quick["quality"] <= 0:
        return math.inf
    blocks = quick["depth"] + 1 / quick["quality"]
    more = float(jax.scipy.stats.norm.ppf(level)) * quick["cv"] * math.sqrt(blocks)
    return quick["interval"] * max(1.0, blocks + more) + delay


def _in_steps(asked: Asked, interval: float) -> list[Target]:
    """The targets with the liveness bound in steps."""
    return [
        each._replace(bound=each.bound * interval)
        if each.figure == "liveness" and asked.liveness_blocks
        else each
        for each in asked.targets
    ]


def _finalists(candidates: list[Candidate]) -> list[Candidate]:
    """The best of those that may meet all targets, or else the nearest ones."""
    known = sorted((c for c in candidates if c.figures), key=lambda c: -c.room)
    able = [c for c in known if c.room >= -_QUICK]
    if not able:
        return known[:NEAREST]
    front = [c for c, keep in zip(able, pareto([c.figures for c in able]), strict=True)
             if keep]  # fmt: skip
    # The one with most room, the best in each respect, then by room.
    first = [able[0]]
    for name, sign in BETTER.items():
        scored = [c for c in front if not math.isnan(c.figures.get(name, math.nan))]
        first += [max(scored, key=lambda c: sign * c.figures[name])] if scored else []
    unique: list[Candidate] = []
    for one in [*first, *front]:
        if one not in unique:
            unique.append(one)
    return unique[:FINALISTS]


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
    verdicts, room = [], math.inf
    for target in _in_steps(asked, found["interval"].value):
        verdicts.append(verdict(target, found[target.figure]))
        room = min(room, slack(target, found[target.figure]))
    return Finalist(one, found, tuple(verdicts), confirmations, room)


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
    reasons = _reasons(asked, candidates, best)
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
        "candidates": _candidate_table(asked, candidates),
        "front": pd.DataFrame([_finalist_row(config, terms, each) for each in kept]),
        "recommended": _recommended(config, best),
        "targets": _target_table(asked, candidates, best),
        "sensitivity": sensitivity,
        "assumptions": pd.DataFrame({"assumption": ASSUMPTIONS}),
    }
    return Design(best.verdict if best else "missed", tuple(reasons), tables)


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


def _reasons(asked: Asked, candidates: list[Candidate], best: Finalist | None):
    if best is None:
        errors = Counter(_kind(c.error) for c in candidates)
        return [f"{count} settings: {why}" for why, count in errors.most_common(3)]
    if best.verdict == "met":
        return []
    here = _in_steps(asked, best.figures["interval"].value)
    reasons = []
    for target, each in zip(here, best.verdicts, strict=True):
        if each == "met":
            continue
        figure = best.figures[target.figure]
        what = f"{target.text}: {each}, {target.figure} is {_interval(figure)}"
        if not math.isfinite(figure.value):
            what += f" ({figure.method})"
        elif each == "missed":
            what += f", at best {_best_of(candidates, target):.4g}"
        reasons.append(what)
    binding = _binding(asked, candidates, best)
    if best.verdict == "missed" and binding is not None:
        target, alone, without = binding
        reasons.append(
            f"binding: {target.text}; {alone} of {len(candidates)} settings come up to "
            f"it, {without} come up to all the others"
        )
    unknown = Counter(_kind(c.error) for c in candidates if c.error)
    reasons += [f"{n} settings: {why}" for why, n in unknown.most_common(2)]
    return reasons


def _best_of(candidates: list[Candidate], target: Target) -> float:
    """The best that any setting of the scan does for one target."""
    values = [c.figures[target.figure] for c in candidates if c.figures]
    known = [each for each in values if not math.isnan(each)] or [math.nan]
    return min(known) if target.sense == "<=" else max(known)


def _binding(asked, candidates, best: Finalist) -> tuple[Target, int, int] | None:
    """The target whose absence lets most settings through; then the least room."""
    if not asked.targets:
        return None
    slacks = np.array([c.slacks for c in candidates])
    here = _in_steps(asked, best.figures["interval"].value)
    rooms = [slack(t, best.figures[t.figure]) for t in here]
    scored = []
    for i in range(len(asked.targets)):
        others = np.delete(slacks, i, axis=1)
        without = int((others >= 0).all(axis=1).sum())
        alone = int((slacks[:, i] >= 0).sum())
        missed = best.verdicts[i] == "missed"
        scored.append((missed, without, -rooms[i], -i, alone))
    _, without, _, place, alone = max(scored)
    return asked.targets[-place], alone, without


def _kind(error: str) -> str:
    """An error without its numbers, so that equal ones are counted together."""
    return error.split(";")[0][:160]


def _target_table(asked: Asked, candidates, best: Finalist | None) -> pd.DataFrame:
    rows = []
    for i, target in enumerate(asked.targets):
        known = [(c.slacks[i], c) for c in candidates if c.figures]
        nearest = max(known, key=lambda each: each[0])[1] if known else None
        others = [
            c.figures and all(s >= 0 for j, s in enumerate(c.slacks) if j != i)
            for c in candidates
        ]
        row: dict[str, Any] = {
            "target": target.text,
            "figure": target.figure,
            "sense": target.sense,
            "bound": target.bound,
            "settings_alone": sum(slack_ >= 0 for slack_, _ in known),
            "settings_without": sum(map(bool, others)),
            "settings": len(candidates),
            "nearest": math.nan
            if nearest is None
            else nearest.figures.get(target.figure, math.nan),
        }
        if best is not None:
            row |= {"verdict": best.verdicts[i]}
            row |= best.figures[target.figure]._asdict()
        rows.append(row)
    return pd.DataFrame(rows)


def _setting_row(one: Candidate) -> dict[str, Any]:
    """A setting, its targets exactly: 2^k or all digits."""
    choice = one.choice
    return {
        "t_acc": choice.t_acc,
        "t_1": format_target(one.t_1),
        "log2_t_1": math.log2(one.t_1) if one.t_1 else -math.inf,
        "p_1": choice.p_1,
        "t_2": format_target(one.t_2),
        "log2_t_2": math.log2(one.t_2) if one.t_2 else -math.inf,
        "p_2": choice.p_2,
        "s_min": choice.s_min,
    }


def _candidate_table(asked: Asked, candidates: list[Candidate]) -> pd.DataFrame:
    rows = []
    for one in candidates:
        slacks = {
            f"slack_{t.figure}": s
            for t, s in zip(asked.targets, one.slacks, strict=True)
        }
        rows.append(_setting_row(one) | one.figures | slacks | {"error": one.error})
    return pd.DataFrame(rows)


def _finalist_row(config: Config, terms: Terms, one: Finalist) -> dict[str, Any]:
    row = _setting_row(one.candidate) | {
        "verdict": one.verdict,
        "risk": terms.risk,
        "risk_premined": terms.risk_premined,
        "confirmations": one.confirmations,
        "room": one.room,
    }
    for name, estimate in one.figures.items():
        row[name] = estimate.value
        row[f"{name}_low"], row[f"{name}_high"] = estimate.low, estimate.high
    row["interval_seconds"] = row["interval"] * config.clock.seconds_per_step
    return row


def _recommended(config: Config, best: Finalist | None) -> pd.DataFrame:
    columns = ["quantity", "value", "low", "high", "count", "method", "unit", "seconds"]
    if best is None:
        return pd.DataFrame(columns=columns)
    rows = []
    for name, estimate in best.figures.items():
        unit = UNITS.get(name, "share")
        seconds = math.nan
        if unit == "steps":
            seconds = estimate.value * config.clock.seconds_per_step
        rows.append((name, *estimate, unit, seconds))
    return pd.DataFrame(rows, columns=columns)


def _interval(figure: Estimate) -> str:
    return f"{figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
