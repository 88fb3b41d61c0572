"""The tree of what is valid, and what the chain's rules allow at a place in it.

Notation ([SLT23] §4.1, its Fig. 2 for the attacks):
    bk_n                  the block that is extended
    M'_1 … M'_k           models a candidate refers to, recursively; S'_j their steps
    bk_m                  the earliest block any of them extends
    S_i                   steps of the model in bk_i (0 for the genesis)
    R(acc, T_acc)         ``longest``: acc ≥ T_acc; ``weight``: always

    step rule             Σ_j S'_j + S ≥ Σ_{i=m}^{n−1} S_i + S_min
    reference rule        refM extends an ancestor of the extended block, or itself,
                          at most ``reference_window`` blocks back

The sum is taken as printed: it has the step count of bk_m, which the reference did not
need, and not that of the tip bk_n. So after a long block the tip's own model may be
continued for less than S_min steps.

A referenced model that extends a block off the candidate's chain has its last common
ancestor with that chain counted as the block it extends: the paper's m ≤ n leaves
that case open, and only the reference rule can forbid it.

Nothing is verified here: ledger.py does, and enters what is valid.
"""

from collections.abc import Iterable, Iterator

from ..scheme.checkpoints import Rejected
from ..scheme.formats import genesis_digest, mtx_digest
from ..scheme.records import (
    MAXIMUM_REFERENCES,
    MAXIMUM_TRANSACTIONS,
    Block,
    Genesis,
    Header,
    Mtx,
    Parameters,
    Reference,
    Transaction,
)
from ..scheme.scheme import makes_block, weight
from .entries import Entry, Published, genesis_problems, rule_of
from .retarget.fold import begin
from .retarget.selection import block_value
from .retarget.shares import ONE
from .retarget.timestamps import median_time_past, timestamp_problem
from .transactions import Accounts, apply_transactions


class BlockTree:
    """Blocks and model transactions that are valid, from a genesis on.

    Args:
        genesis: Rules and tasks.

    Raises:
        ValueError: If no chain can have such a genesis.
    """

    def __init__(self, genesis: Genesis):
        problems = list(genesis_problems(genesis))
        if problems:
            raise ValueError("; ".join(problems))
        self.genesis = genesis
        self.name = genesis_digest(genesis)
        self.published: dict[bytes, Published] = {}
        self.rule = rule_of(genesis.parameters)
        balances = {each.owner: each.amount for each in genesis.allocations}
        self.entries: dict[bytes, Entry] = {
            self.name: Entry(
                name=self.name,
                parent=None,
                height=0,
                weight=0.0,
                accounts=Accounts(balances, {}),
                task=0,
                slot=0,
                scores={},
                brought=frozenset(),
                rewards={},
                retarget=(
                    None
                    if self.rule is None
                    else begin(self.rule, genesis.parameters.t_2)
                ),
            )
        }

    def ancestors(self, name: bytes) -> Iterator[Entry]:
        """A block's entry, its parent's, ... to the genesis."""
        entry = self.entries[name]
        yield entry
        while entry.parent is not None:
            entry = self.entries[entry.parent]
            yield entry

    def lineage(self, name: bytes) -> list[Published]:
        """The models a published one refers to, recursively, the direct one first."""
        return [self.published[each] for each in self.published[name].lineage]

    def admissible(
        self, tip: bytes, pool: Iterable[Transaction]
    ) -> tuple[Transaction, ...]:
        """The transactions of a pool that a block on ``tip`` can hold.

        In the senders' own order; what does not fit now is left out.
        """
        parent = self.entries[tip]
        accounts, chosen = parent.accounts, []
        for each in sorted(pool, key=lambda tx: tx.sequence):
            if len(chosen) == MAXIMUM_TRANSACTIONS:
                break
            try:
                self.check_score(parent, each)
                accounts = apply_transactions(accounts, (each,), self.name)
            except Rejected:
                continue
            chosen.append(each)
        return tuple(chosen)

    def expected_mtxs(
        self, parent: bytes, reference: Reference | None
    ) -> tuple[Mtx, ...]:
        """The model transactions a block must bring: referenced, not yet on its chain.

        The oldest first, so that each one's reference comes before it.
        """
        if reference is None:
            return ()
        first = self.published[reference.digest]
        brought = self.entries[parent].brought
        return tuple(
            each.record
            for each in reversed([first, *self.lineage(first.name)])
            if isinstance(each.record, Mtx) and each.name not in brought
        )

    def makes_block(self, tip: bytes, correct: int) -> bool:
        """R(acc, T_acc): whether a model that passed the post-hash makes a block."""
        task = self.genesis.tasks[self.entries[tip].task]
        return makes_block(self.genesis.parameters, task, correct)

    def may_reference(self, parent: bytes, model: Published) -> bool:
        """Whether a block on ``parent`` may refer to a published model."""
        try:
            self.check_reference(self.entries[parent], model)
        except Rejected:
            return False
        return True

    def step_debt(self, parent: bytes, reference: Reference | None) -> int:
        """Least S of a block on ``parent``: what S_min and the step rule leave to do.

        At least one look, even where referenced models have done enough.
        """
        parameters = self.genesis.parameters
        required, done = parameters.s_min, 0
        if reference is not None:
            first = self.published[reference.digest]
            models = [first, *self.lineage(first.name)]
            done = sum(each.steps for each in models)
            if parameters.step_rule:
                chain = list(self.ancestors(parent))
                m = min(self._common_height(chain, each.extends) for each in models)
                n = chain[0].height
                # S_i of bk_m … bk_{n−1}; chain runs from bk_n down.
                required += sum(self._steps(bk.name) for bk in chain[1 : n - m + 1])
        return max(required - done, 1)

    def check_reference(self, parent: Entry, found: Published) -> None:
        """The reference rule, for a block on ``parent``.

        Raises:
            Rejected: Names the rule that is broken.
        """
        if found.task != parent.task:
            raise Rejected("task", "the referenced model is of another task")
        if len(found.lineage) + 1 > MAXIMUM_REFERENCES:
            raise Rejected("lineage", f"more than {MAXIMUM_REFERENCES} models in a row")
        window = self.genesis.parameters.reference_window
        if window is None:
            return
        for entry in self.ancestors(parent.name):
            if entry.name == found.extends:
                return
            if parent.height - entry.height >= window:
                break
        raise Rejected(
            "reference rule",
            "the referenced model must extend one of the last "
            f"{window} ancestors of the extended block, or itself",
        )

    def check_brought(self, parent: Entry, block: Block) -> None:
        """Whether a block brings what ``expected_mtxs`` says.

        Raises:
            Rejected: If it does not.
        """
        expected = self.expected_mtxs(parent.name, block.proof.reference)
        if list(map(mtx_digest, block.mtxs)) != list(map(mtx_digest, expected)):
            raise Rejected(
                "mtxs",
                "must be the referenced model transactions that the chain has not "
                "got yet, the oldest first",
            )

    def parent_of(self, header: Header) -> Entry:
        """The entry of the block that a header extends.

        Raises:
            Rejected: If it is not known.
        """
        parent = self.entries.get(header.prev_block)
        if parent is None:
            raise Rejected("parent", "the extended block is not known")
        return parent

    def check_score(self, parent: Entry, transaction: Transaction) -> None:
        """Whether a transaction's score, if it has one, may stand on ``parent``.

        Raises:
            Rejected: If it may not.
        """
        if transaction.score is None:
            return
        name, correct, samples = transaction.score
        if transaction.sender != self.genesis.publisher:
            raise Rejected("score", "only the publisher scores models")
        if not samples > 0 or correct > samples:
            raise Rejected("score", f"{correct} correct of {samples}")
        ancestors = self.ancestors(parent.name)
        if not any(each.name == name and each.height > 0 for each in ancestors):
            raise Rejected("score", "the scored block is not on this chain")

    def next_slot(
        self, parent: Entry, scores: dict[bytes, float]
    ) -> tuple[int, int, dict[bytes, float]]:
        """The task after a block: the next one when R_task holds or its slots end."""
        task = self.genesis.tasks[parent.task]
        done = any(score >= task.r_task for score in scores.values())
        over = parent.slot + 1 >= task.slots
        if (done or over) and parent.task + 1 < len(self.genesis.tasks):
            return parent.task + 1, 0, {}
        return parent.task, parent.slot + 1, scores

    def weight_of(self, published: Published) -> float:
        """What a block adds to its chain under the rule of chain selection."""
        parameters = self.genesis.parameters
        value = self._value_of(published)
        if parameters.chain_rule == "longest":
            return value
        t_acc = self.genesis.tasks[published.task].t_acc
        return value * weight(published.accuracy, t_acc, parameters.weight)

    def parameters_at(self, tip: bytes) -> Parameters:
        """The rules that a block on ``tip`` must meet: its T_2 is its own."""
        state = self.entries[tip].retarget
        if state is None:
            return self.genesis.parameters
        return self.genesis.parameters._replace(t_2=state.target)

    def next_time(self, tip: bytes, now: float) -> int | None:
        """The timestamp of work that begins now on ``tip``; None: it has none."""
        state = self.entries[tip].retarget
        if state is None:
            return None
        least = median_time_past([each.time for each in state.window]) + 1
        return max(int(now), least)

    def check_time(self, parent: Entry, header: Header) -> None:
        """Whether a header's timestamp may stand on ``parent``.

        Raises:
            Rejected: If it may not, or is there without a rule that reads it.
        """
        state = parent.retarget
        if state is None or header.time is None:
            if state is not None or header.time is not None:
                raise Rejected("time", "a rule for T_2 needs a time, others have none")
            return
        problem = timestamp_problem(header.time, [each.time for each in state.window])
        if problem is not None:
            raise Rejected("time", problem)

    def _value_of(self, published: Published) -> float:
        """What a block counts for by its target; 1 where blocks are counted."""
        parameters = self.genesis.parameters
        state = self.entries[published.extends].retarget
        if parameters.retarget is None or state is None:
            return 1.0
        value = block_value(
            parameters.retarget.selection,
            max(state.target, 1),
            genesis=max(parameters.t_2, 1),
            share=state.share,
        )
        return value / ONE

    def _steps(self, name: bytes) -> int:
        return 0 if name == self.name else self.published[name].steps

    def _common_height(self, chain: list[Entry], name: bytes) -> int:
        """Height of the last block of ``chain`` that is ``name`` or its ancestor."""
        on_chain = {entry.name for entry in chain}
        for entry in self.ancestors(name):
            if entry.name in on_chain:
                return entry.height
        raise AssertionError("every block descends from the genesis")
