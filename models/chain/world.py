"""Provers on a virtual clock: the protocol running for real, in simulated time.

Time is counted in training steps of a unit-speed prover. Hashes and steps are really
computed, at the moment the clock says that they would end; only how long they take is
decided by the clock. A prover's hash takes 1/(hashes_per_step · v), a step of its model
c/v. Messages take Δ; a rushing adversary hears at once and is heard at
once. What only some provers were sent, honest ones pass on: Δ after one of them all
have it. Provers restart when the block they extend is no longer the one to extend, and
where they give a model up.

The looks of one moment are worked on before the messages of that moment: a block found
when another one arrives is a fork, as in the analysis' network.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Literal

from ..learning.architecture import hash_to_architecture
from ..learning.chunk_program import Bucket
from ..scheme.checkpoints import Rejected
from ..scheme.encoding import digest, encode
from ..scheme.formats import TRANSACTION, block_digest, mtx_digest
from ..scheme.records import UNSIGNED, Block, Header, Mtx, Transaction
from ..scheme.scheme import (
    Training,
    advance,
    bound_bytes,
    initialize,
    prehash,
    prove,
    reached,
)
from ..scheme.states import count_correct
from .archive import Keeper
from .happenings import (
    Clock as Clock,
    Happening as Happening,
    Publisher as Publisher,
    What,
)
from .ledger import Ledger
from .prover import Job, Prover
from .replay import Memory, advance_noted, training_name
from .strategies.base import Drawn, Letter, Record, signed
from .transactions import score, tx_root
from .view import View

# Of one moment, work is done before messages arrive.
_WORK, _ARRIVAL = 0, 1


class World:
    """Provers, their messages and the clock.

    Args:
        ledger: Judges records, with ``archive``.
        archive: Where provers leave checkpoints.
        provers: Who takes part; names must differ.
        clock: What things cost.
        delay: Δ, in steps.
        delay_model: ``worst_case`` every honest message takes Δ; ``random`` uniform
            on [0, Δ], drawn from the record's and the receiver's names.
        publisher: Scores selected models; None: nobody does.
        memory: Notes of looks, for a world that is replayed; None: none are kept.

    Raises:
        ValueError: If a setting is out of range.
    """

    def __init__(
        self,
        ledger: Ledger,
        archive: Keeper,
        provers: Sequence[Prover],
        *,
        clock: Clock,
        delay: float,
        delay_model: Literal["worst_case", "random"] = "worst_case",
        publisher: Publisher | None = None,
        memory: Memory | None = None,
    ):
        names = [prover.name for prover in provers]
        if len(set(names)) < len(names) or not names:
            raise ValueError(f"provers' names must differ, got {names}")
        if not (delay >= 0 and clock.hashes_per_step > 0):
            raise ValueError(
                "delay must be ≥ 0 and hashes_per_step > 0, got "
                f"{delay} and {clock.hashes_per_step}"
            )
        self.ledger = ledger
        self.archive = archive
        self.provers = {prover.name: prover for prover in provers}
        for prover in provers:
            prover.others = tuple(name for name in names if name != prover.name)
        self.clock = clock
        self.now = 0.0
        self._memory = memory
        self._delay = delay
        self._delay_model = delay_model
        self._publisher = publisher
        self._publisher_view = View(ledger)
        self._scored: set[tuple[bytes, int]] = set()
        self._events: list = []
        self._order = count()
        self._happened: deque[Happening] = deque()

    def submit(self, transaction: Transaction) -> None:
        """Give a transaction to all provers; it arrives like an honest message."""
        name = digest("transaction", encode(TRANSACTION, transaction))
        for prover in self.provers.values():
            when = self.now + self._transit(None, prover, name)
            self._at(when, _ARRIVAL, self._pooled, prover, (name, transaction))

    def change(self, when: float, name: str, speed: float) -> None:
        """Give a prover another speed at a time, from its next look on; 0: it leaves.

        Args:
            when: Steps, not before now.
            name: Its name.
            speed: v ≥ 0.
        """
        if not (speed >= 0 and when >= self.now):
            raise ValueError(
                f"speed must be ≥ 0 and when ≥ {self.now}, got {speed} and {when}"
            )
        self._at(when, _WORK, self._changed, self.provers[name], speed)

    def _changed(self, me: Prover, speed: float) -> None:
        back = me.speed == 0
        me.speed = speed
        if not speed:
            # Who left hears on, and works on nothing.
            me.job = None
        elif back:
            self._begin(me)

    def run(self) -> Iterator[Happening]:
        """Mine on; yields what happens, for as long as it is asked.

        Raises:
            ForeignBuild: If the genesis was made on another build.
        """
        for prover in self.provers.values():
            if prover.job is None:
                self._begin(prover)
        while self._events:
            self.now, _, _, act, prover, what = heapq.heappop(self._events)
            act(prover, what)
            # One by one: a caller that stops in between goes on with the next.
            while self._happened:
                yield self._happened.popleft()

    def _begin(self, me: Prover) -> None:
        """Plan and sample a nonce: PreHash."""
        plan = me.strategy.plan(me)
        job = me.job = Job(plan, self.ledger.instance(plan.parent))
        self._fill(me, job)
        reference = me.strategy.reference(plan)
        bound = bound_bytes(job.instance.parameters, job.header)
        while True:
            job.passed = prehash(
                job.instance.parameters.t_1,
                plan.parent,
                reference,
                nonces=me.nonces,
                bound=bound,
            )
            job.tries += job.passed.tries
            init = hash_to_architecture(job.passed.h_1, job.instance.task.menu)
            if me.strategy.wants(me, init.hpp):
                break
        when = self.now + self._hash_time(me, job.tries)
        self._at(when, _WORK, self._hashed, me, job)

    def _fill(self, me: Prover, job: Job) -> None:
        """Collect the transactions a block on the plan's parent would hold."""
        parent = job.plan.parent
        job.transactions = self.ledger.admissible(parent, me.pool.values())
        # With a rule for T_2 a header says when the work on it began.
        job.header = Header(
            parent,
            me.key.public,
            tx_root(job.transactions),
            self.ledger.next_time(parent, self.now),
        )

    def _hashed(self, me: Prover, job: Job) -> None:
        """The nonce is found: initM, and on to the first look."""
        if job is not me.job:
            return
        model = job.plan.reference.model if job.plan.reference else None
        way = me.strategy.way if model else None
        training = initialize(job.instance, job.passed.h_1, model, way)
        job.training = me.strategy.begin(me, job.instance, training)
        if self._memory is not None:
            job.noted = training_name(self.ledger.name, job.instance, job.training)
        job.due = me.strategy.due(me, job.plan)
        self._train_on(me, job)

    def _train_on(self, me: Prover, job: Job) -> None:
        """On to the next look, or to a new nonce where this model is given up."""
        if self._given_up(me, job):
            self._begin(me)
            return
        hpp = job.training.initialization.hpp
        cost = self.clock.step_costs.get(Bucket(hpp.architecture, hpp.batch_size), 1.0)
        took = job.instance.parameters.check_every * cost / me.speed
        self._at(self.now + took, _WORK, self._looked, me, job)

    def _given_up(self, me: Prover, job: Job) -> bool:
        now, instance = job.training.now, job.instance
        if now.steps >= instance.parameters.horizon_steps:
            return True
        job.reached |= reached(instance.parameters, instance.task, now.correct)
        patience = me.strategy.abandon_steps
        return patience is not None and now.steps >= patience and not job.reached

    def _looked(self, me: Prover, job: Job) -> None:
        """Train up to the look, and draw its ticket."""
        if job is not me.job:
            return
        parameters = job.instance.parameters
        training = job.training = self._advanced(job)
        now = training.now
        accuracy = now.correct / parameters.eval_samples
        self._tell(me, "look", accuracy=accuracy)
        r = self.ledger.makes_block(job.plan.parent, now.correct)
        if r and now.steps < job.due:
            self._train_on(me, job)
            return
        drawn = me.strategy.ticket(me, job.instance, training)
        took = self._hash_time(me, drawn.hashes)
        self._at(self.now + took, _WORK, self._drawn, me, (job, drawn, r))

    def _advanced(self, job: Job) -> Training:
        if self._memory is None:
            return advance(job.instance, job.training)
        return advance_noted(self._memory, job.noted, job.instance, job.training)

    def _drawn(self, me: Prover, what: tuple[Job, Drawn, bool]) -> None:
        """What a ticket gave is known: publish, train on, or begin anew."""
        job, drawn, r = what
        if job is not me.job:
            return
        if drawn.b:
            record = self._record(me, job, drawn.training, r)
            self._found(me, record, job)
            if r:
                self._begin(me)
                return
        if r and me.strategy.retry == "restart":
            self._begin(me)
        else:
            self._train_on(me, job)

    def _record(self, me: Prover, job: Job, training: Training, r: bool) -> Record:
        reference = me.strategy.reference(job.plan)
        if job.instance.parameters.binding == "none":
            # Nothing fixes the transactions before the block does.
            self._fill(me, job)
        proof, looks = prove(training, reference, job.passed.nonce)
        self.archive.put(proof.cp_root, looks)
        if not r:
            return signed(me, Mtx(job.header, proof, UNSIGNED))
        mtxs = self.ledger.expected_mtxs(job.plan.parent, reference)
        block = Block(job.header, proof, job.transactions, mtxs, UNSIGNED)
        return signed(me, block)

    def _found(self, me: Prover, record: Record, job: Job) -> None:
        accuracy = record.proof.correct / job.instance.parameters.eval_samples
        what = "mtx" if isinstance(record, Mtx) else "block"
        name = _name(record)
        self._tell(me, what, name=name, accuracy=accuracy, tries=job.tries)
        self._hear(me, record)
        self._send(me, me.strategy.found(me, record))

    def _send(self, me: Prover, letters: Sequence[Letter]) -> None:
        for record, to in letters:
            name = _name(record)
            for other in me.others if to is None else to:
                receiver = self.provers[other]
                when = self.now + self._transit(me, receiver, name)
                letter = (record, to is not None)
                self._at(when, _ARRIVAL, self._arrived, receiver, letter)
            if self._publisher is not None and isinstance(record, Block):
                when = self.now + self._transit(me, None, name)
                self._at(when, _ARRIVAL, self._score, None, record)

    def _arrived(self, me: Prover, what: tuple[Record, bool]) -> None:
        record, for_some = what
        heard = self._hear(me, record)
        self._send(me, me.strategy.heard(me, record))
        if heard and for_some and not me.strategy.adversarial:
            # Else a prover that was left out could never follow the chain again.
            self._send(me, [Letter(record)])
        if heard and me.job is not None:
            plan = me.strategy.plan(me)
            if plan.parent != me.job.plan.parent:
                self._begin(me)

    def _hear(self, me: Prover, record: Record) -> bool:
        try:
            changed = me.view.hear(record)
        except Rejected as error:
            self._tell(me, "refused", name=_name(record), reason=str(error))
            return False
        if changed:
            self._tell(me, "tip", name=me.view.tip)
        return True

    def _pooled(self, me: Prover, what: tuple[bytes, Transaction]) -> None:
        name, transaction = what
        me.pool[name] = transaction

    def _score(self, _nobody: None, block: Block) -> None:
        """Score the selected models of the current task on the test set."""
        with suppress(Rejected):
            self._publisher_view.hear(block)
        publisher = self._publisher
        if publisher is None:
            return
        entry = self.ledger.entries[self._publisher_view.tip]
        chain = self._publisher_view.chain()
        selected = chain[: max(len(chain) - publisher.depth, 0)][-entry.slot :]
        sequence = entry.accounts.sequences.get(publisher.key.public, 0)
        for each in selected:
            published = self.ledger.published[each.name]
            if published.task != entry.task or each.name in entry.scores:
                continue
            if (each.name, sequence) not in self._scored:
                test = publisher.tests[entry.task]
                assert published.model is not None
                correct = count_correct(published.model, test)
                said = score(
                    publisher.key,
                    self.ledger.name,
                    sequence,
                    each.name,
                    correct,
                    test.images.shape[0],
                )
                self._scored.add((each.name, sequence))
                self.submit(said)
            sequence += 1

    def _transit(
        self, sender: Prover | None, receiver: Prover | None, name: bytes
    ) -> float:
        ends = (sender, receiver)
        if any(end is not None and end.strategy.adversarial for end in ends):
            return 0.0
        if self._delay_model == "worst_case":
            return self._delay
        to = receiver.name.encode() if receiver is not None else b""
        word = digest("delay", name, to)[:7]
        return self._delay * int.from_bytes(word, "big") / (1 << 56)

    def _hash_time(self, me: Prover, hashes: int) -> float:
        return hashes / (self.clock.hashes_per_step * me.speed)

    def _tell(self, me: Prover, what: What, **details) -> None:
        self._happened.append(Happening(self.now, me.name, what, **details))

    def _at(self, when: float, rank: int, act, prover, what) -> None:
        event = (when, rank, next(self._order), act, prover, what)
        heapq.heappush(self._events, event)


def _name(record: Record) -> bytes:
    return mtx_digest(record) if isinstance(record, Mtx) else block_digest(record)
