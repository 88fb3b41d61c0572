"""The cross-time-slot attacks: work of one slot is taken into another."""

from contextlib import suppress

from ...scheme.checkpoints import Rejected
from ...scheme.formats import block_digest
from ...scheme.records import Block, Mtx
from ..ledger import Published
from ..view import View
from .base import Honest, Letter, Participant, Plan, Record, best_of, debt_of


class CrossSlotNew(Honest):
    """Cross-time-slot attack (a): a new block from an old model ([SLT23] §4.1).

    Extends the tip from the most accurate model heard of, whatever block that model
    extends (within the reference rule), and as soon as it is good enough. Refused under
    the step rule.
    """

    adversarial = True

    def plan(self, me: Participant) -> Plan:
        """The tip, from the best model of all slots that extends an older block."""
        tip = me.view.tip
        task = me.ledger.entries[tip].task
        return Plan(
            tip,
            best_of(
                each
                for each in map(me.ledger.published.__getitem__, me.view.models)
                if each.task == task
                and each.extends != tip
                and me.ledger.may_reference(tip, each)
            ),
        )

    def due(self, me: Participant, plan: Plan) -> int:
        """Nothing: the fewer steps the better."""
        return 1


class CrossSlotOld(Honest):
    """Cross-time-slot attack (b): an old block from a new model ([SLT23] §4.1).

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

    def plan(self, me: Participant) -> Plan:
        """The secret chain's tip, from the best model known."""
        if self._fork is None:
            chain = list(me.ledger.ancestors(self._public_view(me).tip))
            if len(chain) <= self.depth:
                return super().plan(me)
            self._fork = chain[self.depth].name
        return Plan(self._fork, self._model(me, self._fork))

    def heard(self, me: Participant, record: Record) -> list[Letter]:
        """Keep track of the public chain."""
        with suppress(Rejected):
            self._public_view(me).hear(record)
        return []

    def found(self, me: Participant, record: Record) -> list[Letter]:
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

    def _model(self, me: Participant, fork: bytes) -> Published | None:
        """A model above T_acc that leaves the fewest looks to do."""
        entry, instance = me.ledger.entries[fork], me.ledger.instance(fork)
        # The first secret block takes a model of its future, the next ones go on.
        future = entry.height - len(self._secret) + (not self._secret)

        def worth(model: Published) -> tuple[float, int, float]:
            debt = debt_of(me, Plan(fork, model))
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

    def _public_view(self, me: Participant) -> View:
        if self._public is None:
            self._public = View(me.ledger)
        return self._public
