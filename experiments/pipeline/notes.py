"""What a careful reader must know beside the numbers of a run."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from ...analysis.assessment.one_law import Assessment
from ...analysis.block_time.empirical import accuracy_error
from ...analysis.block_time.horizon import Owed, owed_to_horizon
from ...analysis.block_time.law import fastest_of, mean
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.quantities import CHAIN_GROWTH, PERSISTENCE_SIMULATED
from ...analysis.simulation.properties import LOWER_BOUND
from ...models.learning.curves import CurveSet
from ..config.experiment import Config
from ..config.sections import MAXIMUM_LOOKS
from ..config.world import STRATEGIES
from ..own.evidence import own_warnings
from ..own.words import evidence, rests_on
from ..world.engines import chosen_engine
from ..world.translation import conduct_of


def notes_table(
    config: Config,
    curves: CurveSet,
    law: UncertainLaw,
    groups: Mapping[str, int],
    brackets: Mapping[str, tuple[float, float]],
    assessment: Assessment,
    failed: int,
) -> pd.DataFrame:
    """Assumptions, warnings and refusals: columns kind, text.

    Args:
        config: The experiment.
        curves: Its learning curves.
        law: The scheme's law, with its resamples.
        groups: Provers by who they are (honest, corrupted).
        brackets: Mean block times of the groups under the extreme extrapolations.
        assessment: The estimates.
        failed: Bootstrap laws that could not be simulated.
    """
    rows = [("assumption", text) for text in _assumptions(config, law, curves)]
    rows += [("assumption", text) for text in _horizon(assessment)]
    rows += [("assumption", text) for text in _sampling(config, assessment)]
    rows += [("warning", text) for text in _law_warnings(config, law, groups, brackets)]
    rows += [("warning", text) for text in _horizon_warnings(config, law, groups)]
    rows += [
        ("warning", text) for text in _interval_warnings(config, assessment, failed)
    ]
    rows += [("warning", text) for text in own_warnings(config)]
    rows += [("refused", text) for text in assessment.refusals]
    return pd.DataFrame(rows, columns=["kind", "text"])


def _assumptions(config: Config, law: UncertainLaw, curves: CurveSet) -> Iterator[str]:
    training = config.training
    yield from _world(config)
    strategy = config.attackers and config.adversary.attack in STRATEGIES
    if strategy:
        yield _counted(config.adversary.attack)
    else:
        yield from _races(config)
    if config.attackers and config.adversary.attack != "balance":
        yield (
            "confirmations for risks down to 2^-128 (†) are those of the private chain "
            "and rest on trainings that are independent of each other: what is common "
            "to them (data, code, a shortcut for all) is in no interval"
        )
    yield (
        "liveness: a transaction reaches every prover at once and can enter the block "
        "that is being trained (binding none); where the header is bound to h_1 it "
        "waits for one more block"
    )
    yield f"time unit: {_unit(config)}"
    if not config.law.has_curves:
        yield rests_on(config, law.runs, law.reached)
        return
    kept = config.protocol.abandon_steps
    rule = {
        "never": "is never given up",
        "horizon": "is given up at the last of them for a new one (abandon_steps = "
        "'horizon': training further would be another scheme)",
    }.get(str(kept), f"is given up after {kept} steps for a new one")
    yield (
        f"{law.reached} of {law.runs} models reached T_acc within the "
        f"{training.horizon_steps} steps {_seen(config)} (or before they were given "
        f"up); a model that has not {rule}"
    )
    if not config.law.trained:
        return
    broken = int((~np.isfinite(curves.loss)).any(axis=1).sum())
    if broken:
        yield (
            f"{broken} of {law.runs} trainings broke down: their loss or logits are "
            "not finite. Such a model classifies nothing and scores no ticket"
        )
    error = accuracy_error(curves, config.scheme.t_acc)
    if error > 0:
        yield (
            f"a look scores {curves.eval_samples} of {curves.population} training "
            f"examples: T_acc ± {error:.4f} for each run. That noise is in the runs "
            "and so in the intervals; it makes first passages slightly early"
        )


def _races(config: Config) -> Iterator[str]:
    """The private race, and when it counts as won."""
    yield (
        "private race from the tip: the adversary starts from the parent of the "
        "transaction's block when that parent is found; a head start (pre-mining) is "
        "in the confirmations that say so, not in the rest"
    )
    yield (
        "ties: persistence counts a private chain of equal length as a violation (ties "
        "win), persistence_violation_strict only a longer one. Both are criteria; of "
        f"two public blocks at one height a prover goes on with {_adopted(config)}"
    )
    if config.attackers:
        yield (
            "persistence is the Fourier grid's, which bounds the private chain's risk "
            "on this network from above and is equal to it without delay; its lower "
            "end is that of the network itself. persistence_simulated is what the "
            "simulated races counted, a check and no part of the verdict"
        )


def _counted(attack: str) -> str:
    """What persistence is under a strategy."""
    if attack == "balance":
        return (
            "persistence is Pr[a fork lives k levels]: whoever waits for k blocks on "
            "the branch that loses is reverted. The fork begins level, the adversary "
            "saves no blocks up: better balance attacks may exist. confirmations are "
            "of this attack"
        )
    name, first = ("SM1",) * 2 if attack == "selfish" else ("the policy", "The policy")
    return (
        "persistence is counted: the share of levels on which a public block that was "
        f"k deep was reverted, by {name} or by a fork of honest blocks. {first} "
        "is played for revenue, nobody aims at a block; confirmations (†) are those of "
        "the same provers' private chain, which does"
    )


def _adopted(config: Config) -> str:
    return {
        "first_seen": "the one it saw first",
        "random": "either, by a fair coin, and begins anew where it goes over",
        "adversary": "the one it heard of last, and begins anew",
    }[config.protocol.adopted]


def _world(config: Config) -> Iterator[str]:
    """Who takes part, how messages travel, what the corrupted provers do."""
    net, attack = config.network, config.adversary.attack
    if net.equal_speeds:
        who = f"{net.provers} equal provers"
    else:
        kinds = ", ".join(
            f"{each.count} of speed {each.speed:g}"
            + (" (corrupted)" if each.corrupted else "")
            for each in net.classes
        )
        who = (
            f"provers: {kinds}; β = {net.beta:.3g} of the provers, "
            f"{net.beta_of_speed:.3g} of their speed"
        )
    how = {
        "random": f"up to {net.delay_steps:g} steps, uniform",
        "table": f"one of {len(net.delays)} delays up to {net.delay_steps:g} steps",
    }.get(net.delay_model, f"{net.delay_steps:g} steps")
    yield (
        f"{who}; the corrupted ones share what they find at once; honest messages "
        f"take {how}, the adversary's none"
    )
    if config.attackers and (part := config.adversary.part):
        yield (
            f"adversary.part = {part}: a corrupted prover's law is what that function "
            "makes of an honest one's; whether anybody can do so is its author's to say"
        )
    if not net.corrupted or attack == "private":
        return
    conduct = conduct_of(config)
    if attack == "private_premined":
        yield (
            "adversary.attack = private_premined: persistence and the verdict are "
            "those with the head start; simulated races have none and bound them from "
            "below"
        )
    elif attack == "honest":
        yield (
            "adversary.attack = honest: the corrupted provers follow the protocol, and "
            "their blocks count as honest ones"
        )
    elif attack == "selfish":
        yield (
            "adversary.attack = selfish: SM1; at a match a share "
            f"{config.adversary.gamma:g} of the honest provers (adversary.gamma) "
            "adopts the pool's block. Quality is the honest share of settled blocks, "
            "stale blocks are the honest ones that are not settled"
        )
    elif attack == "best":
        yield (
            "adversary.attack = best: the best withholding policy found for the law of "
            "all runs without delay, on a grid of ages; with delay, and under "
            "resampled laws, the same policy is played. So revenue is what this "
            "strategy earns, a lower end of what the best one does. At a match a share "
            f"{config.adversary.gamma:g} of the honest provers (adversary.gamma) "
            "adopts its block. Quality is the honest share of settled blocks, stale "
            "blocks are the honest ones that are not settled"
        )
    elif attack == "balance":
        yield (
            "adversary.attack = balance: honest provers in two halves, within which "
            "messages arrive at once and between which they take Δ; all corrupted "
            "provers mine on the branch that lags"
        )
    elif stopped := conduct.stopped():
        yield (
            f"adversary.attack = {attack} is stopped by the protocol ({stopped}): a "
            "private chain is left"
        )
    elif conduct.changes_law():
        rule = "on" if conduct.step_rule else "off"
        yield (
            f"adversary.attack = {attack}: a corrupted prover's law is that of the "
            f"attack, step rule {rule}; good periods are judged by what the protocol "
            "counts on, corrupted provers that mine as honest ones"
        )
        if not net.equal_speeds:
            yield (
                "each corrupted prover has that law at its own speed; where an attack "
                "chooses between laws, it takes the faster one for as many provers of "
                "speed 1"
            )


def _horizon(assessment: Assessment) -> Iterator[str]:
    rates = assessment.rates
    if rates is not None:
        length = rates.end - rates.begin
        yield (
            f"good periods: 'all windows' means all within {length} rounds, about "
            f"{length * rates.x:.0f} successful ones, a horizon that security.levels "
            "and the law fix, whatever the number of replicas; window lengths count "
            "successful rounds (kp), forks included"
        )


def _sampling(config: Config, assessment: Assessment) -> Iterator[str]:
    if config.security.rel_error is None:
        return
    count = max(
        m.estimate.count for m in assessment.measurements if m.quantity == CHAIN_GROWTH
    )
    asked = f"security.rel_error = {config.security.rel_error:.3g}"
    if chosen_engine(config).name == "strategy":
        yield f"{asked} is not sampled for: {count:,} replicas were played"
        return
    if config.protocol.chain_rule == "weight":
        yield (
            f"{asked} is sampled for by {_persistence_sampled(config, assessment)} "
            f"alone; other figures are those of {count:,} replicas"
        )
        return
    yield (
        f"{count:,} replicas were simulated for a half-width of "
        f"{config.security.rel_error:.3g} of the value: growth, quality, stale blocks "
        f"and {_persistence_sampled(config, assessment)}. Their "
        "intervals allow for the looks on the way; the training's error is added to "
        "them and may be larger"
    )


def _persistence_sampled(config: Config, assessment: Assessment) -> str:
    if chosen_engine(config).name != "event" or not config.attackers:
        return f"persistence up to {config.security.confirmations} deep (ties win)"
    raced = max(
        (
            m.estimate.count
            for m in assessment.measurements
            if m.quantity == PERSISTENCE_SIMULATED
        ),
        default=0,
    )
    return f"persistence, raced on {raced:,} others, at depths whose risk is ≥ 1e-4"


def _end(config: Config) -> str:
    return "the horizon" if config.law.has_curves else "the longest time that ended"


def _law_warnings(config, law, groups, brackets) -> Iterator[str]:
    for who, (low, high) in brackets.items():
        if high - low > 0.01 * mean(fastest_of(law.law, groups[who])):
            yield (
                f"beyond {_end(config)} the law is extrapolated: the mean block time "
                f"of the {groups[who]} {who} provers lies between {low:.4g} and "
                f"{high:.4g} steps"
            )
    most = max(groups.values())
    if 0 < law.runs < 10 * most:
        yield (
            f"the fastest of {most} provers depends on the lowest 1/{most} of "
            f"{law.runs} {evidence(config)}; for a bias below its error "
            f"{'train' if config.law.trained else 'have'} at least {10 * most}"
        )


def _horizon_warnings(config, law: UncertainLaw, groups) -> Iterator[str]:
    for who, provers in groups.items():
        owed = owed_to_horizon(law, lambda one, n=provers: mean(fastest_of(one, n)))
        if owed is not None:
            yield (
                f"the interval of the mean block time of the {provers} {who} provers "
                f"{further(owed, config)} ({owed.low:.4g} to {owed.high:.4g} steps by "
                f"what training does beyond it, ± {owed.runs:.3g} by the number of "
                "models)"
            )


def further(owed: Owed, config: Config) -> str:
    """What to do about an interval that owes more to the horizon than to the runs."""
    training = config.training
    looks = math.ceil(owed.further_steps / training.check_every)
    looks += training.horizon_steps // training.check_every
    said = "owes more to the horizon than to the number of models"
    if looks > MAXIMUM_LOOKS:
        return f"{said}, and would do so at the longest horizon, {MAXIMUM_LOOKS} looks"
    return f"{said}, up to horizon_steps = {looks * training.check_every}"


def _interval_warnings(config, assessment: Assessment, failed: int) -> Iterator[str]:
    if config.security.bootstraps == 0 and config.law.source != "formula":
        yield (
            "the intervals hold the simulation's error only (bootstraps = 0), not that "
            f"of the number of {evidence(config)}"
        )
    if failed:
        yield (
            f"{failed} of {config.security.bootstraps} bootstrap laws could not be "
            "simulated and are left out of the spread"
        )
    if assessment.missing:
        yield (
            f"security.rel_error = {config.security.rel_error:.3g} was not reached: "
            + "; ".join(assessment.missing)
            + " (raise security.max_replicas)"
        )
    undecided = [
        m.at for m in assessment.measurements if LOWER_BOUND in m.estimate.method
    ]
    if undecided:
        yield (
            f"simulated persistence from depth {min(x for x in undecided if x):g} is "
            f"{LOWER_BOUND} (raise security.levels)"
        )


def _seen(config: Config) -> str:
    return "trained" if config.law.trained else "looked at"


def _unit(config: Config) -> str:
    if not config.law.trained:
        seconds = f"{config.clock.seconds_per_step:.3g} s (clock.seconds_per_step)"
        what = "a formula's" if config.law.source == "formula" else "the file's"
        return f"{what}; one is taken for {seconds}"
    unit = config.clock.unit
    seconds = f"{config.clock.seconds_per_step:.3g} s"
    if unit == "steps":
        return f"one training step, whatever its size; a step is {seconds}"
    if unit == "operations":
        return f"the menu's mean step by floating-point operations; it takes {seconds}"
    return f"the menu's mean step by measured seconds; it takes {seconds}"
