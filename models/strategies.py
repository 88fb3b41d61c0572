"""What a prover does: the honest protocol, and every attack on the scheme as an object.

A strategy answers the questions a prover meets on its way (scheme.md §2, §4):

    plan      which block to extend, and which model to start from (refM)
    wants     whether to train what a pre-hash gave, or to sample another nonce
    begin     the training that is really done from initM
    due       least steps before a look counts as a ticket
    ticket    what a look's post-hash gives
    found     what of a found block or mtx is sent to whom
    heard     what to answer to a record that has just arrived

``Honest`` follows the protocol; an attack overrides what it does otherwise. Attacks do
not check the rules they break: that is for the ledger to refuse.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from .architecture import HyperParameters
from .checkpoints import Rejected
from .ledger import Published
from .records import Block, Mtx, Proof, Reference, Way, block_digest
from .scheme import Instance, Retry, Training, posthash, reached, ticket
from .states import Look, Model, model_digest, parameters_of
from .transactions import sign_block, sign_mtx, transfer, tx_root
from .view import View

if TYPE_CHECKING:
    from .world import Prover

ReferencePolicy = Literal["fresh", "most_accurate", "tip_model", "latest_mtx"]
Record = Block | Mtx


class Plan(NamedTuple):
    """What to work on.

    Attributes:
        parent: Block to extend.
        reference: Model to start from; None: a fresh one.
    """

    parent: bytes
    reference: Published | None


class Letter(NamedTuple):
    """A record on its way.

    Attributes:
        record: A block or an mtx.
        to: Names of those who get it; None: everyone.
    """

    record: Record
    to: tuple[str, ...] | None = None


class Drawn(NamedTuple):
    """What a look's post-hash gave.

    Attributes:
        b: Whether h_2 ≤ T_2.
        training: What is proven, if b.
        hashes: Hashes it took beside the look's own one.
    """

    b: bool
    training: Training
    hashes: int = 0


class Honest:
    """The protocol.

    Args:
        policy: Which model to start from: ``fresh`` none; ``most_accurate`` of those
            that may be referenced, the first heard of equals (the protocol's rule);
            ``tip_model`` the extended block's; ``latest_mtx`` the last heard mtx.
            Models whose steps a proof could not make up for (the step rule, within
            the horizon) are passed over.
        way: How a referenced model is used.
        retry: After a failed post-hash above T_acc.
        abandon_steps: Steps after which a model that has never reached T_acc is given
            up for a new nonce; None: at the longest proof there can be.
    """

    adversarial = False

    def __init__(
        self,
        policy: ReferencePolicy = "fresh",
        *,
        way: Way = "resume",
        retry: Retry = "continue",
        abandon_steps: int | None = None,
    ):
        self.policy: ReferencePolicy = policy
        self.way: Way = way
        self.retry: Retry = retry
        self.abandon_steps = abandon_steps

    def plan(self, me: "Prover") -> Plan:
        """Extend the selected chain's tip."""
        return Plan(me.view.tip, choose_reference(self.policy, me))

    def wants(self, me: "Prover", hpp: HyperParameters) -> bool:
        """Train whatever the pre-hash gave."""
        return True

    def begin(self, me: "Prover", instance: Instance, training: Training) -> Training:
        """Start at initM."""
        return training

    def due(self, me: "Prover", plan: Plan) -> int:
        """What S_min and the step rule ask for."""
        return _debt(me, plan)

    def ticket(self, me: "Prover", instance: Instance, training: Training) -> Drawn:
        """One post-hash a look."""
        _, b = ticket(instance, training)
        return Drawn(b, training)

    def found(self, me: "Prover", record: Record) -> list[Letter]:
        """Send it to everyone."""
        return [Letter(record)]

    def heard(self, me: "Prover", record: Record) -> list[Letter]:
        """Nothing to answer."""
        return []

    def reference(self, plan: Plan) -> Reference | None:
        """The plan's reference as a proof names it."""
        return _reference(plan, self.way)


class Relabel(Honest):
    """Unbound proof (scheme.md §6.1): put one's own name on an honest proof.

    A rushing adversary hears of a block before the others do; it extends its own copy.
    Refused under ``binding = header``: the key is in h_1.
    """

    adversarial = True

    def __init__(self, policy: ReferencePolicy = "fresh", **others):
        super().__init__(policy, **others)
        self._copies: dict[Proof, bytes] = {}

    def plan(self, me: "Prover") -> Plan:
        """Extend one's own copy of the tip."""
        plan = super().plan(me)
        tip = me.ledger.published.get(plan.parent)
        copy = self._copies.get(tip.record.proof) if tip else None
        return plan._replace(parent=copy) if copy in me.ledger.entries else plan

    def heard(self, me: "Prover", record: Record) -> list[Letter]:
        """Send the block's proof with one's own key before the block arrives."""
        if not isinstance(record, Block) or record.header.miner == me.key.public:
            return []
        # Two of this kind would steal the same proof from each other for ever.
        if record.proof in self._copies:
            return []
        header = record.header._replace(miner=me.key.public)
        stolen = sign_block(me.key, me.ledger.name, record._replace(header=header))
        self._copies[record.proof] = block_digest(stolen)
        return [Letter(stolen, (*me.others, me.name))]


class Equivocate(Honest):
    """Unbound proof (scheme.md §6.1): one proof, two blocks.

    Half of the provers gets one of them, half the other: a fork without work. Refused
    under ``binding = header``: the transactions' root is in h_1.
    """

    adversarial = True

    def found(self, me: "Prover", record: Record) -> list[Letter]:
        """Send two blocks that differ in their transactions."""
        if isinstance(record, Mtx):
            return [Letter(record)]
        sequence = me.ledger.entries[record.header.prev_block].accounts.sequences
        spent = [tx.sender for tx in record.transactions].count(me.key.public)
        count = sequence.get(me.key.public, 0) + spent
        other = transfer(me.key, me.ledger.name, count, me.key.public, 0)
        transactions = (*record.transactions, other)
        header = record.header._replace(tx_root=tx_root(transactions))
        twin = record._replace(header=header, transactions=transactions)
        twin = sign_block(me.key, me.ledger.name, twin)
        half = len(me.others) // 2
        some, rest = me.others[:half], (*me.others[half:], me.name)
        return [Letter(record, some), Letter(twin, rest)]


class CrossSlotNew(Honest):
    """Cross-time-slot attack (a): a new block from an old model (scheme.md §5).

    Extends the tip from the most accurate model heard of, whatever block that model
    extends (within the reference rule), and as soon as it is good enough. Refused under
    the step rule.
    """

    adversarial = True

    def plan(self, me: "Prover") -> Plan:
        """The tip, from the best model of all slots that extends an older block."""
        tip = me.view.tip
        task = me.ledger.entries[tip].task
        return Plan(
            tip,
            _best(
                each
                for each in map(me.ledger.published.__getitem__, me.view.models)
                if each.task == task
                and each.extends != tip
                and me.ledger.may_reference(tip, each)
            ),
        )

    def due(self, me: "Prover", plan: Plan) -> int:
        """Nothing: the fewer steps the better."""
        return 1


class CrossSlotOld(Honest):
    """Cross-time-slot attack (b): an old block from a new model (scheme.md §5).

    Goes ``depth`` blocks back and rewrites the chain from a model of its future, in
    secret until its own chain is the better one. Does what the step rule asks for: a
    model that was trained further on asks for little. Refused under the reference rule.

    Args:
        depth: Blocks to rewrite.
    """

    adversarial = True

    def __init__(self, depth: int, **policy):
        super().__init__(**policy)
        self.depth = depth
        self._public: View | None = None
        self._fork: bytes | None = None
        self._secret: list[Block] = []

    def plan(self, me: "Prover") -> Plan:
        """The secret chain's tip, from the best model known."""
        if self._fork is None:
            chain = list(me.ledger.ancestors(self._public_view(me).tip))
            if len(chain) <= self.depth:
                return super().plan(me)
            self._fork = chain[self.depth].name
        return Plan(self._fork, self._model(me, self._fork))

    def heard(self, me: "Prover", record: Record) -> list[Letter]:
        """Keep track of the public chain."""
        with suppress(Rejected):
            self._public_view(me).hear(record)
        return []

    def found(self, me: "Prover", record: Record) -> list[Letter]:
        """Keep the blocks until they outweigh the public chain."""
        public = self._public_view(me)
        if self._fork is None or isinstance(record, Mtx):
            with suppress(Rejected):
                public.hear(record)
            return [Letter(record)]
        entry = me.ledger.entries.get(block_digest(record))
        if entry is None:
            # Refused. It is sent all the same, so that everyone sees why.
            self._fork, self._secret = None, []
            return [Letter(record)]
        self._fork = entry.name
        self._secret.append(record)
        if entry.weight <= me.ledger.entries[public.tip].weight:
            return []
        letters = [Letter(block) for block in self._secret]
        for block in self._secret:
            public.hear(block)
        self._fork, self._secret = None, []
        return letters

    def _model(self, me: "Prover", fork: bytes) -> Published | None:
        """A model above T_acc that leaves the fewest looks to do."""
        entry, instance = me.ledger.entries[fork], me.ledger.instance(fork)
        # The first secret block takes a model of its future, the next ones go on.
        future = entry.height - len(self._secret) + (not self._secret)

        def worth(model: Published) -> tuple[float, int, float]:
            debt = _debt(me, Plan(fork, model))
            looks = -(-debt // instance.parameters.check_every)
            return min(model.accuracy, instance.task.t_acc), -looks, model.accuracy

        models = map(me.ledger.published.__getitem__, me.view.models)
        return max(
            (
                each
                for each in models
                if each.task == entry.task
                and me.ledger.entries[each.extends].height >= future
            ),
            key=worth,
            default=None,
        )

    def _public_view(self, me: "Prover") -> View:
        if self._public is None:
            self._public = View(me.ledger)
        return self._public


class WithheldMtx(Honest):
    """Withheld mtx (scheme.md §6.6): train on public and private models, share none.

    No rule forbids it: the models are shown when a block refers to them.
    """

    adversarial = True

    def __init__(self, policy: ReferencePolicy = "most_accurate", **others):
        super().__init__(policy, **others)

    def found(self, me: "Prover", record: Record) -> list[Letter]:
        """Send blocks, keep model transactions."""
        return [] if isinstance(record, Mtx) else [Letter(record)]


class PreHashGrinding(Honest):
    """Pre-hash grinding (scheme.md §6.3): train only what learns fast.

    Pays for it in hashes; worth it while p_1 is generous.

    Args:
        fast: Whether hyper-parameters are worth training.
    """

    adversarial = True

    def __init__(self, fast: Callable[[HyperParameters], bool], **policy):
        super().__init__(**policy)
        self._fast = fast

    def wants(self, me: "Prover", hpp: HyperParameters) -> bool:
        """Only the fast ones."""
        return self._fast(hpp)


class PostHashGrinding(Honest):
    """Post-hash grinding (scheme.md §6.2): nudge the weights for another h_2.

    One hash a ticket instead of a look's training. Refused bit for bit; passes where
    Verify tolerates the nudge.

    Args:
        nudge: Largest change of a weight.
        tries: Most hashes a look.
    """

    adversarial = True

    def __init__(self, nudge: float, *, tries: int = 100_000, **policy):
        super().__init__(**policy)
        self._nudge = nudge
        self._tries = tries

    def ticket(self, me: "Prover", instance: Instance, training: Training) -> Drawn:
        """As many tickets as it takes."""
        drawn = super().ticket(me, instance, training)
        if drawn.b or not reached(
            instance.parameters, instance.task, training.now.correct
        ):
            return drawn
        for tries, nudged in enumerate(self._nudged(training), start=1):
            model = model_digest(nudged.model)
            now = nudged.now
            if posthash(instance.parameters.t_2, model, now.correct, now.steps)[1]:
                return Drawn(True, nudged, tries)
        return drawn._replace(hashes=self._tries)

    def _nudged(self, training: Training) -> Iterable[Training]:
        """Copies in which some values of the largest tensor are a tiny step higher."""
        tensors = training.now.tensors
        # A bias of ten values would give a thousand copies, and then repeat them.
        name = max(parameters_of(tensors), key=lambda each: tensors[each].size)
        values = tensors[name]
        for tries in range(self._tries):
            # Which ones: the digits of a counter.
            digits = tries + 1 >> np.arange(values.size, dtype=np.int64) & 1
            moved = np.where(
                digits.reshape(values.shape) == 1,
                values + np.float32(0.5 * self._nudge),
                values,
            ).astype(np.float32)
            now = training.now._replace(tensors=tensors | {name: moved})
            kept = tuple(
                now if look.steps == now.steps else look
                for look in training.checkpoints
            )
            yield training._replace(now=now, checkpoints=kept)


class ForgedCheckpoints(Honest):
    """Forged checkpoints (scheme.md §3): claim steps that were never made.

    The first segments are said to end in the best model heard of; only the last one is
    trained. Found when a challenge hits the segment that jumps.

    Args:
        segments: Segments to claim without work.
    """

    adversarial = True

    def __init__(self, segments: int = 1, **policy):
        super().__init__(**policy)
        self._segments = segments

    def wants(self, me: "Prover", hpp: HyperParameters) -> bool:
        """Only the architecture there is a model to steal of."""
        loot = self._loot(me)
        return loot is None or loot[0].hpp.architecture == hpp.architecture

    def begin(self, me: "Prover", instance: Instance, training: Training) -> Training:
        """Start from somebody's model at a step that was never reached."""
        loot = self._loot(me)
        if loot is None:
            return training
        model, correct = loot
        every = instance.parameters.checkpoint_every
        tensors = training.now.tensors | model.parameters
        forged = tuple(
            Look(tensors, correct, every * (place + 1))
            for place in range(self._segments)
        )
        return training._replace(now=forged[-1], checkpoints=forged)

    def _loot(self, me: "Prover") -> tuple[Model, int] | None:
        # Of this task: another one's menu may not have the architecture.
        task = me.ledger.entries[me.view.tip].task
        models = map(me.ledger.published.__getitem__, me.view.models)
        best = _best(each for each in models if each.task == task)
        if best is None or best.model is None:
            return None
        return best.model, best.record.proof.correct


def choose_reference(policy: ReferencePolicy, me: "Prover") -> Published | None:
    """The model a policy starts from, among those that may be referenced."""
    if policy == "fresh":
        return None
    models: Iterable[Published] = me.view.referable()
    if policy == "most_accurate":
        # Sorting keeps the first of equals first.
        models = sorted(models, key=lambda each: -each.accuracy)
    elif policy == "latest_mtx":
        models = [each for each in reversed(models) if isinstance(each.record, Mtx)]
    else:
        models = [each for each in models if each.name == me.view.tip]
    # What owes more steps than a prover trains a model for is no help.
    most = me.ledger.genesis.parameters.horizon_steps
    if me.strategy.abandon_steps is not None:
        most = min(most, me.strategy.abandon_steps)
    return next(
        (each for each in models if _debt(me, Plan(me.view.tip, each)) <= most), None
    )


def signed(me: "Prover", record: Record) -> Record:
    """A record with its miner's signature."""
    if isinstance(record, Mtx):
        return sign_mtx(me.key, me.ledger.name, record)
    return sign_block(me.key, me.ledger.name, record)


def _reference(plan: Plan, way: Way) -> Reference | None:
    if plan.reference is None:
        return None
    kind: Literal["mtx", "block"] = (
        "mtx" if isinstance(plan.reference.record, Mtx) else "block"
    )
    return Reference(kind, plan.reference.name, way)


def _debt(me: "Prover", plan: Plan) -> int:
    # Whichever way a model is used, its steps are the same.
    return me.ledger.step_debt(plan.parent, _reference(plan, "resume"))


def _best(models: Iterable[Published]) -> Published | None:
    # max keeps the first of equals.
    return max(models, key=lambda each: each.accuracy, default=None)
