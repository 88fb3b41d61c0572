"""What the chain is made of: every record that is hashed, signed or stored.

Names ([SLT23] §3.2, §4.1):
    T_1, T_2, S_min, binding, ...   ``Parameters``, what Setup gives besides the task
    (D, T_acc, ...)                 ``Task``
    refM                            ``Reference``
    (M_i, acc_i, S_i)               ``Checkpoint``, a Merkle leaf
    (refM, nonce, ·), (M, acc, S, CPs)   ``Proof``
    mtx                             ``Mtx``
    bk                              ``Block``

initM and r are not carried: they follow from h_1 and refM, and Verify derives them.
Accuracies are counts of correct examples, so that no rounding enters a hash.
"""

from typing import Literal, NamedTuple

from ..learning.architecture import Menu

NONCE_BYTES = 16
KEY_BYTES = 32
SIGNATURE_BYTES = 64
HASH_BITS = 256
UNSIGNED = bytes(SIGNATURE_BYTES)

# Limits of the encoding. They bound what hostile bytes can ask for, not what an
# experiment would.
MAXIMUM_TRANSACTIONS = 4096
MAXIMUM_REFERENCES = 256
MAXIMUM_TASKS = 256
MAXIMUM_ALLOCATIONS = 4096
MAXIMUM_PRICES = 4096

Way = Literal["resume", "transplant"]


class Build(NamedTuple):
    """What decides the bits of a training besides its inputs.

    Attributes:
        jax: Version of jax.
        jaxlib: Version of jaxlib, and with it of XLA.
        platform: Backend, ``cpu``, ``gpu`` or ``tpu``.
        device: The device's kind, as JAX names it.
        flags: XLA_FLAGS and JAX's numeric settings.
        canary: Digest of a short fixed training: what the arithmetic really gives.
    """

    jax: str
    jaxlib: str
    platform: str
    device: str
    flags: str
    canary: bytes


class Weight(NamedTuple):
    """w(acc, T_acc), a block's weight.

    Attributes:
        family: ``indicator`` 1{acc ≥ T_acc}; ``linear`` ramp min(1, acc/T_acc);
            ``exponential`` 2^{κ(acc − T_acc)}.
        kappa: κ ≥ 0; used by ``exponential``.
    """

    family: Literal["indicator", "linear", "exponential"] = "indicator"
    kappa: float = 0.0


class Retarget(NamedTuple):
    """How T_2 follows the chain: ``chain.retarget.Rule``, as a genesis has it.

    Attributes:
        rule: Which.
        interval: T, in ticks of the timestamps (steps of a unit-speed prover); of
            ``steps``, own proven steps.
        blocks: N.
        schedule: Whether N becomes N (1 − s).
        anti_windup: Whether a block of the highest target counts for at most T.
        share: s in units of 2^-16.
        share_blocks: Blocks whose proven steps tell s; 0: ``share`` holds.
        selection: What a block counts for in chain selection.
    """

    rule: Literal[
        "epoch", "epoch_mended", "wtema", "asert", "lwma", "sma", "cw144", "steps"
    ]
    interval: int
    blocks: int
    schedule: bool = False
    anti_windup: bool = False
    share: int = 0
    share_blocks: int = 0
    selection: Literal["number", "work", "interval"] = "number"


class StepPrice(NamedTuple):
    """What a training step counts for where rewards go by operations.

    Attributes:
        architecture: Name in the menu.
        batch_size: Examples a step.
        operations: Multiplications and additions of such a step.
    """

    architecture: str
    batch_size: int
    operations: int


class RewardRule(NamedTuple):
    """How a block's reward is split along the lineage of its model.

    Attributes:
        family: ``steps`` as [SLT23] has it, S_j/(Σ S_j + S); ``equal`` to every model
            alike; ``operations`` the steps weighed with what a step costs; ``own``
            nothing for references; ``decay`` the steps, times δ^j for the j-th model
            that is referred to.
        decay: δ in 65536ths; used by ``decay``.
        prices: What a step costs, used by ``operations``; one entry for every
            architecture and batch size of the menu.
    """

    family: Literal["steps", "equal", "operations", "own", "decay"] = "steps"
    decay: int = 1 << 15
    prices: tuple[StepPrice, ...] = ()


class Parameters(NamedTuple):
    """pp with T_1 and T_2: the rules every participant applies.

    Attributes:
        t_1: Pre-hash target: h_1 ≤ T_1.
        t_2: Post-hash target: h_2 ≤ T_2.
        s_min: Least training steps of a block on a fresh task, and more under the
            step rule.
        check_every: Steps between two looks; a proof ends at a look.
        checkpoint_every: Steps between two checkpoints; whole looks.
        challenges: q, segments a verifier re-runs besides the last.
        horizon_steps: Most steps of one proof.
        eval_samples: Training examples a look scores, drawn by r.
        binding: Whether the miner's key and transactions enter h_1 (``header``).
        chain_rule: ``longest`` or ``weight``.
        weight: Weight function of the ``weight`` rule.
        tie_rule: Between equal chains.
        step_rule: Whether old work must be matched ([SLT23] §4.1).
        reference_window: Reference rule: a referenced model extends an ancestor of the
            extended block, at most so many blocks back; None: no rule.
        tolerance: Largest difference of a re-executed parameter that passes; 0: none,
            bit for bit. More than 0 opens post-hash grinding.
        reward: Coins a block pays.
        reward_rule: How they are split.
        retarget: How T_2 follows the chain; ``t_2`` is the first block's. None: it
            stays.
    """

    t_1: int
    t_2: int
    s_min: int
    check_every: int
    checkpoint_every: int
    challenges: int
    horizon_steps: int
    eval_samples: int
    binding: Literal["none", "header"] = "header"
    chain_rule: Literal["longest", "weight"] = "longest"
    weight: Weight = Weight()
    tie_rule: Literal["first_seen", "adversary", "random"] = "first_seen"
    step_rule: bool = True
    reference_window: int | None = 6
    tolerance: float = 0.0
    reward: int = 1_000_000
    reward_rule: RewardRule = RewardRule()
    retarget: Retarget | None = None


class Task(NamedTuple):
    """A deep-learning task as its publisher gives it.

    Attributes:
        name: For people.
        dataset: Digest of D, images and labels in their order.
        t_acc: T_acc, the training accuracy a block's model must reach.
        r_task: R_task: the test accuracy at which the publisher moves on.
        slots: ℓ, most time slots the task takes.
        menu: What HtoA can pick.
    """

    name: str
    dataset: bytes
    t_acc: float
    r_task: float
    slots: int
    menu: Menu


class Allocation(NamedTuple):
    """Coins a key owns from the start."""

    owner: bytes
    amount: int


class Genesis(NamedTuple):
    """The block nobody mined: rules, tasks, build, first coins.

    Attributes:
        parameters: The rules.
        tasks: In the order they are worked on; the last one stays.
        publisher: Key that signs test scores.
        build: Where proofs can be re-executed.
        allocations: First coins.
        seed: Tells chains of equal settings apart.
        config: SHA-256 of the settings it was made from; zeros: none.
    """

    parameters: Parameters
    tasks: tuple[Task, ...]
    publisher: bytes
    build: Build
    allocations: tuple[Allocation, ...] = ()
    seed: int = 0
    config: bytes = bytes(32)


class Reference(NamedTuple):
    """refM: the model a training starts from.

    Attributes:
        kind: Where the model was published, ``mtx`` or ``block``.
        digest: Of that record.
        way: ``resume``: initM = refM; ``transplant``: refM's learnable parameters and
            architecture with fresh hyper-parameters.
    """

    kind: Literal["mtx", "block"]
    digest: bytes
    way: Way


class Checkpoint(NamedTuple):
    """(M_i, acc_i, S_i), a Merkle leaf.

    Attributes:
        state: Digest of the training state: parameters and optimizer buffers.
        correct: Correct examples among ``eval_samples``.
        steps: S_i.
    """

    state: bytes
    correct: int
    steps: int


class Header(NamedTuple):
    """What a proof is for.

    Attributes:
        prev_block: Digest of the block that is extended.
        miner: Public key.
        tx_root: Merkle root of the transactions.
        time: When the proof's pre-hash was begun, in ticks; None on a chain without a
            rule for T_2. It is bound as the miner's key is, so that a proof has one.
    """

    prev_block: bytes
    miner: bytes
    tx_root: bytes
    time: int | None = None


class Proof(NamedTuple):
    """(refM, nonce), (M, acc, S, CPs).

    Attributes:
        reference: refM; None is ⊥, a fresh model.
        nonce: What made h_1 ≤ T_1.
        model: Digest of M: hyper-parameters and learnable parameters.
        correct: acc · eval_samples.
        steps: S.
        cp_root: Merkle root of the checkpoints.
    """

    reference: Reference | None
    nonce: bytes
    model: bytes
    correct: int
    steps: int
    cp_root: bytes


class Mtx(NamedTuple):
    """A model transaction: a model offered for reference, b = 1."""

    header: Header
    proof: Proof
    signature: bytes


class Transfer(NamedTuple):
    """Coins for another key."""

    to: bytes
    amount: int


class Score(NamedTuple):
    """The publisher's word on a selected model's test accuracy.

    Attributes:
        block: Whose model.
        correct: Correct test examples.
        samples: Test examples.
    """

    block: bytes
    correct: int
    samples: int


class Transaction(NamedTuple):
    """A signed transaction.

    Attributes:
        sender: Public key.
        sequence: The sender's transactions so far; so none can be replayed.
        transfer: Coins, or None.
        score: A test score, or None. Exactly one of the two is there.
        signature: Of the sender, over everything above and the chain's genesis.
    """

    sender: bytes
    sequence: int
    transfer: Transfer | None
    score: Score | None
    signature: bytes


class Block(NamedTuple):
    """bk: a proof whose model is good enough, with transactions.

    Attributes:
        header: What is extended, by whom, with which transactions.
        proof: The work.
        transactions: Their Merkle root is in the header.
        mtxs: Referenced model transactions that no block before has brought.
        signature: Of the miner, over everything above.
    """

    header: Header
    proof: Proof
    transactions: tuple[Transaction, ...]
    mtxs: tuple[Mtx, ...]
    signature: bytes
