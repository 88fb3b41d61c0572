"""A config in the terms of the analysis: steps, lotteries, networks, plans."""

import numpy as np

from ...analysis.assessment.one_law import Plan
from ...analysis.attacks.situation import ticketed
from ...analysis.attacks.world import LAWS, Conduct
from ...analysis.block_time.empirical import Lottery
from ...analysis.block_time.law import BlockTimeLaw, fastest_of_speeds
from ...analysis.block_time.uncertain import UncertainLaw, uncertain_law
from ...analysis.estimation.estimate import Refused
from ...analysis.simulation.levels import Network, network
from ...models.learning.architecture import ImageShape
from ...models.learning.chunk_program import Bucket
from ...models.learning.curves import CurveSet
from ...models.learning.networks import step_operations
from ..config.experiment import Config
from ..config.sections import LotteryConfig
from ..config.world import STRATEGIES
from ..own.evidence import own_law
from .dataset import config_dataset


def step_costs(
    config: Config, curves: CurveSet, image_shape: ImageShape, classes: int
) -> np.ndarray | None:
    """c_i: what a step of each run costs, in the menu's mean step; None: all alike."""
    costs = bucket_costs(config, image_shape, classes)
    if not costs:
        return None
    runs = [i.hpp for i in curves.initializations]
    return np.array([costs[Bucket(h.architecture, h.batch_size)] for h in runs])


def costs_of(config: Config, curves: CurveSet) -> np.ndarray | None:
    """``step_costs`` with the config's own data set."""
    if not config.law.trained:
        return curves.step_costs
    if config.clock.unit == "steps":
        return None
    dataset = config_dataset(config)
    return step_costs(config, curves, dataset.x_train.shape[1:], dataset.n_classes)


def law_of(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    *,
    lottery: Lottery | None = None,
    resamples: int | None = None,
) -> UncertainLaw:
    """The law of a block from a fresh model, with everything that is uncertain of it.

    Where [law] has times or a formula, that is the law of a whole attempt: no lottery
    is before or after it.

    Args:
        config: Its seed fixes the resamples.
        curves: Its learning curves.
        costs: ``costs_of`` it.
        lottery: None: that of ``[scheme]``.
        resamples: Number of resampled laws; None: ``security.bootstraps``.

    Raises:
        Refused: As ``uncertain_law``.
    """
    count = config.security.bootstraps if resamples is None else resamples
    if problems := _without_curves(config):
        raise Refused(
            f"a law that was not trained here does not know {'; '.join(problems)}"
        )
    if not config.law.has_curves:
        return own_law(config, count)
    if config.protocol.s_min:
        due = np.full(len(curves.initializations), config.protocol.s_min)
        curves = ticketed(curves, due)
    return uncertain_law(
        config.seed,
        curves,
        lottery or lottery_of(config, config.scheme),
        count,
        step_costs=costs,
    )


def bucket_costs(
    config: Config, image_shape: ImageShape, classes: int
) -> dict[Bucket, float]:
    """What a step costs by bucket, in the menu's mean step; empty: all alike."""
    if config.clock.unit == "steps":
        return {}

    def cost(architecture: str, batch_size: int) -> float:
        if config.clock.unit == "seconds":
            return config.clock.step_seconds[f"{architecture}/{batch_size}"]
        return float(batch_size * step_operations(architecture, image_shape, classes))

    menu = config.menu.build().settings()
    unit = sum(p * cost(hpp.architecture, hpp.batch_size) for hpp, p in menu.items())
    return {
        Bucket(architecture, batch): cost(architecture, batch) / unit
        for architecture in config.menu.architectures
        for batch in config.menu.batch_sizes
    }


def network_of(
    config: Config, law: BlockTimeLaw, known: UncertainLaw | None = None
) -> Network:
    """The config's network under a law.

    Provers of unequal speeds, each with the law of its side at its own speed, are one
    on each side, whose law is that of its side's next
    block: what races, and what bounds the network where every message takes Δ.

    Args:
        config: The experiment.
        law: One of an honest prover's laws.
        known: All of them, with the corrupted provers'; None: theirs is the same.

    Raises:
        Refused: If the config's world is not the one that is simulated level by level.
    """
    require_known(config)
    net = config.network
    own = bool(config.adversary.part) or conduct_of(config).changes_law()
    if known is None and config.attackers and own:
        raise Refused(
            f"adversary.attack = {_attack_of(config)}: the corrupted provers have "
            "a law of their own, which is not known here (dpodl run has it)"
        )
    other = None if known is None else known.against(law)
    if not net.equal_speeds:
        return _sides(config, law, other)
    return network(
        law,
        provers=net.provers,
        beta=config.attackers / net.provers,
        delay_steps=net.delay_steps,
        adversary=other,
    )


def _sides(config: Config, law: BlockTimeLaw, other: BlockTimeLaw | None) -> Network:
    net = config.network
    honest, corrupted = net.honest_speeds, net.corrupted_speeds
    if not config.attackers:
        honest, corrupted = honest + corrupted, ()
    try:
        laws = [
            fastest_of_speeds(*side)
            for side in (
                (law, honest),
                (law if other is None else other, corrupted or (1,)),
            )
        ]
    except ValueError as error:
        raise Refused(f"network.classes: {error}") from None
    return Network(laws[0], 1, int(bool(corrupted)), net.delay_steps, laws[1])


def conduct_of(config: Config) -> Conduct:
    """What the corrupted provers do, and the rules that they meet."""
    rules, adversary = config.protocol, config.adversary
    window = rules.reference_window
    return Conduct(
        attack=adversary.attack,
        kind=adversary.kind,
        gap=adversary.gap,
        reference=rules.reference,
        step_rule=rules.step_rule,
        reference_window=None if window == "off" else window,
        bound=rules.binding == "header",
        exact=rules.tolerance == 0,
    )


# What is simulated level by level, and raced on a grid.
_KNOWN: dict[str, tuple[object, ...]] = {
    "adversary.attack": LAWS,
}


def require_known(config: Config) -> None:
    """Refuse a world that no engine behind this command has.

    Raises:
        Refused: Naming every setting that is beyond it, and what it can be.
    """
    problems = []
    for field, known in _KNOWN.items():
        section, name = field.split(".")
        given = getattr(getattr(config, section), name)
        nobody = section == "adversary" and not config.network.corrupted
        if given in known or nobody:
            continue
        words = ", ".join(map(str, known))
        problems.append(f"{field} = {given} (known: {words})")
    if config.protocol.retarget is not None:
        problems.append(
            "protocol.retarget (known: not set, T_2 stays; dpodl feedback has rules "
            "that move it)"
        )
    problems += [*_without_curves(config), *_own_attack(config)]
    if config.protocol.progress == "kept" and config.protocol.chain_rule == "weight":
        problems.append(
            "protocol.progress = kept with protocol.chain_rule = weight, where a "
            "sibling may be heavier (known: lost)"
        )
    if config.attackers and config.adversary.attack in STRATEGIES:
        problems += _beyond_strategy(config)
    if config.adversary.attack == "equivocate" and config.protocol.binding == "none":
        problems.append(
            "adversary.attack = equivocate with protocol.binding = none, whose private "
            "chain begins with a free block (dpodl attack has its row)"
        )
    if problems:
        raise Refused(f"this command does not compute {'; '.join(problems)}")


def _attack_of(config: Config) -> str:
    return config.adversary.part or config.adversary.attack


def _own_attack(config: Config) -> list[str]:
    attack, rules = config.adversary.attack, config.protocol
    if not (config.adversary.part and config.attackers):
        return []
    known = {
        "adversary.attack": (attack, ("private", "private_premined")),
        "protocol.reference": (rules.reference, ("fresh",)),
        "protocol.chain_rule": (rules.chain_rule, ("longest",)),
    }
    return [
        f"{field} = {has} with adversary.part (known: {', '.join(good)})"
        for field, (has, good) in known.items()
        if has not in good
    ]


def _beyond_strategy(config: Config) -> list[str]:
    """Settings that a simulated strategy does not have, each with the reason."""
    attack, net, rules = config.adversary.attack, config.network, config.protocol
    late = ("worst_case",) if attack == "balance" else ("worst_case", "fixed")
    whose = {
        "balance": "whose delays are the adversary's",
        "selfish": "whose honest messages all take Δ",
        "best": "whose honest messages all take Δ",
    }[attack]
    found = [
        (
            net.delay_model not in late,
            f"network.delay_model = {net.delay_model}, {whose} (known: "
            f"{', '.join(late)})",
        ),
        (
            rules.chain_rule != "longest",
            f"protocol.chain_rule = {rules.chain_rule}, a strategy by height (known: "
            "longest)",
        ),
        (
            rules.adopted != "first_seen",
            f"protocol.tie_rule = {rules.tie_rule}, where the strategy says who adopts "
            "which of equal blocks (known: first_seen)",
        ),
        (
            config.security.criterion != "equal",
            f"security.criterion = {config.security.criterion}, where blocks are "
            "counted that were reverted (known: equal)",
        ),
        (
            attack == "best" and not net.equal_speeds,
            "network.classes of unequal speeds, which its policy does not know (known: "
            "speed 1)",
        ),
        (
            attack == "balance" and not net.equal_speeds,
            "network.classes of unequal speeds, whose halves are not equal (known: "
            "speed 1)",
        ),
    ]
    return [
        f"adversary.attack = {attack} with {text}" for wrong, text in found if wrong
    ]


def _without_curves(config: Config) -> list[str]:
    """Settings that nothing but learning curves can answer for."""
    if config.law.trained:
        return []
    rules, source = config.protocol, config.law.source
    given: dict[str, tuple[object, object]] = {
        "protocol.reference": (rules.reference, "fresh")
    }
    if config.attackers and conduct_of(config).changes_law():
        given["adversary.attack"] = (config.adversary.attack, "private")
    if not config.law.has_curves:
        given["protocol.s_min"] = (rules.s_min, 0)
        given["protocol.chain_rule"] = (rules.chain_rule, "longest")
    return [
        f"{field} = {has} with law.source = {source} (known: {known})"
        for field, (has, known) in given.items()
        if has != known
    ]


def plan_of(config: Config) -> Plan:
    """Figures and effort that the config asks for, but for ``security.rel_error``.

    That is the run's: resampled laws and the points of a sweep have fixed replicas.
    """
    security = config.security
    rounds = security.round_steps
    return Plan(
        levels=security.levels,
        replicas=security.replicas,
        good_period_replicas=security.good_period_replicas,
        depths=range(1, security.depths + 1),
        confirmations=security.confirmations,
        windows=security.windows,
        epsilon=security.epsilon,
        round_steps=float(
            config.training.check_every if rounds == "check_every" else rounds
        ),
    )


def lottery_of(config: Config, setting: LotteryConfig) -> Lottery:
    """The setting's parameters with the protocol's policies."""
    rules, training = config.protocol, config.training
    abandon = rules.abandon_steps
    if abandon == "horizon":
        looks = training.horizon_steps // training.check_every
        abandon = looks * training.check_every
    return Lottery(
        t_acc=setting.t_acc,
        p_1=setting.p_1,
        p_2=setting.p_2,
        hashes_per_step=config.clock.hashes_per_step,
        retry=rules.retry,
        abandon_steps=None if abandon == "never" else abandon,
    )
