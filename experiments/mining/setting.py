"""What of a chain follows from its config: rules, tasks, names, and by default keys.

By default every key follows from the config's seed, so that an experiment can be
repeated to the byte: then anybody who has the config can sign in any prover's name.
With ``mining.keys = "secret"`` they follow from random bytes of the system, kept beside
the chain's folder in a file of its own (mode 600).
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ...models.chain.prover import prover_key
from ...models.chain.retarget.shares import ONE
from ...models.chain.rewards import step_prices
from ...models.chain.transactions import Key
from ...models.learning.curves import TrainingSet, training_set
from ...models.learning.networks import step_operations
from ...models.scheme.build import this_build
from ...models.scheme.encoding import digest
from ...models.scheme.instances import DECAY_UNIT
from ...models.scheme.records import (
    MAXIMUM_ALLOCATIONS,
    Allocation,
    Genesis,
    Parameters,
    Retarget,
    RewardRule,
    Task,
    Weight,
)
from ...models.scheme.scheme import dataset_digest
from ..config.experiment import Config
from ..config.protocol import RetargetConfig
from ..config.section import ConfigError
from ..world.dataset import config_dataset
from .files import ChainError, read_regular

_COINS = 1_000  # every prover's, to pay the others with
_TEST_EXAMPLES = 2_000
_SECRET_BYTES = 32
# Far behind where a prover gives up; the law knows no end of a training above T_acc.
_LONGEST_PROOF = 1 << 24


class Seeds:
    """Where keys and nonces come from.

    Args:
        config: Its seed, and the provers' names.
        secret: Random bytes of the system; empty: everything follows from the config.
    """

    def __init__(self, config: Config, secret: bytes = b""):
        self._config = config
        self._secret = secret

    def of(self, name: str) -> bytes:
        """The seed of a prover, or the publisher."""
        number = self._config.seed.to_bytes(8, "big")
        return digest("mining/seed", number, self._secret, name.encode())

    @property
    def publisher(self) -> Key:
        """The publisher's key: scores models, closes the chain's log."""
        return prover_key(self.of("publisher"))

    def owners(self) -> dict[bytes, str]:
        """Provers' names by their public keys."""
        return {
            prover_key(self.of(name)).public: name for name in prover_list(self._config)
        }


class ChainSetting(NamedTuple):
    """A chain's beginning.

    Attributes:
        genesis: Rules, tasks, keys.
        data: D of every task.
        tests: Test set of every task.
        seeds: Where its keys come from.
    """

    genesis: Genesis
    data: list[TrainingSet]
    tests: list[TrainingSet]
    seeds: Seeds


def chain_path(config: Config, root: Path) -> Path:
    """Where a config's chain is kept."""
    return root / f"{config.name}-{config.chain_digest()[:10]}"


def chain_setting(config: Config, text: bytes, seeds: Seeds) -> ChainSetting:
    """The beginning of a config's chain on this build."""
    dataset = config_dataset(config)
    data = training_set(dataset.x_train, dataset.y_train)
    test = training_set(
        dataset.x_test[:_TEST_EXAMPLES], dataset.y_test[:_TEST_EXAMPLES]
    )
    tasks = chain_tasks(config, data)
    genesis = Genesis(
        parameters=chain_parameters(config, data),
        tasks=tasks,
        publisher=seeds.publisher.public,
        build=this_build(),
        allocations=tuple(Allocation(key, _COINS) for key in seeds.owners()),
        seed=config.seed,
        config=hashlib.sha256(text).digest(),
    )
    return ChainSetting(genesis, [data] * len(tasks), [test] * len(tasks), seeds)


def chain_tasks(config: Config, data: TrainingSet) -> tuple[Task, ...]:
    """The tasks that follow from a config and its data."""
    given = [(t.name, t.t_acc, t.r_task, t.slots) for t in config.mining.tasks]
    # Without any the config is its own task, which never ends.
    given = given or [(config.name, config.scheme.t_acc, 1.0, 2**32 - 1)]
    dataset, menu = dataset_digest(data), config.menu.build()
    return tuple(
        Task(
            name=name,
            dataset=dataset,
            t_acc=t_acc,
            r_task=r_task,
            slots=slots,
            menu=menu,
        )
        for name, t_acc, r_task, slots in given
    )


def chain_parameters(config: Config, data: TrainingSet) -> Parameters:
    """The rules that follow from a config and its data."""
    examples = data.images.shape[0]
    rules, training, scheme = config.protocol, config.training, config.scheme
    samples = training.eval_samples
    every = rules.checkpoint_every
    top = (1 << 256) - 1
    return Parameters(
        t_1=min(scheme.t_1, top),
        t_2=min(scheme.t_2, top),
        s_min=rules.s_min,
        check_every=training.check_every,
        checkpoint_every=training.check_every if every == "check_every" else every,
        challenges=rules.challenges,
        horizon_steps=_LONGEST_PROOF // training.check_every * training.check_every,
        eval_samples=examples if samples == "all" else samples,
        binding=rules.binding,
        chain_rule=rules.chain_rule,
        weight=Weight(rules.weight.family, rules.weight.kappa),
        tie_rule=rules.tie_rule,
        step_rule=rules.step_rule,
        reference_window=(
            None if rules.reference_window == "off" else rules.reference_window
        ),
        tolerance=rules.tolerance,
        reward=rules.reward,
        reward_rule=reward_rule(config, data),
        retarget=_retarget(rules.retarget),
    )


def _retarget(given: RetargetConfig | None) -> Retarget | None:
    if given is None:
        return None
    return Retarget(
        rule=given.rule,
        interval=given.interval,
        blocks=given.blocks,
        schedule=given.schedule,
        anti_windup=given.anti_windup,
        share=round(given.share * ONE),
        share_blocks=given.share_blocks,
        selection=given.selection,
    )


def reward_rule(config: Config, data: TrainingSet) -> RewardRule:
    """How the chain's rewards are split; by operations with the data's step prices."""
    rules = config.protocol
    if rules.reward_rule == "decay":
        return RewardRule("decay", round(rules.reward_decay * DECAY_UNIT))
    if rules.reward_rule != "operations":
        return RewardRule(rules.reward_rule)
    prices = {
        (name, batch): batch
        * step_operations(name, data.images.shape[1:], data.classes)
        for name in config.menu.architectures
        for batch in config.menu.batch_sizes
    }
    return RewardRule("operations", prices=step_prices(prices))


def rules_that_differ(
    genesis: Genesis, config: Config, data: TrainingSet
) -> Iterator[str]:
    """What of a genesis' rules, tasks and seed does not follow from a config.

    Keys, first coins and build are the miner's, and are not compared; whether the data
    are those that the tasks name, ``setup`` says.
    """
    expected = chain_parameters(config, data)
    for name, given in genesis.parameters._asdict().items():
        asked = getattr(expected, name)
        if given != asked:
            yield f"{name} is {_brief(given)}, the config asks for {_brief(asked)}"
    if genesis.seed != config.seed:
        yield f"seed is {genesis.seed}, the config asks for {config.seed}"
    tasks = chain_tasks(config, data)
    if len(tasks) != len(genesis.tasks):
        yield f"it has {len(genesis.tasks)} tasks, the config asks for {len(tasks)}"
    for place, (given, asked) in enumerate(zip(genesis.tasks, tasks, strict=False)):
        for name, value in given._asdict().items():
            wanted = getattr(asked, name)
            if value != wanted and name != "dataset":
                yield (
                    f"task {place}: {name} is {_brief(value)}, the config asks for "
                    f"{_brief(wanted)}"
                )


def prover_list(config: Config) -> list[str]:
    """Names of a config's provers, in the order of the genesis' first coins.

    Raises:
        ConfigError: If there are more than a genesis has room for.
    """
    if config.network.provers > MAXIMUM_ALLOCATIONS:
        raise ConfigError(
            f"network.provers must be at most {MAXIMUM_ALLOCATIONS} in a mined chain, "
            f"got {config.network.provers}"
        )
    corrupted = config.network.corrupted
    honest = config.network.provers - corrupted
    if config.adversary.attack == "honest":
        honest, corrupted = config.network.provers, 0
    return [f"honest-{i}" for i in range(honest)] + [
        f"corrupt-{i}" for i in range(corrupted)
    ]


def prover_names(config: Config, genesis: Genesis) -> dict[bytes, str]:
    """Names of a chain's provers by their public keys."""
    owners = [each.owner for each in genesis.allocations]
    return dict(zip(owners, prover_list(config), strict=False))


def seeds_of(config: Config, path: Path) -> Seeds:
    """Where a chain's keys come from; draws a secret for a new chain that wants one.

    Args:
        config: ``mining.keys`` says which.
        path: The chain's folder, beside which the secret is kept.

    Raises:
        ChainError: If the secret of a chain that is there has been lost.
    """
    if config.mining.keys is None:
        return Seeds(config)
    kept = path.with_name(f"{path.name}.keys")
    if (path / "genesis.bin").exists():
        try:
            secret = read_regular(kept, _SECRET_BYTES)
        except FileNotFoundError:
            raise ChainError(
                f"{kept} is missing: the keys of the chain in {path} cannot be drawn "
                "again"
            ) from None
    else:
        secret = secrets.token_bytes(_SECRET_BYTES)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.unlink(missing_ok=True)
        with os.fdopen(
            os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
    if len(secret) != _SECRET_BYTES:
        raise ChainError(f"{kept} must have {_SECRET_BYTES} bytes, got {len(secret)}")
    return Seeds(config, secret)


def _brief(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()[:16] + "…"
    if isinstance(value, int) and value.bit_length() > 64:
        return f"2^256·{(value + 1) / 2**256:.6g} − 1"
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
