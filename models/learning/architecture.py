"""Hash-to-architecture: a digest picks the model that must be trained.

Notation ([SLT23] §3.2, Construction 1):
    h = h'‖h''          pre-hash, 256 bits     ``digest``
    hpp                 hyper-parameters       ``HyperParameters``
    initLP              initial parameters     ``init_seed`` (networks.py draws them)
    r = Hash(h'')       training randomness    ``r``
    HtoA(h)             (hpp, initLP, r)       ``hash_to_architecture``

A provers' pre-hash is small (h ≤ T_1 fixes its leading bits to zero), so its bits
are never read as digits: both halves go through SHA-256 first.
"""

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

OPTIMIZERS = ("sgd", "momentum", "adam")

ImageShape = tuple[int, ...]
"""(height, width) of grey images, (height, width, channels) of coloured ones."""

_ARCHITECTURE = re.compile(r"softmax|(mlp|cnn)-([1-9][0-9]{0,3})")
_DIGEST_BYTES = 32
_WORDS = 1 << 256
# Training is done in float32, whose largest number this is.
_LARGEST = (2 - 2**-23) * 2.0**127
_Option = TypeVar("_Option")


class Architecture(NamedTuple):
    """A network's family and its width: ``softmax``, ``mlp-W`` or ``cnn-C``.

    Attributes:
        family: ``softmax``, ``mlp`` or ``cnn``.
        width: Hidden units W or first-layer channels C; 0 for ``softmax``.
    """

    family: str
    width: int

    @classmethod
    def parse(cls, name: str) -> "Architecture":
        """Read an architecture's name.

        Raises:
            ValueError: If the name is none of the three forms.
        """
        match = _ARCHITECTURE.fullmatch(name)
        if match is None:
            raise ValueError(
                "architecture must be 'softmax', 'mlp-W' or 'cnn-C' with a width "
                f"from 1 to 9999, got {name!r}"
            )
        family, width = match.groups()
        return cls(family or "softmax", int(width or 0))


@dataclass(frozen=True)
class Axis(Generic[_Option]):
    """The options of one choice with whole-number weights, so shares are exact.

    Attributes:
        options: What can be chosen; no repeats.
        weights: One positive whole number an option; its share is weight/Σ weights.
    """

    options: tuple[_Option, ...]
    weights: tuple[int, ...]

    def __post_init__(self):
        if not self.options:
            raise ValueError("an axis of the menu needs at least one option, got none")
        if len(set(self.options)) != len(self.options):
            raise ValueError(f"options must differ, got {self.options}")
        if len(self.weights) != len(self.options) or min(self.weights) < 1:
            raise ValueError(
                f"weights must be {len(self.options)} whole numbers ≥ 1, "
                f"got {self.weights}"
            )

    @classmethod
    def of(
        cls, options: Sequence[_Option], weights: Sequence[int] | None = None
    ) -> "Axis[_Option]":
        """An axis from any sequence; equal weights unless told otherwise."""
        chosen = (1,) * len(options) if weights is None else tuple(weights)
        return cls(tuple(options), chosen)

    @property
    def radix(self) -> int:
        """The number of equally likely digits, Σ weights."""
        return sum(self.weights)

    def choose(self, digit: int) -> _Option:
        """The option whose weight interval holds ``digit`` in [0, radix)."""
        for option, weight in zip(self.options, self.weights, strict=True):
            if digit < weight:
                return option
            digit -= weight
        raise ValueError(f"digit must be below {self.radix}")


class Optimizer(NamedTuple):
    """An update rule with the settings that belong to it.

    Attributes:
        name: ``sgd``, ``momentum`` or ``adam``.
        learning_rates: The grid its learning rate is drawn from.
        momenta: The grid its momentum is drawn from; ``(0.0,)`` for sgd and adam.
    """

    name: str
    learning_rates: tuple[float, ...]
    momenta: tuple[float, ...] = (0.0,)


class HyperParameters(NamedTuple):
    """hpp: everything about a training but its seeds."""

    architecture: str
    optimizer: str
    learning_rate: float
    momentum: float
    batch_size: int
    init_scale: float


class Initialization(NamedTuple):
    """HtoA(h) = (hpp, initLP, r).

    Attributes:
        hpp: The hyper-parameters A(hpp) is built from.
        init_seed: 8 bytes from which the initial learnable parameters are drawn.
        r: 32 bytes, the training randomness (batch order; evaluation sample).
    """

    hpp: HyperParameters
    init_seed: bytes
    r: bytes


@dataclass(frozen=True)
class Menu:
    """All settings a pre-hash can pick.

    Attributes:
        architectures: Names that ``Architecture.parse`` reads.
        optimizers: Update rules, each with its own grids.
        batch_sizes: Examples a step.
        init_scales: Factors on the initial weights.
    """

    architectures: Axis[str]
    optimizers: Axis[Optimizer]
    batch_sizes: Axis[int]
    init_scales: Axis[float]

    def __post_init__(self):
        for name in self.architectures.options:
            Architecture.parse(name)
        for optimizer in self.optimizers.options:
            _check_optimizer(optimizer)
        for batch_size in self.batch_sizes.options:
            if batch_size < 1:
                raise ValueError(f"batch_sizes must be ≥ 1, got {batch_size}")
        for scale in self.init_scales.options:
            if not 0 < scale <= _LARGEST:
                raise ValueError(
                    f"init_scales must be float32 numbers > 0, got {scale}"
                )
        cells = math.prod(self._radices())
        if cells > _WORDS:
            raise ValueError(f"the menu must have at most 2^256 cells, got {cells}")

    def settings(self) -> dict[HyperParameters, float]:
        """Every reachable setting with its exact share (for tests and tables)."""
        shares: dict[HyperParameters, float] = {}
        total = math.prod(self._radices())
        for flat in range(total):
            hpp = self._decode(flat)
            shares[hpp] = shares.get(hpp, 0.0) + 1.0 / total
        return shares

    def _radices(self) -> tuple[int, ...]:
        # The grids of different optimizers may differ in length. A digit below
        # their least common multiple, reduced modulo each length, is unbiased
        # for all of them, and one fixed radix keeps the code a mixed-radix number.
        optimizers = self.optimizers.options
        return (
            self.architectures.radix,
            self.optimizers.radix,
            math.lcm(*(len(o.learning_rates) for o in optimizers)),
            math.lcm(*(len(o.momenta) for o in optimizers)),
            self.batch_sizes.radix,
            self.init_scales.radix,
        )

    def _decode(self, flat: int) -> HyperParameters:
        digits = []
        for radix in self._radices():
            flat, digit = divmod(flat, radix)
            digits.append(digit)
        architecture, rule, rate, momentum, batch, scale = digits
        optimizer = self.optimizers.choose(rule)
        return HyperParameters(
            architecture=self.architectures.choose(architecture),
            optimizer=optimizer.name,
            learning_rate=optimizer.learning_rates[
                rate % len(optimizer.learning_rates)
            ],
            momentum=optimizer.momenta[momentum % len(optimizer.momenta)],
            batch_size=self.batch_sizes.choose(batch),
            init_scale=self.init_scales.choose(scale),
        )


def hash_to_architecture(digest: bytes, menu: Menu) -> Initialization:
    """HtoA(h): the setting, the initial seed and the training randomness of h.

    h' is expanded to 256-bit words; a word at or above the largest multiple of the
    menu's size is rejected and the next one taken, so every setting has its exact
    share and none is out of reach. r = Hash(h'').

    Args:
        digest: h, 32 bytes.
        menu: What can be picked.

    Returns:
        (hpp, init_seed, r), a function of the digest and the menu alone.

    Raises:
        ValueError: If the digest is not 32 bytes.

    Reference: [SLT23] §3.2.
    """
    if len(digest) != _DIGEST_BYTES:
        raise ValueError(f"digest must be {_DIGEST_BYTES} bytes, got {len(digest)}")
    first, second = digest[: _DIGEST_BYTES // 2], digest[_DIGEST_BYTES // 2 :]
    size = math.prod(menu._radices())
    return Initialization(
        hpp=menu._decode(_uniform_below(size, first)),
        init_seed=hashlib.sha256(b"dpodl/htoa/initLP/1\0" + first).digest()[:8],
        r=hashlib.sha256(b"dpodl/htoa/r/1\0" + second).digest(),
    )


def run_digest(seed: int, run: int) -> bytes:
    """The digest of an independent training run: a hash drawn at random.

    A successful pre-hash is a uniform hash below T_1 and HtoA re-hashes it, so
    runs drawn this way have the law of real pre-hashes while T_1 is far above 2^128
    (where h' keeps enough free bits).

    Args:
        seed: The experiment's seed, 0 ≤ seed < 2^64.
        run: The run's index.
    """
    message = b"dpodl/run/1\0" + seed.to_bytes(8, "big") + run.to_bytes(8, "big")
    return hashlib.sha256(message).digest()


def _uniform_below(size: int, entropy: bytes) -> int:
    limit = _WORDS - _WORDS % size
    counter = 0
    while True:
        message = b"dpodl/htoa/hpp/1\0" + entropy + counter.to_bytes(4, "big")
        word = int.from_bytes(hashlib.sha256(message).digest(), "big")
        if word < limit:
            return word % size
        counter += 1


def _check_optimizer(optimizer: Optimizer) -> None:
    if optimizer.name not in OPTIMIZERS:
        raise ValueError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {optimizer.name!r}"
        )
    if not optimizer.learning_rates or not optimizer.momenta:
        raise ValueError(
            f"{optimizer.name}: learning_rates and momenta must not be empty"
        )
    for rate in optimizer.learning_rates:
        if not 0 < rate <= _LARGEST:
            raise ValueError(f"learning_rates must be float32 numbers > 0, got {rate}")
    for momentum in optimizer.momenta:
        if not 0 <= momentum < 1:
            raise ValueError(f"momenta must be in [0, 1), got {momentum}")
    if optimizer.name != "momentum" and optimizer.momenta != (0.0,):
        # A momentum that does nothing would make two settings of one, and the
        # menu's shares would not be what they seem.
        raise ValueError(
            f"momenta belong to the optimizer 'momentum'; {optimizer.name!r} got "
            f"{optimizer.momenta}"
        )
