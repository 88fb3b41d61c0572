"""What a prover does: the honest protocol, and every attack on the scheme as an object.

A strategy answers the questions a prover meets on its way ([SLT23] §3–4):

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

from collections.abc import Iterable
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from ...learning.architecture import HyperParameters
from ...scheme.records import Block, Mtx, Reference, Way
from ...scheme.scheme import Instance, Retry, Training, ticket
from ..ledger import Ledger, Published
from ..transactions import Key, sign_block, sign_mtx
from ..view import View

ReferencePolicy = Literal["fresh", "most_accurate", "tip_model", "latest_mtx"]
Record = Block | Mtx


@runtime_checkable
class Participant(Protocol):
    """What a strategy knows of the prover that follows it.

    Attributes:
        name: For people.
        key: Signs its records.
        ledger: Judges records, and knows all that were published.
        view: What it has heard, and the tip that it extends.
        others: Names of the provers that its letters may go to.
        strategy: What it does.
    """

    name: str
    key: Key
    ledger: Ledger
    view: View
    others: tuple[str, ...]
    strategy: "Honest"


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

    def plan(self, me: Participant) -> Plan:
        """Extend the selected chain's tip."""
        return Plan(me.view.tip, choose_reference(self.policy, me))

    def wants(self, me: Participant, hpp: HyperParameters) -> bool:
        """Train whatever the pre-hash gave."""
        return True

    def begin(
        self, me: Participant, instance: Instance, training: Training
    ) -> Training:
        """Start at initM."""
        return training

    def due(self, me: Participant, plan: Plan) -> int:
        """What S_min and the step rule ask for."""
        return debt_of(me, plan)

    def ticket(self, me: Participant, instance: Instance, training: Training) -> Drawn:
        """One post-hash a look."""
        _, b = ticket(instance, training)
        return Drawn(b, training)

    def found(self, me: Participant, record: Record) -> list[Letter]:
        """Send it to everyone."""
        return [Letter(record)]

    def heard(self, me: Participant, record: Record) -> list[Letter]:
        """Nothing to answer."""
        return []

    def reference(self, plan: Plan) -> Reference | None:
        """The plan's reference as a proof names it."""
        return _reference(plan, self.way)


def choose_reference(policy: ReferencePolicy, me: Participant) -> Published | None:
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
        (each for each in models if debt_of(me, Plan(me.view.tip, each)) <= most), None
    )


def signed(me: Participant, record: Record) -> Record:
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


def debt_of(me: Participant, plan: Plan) -> int:
    """Steps that are owed before a block of this plan counts."""
    # Whichever way a model is used, its steps are the same.
    return me.ledger.step_debt(plan.parent, _reference(plan, "resume"))


def best_of(models: Iterable[Published]) -> Published | None:
    """The most accurate model, the first of equals; None of none."""
    # max keeps the first of equals.
    return max(models, key=lambda each: each.accuracy, default=None)
