"""A forger's tools: proofs with invented checkpoints, logs that are written anew.

The forger trains the last segments of a proof from a state it has invented, and names
that state as the end of every segment before. It re-rolls the proof's own draw by the
counts of correct examples of checkpoints that nobody trained: a few hashes each.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

from dpodl.experiments.config.loading import parse_config
from dpodl.experiments.mining.closing import close
from dpodl.experiments.mining.reading import hear_logged, read_chain
from dpodl.experiments.mining.setting import Seeds
from dpodl.experiments.mining.store import ChainFolder, ChainWriter, Logged
from dpodl.experiments.world.dataset import config_dataset
from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.transactions import Key, sign_block, sign_mtx, tx_root
from dpodl.models.chain.view import View
from dpodl.models.learning.curves import training_set
from dpodl.models.scheme.build import this_build
from dpodl.models.scheme.checkpoints import (
    challenge_seed,
    checkpoint,
    checkpoint_root,
    draw_challenges,
)
from dpodl.models.scheme.encoding import digest
from dpodl.models.scheme.records import UNSIGNED, Block, Header, Mtx, Proof, Reference
from dpodl.models.scheme.scheme import (
    Solution,
    bound_bytes,
    initialize,
    posthash,
    prehash,
    solve,
)
from dpodl.models.scheme.states import (
    Look,
    Model,
    model_digest,
    parameters_of,
    run_segment,
)

EVE, BOB = Key(b"\x66" * 32), Key(b"\x42" * 32)


class Forger:
    """Goes on from a chain folder that it may write to.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path):
        self.folder = ChainFolder(path)
        self.genesis = self.folder.genesis()
        self.config = parse_config(self.folder.config(), "config")
        dataset = config_dataset(self.config)
        data = training_set(dataset.x_train, dataset.y_train)
        self.ledger = Ledger(
            self.genesis,
            [data] * len(self.genesis.tasks),
            self.folder,
            this_build(),
            challenges=0,
        )
        self.view = View(self.ledger)
        self.log = list(self.folder.records())
        for logged in self.log:
            hear_logged(self.view, logged.record)
        self._nonces = nonces()

    def honest_block(self, key: Key = BOB, **settings) -> Block:
        """A block that was really trained, on the tip."""
        header = Header(self.view.tip, key.public, tx_root(()))
        found = self.solved(header, **settings)
        return sign_block(
            key, self.ledger.name, Block(header, found.proof, (), (), UNSIGNED)
        )

    def solved(self, header: Header, reference=None, model=None) -> Solution:
        """Solve, with the checkpoints kept."""
        found = solve(
            self.ledger.instance(self.view.tip),
            header,
            reference,
            model,
            nonces=self._nonces,
            least_steps=self.ledger.step_debt(self.view.tip, reference)
            if reference is None
            else 1,
        )
        self.folder.put(found.proof.cp_root, found.looks)
        return found

    def forged_block(self, segments: int, *, honest: int = 2) -> Block:
        """A block of which only the last segments were trained."""
        header = Header(self.view.tip, EVE.public, tx_root(()))
        best = max(self.ledger.published.values(), key=lambda each: each.accuracy).model
        proof = self.forged_proof(header, segments, honest, stolen=best, good=True)
        block = Block(header, proof, (), (), UNSIGNED)
        return sign_block(EVE, self.ledger.name, block)

    def forged_mtx(self, segments: int, *, honest: int = 2) -> Mtx:
        """A model transaction of which only the last segments were trained."""
        header = Header(self.view.tip, EVE.public, tx_root(()))
        proof = self.forged_proof(header, segments, honest, stolen=None, good=False)
        return sign_mtx(EVE, self.ledger.name, Mtx(header, proof, UNSIGNED))

    def block_on(self, mtx: Mtx) -> Block:
        """A block of Eve's that brings a model transaction and goes on from it."""
        header = Header(self.view.tip, EVE.public, tx_root(()))
        name = self.ledger.add_mtx(mtx).name
        reference = Reference("mtx", name, "resume")
        found = self.solved(header, reference, self.ledger.published[name].model)
        block = Block(header, found.proof, (), (mtx,), UNSIGNED)
        return sign_block(EVE, self.ledger.name, block)

    def forged_proof(
        self,
        header: Header,
        segments: int,
        honest: int,
        *,
        stolen: Model | None,
        good: bool,
    ) -> Proof:
        """A proof whose own draw, ground, misses what was invented."""
        instance = self.ledger.instance(header.prev_block)
        rules, every = instance.parameters, instance.parameters.checkpoint_every
        least = instance.task.t_acc * rules.eval_samples
        while True:
            bound = bound_bytes(rules, header)
            passed = prehash(
                rules.t_1, header.prev_block, None, nonces=self._nonces, bound=bound
            )
            start = initialize(instance, passed.h_1, None, None)
            invented = start.now.tensors | (stolen.parameters if stolen else {})
            now = Look(invented, 0, (segments - honest) * every)
            tail = []
            for _ in range(honest):
                now = run_segment(
                    start.initialization,
                    instance.data,
                    now,
                    steps=every,
                    check_every=rules.check_every,
                    eval_samples=rules.eval_samples,
                )
                tail.append(now)
            model = model_digest(
                Model(start.initialization.hpp, parameters_of(now.tensors))
            )
            passes = posthash(rules.t_2, model, now.correct, now.steps)[1]
            if passes and (now.correct >= least) == good:
                break
        states = [checkpoint(look) for look in tail]
        jump = checkpoint(Look(invented, 0, every))
        for counts in itertools.product(range(rules.eval_samples), repeat=2):
            made = [
                jump._replace(
                    correct=counts[place] if place < 2 else 0,
                    steps=(place + 1) * every,
                )
                for place in range(segments - honest)
            ]
            root = checkpoint_root((*made, *states))
            proof = Proof(None, passed.nonce, model, now.correct, now.steps, root)
            drawn = draw_challenges(
                challenge_seed(header, proof), segments, rules.challenges
            )
            if all(place >= segments - honest for place in drawn):
                looks = [Look(invented, each.correct, each.steps) for each in made]
                self.folder.put(root, [*looks, *tail])
                return proof
        raise AssertionError("no draw passes")

    def add(self, record: Block | Mtx) -> None:
        """Take a record into the log to be written."""
        hear_logged(self.view, record)
        time = self.log[-1].time + 1 if self.log else 0.0
        block = record if isinstance(record, Block) else None
        mtx = record if isinstance(record, Mtx) else None
        self.log.append(Logged(time, block, mtx))

    def write(self) -> None:
        """Write the log anew, and close it as the publisher."""
        write_log(self.folder.path, self.log)


def write_log(path: Path, log: list[Logged]) -> None:
    """Write a log anew, and close it with the key that follows from the config."""
    folder = ChainFolder(path)
    folder.log.write_bytes(b"")
    with ChainWriter(folder) as writer:
        for logged in log:
            writer.append(logged)
    reclose(path)


def reclose(path: Path) -> None:
    """Close a log with the key that follows from the config."""
    folder = ChainFolder(path)
    config = parse_config(folder.config(), "config")
    close(folder, Seeds(config).publisher, read_chain(path).tip)


def nonces() -> Iterator[bytes]:
    """Nonces of the forger's."""
    prefix = digest("test/forger", bytes(1))[:8]
    return (prefix + each.to_bytes(8, "big") for each in itertools.count())
