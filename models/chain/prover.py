"""A prover of a world: its key, its view, and what it is training."""

from collections.abc import Sequence
from itertools import count
from typing import Any

from ..scheme.encoding import digest
from ..scheme.records import Header, Transaction
from ..scheme.scheme import Instance, PreHash
from .ledger import Ledger
from .strategies.base import Honest, Plan
from .transactions import Key
from .view import View


class Prover:
    """A participant that mines.

    Args:
        name: For people.
        seed: From which its key and its nonces follow.
        ledger: Judges records.
        strategy: What it does.
        speed: v, steps in the time of a unit-speed prover's step.
        favoured: Miners that win its ties under the ``adversary`` rule.
        salt: Other nonces with the same key.
    """

    def __init__(
        self,
        name: str,
        seed: bytes,
        ledger: Ledger,
        strategy: Honest,
        *,
        speed: float = 1.0,
        favoured: Sequence[bytes] = (),
        salt: bytes = b"",
    ):
        if not speed > 0:
            raise ValueError(f"speed must be > 0, got {speed}")
        self.name = name
        self.key = prover_key(seed)
        self.ledger = ledger
        self.strategy = strategy
        self.speed = speed
        self.view = View(ledger, seed=seed, favoured=favoured)
        self.pool: dict[bytes, Transaction] = {}
        self.others: tuple[str, ...] = ()
        self.job: Job | None = None
        prefix = digest("prover/nonce", digest("prover/seed", seed), salt)[:8]
        self.nonces = (prefix + each.to_bytes(8, "big") for each in count())


def prover_key(seed: bytes) -> Key:
    """The key of the prover with this seed."""
    return Key(digest("prover/key", seed))


class Job:
    """What a prover is working on; a new one for every pre-hash."""

    def __init__(self, plan: Plan, instance: Instance):
        self.plan = plan
        self.instance = instance
        self.transactions: tuple[Transaction, ...] = ()
        self.header = Header(plan.parent, b"", b"")
        self.passed = PreHash(b"", b"", 0)
        self.tries = 0
        self.training: Any = None
        self.noted = b""
        self.reached = False
        self.due = 0
