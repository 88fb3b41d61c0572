"""``dpodl finality`` and ``dpodl estimate``: an observed chain, both ways.

``finality`` says what each block of a chain risks under a config's law, β and Δ,
``estimate`` what the chain itself says of its law, Δ and β.
"""

import hashlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...analysis.block_time.law import BlockTimeLaw, quantile
from ...analysis.estimation.estimate import Estimate
from ...analysis.estimation.training_error import few_runs
from ...analysis.finality import (
    ChainFacts,
    ObservedChain,
    Parties,
    block_risks,
    chain_facts,
)
from ...analysis.race.walk import race
from ..config.experiment import Config
from ..config.section import ConfigError
from ..config.sections import ClockConfig
from ..mining.reading import read_chain
from ..own.block_list import BlockList, read_blocks
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..store.files import Progress
from ..world import persistence, translation
from .worlds import require_equal_provers

_RESAMPLES = 8
_LEVELS = (10, 50, 90)


class Seen(NamedTuple):
    """A chain that was read.

    Attributes:
        times: In the config's time unit, the parent of the first judged block first.
        heights: Of these blocks.
        notes: What was done to read it.
    """

    times: np.ndarray
    heights: np.ndarray
    notes: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of the times and heights."""
        content = self.times.tobytes() + self.heights.astype(np.int64).tobytes()
        return hashlib.sha256(content).hexdigest()


def seen(path: Path, config: Config, columns: dict[str, str]) -> Seen:
    """Blocks of a mined chain's folder, or of a list.

    Args:
        path: A folder of ``dpodl mine``, or a file (``own.block_list``).
        config: Its ``clock.seconds_per_step`` converts a list's seconds.
        columns: Role → column of a list.

    Raises:
        ConfigError: If a list cannot be read.
        ChainError: If a chain cannot.
    """
    if path.is_dir():
        view = read_chain(path)
        times = [0.0, *(view.times[entry.name] for entry in view.entries)]
        return Seen(np.array(times), np.arange(len(times)), ())
    found = read_blocks(path, columns)
    unit = config.clock.seconds_per_step
    told = (*found.warnings, f"a time unit is {unit:g} s (clock.seconds_per_step)")
    if unit == ClockConfig().seconds_per_step:
        told = (*told, "clock.seconds_per_step is its default: is it this chain's?")
    start = float(found.times[0])
    return Seen((found.times - start) / unit, found.heights, told)


def finality_tables(
    config: Config,
    root: Path,
    chain: Seen,
    progress: Progress,
    *,
    blocks: int,
    window: int | None,
    age: float,
) -> dict[str, pd.DataFrame]:
    """The risk of a chain's last blocks.

    Args:
        config: Whose law, β and Δ.
        root: Where trained curves are kept.
        chain: As ``seen``.
        progress: Told how far it is.
        blocks: How many, at most.
        window: Intervals that the estimated rate rests on; None: all, up to 100.
        age: Time since the tip, in the config's unit.

    Returns:
        ``finality`` (height, depth, elapsed, rate = known or estimated, value, low,
        high, count, method) and ``notes``.

    Raises:
        ConfigError: If nobody is corrupted, or the chain has one block.
        Refused: As ``analysis.finality.block_risks``, or for a world that it is not of.
    """
    require_equal_provers(config, "finality")
    net = config.network
    if not round(net.beta * net.provers):
        raise ConfigError("network.beta must leave a corrupted prover, got none")
    if not 0 <= age < math.inf:
        raise ConfigError(f"--age must be ≥ 0 and finite, got {age:g}")
    count = len(chain.times) - 1
    if count < 1:
        raise ConfigError("finality: the chain has no block beyond its first")
    curves = training.train(config, root, progress)
    costs = translation.costs_of(config, curves)
    resamples = min(config.security.bootstraps, _RESAMPLES)
    law = translation.law_of(config, curves, costs, resamples=resamples)
    basis = persistence.race_basis(config, law)

    def parties(one: BlockTimeLaw) -> Parties:
        found = race(translation.network_of(config, one))
        late = found.honest._replace(offset=found.honest.offset + found.delay)
        return Parties(late, found.adversary)

    width = min(100, count) if window is None else window
    notes = list(chain.notes)
    estimated: int | None = width
    if window is None and width < 10:
        estimated = None
        notes.append(f"{count} intervals are too few to estimate a rate from")
    back = int((np.diff(chain.times) < 0).sum())
    if back:
        notes.append(
            f"{back} timestamps lie before their parent's: a block's time is the "
            "latest up to it"
        )
    progress("finality", 0, 1)
    rows = block_risks(
        ObservedChain.of_stamps(chain.times, age),
        law,
        parties=parties,
        blocks=min(blocks, count),
        window=estimated,
        basis=basis,
    )
    progress("finality", 1, 1)
    table = []
    for row in rows:
        place = {
            "height": int(chain.heights[-row.depth]),
            "depth": row.depth,
            "elapsed": row.elapsed,
        }
        for rate, found in (("known", row.known), ("estimated", row.estimated)):
            if found is not None:
                table.append(place | {"rate": rate} | found._asdict())
    notes += _assumptions(config, few_runs(basis))
    return {
        "finality": pd.DataFrame(table),
        "notes": pd.DataFrame({"text": notes}),
    }


def write(
    tables: dict[str, pd.DataFrame], folder: Path, config: Config, *, command: str
) -> None:
    """Keep the tables."""
    keep_answer(folder, "finality", tables, command=command, config=config)


def final_depth(table: pd.DataFrame, target: float, rate: str) -> int | None:
    """Least depth from which every block's interval lies below the target."""
    found: Any = table[table["rate"] == rate]
    rows = found.sort_values("depth", ascending=False)
    final = None
    for depth, high in rows[["depth", "high"]].to_numpy():
        if high > target:
            break
        final = int(depth)
    return final


def estimate_facts(
    path: Path, columns: dict[str, str], mark: str | None, seed: int
) -> tuple[BlockList | None, ChainFacts]:
    """What a list of blocks, or a mined chain, says of itself.

    Raises:
        ConfigError: If it cannot be read.
        Refused: As ``chain_facts``.
    """
    if path.is_dir():
        view = read_chain(path)
        times = [0.0, *(view.times[entry.name] for entry in view.entries)]
        stale = sum(map(len, view.forks.values()))
        return None, chain_facts(np.array(times), stale=stale, seed=seed)
    found = read_blocks(path, columns, mark=mark)
    facts = chain_facts(found.times, stale=found.stale, marked=found.marked, seed=seed)
    return found, facts


def fact_rows(facts: ChainFacts) -> list[tuple[str, Estimate | None]]:
    """(quantity, estimate) of what was found; None: not known."""
    return [
        ("interval_mean", facts.mean),
        ("interval_cv", facts.cv),
        *((f"interval_q{level}", _quantile(facts, level / 100)) for level in _LEVELS),
        ("interval_correlation", facts.correlation),
        ("stale_rate", facts.stale_rate),
        ("delay", facts.delay),
        ("beta", facts.share),
    ]


def _quantile(facts: ChainFacts, level: float) -> Estimate:
    basis = facts.law.basis(1)
    return facts.law.measured(lambda law: float(quantile(law, level)), basis=basis)


def _assumptions(config: Config, few: str) -> list[str]:
    net = config.network
    told = [
        f"a private chain of β = {net.beta:g} that began at each block's parent, "
        "without a lead; ties win; public intervals that are to come have every "
        f"message Δ = {net.delay_steps:g} late, which bounds the risk from above",
        "rate known: slow intervals count as bad luck; rate estimated: as honest power "
        "that has left or come, with the interval of the window's rate alone",
    ]
    if few:
        told.append(few)
    return told
