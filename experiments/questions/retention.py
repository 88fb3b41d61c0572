"""``dpodl retention``: what kept checkpoints cost on a config, and what they prove.

storage      bytes of a block's checkpoints and of a day's, by architecture and policy
answers      steps and seconds of an answer, by what is kept and what an answer is
deadlines    from which training on a deadline proves anything, and what it tolerates
costs        storing against training again, at prices
"""

import lzma
import math
import time
import zlib
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd

from ...analysis.block_time.law import fastest_of, mean
from ...analysis.incentives.storage import (
    Answered,
    answer_steps,
    challenge_bytes,
    passes_unseen,
    proving_steps,
    stored_bytes,
    tolerated_spacing,
    upkeep,
)
from ...figures.questions import retention as figure
from ...models.chain.retention import Retention, kept_leaves
from ...models.learning.architecture import hash_to_architecture, run_digest
from ...models.learning.curves import TrainingSet, training_set
from ...models.learning.networks import parameter_count
from ...models.scheme.states import first_look, run_segment
from ..config.experiment import Config
from ..pipeline import training
from ..pipeline.answers import keep_answer
from ..store.files import Progress
from ..world.dataset import config_dataset
from ..world.translation import costs_of, law_of, lottery_of
from .design import COPIES
from .worlds import require_curves

DEADLINES = (1.0, 10.0, 60.0, 600.0, 1800.0)
SPACINGS = (1, 2, 4, 8, 16, 32)
_DAY = 86_400.0
_TIMED = 3
_LEAST_STEPS = 200


class Asked(NamedTuple):
    """What is asked of a config.

    Attributes:
        deadlines: D, seconds.
        leverage: λ, how much faster a cheater's device is.
        window: W, blocks for which a block's leaves may be asked for.
        challenges: q of a block.
        prune: Blocks after which a policy that prunes drops what it keeps.
        byte_price: Of a byte for an interval.
        step_price: Of a training step.
    """

    deadlines: tuple[float, ...] = DEADLINES
    leverage: float = 1.0
    window: int = 100
    challenges: int = 1
    prune: int = 100
    byte_price: float = 1e-15
    step_price: float = 1e-9


class Measured(NamedTuple):
    """An architecture on this device.

    Attributes:
        name: Of the architecture.
        share: Of the menu.
        state: Bytes of a checkpoint, the mean over the menu's optimizers.
        step_seconds: Least seconds a step, of a few segments that were timed.
        zlib: Compressed bytes over bytes, of one training's checkpoint.
        lzma: The same.
    """

    name: str
    share: float
    state: float
    step_seconds: float
    zlib: float
    lzma: float


def retention(
    config: Config, root: Path, progress: Progress, asked: Asked
) -> dict[str, pd.DataFrame]:
    """The tables of a config.

    Args:
        config: The experiment; looks, checkpoints, menu and clock are its own.
        root: Where trained curves are kept.
        progress: Told how far it is.
        asked: Deadlines, leverage, window, prices.

    Raises:
        Refused: If the runs cannot support the law of a block.
    """
    require_curves(config, "retention")
    curves = training.train(config, root, progress)
    law = law_of(config, curves, costs_of(config, curves), resamples=0).law
    interval = mean(fastest_of(law, config.network.provers))
    lottery = lottery_of(config, config.scheme)
    look = config.training.check_every
    every = config.protocol.checkpoint_every
    every = look if every == "check_every" else every
    steps = max(interval - 1 / (lottery.p_1 * lottery.hashes_per_step), float(look))
    leaves = max(1, math.ceil(steps / every))
    measured = _measured(config, every, progress)
    seconds = sum(each.share * each.step_seconds for each in measured)
    state = sum(each.share * each.state for each in measured)
    return {
        "storage": _storage(config, measured, leaves, interval, asked),
        "answers": _answers(every, leaves, seconds, asked),
        "deadlines": _deadlines(every, steps, seconds, asked),
        "costs": _costs(every, leaves, state, asked),
        "devices": pd.DataFrame(measured),
        "block": pd.DataFrame(
            [
                ("block_steps", steps, "steps"),
                ("leaves", float(leaves), "checkpoints"),
                ("block_seconds", steps * seconds, "s on this device"),
                ("answer_bytes", float(challenge_bytes(leaves)), "bytes a challenge"),
            ],
            columns=["quantity", "value", "unit"],
        ),
    }


def write(
    tables: Mapping[str, pd.DataFrame], folder: Path, config: Config, *, command: str
) -> None:
    """Keep the tables and the figure."""
    keep_answer(
        folder,
        "retention",
        tables,
        command=command,
        config=config,
        figures={"retention": figure},
    )


def _measured(config: Config, every: int, progress: Progress) -> list[Measured]:
    """Every architecture of the menu, trained for some steps on this device."""
    dataset = config_dataset(config)
    data = training_set(dataset.x_train, dataset.y_train)
    settings = training.curve_settings(config, dataset)
    menu = config.menu.build()
    shares = menu.settings()
    found = []
    names = config.menu.architectures
    for done, name in enumerate(names):
        progress("timing architectures", done, len(names))
        mine = {h: p for h, p in shares.items() if h.architecture == name}
        share = sum(mine.values())
        copies = sum(p * COPIES[h.optimizer] for h, p in mine.items()) / share
        shape = dataset.x_train.shape[1:]
        state = 4 * copies * parameter_count(name, shape, data.classes)
        drawn = (
            hash_to_architecture(run_digest(config.seed, i), menu) for i in count()
        )
        init = next(each for each in drawn if each.hpp.architecture == name)
        length = every * math.ceil(_LEAST_STEPS / every)
        timed = _timed(init, data, settings, length)
        found.append(Measured(name, share, state, *timed))
    progress("timing architectures", len(names), len(names))
    return found


def _timed(init, data: TrainingSet, settings, length: int) -> list[float]:
    """Seconds a step, and what two compressors leave of the last checkpoint."""
    look = first_look(init, data, None)
    times, raw = [], b""
    for turn in range(_TIMED + 1):
        begun = time.perf_counter()
        look = run_segment(
            init,
            data,
            look,
            steps=length,
            check_every=settings.check_every,
            eval_samples=settings.eval_samples,
        )
        raw = b"".join(np.asarray(v).tobytes() for v in look.tensors.values())
        if turn:  # the first one compiles
            times.append((time.perf_counter() - begun) / length)
    packed = len(zlib.compress(raw, 6)), len(lzma.compress(raw, preset=1))
    return [min(times), *(each / len(raw) for each in packed)]


def _storage(
    config: Config, measured: list[Measured], leaves: int, interval: float, asked: Asked
) -> pd.DataFrame:
    blocks = max(1, round(_DAY / (interval * config.clock.seconds_per_step)))
    policies = {
        "all": Retention(),
        **{f"every {j}": Retention("every", spacing=j) for j in SPACINGS[1:]},
        "online 8": Retention("online", kept=8),
        f"all, pruned {asked.prune} deep": Retention(prune=asked.prune),
    }
    rows = [
        (
            each.name,
            name,
            len(kept_leaves(policy._replace(prune=None), leaves)),
            stored_bytes(policy, leaves=leaves, state=each.state, blocks=1),
            stored_bytes(policy, leaves=leaves, state=each.state, blocks=blocks),
            each.lzma,
        )
        for each in measured
        for name, policy in policies.items()
    ]
    columns = ["architecture", "policy", "kept", "bytes_a_block", "bytes_after_a_day"]
    return pd.DataFrame(rows, columns=[*columns, "compressed_share"])


def _answers(every: int, leaves: int, seconds: float, asked: Asked) -> pd.DataFrame:
    rows = []
    for kind in get_args(Answered):
        for spacing in SPACINGS:
            if spacing > leaves:
                continue
            steps = answer_steps(kind, spacing, every)
            scale = seconds / asked.leverage
            kept = 1.0 / spacing
            times = steps.worst * scale, steps.mean * scale
            unseen = passes_unseen(kept, asked.challenges)
            rows.append((kind, spacing, kept, *steps, *times, unseen))
    columns = ["kind", "spacing", "kept", "worst_steps", "mean_steps"]
    columns += ["worst_seconds", "mean_seconds", "passes_untrained"]
    return pd.DataFrame(rows, columns=columns)


def _deadlines(every: int, steps: float, seconds: float, asked: Asked) -> pd.DataFrame:
    rows = []
    for deadline in asked.deadlines:
        least = proving_steps(deadline, step_seconds=seconds, leverage=asked.leverage)
        spacing = tolerated_spacing(
            deadline, every, step_seconds=seconds, leverage=asked.leverage
        )
        rows.append((deadline, least, least / steps, spacing, steps >= least))
    columns = ["deadline_seconds", "proving_steps", "blocks_of_now"]
    return pd.DataFrame(rows, columns=[*columns, "tolerated_spacing", "proves"])


def _costs(every: int, leaves: int, state: float, asked: Asked) -> pd.DataFrame:
    # Each block of the window asks q times for one of its blocks.
    expected = float(asked.challenges)
    rows = [
        upkeep(
            spacing,
            leaves=leaves,
            every=every,
            state=state,
            window=asked.window,
            asked=expected,
            byte_price=asked.byte_price,
            step_price=asked.step_price,
        )
        for spacing in range(1, leaves + 1)
    ]
    table = pd.DataFrame(rows)
    total = table["storing"] + table["training"]
    return table.assign(total=total, cheapest=total == total.min())
