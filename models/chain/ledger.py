"""Blocks and model transactions under the chain's rules, as a tree.

Notation (scheme.md §4–5; SLT23 §4.1):
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

Validity is a function of bytes: a ``Ledger`` judges each record once, for whoever
asks. Which chain a participant selects among valid ones is in view.py.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..learning.curves import TrainingSet
from ..scheme.checkpoints import Archive, Rejected
from ..scheme.instances import Instance, setup
from ..scheme.records import (
    MAXIMUM_REFERENCES,
    MAXIMUM_TRANSACTIONS,
    Block,
    Build,
    Genesis,
    Header,
    Mtx,
    Proof,
    Reference,
    Transaction,
    block_digest,
    genesis_digest,
    mtx_digest,
)
from ..scheme.scheme import makes_block, stored_model, verify, verify_hashes, weight
from .entries import Entry as Entry, Published as Published, genesis_problems
from .transactions import (
    Accounts,
    apply_transactions,
    block_message,
    check_signature,
    mtx_message,
    pay,
    split_reward,
    tx_root,
)

# Refusals that are kept, so that a record is not judged again and again.
_REMEMBERED = 1 << 16


class Ledger:
    """All blocks and model transactions that are valid, as a tree.

    Args:
        genesis: Rules and tasks.
        data: D of every task, in the tasks' order. None: no training is re-executed,
            all other rules are; for readers of a chain that has been verified.
        archive: Where models and checkpoints are.
        here: The build proofs are re-executed on.
        challenges: q; None: as the parameters say.
        judged: Names of records whose training the archive's keeper has had judged
            before: their models are taken from the archive.

    Raises:
        ValueError: If the parameters or the tasks are out of range.
    """

    def __init__(
        self,
        genesis: Genesis,
        data: Sequence[TrainingSet] | None,
        archive: Archive,
        here: Build,
        *,
        challenges: int | None = None,
        judged: Container[bytes] = (),
    ):
        problems = list(genesis_problems(genesis))
        if problems:
            raise ValueError("; ".join(problems))
        self.genesis = genesis
        self.name = genesis_digest(genesis)
        self.instances: tuple[Instance, ...] = tuple(
            setup(genesis.parameters, task, each, genesis.build)
            for task, each in zip(genesis.tasks, data or (), strict=data is not None)
        )
        self.published: dict[bytes, Published] = {}
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
            )
        }
        self._archive = archive
        self._here = here
        self._challenges = challenges
        self._judged = judged
        self._refused: dict[bytes, tuple[str, str]] = {}
        self._convicted: set[bytes] = set()

    def instance(self, tip: bytes) -> Instance:
        """The task that a block on ``tip`` works on."""
        return self.instances[self.entries[tip].task]

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

    def add_mtx(self, mtx: Mtx, *, later: bytes = b"") -> Published:
        """Accept a model transaction.

        Raises:
            Rejected: Names the rule it breaks.
            ForeignBuild: If it cannot be re-executed here.
        """
        name = mtx_digest(mtx)
        # No name covers its signature, so that comes first.
        check_signature(mtx.header.miner, mtx_message(self.name, mtx), mtx.signature)
        if name in self.published:
            return self.published[name]
        with self._remembered(name):
            return self._accept_mtx(name, mtx, later)

    def add_block(self, block: Block, *, later: bytes = b"") -> Entry:
        """Accept a block, with the model transactions it brings.

        Args:
            block: The block; its parent must have been accepted.
            later: A later block's digest, for interactive-like challenges.

        Raises:
            Rejected: Names the rule it breaks.
            ForeignBuild: If it cannot be re-executed here.
        """
        name = block_digest(block)
        check_signature(
            block.header.miner, block_message(self.name, block), block.signature
        )
        for mtx in block.mtxs:
            message = mtx_message(self.name, mtx)
            check_signature(mtx.header.miner, message, mtx.signature)
        if name in self.entries:
            return self.entries[name]
        with self._remembered(name):
            return self._accept_block(name, block, later)

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
                self._check_score(parent, each)
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
            self._check_reference(self.entries[parent], model)
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

    def _accept_mtx(self, name: bytes, mtx: Mtx, later: bytes) -> Published:
        parent = self._parent(mtx.header)
        if self.makes_block(parent.name, mtx.proof.correct):
            raise Rejected("mtx", "R = 1: this model is a block's, not an mtx's")
        published = self._verified(name, "mtx", mtx, later)
        self.published[name] = published
        return published

    def _accept_block(self, name: bytes, block: Block, later: bytes) -> Entry:
        header, proof = block.header, block.proof
        parent = self._parent(header)
        if tx_root(block.transactions) != header.tx_root:
            raise Rejected("transactions", "their root is not the header's")
        accounts = apply_transactions(parent.accounts, block.transactions, self.name)
        scores = self._scores(parent, block)
        # Both lotteries before any mtx is re-executed: whoever wants to waste others'
        # time has to win them first.
        verify_hashes(self.genesis.parameters, header, proof)
        for mtx in block.mtxs:
            self.add_mtx(mtx, later=later)
        self._require_known(proof.reference)
        self._check_brought(parent, block)
        parameters = self.genesis.parameters
        if not self.makes_block(parent.name, proof.correct):
            raise Rejected(
                "accuracy",
                f"acc is {proof.correct / parameters.eval_samples:.4g}, a block "
                f"needs {self.genesis.tasks[parent.task].t_acc}",
            )
        self._check_steps(header, proof)
        published = self._verified(name, "block", block, later)

        lineage = [self.published[each] for each in published.lineage]
        shares = [(each.miner, each.steps) for each in lineage]
        rewards = split_reward(parameters.reward, header.miner, proof.steps, shares)
        task, slot, scores = self._next_slot(parent, scores)
        entry = Entry(
            name=name,
            parent=parent.name,
            height=parent.height + 1,
            weight=parent.weight + self._weight(published),
            accounts=pay(accounts, rewards),
            task=task,
            slot=slot,
            scores=scores,
            brought=parent.brought | {mtx_digest(mtx) for mtx in block.mtxs},
            rewards=rewards,
        )
        self.published[name] = published
        self.entries[name] = entry
        return entry

    def _verified(
        self, name: bytes, kind: str, record: Block | Mtx, later: bytes
    ) -> Published:
        header, proof = record.header, record.proof
        parent = self._parent(header)
        referenced = self._referenced(proof, parent)
        h_1 = verify_hashes(self.genesis.parameters, header, proof)
        model = None
        if self.instances and name in self._judged:
            model = stored_model(
                self.instances[parent.task],
                h_1,
                proof,
                referenced.model if referenced else None,
                self._archive,
            )
        elif self.instances:
            with self._convicting(h_1):
                model = verify(
                    self.instances[parent.task],
                    header,
                    proof,
                    referenced.model if referenced else None,
                    self._archive,
                    here=self._here,
                    challenges=self._challenges,
                    later=later,
                ).model
        lineage = (referenced.name, *referenced.lineage) if referenced else ()
        return Published(
            name=name,
            kind=kind,
            record=record,
            task=parent.task,
            extends=parent.name,
            model=model,
            accuracy=proof.correct / self.genesis.parameters.eval_samples,
            lineage=lineage,
        )

    def _referenced(self, proof: Proof, parent: Entry) -> Published | None:
        if proof.reference is None:
            return None
        found = self.published.get(proof.reference.digest)
        if found is None or found.kind != proof.reference.kind:
            raise Rejected("reference", "the referenced model is not known")
        self._check_reference(parent, found)
        return found

    def _check_reference(self, parent: Entry, found: Published) -> None:
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

    def _require_known(self, reference: Reference | None) -> None:
        if reference is not None and reference.digest not in self.published:
            raise Rejected("reference", "the referenced model is not known")

    def _check_steps(self, header: Header, proof: Proof) -> None:
        debt = self.step_debt(header.prev_block, proof.reference)
        if proof.steps < debt:
            rule = "step rule" if self.genesis.parameters.step_rule else "s_min"
            raise Rejected(rule, f"at least {debt} steps are due, got {proof.steps}")

    def _check_brought(self, parent: Entry, block: Block) -> None:
        expected = self.expected_mtxs(parent.name, block.proof.reference)
        if list(map(mtx_digest, block.mtxs)) != list(map(mtx_digest, expected)):
            raise Rejected(
                "mtxs",
                "must be the referenced model transactions that the chain has not "
                "got yet, the oldest first",
            )

    def _parent(self, header: Header) -> Entry:
        parent = self.entries.get(header.prev_block)
        if parent is None:
            raise Rejected("parent", "the extended block is not known")
        return parent

    def _scores(self, parent: Entry, block: Block) -> dict[bytes, float]:
        scores = dict(parent.scores)
        for each in block.transactions:
            self._check_score(parent, each)
            if each.score is None:
                continue
            name, correct, samples = each.score
            if self.published[name].task == parent.task:
                scores[name] = correct / samples
        return scores

    def _check_score(self, parent: Entry, transaction: Transaction) -> None:
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

    def _next_slot(
        self, parent: Entry, scores: dict[bytes, float]
    ) -> tuple[int, int, dict[bytes, float]]:
        """The task after a block: the next one when R_task holds or its slots end."""
        task = self.genesis.tasks[parent.task]
        done = any(score >= task.r_task for score in scores.values())
        over = parent.slot + 1 >= task.slots
        if (done or over) and parent.task + 1 < len(self.genesis.tasks):
            return parent.task + 1, 0, {}
        return parent.task, parent.slot + 1, scores

    def _weight(self, published: Published) -> float:
        parameters = self.genesis.parameters
        if parameters.chain_rule == "longest":
            return 1.0
        t_acc = self.genesis.tasks[published.task].t_acc
        return weight(published.accuracy, t_acc, parameters.weight)

    def _steps(self, name: bytes) -> int:
        return 0 if name == self.name else self.published[name].steps

    def _common_height(self, chain: list[Entry], name: bytes) -> int:
        """Height of the last block of ``chain`` that is ``name`` or its ancestor."""
        on_chain = {entry.name for entry in chain}
        for entry in self.ancestors(name):
            if entry.name in on_chain:
                return entry.height
        raise AssertionError("every block descends from the genesis")

    @contextmanager
    def _convicting(self, h_1: bytes) -> Iterator[None]:
        """Refuse another proof of a pre-hash whose training was found forged.

        Training is a function of the pre-hash, so there is one true one: whoever was
        caught with another must hash and train anew, and cannot keep what it has
        trained and only invent other segments beside it. An unbound pre-hash is
        anybody's and convicts nobody.
        """
        if h_1 in self._convicted:
            raise Rejected("training", "another proof of this pre-hash was forged")
        try:
            yield
        except Rejected as error:
            bound = self.genesis.parameters.binding == "header"
            if bound and error.rule in ("training", "accuracy", "model"):
                self._convicted.add(h_1)
            raise

    @contextmanager
    def _remembered(self, name: bytes) -> Iterator[None]:
        if name in self._refused:
            # A new exception: one that is raised again and again keeps every frame.
            raise Rejected(*self._refused[name])
        try:
            yield
        except Rejected as error:
            # What is missing may still come; everything else is final.
            if error.rule not in ("parent", "reference", "evidence"):
                self._refused[name] = error.rule, error.reason
                if len(self._refused) > _REMEMBERED:
                    self._refused.pop(next(iter(self._refused)))
            raise
