"""The records' bytes: a codec for each kind, and the digests that name them."""

from ..learning.architecture import Axis, HyperParameters, Menu, Optimizer
from .encoding import (
    DIGEST,
    Choice,
    Fixed,
    Flag,
    Float,
    Optional,
    Record,
    Sequence,
    Text,
    Unsigned,
    digest,
    encode,
)
from .records import (
    KEY_BYTES,
    MAXIMUM_ALLOCATIONS,
    MAXIMUM_PRICES,
    MAXIMUM_REFERENCES,
    MAXIMUM_TASKS,
    MAXIMUM_TRANSACTIONS,
    NONCE_BYTES,
    SIGNATURE_BYTES,
    UNSIGNED,
    Allocation,
    Block,
    Build,
    Checkpoint,
    Genesis,
    Header,
    Mtx,
    Parameters,
    Proof,
    Reference,
    Retarget,
    RewardRule,
    Score,
    StepPrice,
    Task,
    Transaction,
    Transfer,
    Weight,
)

U32, U64, U256 = Unsigned(4), Unsigned(8), Unsigned(32)


KEY, SIGNATURE, NONCE = Fixed(KEY_BYTES), Fixed(SIGNATURE_BYTES), Fixed(NONCE_BYTES)
_NAME = Text(64)


BUILD = Record(
    Build,
    1,
    {
        "jax": _NAME,
        "jaxlib": _NAME,
        "platform": _NAME,
        "device": _NAME,
        "flags": Text(1024),
        "canary": DIGEST,
    },
)


WEIGHT = Record(
    Weight,
    2,
    {"family": Choice(("indicator", "linear", "exponential")), "kappa": Float()},
)


RETARGET = Record(
    Retarget,
    25,
    {
        "rule": Choice(
            ("epoch", "epoch_mended", "wtema", "asert", "lwma", "sma", "cw144", "steps")
        ),
        "interval": U64,
        "blocks": U32,
        "schedule": Flag(),
        "anti_windup": Flag(),
        "share": U32,
        "share_blocks": U32,
        "selection": Choice(("number", "work", "interval")),
    },
)


STEP_PRICE = Record(
    StepPrice, 24, {"architecture": _NAME, "batch_size": U32, "operations": U64}
)


REWARD_RULE = Record(
    RewardRule,
    23,
    {
        "family": Choice(("steps", "equal", "operations", "own", "decay")),
        "decay": U32,
        "prices": Sequence(STEP_PRICE, MAXIMUM_PRICES),
    },
)


PARAMETERS = Record(
    Parameters,
    3,
    {
        "t_1": U256,
        "t_2": U256,
        "s_min": U64,
        "check_every": U32,
        "checkpoint_every": U32,
        "challenges": U32,
        "horizon_steps": U64,
        "eval_samples": U32,
        "binding": Choice(("none", "header")),
        "chain_rule": Choice(("longest", "weight")),
        "weight": WEIGHT,
        "tie_rule": Choice(("first_seen", "adversary", "random")),
        "step_rule": Flag(),
        "reference_window": Optional(U32),
        "tolerance": Float(),
        "reward": U64,
    },
    added={"reward_rule": (REWARD_RULE, RewardRule()), "retarget": (RETARGET, None)},
)


HYPER_PARAMETERS = Record(
    HyperParameters,
    4,
    {
        "architecture": _NAME,
        "optimizer": _NAME,
        "learning_rate": Float(),
        "momentum": Float(),
        "batch_size": U32,
        "init_scale": Float(),
    },
)


_OPTIMIZER = Record(
    Optimizer,
    5,
    {
        "name": _NAME,
        "learning_rates": Sequence(Float(), 64),
        "momenta": Sequence(Float(), 64),
    },
)


def _axis(option, kind: int) -> Record:
    fields = {"options": Sequence(option, 64), "weights": Sequence(U32, 64)}
    return Record(Axis, kind, fields)


MENU = Record(
    Menu,
    6,
    {
        "architectures": _axis(_NAME, 7),
        "optimizers": _axis(_OPTIMIZER, 8),
        "batch_sizes": _axis(U32, 9),
        "init_scales": _axis(Float(), 10),
    },
)


TASK = Record(
    Task,
    11,
    {
        "name": _NAME,
        "dataset": DIGEST,
        "t_acc": Float(),
        "r_task": Float(),
        "slots": U32,
        "menu": MENU,
    },
)


ALLOCATION = Record(Allocation, 12, {"owner": KEY, "amount": U64})


GENESIS = Record(
    Genesis,
    13,
    {
        "parameters": PARAMETERS,
        "tasks": Sequence(TASK, MAXIMUM_TASKS),
        "publisher": KEY,
        "build": BUILD,
        "allocations": Sequence(ALLOCATION, MAXIMUM_ALLOCATIONS),
        "seed": U64,
        "config": DIGEST,
    },
)


REFERENCE = Record(
    Reference,
    14,
    {
        "kind": Choice(("mtx", "block")),
        "digest": DIGEST,
        "way": Choice(("resume", "transplant")),
    },
)


CHECKPOINT = Record(Checkpoint, 15, {"state": DIGEST, "correct": U32, "steps": U64})


HEADER = Record(
    Header,
    16,
    {"prev_block": DIGEST, "miner": KEY, "tx_root": DIGEST},
    added={"time": (U64, None)},
)


PROOF = Record(
    Proof,
    17,
    {
        "reference": Optional(REFERENCE),
        "nonce": NONCE,
        "model": DIGEST,
        "correct": U32,
        "steps": U64,
        "cp_root": DIGEST,
    },
)


MTX = Record(Mtx, 18, {"header": HEADER, "proof": PROOF, "signature": SIGNATURE})


TRANSFER = Record(Transfer, 19, {"to": KEY, "amount": U64})


SCORE = Record(Score, 20, {"block": DIGEST, "correct": U32, "samples": U32})


TRANSACTION = Record(
    Transaction,
    21,
    {
        "sender": KEY,
        "sequence": U64,
        "transfer": Optional(TRANSFER),
        "score": Optional(SCORE),
        "signature": SIGNATURE,
    },
)


BLOCK = Record(
    Block,
    22,
    {
        "header": HEADER,
        "proof": PROOF,
        "transactions": Sequence(TRANSACTION, MAXIMUM_TRANSACTIONS),
        "mtxs": Sequence(MTX, MAXIMUM_REFERENCES),
        "signature": SIGNATURE,
    },
)


def genesis_digest(genesis: Genesis) -> bytes:
    """The name of a chain, and prevBK of its first block."""
    return digest("genesis", encode(GENESIS, genesis))


def block_digest(block: Block) -> bytes:
    """A block's name: the hash of what its miner signs.

    No signature but the transactions' is part of it. An Ed25519 signer can make any
    number of valid signatures, and each would make another block of one proof.
    """
    return digest("block", encode(BLOCK, unsigned_block(block)))


def mtx_digest(mtx: Mtx) -> bytes:
    """A model transaction's name: the hash of what its miner signs."""
    return digest("mtx", encode(MTX, unsigned_mtx(mtx)))


def unsigned_block(block: Block) -> Block:
    """A block with zeros for its signature and those of the mtxs it brings."""
    mtxs = tuple(map(unsigned_mtx, block.mtxs))
    return block._replace(mtxs=mtxs, signature=UNSIGNED)


def unsigned_mtx(mtx: Mtx) -> Mtx:
    """A model transaction with zeros for its signature."""
    return mtx._replace(signature=UNSIGNED)
