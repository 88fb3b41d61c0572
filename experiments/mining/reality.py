"""Model against reality: a mined chain beside what its own law predicts.

The chain's blocks were really trained and hashed; the law is made from other trainings
of the same settings. ``compare`` puts the two side by side (``analysis.agreement``).
"""

import math
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ...analysis.agreement import comparison, named_race
from ...analysis.agreement.chains import Chains, observed_chain, simulated_chains
from ...analysis.simulation.levels import network, simulate
from ...figures import model_against_reality
from ...models.learning.pins import seed_key
from ...models.scheme.formats import block_digest, genesis_digest
from ..config.experiment import Config
from ..config.loading import parse_config
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..store.files import Progress
from ..world import translation
from ..world.dataset import config_dataset
from .setting import prover_names
from .store import ChainError, ChainFolder

_RESAMPLES = 24
_REPLICAS = 1000


class Reality(NamedTuple):
    """What was compared.

    Attributes:
        tables: ``agreement`` and ``mined_intervals``, as the figure takes them.
        levels: Mined levels that counted.
        runs: Trainings behind the law.
    """

    tables: dict[str, pd.DataFrame]
    levels: int
    runs: int

    @property
    def worst(self) -> float:
        """The smallest p-value."""
        return float(self.tables["agreement"]["p_value"].to_numpy().min())


def compare(path: Path, root: Path, progress: Progress) -> Reality:
    """Compare a chain folder's blocks with the law of its settings.

    Args:
        path: The chain folder.
        root: Where trained curves are kept (``--output`` of ``dpodl run``).
        progress: Told how far it is.

    Raises:
        ChainError: If the chain was not mined as the model has it: fresh starts, one
            task, the longest chain, messages that take Δ, nobody attacking.
        Refused: If fewer than 30 levels are settled, or the runs support no law.
    """
    text = ChainFolder(path).config()
    config = parse_config(text, str(path / "config.toml"), "chain")
    _require_modelled(path, config)
    mined = _mined(path, config)
    curves = training.train(config, root, progress)
    dataset = config_dataset(config)
    shape = dataset.x_train.shape[1:]
    costs = translation.step_costs(config, curves, shape, dataset.n_classes)
    known = translation.law_of(config, curves, costs, resamples=_RESAMPLES)
    law, laws = known.law, [known.law, *known.resamples]
    levels = mined.interval.size
    delay = config.network.delay_steps
    speeds = _unequal(config)
    key = seed_key(config.seed)

    def chains(one_law):
        if speeds:
            return named_race.race(
                config.seed,
                one_law,
                speeds,
                delay_steps=delay,
                levels=levels,
                replicas=_REPLICAS,
            )
        net = network(
            one_law, provers=config.network.provers, beta=0.0, delay_steps=delay
        )
        return simulated_chains(simulate(key, net, levels=levels, replicas=_REPLICAS))

    predicted = []
    for done, each in enumerate(laws):
        progress("simulating the law", done, len(laws))
        predicted.append(chains(each))
    progress("simulating the law", len(laws), len(laws))
    first, rest = predicted[0], predicted[1:]
    rows = comparison.compare_chains(mined, first, rest, seed=config.seed)
    if speeds and not law.lattice:
        rows += comparison.compare_winners(mined, first, rest, seed=config.seed)
    curves_shown = comparison.interval_curves(mined, first, rest)
    name = config.name
    tables = {
        "agreement": pd.DataFrame([row._asdict() for row in rows]).assign(run=name),
        "mined_intervals": pd.DataFrame(curves_shown).assign(run=name),
    }
    return Reality(tables, levels, config.training.runs)


def _mined(path: Path, config: Config) -> Chains:
    folder = ChainFolder(path)
    genesis = folder.genesis()
    names = list(prover_names(config, genesis))
    heights = {genesis_digest(genesis): 0}
    times, found, miners, until = [], [], [], -math.inf
    for logged in folder.records():
        until = logged.time
        block = logged.block
        if block is None:
            continue
        height = heights[block.header.prev_block] + 1
        heights[block_digest(block)] = height
        times.append(logged.time)
        found.append(height)
        miners.append(names.index(block.header.miner))
    return observed_chain(
        pd.Series(times).to_numpy(),
        pd.Series(found).to_numpy(),
        pd.Series(miners).to_numpy(),
        delay_steps=config.network.delay_steps,
        until=until,
    )


def _require_modelled(path: Path, config: Config) -> None:
    rules, net = config.protocol, config.network
    honest = config.adversary.attack == "honest" or not net.corrupted
    problems = [
        problem
        for problem, there in {
            "protocol.reference must be 'fresh'": rules.reference != "fresh",
            "mining.tasks must be empty": bool(config.mining.tasks),
            "protocol.chain_rule must be 'longest'": rules.chain_rule != "longest",
            "protocol.tie_rule must be 'first_seen'": rules.tie_rule != "first_seen",
            "protocol.progress must be 'lost'": rules.progress != "lost",
            "network.delay_model must be 'worst_case'": net.delay_model != "worst_case",
            "adversary.attack must be 'honest'": not honest,
            "protocol.s_min must be 0": rules.s_min != 0,
            "protocol.retarget must not be set": rules.retarget is not None,
            "mining.changes must not be set": bool(config.mining.changes),
        }.items()
        if there
    ]
    if problems:
        raise ChainError(
            f"{path} was not mined as the model has it: " + "; ".join(problems)
        )


def _unequal(config: Config) -> tuple[float, ...]:
    """Speeds of the provers where they differ; none: all have speed 1."""
    net = config.network
    return () if net.equal_speeds else (*net.honest_speeds, *net.corrupted_speeds)


def write(reality: Reality, folder: Path, *, command: str) -> None:
    """Write the tables and the figure.

    Args:
        reality: What was compared.
        folder: Where to.
        command: What reproduces it, written into the figure's metadata.
    """
    drawn = {"model_against_reality": model_against_reality}
    keep_answer(folder, "compare", reality.tables, command=command, figures=drawn)
