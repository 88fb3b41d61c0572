"""A config in the terms of the analysis: steps, lotteries, networks, plans."""

import numpy as np

from ...analysis.assessment.one_law import Plan
from ...analysis.block_time.empirical import Lottery
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.block_time.uncertain import UncertainLaw, uncertain_law
from ...analysis.simulation.levels import Network, network
from ...models.learning.chunk_program import Bucket
from ...models.learning.curves import CurveSet
from ...models.learning.networks import step_operations
from ..config.experiment import Config
from ..config.sections import LotteryConfig, SchemeConfig
from .dataset import config_dataset


def step_costs(
    config: Config, curves: CurveSet, image_shape: tuple[int, int], classes: int
) -> np.ndarray | None:
    """c_i: what a step of each run costs, in the menu's mean step; None: all alike."""
    costs = bucket_costs(config, image_shape, classes)
    if not costs:
        return None
    runs = [i.hpp for i in curves.initializations]
    return np.array([costs[Bucket(h.architecture, h.batch_size)] for h in runs])


def costs_of(config: Config, curves: CurveSet) -> np.ndarray | None:
    """``step_costs`` with the config's own data set."""
    if config.clock.unit == "steps":
        return None
    dataset = config_dataset(config)
    height, width = dataset.x_train.shape[1:]
    return step_costs(config, curves, (height, width), dataset.n_classes)


def law_of(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    *,
    lottery: Lottery | None = None,
    resamples: int | None = None,
) -> UncertainLaw:
    """The law of one prover's block time, with everything that is uncertain of it.

    Args:
        config: Its seed fixes the resamples.
        curves: Its learning curves.
        costs: ``costs_of`` it.
        lottery: None: that of ``[scheme]``.
        resamples: Number of resampled laws; None: ``security.bootstraps``.

    Raises:
        Refused: As ``uncertain_law``.
    """
    return uncertain_law(
        config.seed,
        curves,
        lottery or lottery_of(config, config.scheme),
        config.security.bootstraps if resamples is None else resamples,
        step_costs=costs,
    )


def bucket_costs(
    config: Config, image_shape: tuple[int, int], classes: int
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


def network_of(config: Config, law: BlockTimeLaw) -> Network:
    """The config's network under a law."""
    net = config.network
    return network(law, provers=net.provers, beta=net.beta, delay_steps=net.delay_steps)


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
    """The setting's parameters with the scheme's policies."""
    scheme: SchemeConfig = config.scheme
    training = config.training
    abandon = scheme.abandon_steps
    if abandon == "horizon":
        looks = training.horizon_steps // training.check_every
        abandon = looks * training.check_every
    return Lottery(
        t_acc=setting.t_acc,
        p_1=setting.p_1,
        p_2=setting.p_2,
        hashes_per_step=config.clock.hashes_per_step,
        retry=scheme.retry,
        abandon_steps=None if abandon == "never" else abandon,
    )
