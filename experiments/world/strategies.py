"""Attacks by what corrupted provers publish, and when: withholding and balance.

Their law is an honest prover's. What is simulated is their strategy, on the config's
network: a chain with forks, lost work and blocks held back, as it comes about.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Array, Key

from ...analysis.assessment.by_strategy import Play, assess_played
from ...analysis.assessment.one_law import Assessment, Plan
from ...analysis.attacks.balancing import Balance, balance
from ...analysis.block_time.law import BlockTimeLaw, fastest_of, fastest_of_speeds
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Refused
from ...analysis.event_network.as_levels import event_levels
from ...analysis.event_network.balanced import Halves, simulate_balance
from ...analysis.event_network.engine import EventNetwork
from ...analysis.event_network.selfish import Pool, simulate_selfish
from ...analysis.simulation.levels import Levels, simulate
from ...analysis.withholding.best import best_policy
from ...analysis.withholding.played import simulate_policy
from ...analysis.withholding.policy import Policy
from ..config.experiment import Config
from .translation import network_of

DEPTH, CELLS = 7, 108
"""Longest fork and cells of age of attack = best, as ``dpodl withholding`` has them."""
_POLICIES: dict[tuple, Policy] = {}
_KEPT = 8
WHY = {
    "selfish": "SM1 on the network, block by block: the pool holds blocks back, honest "
    "messages take Δ, and at a match adversary.gamma of the honest provers adopt the "
    "pool's block",
    "best": "the best withholding policy that was found for this law without delay, on "
    "the network, block by block: it knows the ages of both sides' work, honest "
    "messages take Δ, and at a match adversary.gamma of the honest provers adopt its "
    "block",
    "balance": "the balance attack level by level: two halves of the honest provers, "
    "Δ apart, and the corrupted provers with the one that lags",
}


def assess_strategy(
    config: Config,
    known: UncertainLaw,
    law: BlockTimeLaw,
    key: Key[Array, ""],
    plan: Plan,
    public: Callable[[], EventNetwork],
) -> Assessment:
    """The figures of a config whose adversary is a strategy, under one of its laws.

    Args:
        config: The experiment.
        known: Its laws.
        law: One of them.
        key: Fixes every draw.
        plan: Figures and effort.
        public: The honest provers as the event engine has them, where it is asked.

    Raises:
        Refused: As ``assess_played`` and ``network_of``.
    """
    net = config.network
    network = network_of(config, law, known)
    honest, corrupted = net.honest_speeds, net.corrupted_speeds
    if net.equal_speeds:
        all_blocks = fastest_of(law, len(honest) + len(corrupted))
        expected: Callable[..., Levels] = partial(_plain, network=network)
    else:
        all_blocks = fastest_of_speeds(law, (*honest, *corrupted))
        expected = partial(_by_speed, public=public, corrupted=corrupted)
    return assess_played(
        key,
        _play(config, known, law),
        plan,
        expected=expected,
        all_blocks=all_blocks,
        delay_steps=float(net.delay_steps),
        reverts=config.adversary.attack != "balance",
    )


def fork_life(config: Config, law: BlockTimeLaw) -> Balance:
    """How long the config's balance attack keeps a fork alive.

    Raises:
        Refused: If there are fewer than two honest provers.
    """
    net = config.network
    honest = net.provers - net.corrupted
    _require_two(honest)
    return balance(
        law,
        law,
        provers=honest,
        adversarial=net.corrupted,
        delay_steps=float(net.delay_steps),
    )


def _play(config: Config, known: UncertainLaw, law: BlockTimeLaw) -> Play:
    net = config.network
    delay = float(net.delay_steps)
    if config.adversary.attack == "balance":
        honest = net.provers - net.corrupted
        _require_two(honest)
        halves = Halves(fastest_of(law, honest / 2), _group(config, law), delay)
        return lambda key, **sizes: simulate_balance(key, halves, **sizes)
    gamma = config.adversary.gamma
    if config.adversary.attack == "best":
        # One strategy, that of the law of all runs: what it earns under others too.
        policy = _best_of(known.law, net.provers - net.corrupted, net.corrupted, gamma)
        return partial(simulate_policy, policy=policy, law=law, delay_steps=delay)
    pool = Pool(law, net.honest_speeds, _group(config, law), delay, gamma)
    return lambda key, **sizes: simulate_selfish(key, pool, **sizes)


def _best_of(law: BlockTimeLaw, honest: int, own: int, gamma: float) -> Policy:
    """The best policy on the grid of ``dpodl withholding``; the last ones are kept."""
    if own >= honest:
        raise Refused(
            f"adversary.attack = best: {own} of {own + honest} provers are no "
            "minority, and a majority needs no strategy (network.beta)"
        )
    told = [np.ascontiguousarray(each).tobytes() for each in law]
    name = (*told, honest, own, gamma)
    if name not in _POLICIES:
        while len(_POLICIES) >= _KEPT:
            del _POLICIES[next(iter(_POLICIES))]
        _POLICIES[name] = best_policy(
            law,
            honest=honest,
            own=own,
            gamma=gamma,
            depth=DEPTH,
            cells=CELLS,
            worth=1.0,
            prize=np.zeros(DEPTH + 1),
        )[1]
    return _POLICIES[name]


def _group(config: Config, law: BlockTimeLaw) -> BlockTimeLaw:
    """Law of the corrupted provers' next block."""
    net = config.network
    if net.equal_speeds:
        return fastest_of(law, net.corrupted)
    return fastest_of_speeds(law, net.corrupted_speeds)


def _require_two(honest: int) -> None:
    if honest < 2:
        raise Refused(
            f"adversary.attack = balance: {honest} honest provers cannot be split, at "
            "least 2 are needed (network.provers, network.beta)"
        )


def _plain(key: Key[Array, ""], *, network, levels: int, replicas: int) -> Levels:
    return simulate(key, network, levels=levels, replicas=replicas)


def _by_speed(
    key: Key[Array, ""], *, public, corrupted, levels: int, replicas: int
) -> Levels:
    return event_levels(
        key, public(), corrupted=corrupted, levels=levels, replicas=replicas
    )
