"""What is valid: blocks and model transactions, verified and entered into the tree.

The rules of references, steps and scores are those of tree.py; here the records' own
claims are checked: signatures, lotteries, training, transactions.

Validity is a function of bytes: a ``Ledger`` judges each record once, for whoever
asks. Which chain a participant selects among valid ones is in view.py.
"""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

from ..learning.curves import TrainingSet
from ..scheme.checkpoints import Archive, Rejected
from ..scheme.formats import block_digest, mtx_digest
from ..scheme.instances import Instance, setup
from ..scheme.records import (
    Block,
    Build,
    Genesis,
    Header,
    Mtx,
    Proof,
    Reference,
)
from ..scheme.verification import stored_model, verify, verify_hashes
from .entries import Entry as Entry, Published as Published
from .retarget.fold import State, advance
from .rewards import Contribution, operations_of, share_out, trained_setting
from .transactions import (
    apply_transactions,
    block_message,
    check_signature,
    mtx_message,
    pay,
    tx_root,
)
from .tree import BlockTree

# Refusals that are kept, so that a record is not judged again and again.
_REMEMBERED = 1 << 16


class Ledger(BlockTree):
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
        super().__init__(genesis)
        self.instances: tuple[Instance, ...] = tuple(
            setup(genesis.parameters, task, each, genesis.build)
            for task, each in zip(genesis.tasks, data or (), strict=data is not None)
        )
        self._archive = archive
        self._here = here
        self._challenges = challenges
        self._judged = judged
        self._refused: dict[bytes, tuple[str, str]] = {}
        self._convicted: set[bytes] = set()

    def instance(self, tip: bytes) -> Instance:
        """The task that a block on ``tip`` works on, with the T_2 that it must meet."""
        found = self.instances[self.entries[tip].task]
        return found._replace(parameters=self.parameters_at(tip))

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

    def _accept_mtx(self, name: bytes, mtx: Mtx, later: bytes) -> Published:
        parent = self.parent_of(mtx.header)
        if self.makes_block(parent.name, mtx.proof.correct):
            raise Rejected("mtx", "R = 1: this model is a block's, not an mtx's")
        published = self._verified(name, "mtx", mtx, later)
        self.published[name] = published
        return published

    def _accept_block(self, name: bytes, block: Block, later: bytes) -> Entry:
        header, proof = block.header, block.proof
        parent = self.parent_of(header)
        if tx_root(block.transactions) != header.tx_root:
            raise Rejected("transactions", "their root is not the header's")
        accounts = apply_transactions(parent.accounts, block.transactions, self.name)
        scores = self._scores(parent, block)
        # Both lotteries before any mtx is re-executed: whoever wants to waste others'
        # time has to win them first.
        self.check_time(parent, header)
        verify_hashes(self.parameters_at(parent.name), header, proof)
        for mtx in block.mtxs:
            self.add_mtx(mtx, later=later)
        self._require_known(proof.reference)
        self.check_brought(parent, block)
        parameters = self.genesis.parameters
        if not self.makes_block(parent.name, proof.correct):
            raise Rejected(
                "accuracy",
                f"acc is {proof.correct / parameters.eval_samples:.4g}, a block "
                f"needs {self.genesis.tasks[parent.task].t_acc}",
            )
        self._check_steps(header, proof)
        published = self._verified(name, "block", block, later)
        self.published[name] = published

        rewards = self._rewards(published)
        task, slot, scores = self.next_slot(parent, scores)
        entry = Entry(
            name=name,
            parent=parent.name,
            height=parent.height + 1,
            weight=parent.weight + self.weight_of(published),
            accounts=pay(accounts, rewards),
            task=task,
            slot=slot,
            scores=scores,
            brought=parent.brought | {mtx_digest(mtx) for mtx in block.mtxs},
            rewards=rewards,
            retarget=self._retargeted(parent, header, proof),
        )
        self.entries[name] = entry
        return entry

    def _rewards(self, published: Published) -> dict[bytes, int]:
        parameters = self.genesis.parameters
        rule = parameters.reward_rule
        models = [published, *self.lineage(published.name)]
        return share_out(
            rule,
            parameters.reward,
            [
                Contribution(each.miner, each.steps, operations_of(rule, each.hpp))
                for each in models
            ],
        )

    def _verified(
        self, name: bytes, kind: str, record: Block | Mtx, later: bytes
    ) -> Published:
        header, proof = record.header, record.proof
        parent = self.parent_of(header)
        referenced = self._referenced(proof, parent)
        self.check_time(parent, header)
        h_1 = verify_hashes(self.parameters_at(parent.name), header, proof)
        model = None
        if self.instances and name in self._judged:
            model = stored_model(
                self.instance(parent.name),
                h_1,
                proof,
                referenced.model if referenced else None,
                self._archive,
            )
        elif self.instances:
            with self._convicting(h_1):
                model = verify(
                    self.instance(parent.name),
                    header,
                    proof,
                    referenced.model if referenced else None,
                    self._archive,
                    here=self._here,
                    challenges=self._challenges,
                    later=later,
                ).model
        lineage = (referenced.name, *referenced.lineage) if referenced else ()
        hpp = trained_setting(
            h_1,
            self.genesis.tasks[parent.task],
            referenced.hpp if referenced else None,
            proof.reference.way if proof.reference else None,
        )
        return Published(
            name=name,
            kind=kind,
            record=record,
            task=parent.task,
            extends=parent.name,
            model=model,
            accuracy=proof.correct / self.genesis.parameters.eval_samples,
            lineage=lineage,
            hpp=hpp,
        )

    def _retargeted(self, parent: Entry, header: Header, proof: Proof) -> State | None:
        if self.rule is None or parent.retarget is None or header.time is None:
            return None
        return advance(self.rule, parent.retarget, time=header.time, steps=proof.steps)

    def _referenced(self, proof: Proof, parent: Entry) -> Published | None:
        if proof.reference is None:
            return None
        found = self.published.get(proof.reference.digest)
        if found is None or found.kind != proof.reference.kind:
            raise Rejected("reference", "the referenced model is not known")
        self.check_reference(parent, found)
        return found

    def _require_known(self, reference: Reference | None) -> None:
        if reference is not None and reference.digest not in self.published:
            raise Rejected("reference", "the referenced model is not known")

    def _check_steps(self, header: Header, proof: Proof) -> None:
        debt = self.step_debt(header.prev_block, proof.reference)
        if proof.steps < debt:
            rule = "step rule" if self.genesis.parameters.step_rule else "s_min"
            raise Rejected(rule, f"at least {debt} steps are due, got {proof.steps}")

    def _scores(self, parent: Entry, block: Block) -> dict[bytes, float]:
        scores = dict(parent.scores)
        for each in block.transactions:
            self.check_score(parent, each)
            if each.score is None:
                continue
            name, correct, samples = each.score
            if self.published[name].task == parent.task:
                scores[name] = correct / samples
        return scores

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
