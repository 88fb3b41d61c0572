"""``dpodl effects``: what a law that is not memoryless does, from a config's curves."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ...analysis.attacks.situation import resampled, situation_of
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.effects.delay_equivalence import pooling, saving_as_delay, warm_laws
from ...analysis.effects.findings import (
    Finding,
    find_domination,
    find_equivalence,
    find_forks,
    find_memorylessness,
)
from ...analysis.effects.memorylessness import (
    Row,
    Swept,
    fast_machine,
    memorylessness,
    restart_forks,
    swept_laws,
)
from ...analysis.estimation.estimate import Refused
from ...figures.questions import domination, memorylessness as memorylessness_figure
from ...models.learning.curves import CurveSet, training_set
from ...models.learning.pins import seed_key
from ...models.scheme.branching import branch_curves
from ..config.experiment import Config
from ..config.section import ConfigError
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..store.files import Progress
from ..world import translation
from ..world.dataset import config_dataset
from .worlds import require_curves, require_equal_provers

POST_HASHES = tuple(2.0**-k for k in range(13))
SPEEDS = (2, 5, 10, 30)
# A 30× machine among 70 units: its share of the compute is .3.
COMPUTE = 100
_FIGURES = {
    "memorylessness": memorylessness_figure,
    "domination": domination,
}


class Effects(NamedTuple):
    """What was measured.

    Attributes:
        tables: One an effect, columns as ``analysis.effects.memorylessness.Row``, in
            the order of the findings; an effect that was refused has none.
        findings: Columns effect, verdict, sentence; refused effects too.
        refused: Columns p_2, reason: laws that the runs do not support.
    """

    tables: dict[str, pd.DataFrame]
    findings: pd.DataFrame
    refused: pd.DataFrame


def effects(
    config: Config,
    root: Path,
    progress: Progress,
    *,
    branches: int,
    resamples: int,
) -> Effects:
    """All effects of a config's real curves.

    Args:
        config: The experiment; p_2 is swept over 2^-k and the config's own.
        root: Where trained curves are kept (``--output`` of ``dpodl run``).
        progress: Told how far it is.
        branches: Trainings that are branched off an mtx.
        resamples: Resampled laws behind the intervals.

    Raises:
        ConfigError: If config and data do not go together.
        Refused: If the runs cannot support any law, or the config's world is beyond
            equal provers of fresh models.
    """
    require_equal_provers(config, "effects", s_min=False)
    require_curves(config, "effects")
    net, scheme = config.network, config.scheme
    honest = net.provers - round(net.beta * net.provers)
    curves = training.train(config, root, progress)
    p_2s = sorted({*POST_HASHES, scheme.p_2}, reverse=True)
    laws, refused = swept_laws(
        curves,
        translation.lottery_of(config, scheme),
        p_2s,
        provers=honest,
        seed=config.seed,
        resamples=resamples,
        step_costs=translation.costs_of(config, curves),
    )
    if not laws:
        raise Refused(f"effects: no p_2 has a law; {next(iter(refused.values()))}")
    key = seed_key(config.seed)
    at = scheme.p_2

    def saving() -> list[Row]:
        return _saving(config, curves, laws, branches, resamples, progress)

    jobs: list[tuple[str, Callable[[], list[Row]], Callable[..., Finding], dict]] = [
        (
            "memorylessness",
            lambda: memorylessness(laws, provers=net.provers, honest=honest),
            find_memorylessness,
            {"honest": honest, "check_every": config.training.check_every},
        ),
        (
            "domination",
            lambda: _domination(laws),
            find_domination,
            {"total": COMPUTE},
        ),
        (
            "forks",
            lambda: restart_forks(key, laws, honest=honest),
            find_forks,
            {"p_2": at},
        ),
        ("saving", saving, find_equivalence, {"effect": "saving", "p_2": at}),
        (
            "pooling",
            lambda: _pooling(config, laws),
            find_equivalence,
            {"effect": "pooling", "p_2": at},
        ),
    ]
    tables, findings = {}, []
    for done, (name, measure, find, settings) in enumerate(jobs):
        progress("measuring effects", done, len(jobs))
        try:
            rows = measure()
        except (Refused, ConfigError) as refusal:
            findings.append((name, "refused", str(refusal)))
            continue
        tables[name] = pd.DataFrame(rows)
        found = find(rows, **settings)
        findings.append(found._replace(sentence=found.sentence + _few_runs(rows)))
    progress("measuring effects", len(jobs), len(jobs))
    return Effects(
        tables,
        pd.DataFrame(findings, columns=["effect", "verdict", "sentence"]),
        pd.DataFrame(list(refused.items()), columns=["p_2", "reason"]),
    )


def write(found: Effects, folder: Path, config: Config, *, command: str) -> None:
    """Keep tables, findings and figures."""
    tables = {
        **found.tables,
        "findings": found.findings,
        "refused": found.refused,
    }
    figures = {k: figure for k, figure in _FIGURES.items() if k in found.tables}
    keep_answer(
        folder, "effects", tables, command=command, config=config, figures=figures
    )


def _few_runs(rows: Sequence[Row]) -> str:
    """What to add to a sentence whose numbers rest on few training runs."""
    few = [each.runs_effective for each in rows if each.warning]
    if not few:
        return ""
    return (
        f" Some of these numbers rest on few training runs in effect (the fewest "
        f"{min(few):.0f}, ``runs_effective`` in the table): their intervals may cover "
        "less than 95 %; train more models."
    )


def _domination(laws: Swept) -> list[Row]:
    if any(each.law.lattice for each in laws.values()):
        raise Refused(
            "domination: with p_1 = 1 all block times are whole looks and winners tie; "
            "scheme.t_1 must be below 2^256"
        )
    return fast_machine(laws, speeds=SPEEDS, total=COMPUTE)


def _pooling(config: Config, laws: Swept) -> list[Row]:
    net = config.network
    return pooling(
        laws,
        _certain(laws),
        provers=net.provers,
        adversarial=round(net.beta * net.provers),
        delay_steps=net.delay_steps,
    )


def _saving(
    config: Config,
    curves: CurveSet,
    laws: Swept,
    branches: int,
    resamples: int,
    progress: Progress,
) -> list[Row]:
    net = config.network
    adversarial = round(net.beta * net.provers)
    if not adversarial:
        raise Refused(
            "saving: no prover is corrupted, there is nobody to save work "
            "(network.beta, network.provers)"
        )
    _certain(laws)
    dataset = config_dataset(config)
    accuracy = config.adversary.mtx_share * config.scheme.t_acc
    some = curves.initializations[:branches]
    if not (curves.accuracy[: len(some)] >= accuracy).any():
        raise Refused(
            f"saving: none of the {len(some)} runs asked for showed a model of "
            f"accuracy {accuracy:g}; more branches, or a lower t_acc"
        )
    warm = branch_curves(
        some,
        training_set(dataset.x_train, dataset.y_train),
        config.menu.build(),
        training.curve_settings(config, dataset),
        seed=config.seed,
        accuracy=accuracy,
        way=config.protocol.way,
        progress=lambda _, done, total: progress("branching from an mtx", done, total),
    )
    at = situation_of(
        curves,
        translation.lottery_of(config, config.scheme),
        provers=net.provers,
        beta=net.beta,
        delay_steps=net.delay_steps,
        step_costs=translation.costs_of(config, curves),
        mtx=warm,
    )
    others = [resampled(at, config.seed + i) for i in range(resamples)]
    mine, faster = warm_laws(at, others, list(laws))
    return saving_as_delay(
        mine,
        faster,
        (mine[1.0], faster[1.0]),
        provers=net.provers,
        adversarial=adversarial,
        delay_steps=net.delay_steps,
    )


def _certain(laws: Swept) -> UncertainLaw:
    """The law at p_2 = 1, the training alone."""
    if 1.0 in laws:
        return laws[1.0]
    raise Refused(
        "the dead time is not known: the runs support no law at p_2 = 1 (the table of "
        "refusals says why)"
    )
