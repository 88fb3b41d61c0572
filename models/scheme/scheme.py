"""The D-PoDL scheme, (Setup, Solve, Verify, Weight), byte-exact and for real.

Each algorithm of [SLT23] §3.2, Construction 1, under its own name:

    Setup(1^λ, task) → (pp, T_1, T_2, D, T_acc)           instances.py
    PreHash(T_1, prevBK, refM) → (nonce, initM, r)        ``prehash``, ``initialize``
    Train(D, T_acc, initM, r) → (M, acc, S, CPs)          ``train`` → ``Training``
    PostHash(T_2, M, acc, S) → b                          ``posthash``
    Solve((T_1, prevBK, refM), (D, T_acc), T_2)           ``solve``
    Verify((T_1, prevBK, refM, ·), (D, T_acc, M, ·), T_2) verification.py
    Weight(acc, T_acc) → w                                ``weight``

h_1 = Hash(prevBK, refM, nonce), and with ``binding = header`` also the miner's key and
the transactions' root. h_2 = Hash(M, acc, S). A hash h passes T when h ≤ T as a
256-bit number.

Training is looked at every ``check_every`` steps. Each look is a ticket: b = 1 with
R = 1 makes a block, b = 1 with R = 0 an mtx (chain rules are in tree.py).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from ..learning.architecture import Initialization as Init, hash_to_architecture
from .checkpoints import (
    checkpoint,
    checkpoint_root,
)
from .encoding import Optional, digest, encode
from .formats import REFERENCE, U32, U64
from .instances import (
    Instance as Instance,
    dataset_digest as dataset_digest,
    setup as setup,
)
from .records import Header, Parameters, Proof, Reference, Task, Way, Weight
from .states import (
    Look,
    Model,
    first_look,
    model_digest,
    parameters_of,
    run_segment,
)

Retry = Literal["continue", "restart"]


class PreHash(NamedTuple):
    """A passed first lottery.

    Attributes:
        nonce: The nonce that passed.
        h_1: Its hash.
        tries: Hashes it took.
    """

    nonce: bytes
    h_1: bytes
    tries: int


class Training(NamedTuple):
    """A training in progress: (M, acc, S, CPs).

    Attributes:
        initialization: (hpp, initLP, r) after the reference has been applied.
        now: The latest look: M with its buffers, acc, S.
        checkpoints: Looks at the multiples of ``checkpoint_every``.
    """

    initialization: Init
    now: Look
    checkpoints: tuple[Look, ...] = ()

    @property
    def model(self) -> Model:
        """M."""
        return Model(self.initialization.hpp, parameters_of(self.now.tensors))


class Solution(NamedTuple):
    """Solve's output with b = 1.

    Attributes:
        proof: (refM, nonce), (M, acc, S, CPs' root).
        h_2: The post-hash.
        training: The training that it comes from.
        looks: The Merkle tree's leaves: the checkpoints and the last look.
        tries: Hashes of all pre-hashes.
        trained_steps: Steps of all attempts.
    """

    proof: Proof
    h_2: bytes
    training: Training
    looks: tuple[Look, ...]
    tries: int
    trained_steps: int


def prehash(
    t_1: int,
    prev_block: bytes,
    reference: Reference | None,
    *,
    nonces: Iterator[bytes],
    bound: bytes = b"",
) -> PreHash:
    """PreHash(T_1, prevBK, refM): sample nonces until h_1 ≤ T_1.

    Args:
        t_1: T_1.
        prev_block: prevBK.
        reference: refM with the way it is used; None is ⊥.
        nonces: Candidates, 16 bytes each.
        bound: What else h_1 covers; see ``bound_bytes``.
    """
    prefix = prehash_prefix(prev_block, reference, bound)
    for tries, nonce in enumerate(nonces, start=1):
        h_1 = digest("prehash", prefix, nonce)
        if passes(h_1, t_1):
            return PreHash(nonce, h_1, tries)
    raise ValueError("nonces ended before one of them passed T_1")


def bound_bytes(parameters: Parameters, header: Header) -> bytes:
    """What binding puts into h_1: nothing, or the miner's key, tx_root and the time."""
    if parameters.binding == "none":
        return b""
    time = b"" if header.time is None else encode(U64, header.time)
    return header.miner + header.tx_root + time


def initialize(
    instance: Instance, h_1: bytes, referenced: Model | None, way: Way | None
) -> Training:
    """(initM, r) of a pre-hash: HtoA(h_1), or a referenced model.

    ``resume``: initM = refM, with its hyper-parameters. ``transplant``: refM's
    architecture and learnable parameters under the fresh hyper-parameters. Training
    randomness is always fresh, optimizer buffers and S start at zero.
    """
    init = hash_to_architecture(h_1, instance.task.menu)
    if referenced is None:
        return Training(init, first_look(init, instance.data, None))
    hpp = referenced.hpp
    if way == "transplant":
        hpp = init.hpp._replace(architecture=hpp.architecture)
    init = init._replace(hpp=hpp)
    return Training(init, first_look(init, instance.data, referenced.parameters))


def advance(instance: Instance, training: Training) -> Training:
    """Train up to the next look."""
    every = instance.parameters.check_every
    now = run_to(instance, training.initialization, training.now, every)
    return follow(instance, training, now)


def follow(instance: Instance, training: Training, now: Look) -> Training:
    """A training with its next look, which is kept if it is a checkpoint."""
    kept = training.checkpoints
    if now.steps % instance.parameters.checkpoint_every == 0:
        kept = (*kept, now)
    return training._replace(now=now, checkpoints=kept)


def train(instance: Instance, training: Training) -> Training:
    """Train(D, T_acc, initM, r): train to the next look with acc ≥ T_acc.

    A training that is there already goes on by at least one look: that is what
    ``continue`` asks for after a failed post-hash. Ends at the horizon whatever the
    accuracy is.
    """
    while training.now.steps < instance.parameters.horizon_steps:
        training = advance(instance, training)
        if reached(instance.parameters, instance.task, training.now.correct):
            break
    return training


def reached(parameters: Parameters, task: Task, correct: int) -> bool:
    """Whether acc ≥ T_acc."""
    return correct / parameters.eval_samples >= task.t_acc


def makes_block(parameters: Parameters, task: Task, correct: int) -> bool:
    """R(acc, T_acc): acc ≥ T_acc under ``longest``, always under ``weight``."""
    return parameters.chain_rule == "weight" or reached(parameters, task, correct)


def posthash(t_2: int, model: bytes, correct: int, steps: int) -> tuple[bytes, bool]:
    """PostHash(T_2, M, acc, S): h_2 = Hash(M, acc, S), and b = 1{h_2 ≤ T_2}.

    Args:
        t_2: T_2; 2^256 − 1 lets every model pass, "no lottery".
        model: Hash(M).
        correct: acc, as a count.
        steps: S.
    """
    h_2 = digest("posthash", model, encode(U32, correct), encode(U64, steps))
    return h_2, passes(h_2, t_2)


def solve(
    instance: Instance,
    header: Header,
    reference: Reference | None,
    referenced: Model | None,
    *,
    nonces: Iterator[bytes],
    retry: Retry = "continue",
    least_steps: int = 1,
) -> Solution:
    """Solve: PreHash → Train → PostHash, again until a block's model passes.

    Args:
        instance: Setup's output.
        header: prevBK, the miner's key and the transactions' root.
        reference: refM's name and the way it is used.
        referenced: refM.
        nonces: Candidates for all pre-hashes.
        retry: After a failed post-hash ``continue`` trains on to the next look above
            T_acc; ``restart`` samples a new nonce. At the horizon both restart.
        least_steps: S_min, or what the step rule asks for: earlier looks do not count.
    """
    parameters = instance.parameters
    tries = trained = 0
    while True:
        passed = prehash(
            parameters.t_1,
            header.prev_block,
            reference,
            nonces=nonces,
            bound=bound_bytes(parameters, header),
        )
        tries += passed.tries
        way = reference.way if reference else None
        training = initialize(instance, passed.h_1, referenced, way)
        while training.now.steps < parameters.horizon_steps:
            before = training.now.steps
            if parameters.chain_rule == "weight":  # R ≡ 1: every look is a ticket
                training = advance(instance, training)
            else:
                training = train(instance, training)
            trained += training.now.steps - before
            if training.now.steps < least_steps:
                continue
            if not makes_block(parameters, instance.task, training.now.correct):
                break
            h_2, b = ticket(instance, training)
            if b:
                proof, looks = prove(training, reference, passed.nonce)
                return Solution(proof, h_2, training, looks, tries, trained)
            if retry == "restart":
                break


def ticket(instance: Instance, training: Training) -> tuple[bytes, bool]:
    """PostHash of a training's latest look."""
    now = training.now
    return posthash(
        instance.parameters.t_2, model_digest(training.model), now.correct, now.steps
    )


def prove(
    training: Training, reference: Reference | None, nonce: bytes
) -> tuple[Proof, tuple[Look, ...]]:
    """The proof of a training's latest look, and its Merkle leaves.

    The leaves are the ends of the segments; initM is none of them, since verifiers
    derive it.
    """
    now = training.now
    looks = training.checkpoints
    if not looks or looks[-1].steps != now.steps:
        looks = (*looks, now)
    return (
        Proof(
            reference,
            nonce,
            model_digest(training.model),
            now.correct,
            now.steps,
            checkpoint_root(tuple(map(checkpoint, looks))),
        ),
        looks,
    )


def weight(accuracy: float, t_acc: float, family: Weight) -> float:
    """Weight(acc, T_acc): how much a block counts under the ``weight`` rule.

    ``indicator`` 1{acc ≥ T_acc}, ``linear`` min(1, acc/T_acc), ``exponential``
    2^{κ(acc − T_acc)}.
    """
    if family.family == "indicator":
        return float(accuracy >= t_acc)
    if family.family == "linear":
        return min(1.0, accuracy / t_acc)
    return 2.0 ** (family.kappa * (accuracy - t_acc))


def run_to(instance: Instance, init: Init, begin: Look, steps: int) -> Look:
    """The look ``steps`` steps after ``begin``: one segment of a training."""
    parameters = instance.parameters
    return run_segment(
        init,
        instance.data,
        begin,
        steps=steps,
        check_every=parameters.check_every,
        eval_samples=parameters.eval_samples,
    )


def prehash_prefix(
    prev_block: bytes, reference: Reference | None, bound: bytes
) -> bytes:
    """What a pre-hash covers besides its nonce."""
    # Fixed lengths or encoded, so that no two inputs give the same bytes.
    return prev_block + encode(Optional(REFERENCE), reference) + bound


def passes(hashed: bytes, target: int) -> bool:
    """Whether a hash wins a lottery: h ≤ T."""
    return int.from_bytes(hashed, "big") <= target
