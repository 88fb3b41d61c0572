"""``dpodl attack``: every attack of the scheme on a config, mitigation off and on."""

from pathlib import Path

import pandas as pd

from ...analysis.attacks.rows import Effort, tidy
from ...analysis.attacks.situation import Situation, law_situations, situation_of
from ...analysis.attacks.table import attack_table
from ...figures import attacks
from ...models.learning.curves import CurveSet, training_set
from ...models.learning.pins import seed_key
from ...models.scheme.branching import Branches, branch_curves
from ..config.experiment import Config
from ..config.section import ConfigError
from ..own.evidence import own_law
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..store.files import Progress
from ..world import translation
from ..world.dataset import config_dataset
from .worlds import require_equal_provers

# Deep targets beside the config's own; the first one decides the verdict.
_TARGETS = (1e-9, 2.0**-40)


def attack(
    config: Config, root: Path, progress: Progress, *, branches: int, resamples: int
) -> pd.DataFrame:
    """The attack table of a config.

    Args:
        config: The experiment; rules' numbers are those of [protocol].
        root: Where trained curves are kept (``--output`` of ``dpodl run``).
        progress: Told how far it is.
        branches: Trainings that are branched off a referenced model, for each kind.
        resamples: Resampled laws behind the intervals.

    Returns:
        ``analysis.attacks.rows.tidy``: one row an attack and a state of its mitigation.

    Raises:
        ConfigError: If config and data do not go together, or nobody is corrupted.
        Refused: If the evidence cannot support a law, or the config's world is beyond
            equal provers of fresh models.
    """
    # Every attack is a row.
    require_equal_provers(
        config,
        "attack",
        attacks=None,
        known=("security.criterion",),
        s_min=config.law.has_curves,
    )
    net = config.network
    if not round(net.beta * net.provers):
        raise ConfigError("network.beta must leave a corrupted prover, got none")
    evidence: dict = {}
    if config.law.has_curves:
        at = _trained(config, root, progress, branches)
    else:
        law = own_law(config, resamples)
        at, *others = law_situations(
            law,
            provers=net.provers,
            beta=net.beta,
            delay_steps=net.delay_steps,
            round_steps=config.training.check_every,
        )
        basis = law.basis(at.honest, at.adversarial)
        evidence = {"others": others, "basis": basis}
    targets = (config.security.target, *_TARGETS)
    rows = attack_table(
        seed_key(config.seed),
        at,
        targets=tuple(dict.fromkeys(targets)),
        effort=Effort(
            resamples=resamples,
            gamma=config.adversary.gamma,
            ties_win=config.security.criterion == "equal",
        ),
        seed=config.seed,
        progress=progress,
        **evidence,
    )
    security = config.security
    return pd.DataFrame(tidy(rows)).assign(
        target=security.target, criterion=security.criterion
    )


def write(table: pd.DataFrame, folder: Path, config: Config, *, command: str) -> None:
    """Keep the table and its figure."""
    keep_answer(
        folder,
        "attack",
        {"attacks": table},
        command=command,
        config=config,
        figures={"attacks": attacks},
    )


def _trained(
    config: Config, root: Path, progress: Progress, branches: int
) -> Situation:
    """The situation of learning curves, with what referenced models save."""
    net, rules = config.network, config.protocol
    curves = training.train(config, root, progress)
    every = rules.checkpoint_every
    t_acc = config.scheme.t_acc
    return situation_of(
        curves,
        translation.lottery_of(config, config.scheme),
        provers=net.provers,
        beta=net.beta,
        delay_steps=net.delay_steps,
        step_costs=translation.costs_of(config, curves),
        warm=_branched(config, curves, t_acc, branches, progress, "from T_acc"),
        mtx=_branched(
            config,
            curves,
            config.adversary.mtx_share * t_acc,
            branches,
            progress,
            "from an mtx",
        ),
        s_min=rules.s_min,
        checkpoint_every=(
            config.training.check_every if every == "check_every" else every
        ),
        challenges=rules.challenges,
    )


def _branched(
    config: Config,
    curves: CurveSet,
    accuracy: float,
    branches: int,
    progress: Progress,
    what: str,
) -> Branches | None:
    """Trainings from referenced models; None where no run has such a model.

    Curves that were logged elsewhere have no models: what is taken then says each row.
    """
    if not config.law.trained:
        return None
    dataset = config_dataset(config)
    settings = training.curve_settings(config, dataset)
    some = curves.initializations[:branches]
    try:
        return branch_curves(
            some,
            training_set(dataset.x_train, dataset.y_train),
            config.menu.build(),
            settings,
            seed=config.seed,
            accuracy=accuracy,
            way=config.protocol.way,
            progress=lambda _, done, total: progress(f"branching {what}", done, total),
        )
    except ValueError:
        if (curves.accuracy[: len(some)] >= accuracy).any():
            raise
        return None
