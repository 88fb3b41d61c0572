"""A config's world in the terms of the analysis: who races whom, under which laws."""

from typing import NamedTuple

import numpy as np

from ...analysis.attacks.own_attack import Party, attacked
from ...analysis.attacks.situation import Situation, situation_of
from ...analysis.attacks.world import WorldLaws, world_laws
from ...analysis.block_time.empirical import Lottery
from ...analysis.block_time.uncertain import UncertainLaw
from ...models.errors import InputError
from ...models.learning.curves import CurveSet
from ...models.scheme.branching import Branches
from ..config.experiment import Config
from ..config.section import ConfigError
from ..own.evidence import load_part
from .translation import conduct_of, law_of, lottery_of, require_known


class WarmStarts(NamedTuple):
    """What a referenced model saves; None: not asked for, or no run has such a model.

    Attributes:
        warm: From models of accuracy ≥ T_acc, a block's.
        mtx: From models below it, an mtx's.
    """

    warm: Branches | None = None
    mtx: Branches | None = None


NO_STARTS = WarmStarts()


def world_law(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: WarmStarts = NO_STARTS,
    *,
    lottery: Lottery | None = None,
    resamples: int | None = None,
) -> UncertainLaw:
    """The law of an honest prover with, beside it, that of a corrupted one.

    Args:
        config: The experiment; its seed fixes the resamples.
        curves: Its learning curves.
        costs: ``costs_of`` it.
        starts: What ``warm_starts`` measured for it.
        lottery: None: that of ``[scheme]``.
        resamples: Number of resampled laws; None: ``security.bootstraps``.

    Raises:
        Refused: As ``law_of``, or if the adversary's law is not known.
    """
    require_known(config)
    lottery = lottery or lottery_of(config, config.scheme)
    honest = law_of(config, curves, costs, lottery=lottery, resamples=resamples)
    if config.adversary.part and config.attackers:
        return _attacked(config, honest)
    if not own_laws(config):
        return honest
    found = laws_of_attack(
        config, curves, costs, starts, lottery=lottery, resamples=len(honest.resamples)
    )
    if config.protocol.reference != "fresh":
        attack = found.attack
        honest = honest._replace(
            law=attack.honest,
            resamples=tuple(each.honest for each in found.resamples),
            extremes=tuple(each.honest for each in found.extremes),
            # Which runs a law of branches rests on is not asked.
            by_run=None,
        )
    count = 1 + len(honest.resamples) + len(honest.extremes)
    return honest._replace(adversaries=found.adversaries[:count])


def _attacked(config: Config, honest: UncertainLaw) -> UncertainLaw:
    """With the corrupted provers' laws by an attack of the user's."""
    name, setting = str(config.adversary.part), "adversary.part"
    net = config.network
    party = Party(net.provers, config.attackers, net.delay_steps, config.protocol.s_min)
    laws = (honest.law, *honest.resamples, *honest.extremes)
    try:
        adversaries = attacked(load_part(name, setting), laws, party)
    except InputError:
        raise
    except Exception as error:  # it is a user's, and may do anything
        told = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{setting} = {name}: {told}") from error
    return honest._replace(adversaries=adversaries)


def own_laws(config: Config) -> bool:
    """Whether a prover's law is not that of fresh models, or not the same for all."""
    other = conduct_of(config).changes_law() or config.adversary.part
    return bool(config.attackers and other) or (config.protocol.reference != "fresh")


def laws_of_attack(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: WarmStarts,
    *,
    lottery: Lottery,
    resamples: int,
) -> WorldLaws:
    """Both laws of the config's attack, with what is uncertain of them.

    Raises:
        Refused: As ``analysis.attacks.world.world_laws``.
    """
    return world_laws(
        situation(config, curves, costs, starts, lottery=lottery),
        conduct_of(config),
        seed=config.seed,
        count=resamples,
    )


def situation(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    starts: WarmStarts,
    *,
    lottery: Lottery | None = None,
) -> Situation:
    """The situation of the config's attack."""
    net, rules = config.network, config.protocol
    every = rules.checkpoint_every
    # Where nobody is corrupted one prover stands for those who choose the faster model.
    one = net.corrupted or 1
    return situation_of(
        curves,
        lottery or lottery_of(config, config.scheme),
        provers=max(net.provers, 2),
        beta=one / max(net.provers, 2),
        delay_steps=net.delay_steps,
        step_costs=costs,
        warm=starts.warm,
        mtx=starts.mtx,
        s_min=rules.s_min,
        checkpoint_every=(
            config.training.check_every if every == "check_every" else every
        ),
        challenges=rules.challenges,
    )
