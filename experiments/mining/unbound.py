"""What of a chain remains its miner's word, in sentences."""

from typing import NamedTuple

from ..config.experiment import Config
from .reading import ChainView
from .setting import Seeds


class Pins(NamedTuple):
    """What the verifier knows of the chain from elsewhere.

    Attributes:
        genesis: The genesis' digest, hexadecimal; None: unknown.
        tip: The selected tip's digest, hexadecimal; None: unknown.
        config: Settings that the rules, tasks, data and seed must follow from; None:
            those in the folder.
    """

    genesis: str | None = None
    tip: str | None = None
    config: Config | None = None


def unbound_words(
    chain: ChainView, config: Config, closed: bool, pins: Pins, challenges: int
) -> list[str]:
    """What nothing binds, in plain sentences."""
    genesis = chain.ledger.genesis
    words = []
    if pins.genesis is None and pins.config is None:
        words.append(
            "that this is the chain you mean: its rules are its own "
            "(--genesis, --config pin them)"
        )
    if not closed:
        words.append(
            "where the log ends, its order and times, and which forks there were: it "
            "is not closed"
        )
    elif pins.tip is None:
        words.append(
            "that nothing came after: --tip pins the result, the publisher closed the "
            "log"
        )
    coins = sum(each.amount for each in genesis.allocations)
    words.append(
        f"who was given the first {coins:,} coins, {len(genesis.allocations)} keys"
    )
    words.append("the times: a virtual clock's, as the publisher logged them")
    derived = Seeds(config).owners()
    owners = [each.owner for each in genesis.allocations]
    if genesis.publisher == Seeds(config).publisher.public or any(
        owner in derived for owner in owners
    ):
        words.append(
            "who signed: keys follow from config.toml, so anybody who has it can sign "
            'in any name, and close the log (mining.keys = "secret" draws them)'
        )
    best = chain.ledger.entries[chain.tip].weight
    entries = chain.ledger.entries.values()
    ties = sum(entry.height > 0 and entry.weight == best for entry in entries)
    if ties > 1:
        words.append(
            f"which of {ties} equal chains is followed: the one its log has first"
        )
    if challenges == 0:
        words.append(
            "the training but for the last segment of each proof: no challenges are "
            "asked for (--challenges, --full)"
        )
    return words
