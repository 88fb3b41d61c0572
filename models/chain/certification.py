"""Which segments of a chain's proofs are run again, and what forging them costs.

Everything that a block of the selected chain pays for or builds on (its own proof, the
model transactions it brings, what those refer to, recursively) is drawn *like the
block* that first needs it, its anchor, at height a:

* **certified**: the chain has d + 1 blocks on top of the anchor. q of the segments
  besides the last are drawn from the post-hash h_2 of the block at height a + d + 1. A
  forger that owns the next d blocks as well cannot choose that one; it could choose
  among several, by going on from one of them, so each that is known draws. And whoever
  owns it too, and wants another draw, needs another model there: at least a look's
  training and another lottery ticket, not a hash.
* **young**: that block is not there yet. No draw can bind its maker, who could make
  the block that draws as well: all segments are run again.
* **loose**: no block of the chain needs it (a fork, a model nobody refers to). It is
  drawn from itself, as its receivers did; its maker can grind that draw, for nothing
  that the chain pays.

A block pays the same however long its proof is; so short proofs are drawn more often
(``challenges_needed``), and forging a certified block takes at least what an honest one
takes, the mean S of the chain's blocks of that task.
"""

import random
from collections.abc import Mapping
from itertools import islice
from typing import Literal, NamedTuple

from ..scheme.checkpoints import challenge_seed, draw_challenges, segment_count
from ..scheme.formats import mtx_digest
from ..scheme.records import Block
from ..scheme.scheme import posthash
from .forgery import Shape, challenges_needed, expected_work, ground_work
from .ledger import Entry, Ledger, Published

DEPTH = 3
"""d, blocks after a forged one that its forger may own too."""

Status = Literal["certified", "young", "loose"]


class Duty(NamedTuple):
    """What of a record is run again.

    Attributes:
        published: The record.
        height: Of the anchor; None: no block of the selected chain needs it.
        status: ``certified``, ``young`` or ``loose``.
        segments: Those that are run again, in that order; the last one is the first.
        shape: How the proof is cut.
        draws: Segments besides the last that each draw asks for.
        unit: Training steps of an honest record of the kind.
        work: Expected steps of a forger, in units of ``unit``; infinite where all
            segments are run again. Of a loose record: against draws that cannot be
            chosen, which its own can.
        deep_work: The same of a forger that owns the next d + 1 blocks and re-rolls the
            last one's draw, each time for ``check_every``/p_2 steps (0: a tolerance).
    """

    published: Published
    height: int | None
    status: Status
    segments: tuple[int, ...]
    shape: Shape
    draws: int
    unit: float
    work: float
    deep_work: float


def duties(
    ledger: Ledger,
    tip: bytes,
    *,
    depth: int = DEPTH,
    challenges: int | None = None,
    full: bool = False,
    coins: bytes = b"",
) -> list[Duty]:
    """What is to be run again of all records of a ledger, in its order.

    Args:
        ledger: Has accepted them, with or without training.
        tip: The selected chain's.
        depth: d.
        challenges: q; None: as the parameters say. With 0 nothing is drawn, and young
            records are not run again either.
        full: Run all segments of all records again.
        coins: Random bytes of the verifier's own; q segments more are drawn from them,
            and nobody could foresee those. Empty: none.
    """
    parameters = ledger.genesis.parameters
    q = parameters.challenges if challenges is None else challenges
    # The drawing block's last segment is run again: another model of it takes a look
    # at least, and passes the post-hash with probability p_2. A tolerance lets it be
    # changed for a hash.
    # Where T_2 follows the chain, the easiest that a block on it met.
    t_2 = max(ledger.parameters_at(name).t_2 for name in ledger.entries)
    roll = parameters.check_every * 2**256 / (t_2 + 1)
    roll = 0.0 if parameters.tolerance else roll
    chain = list(ledger.ancestors(tip))[-2::-1]
    anchors = _anchors(ledger, chain)
    drawing = _drawing(ledger, depth)
    units = _honest_steps(ledger, chain)
    found = []
    for published in ledger.published.values():
        shape = Shape.of(published.steps, parameters.checkpoint_every)
        unit = float(published.steps)
        if isinstance(published.record, Block):
            unit = max(unit, units.get(published.task, 0.0))
        height = anchors.get(published.name)
        status, later = _status(chain, height, depth, drawing)
        if full or (status == "young" and q > 0):
            drawn, count = set(range(shape.others)), shape.others
        else:
            count = challenges_needed(shape, q, unit)
            salts = [*later, coins] if coins else later
            drawn = {x for salt in salts for x in _drawn(published, shape, count, salt)}
        order = _in_any_order(drawn, published.name + coins)
        work = expected_work(shape, count) / unit
        found.append(
            Duty(
                published,
                height,
                status,
                (segment_count(parameters, published.steps) - 1, *order),
                shape,
                count,
                unit,
                work,
                min(work, ground_work(shape, count, roll) / unit),
            )
        )
    return found


def _anchors(ledger: Ledger, chain: list[Entry]) -> Mapping[bytes, int]:
    """The height of the first block of the chain that needs a record, by name."""
    anchors: dict[bytes, int] = {}
    for entry in chain:
        block = ledger.published[entry.name].record
        assert isinstance(block, Block)
        for name in (entry.name, *map(mtx_digest, block.mtxs)):
            for each in (name, *ledger.published[name].lineage):
                anchors.setdefault(each, entry.height)
    return anchors


def _honest_steps(ledger: Ledger, chain: list[Entry]) -> dict[int, float]:
    """Mean S of the chain's blocks, by task."""
    steps: dict[int, list[int]] = {}
    for entry in chain:
        published = ledger.published[entry.name]
        steps.setdefault(published.task, []).append(published.steps)
    return {task: sum(each) / len(each) for task, each in steps.items()}


def _drawing(ledger: Ledger, depth: int) -> dict[bytes, list[bytes]]:
    """The post-hashes of all blocks d + 1 after a block, by its name."""
    t_2 = ledger.genesis.parameters.t_2
    found: dict[bytes, list[bytes]] = {}
    for entry in ledger.entries.values():
        if entry.height <= depth + 1:
            continue
        anchor = next(islice(ledger.ancestors(entry.name), depth + 1, None))
        proof = ledger.published[entry.name].record.proof
        h_2, _ = posthash(t_2, proof.model, proof.correct, proof.steps)
        found.setdefault(anchor.name, []).append(h_2)
    return found


def _status(
    chain: list[Entry],
    height: int | None,
    depth: int,
    drawing: Mapping[bytes, list[bytes]],
) -> tuple[Status, list[bytes]]:
    """A record's status, and what it is drawn from."""
    if height is None:
        return "loose", [b""]
    if height + depth + 1 > len(chain):
        return "young", []
    # Heights count from 1.
    return "certified", drawing[chain[height - 1].name]


def _drawn(
    published: Published, shape: Shape, count: int, later: bytes
) -> tuple[int, ...]:
    record = published.record
    seed = challenge_seed(record.header, record.proof, later)
    return draw_challenges(seed, shape.others, count)


def _in_any_order(segments: set[int], seed: bytes) -> tuple[int, ...]:
    # A proof of which little is true is found out early, whatever its length.
    ordered = sorted(segments)
    random.Random(seed).shuffle(ordered)
    return tuple(ordered)
