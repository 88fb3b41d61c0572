"""HtoA: its exact law, its golden vectors, what each half of the hash decides.

The statistical tests use fixed digests; a correct HtoA with other domain tags would
fail one of them with probability ``FALSE_ALARM``.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from dpodl.models.learning import architecture
from dpodl.models.learning.architecture import (
    Architecture,
    Axis,
    HyperParameters,
    Menu,
    Optimizer,
    hash_to_architecture,
    run_digest,
)
from scipy import stats

FALSE_ALARM = 1e-4
SPAN = 1 << 256

# Grids of 2, 3 and 1 rates and of 1, 2 and 1 momenta: the radices are lcm(2, 3, 1) = 6
# and 2. Unequal weights on every axis that has them.
MENU = Menu(
    architectures=Axis.of(("softmax", "mlp-8", "cnn-4"), (3, 1, 2)),
    optimizers=Axis.of(
        (
            Optimizer("sgd", (0.1, 0.3)),
            Optimizer("momentum", (0.01, 0.03, 0.1), (0.5, 0.9)),
            Optimizer("adam", (0.001,)),
        ),
        (2, 3, 1),
    ),
    batch_sizes=Axis.of((16, 32), (1, 4)),
    init_scales=Axis.of((0.5, 1.0)),
)


def exact_shares(menu: Menu) -> dict[HyperParameters, Fraction]:
    """Shares written down from the menu's meaning, not from its digits."""

    def weighted(axis: Axis) -> Iterator[tuple]:
        for option, weight in zip(axis.options, axis.weights, strict=True):
            yield option, Fraction(weight, sum(axis.weights))

    shares = {}
    for (name, a), (rule, b), (batch, c), (scale, d) in product(
        weighted(menu.architectures),
        weighted(menu.optimizers),
        weighted(menu.batch_sizes),
        weighted(menu.init_scales),
    ):
        for rate, momentum in product(rule.learning_rates, rule.momenta):
            cells = len(rule.learning_rates) * len(rule.momenta)
            hpp = HyperParameters(name, rule.name, rate, momentum, batch, scale)
            shares[hpp] = a * b * c * d / cells
    return shares


def digests(count: int, zero_bytes: int = 0) -> list[bytes]:
    """Uniform hashes below T_1 = 2^(256 − 8·zero_bytes) − 1."""
    words = (hashlib.sha256(b"%d" % i).digest() for i in range(count))
    return [bytes(zero_bytes) + word[zero_bytes:] for word in words]


def menu_of_size(*weights: int) -> Menu:
    """A menu whose only choice is the initial scale 1, 2, ..."""
    return Menu(
        architectures=Axis.of(("softmax",)),
        optimizers=Axis.of((Optimizer("sgd", (0.1,)),)),
        batch_sizes=Axis.of((16,)),
        init_scales=Axis.of([float(i + 1) for i in range(len(weights))], weights),
    )


def words(first: bytes) -> Iterator[int]:
    """The 256-bit words h' is expanded to."""
    for counter in range(1000):
        message = b"dpodl/htoa/hpp/1\0" + first + counter.to_bytes(4, "big")
        yield int.from_bytes(hashlib.sha256(message).digest(), "big")


# ------------------------------------------------------------------ exact law


@pytest.mark.parametrize("zero_bytes", [0, 2, 4])
def test_onto_and_unbiased_for_every_target(zero_bytes):
    count = 16_000
    found = Counter(
        hash_to_architecture(h, MENU).hpp for h in digests(count, zero_bytes)
    )
    shares = exact_shares(MENU)
    assert len(shares) == 3 * (2 + 6 + 1) * 2 * 2
    assert set(found) == set(shares)
    expected = [count * float(share) for share in shares.values()]
    assert min(expected) > 20
    observed = [found[hpp] for hpp in shares]
    assert stats.chisquare(observed, expected).pvalue > FALSE_ALARM


def test_settings_are_the_exact_shares():
    settings, shares = MENU.settings(), exact_shares(MENU)
    assert set(settings) == set(shares)
    for hpp, share in shares.items():
        assert settings[hpp] == pytest.approx(float(share), rel=1e-12)
    assert math.fsum(settings.values()) == pytest.approx(1, abs=1e-12)


def test_shares_of_a_repeated_grid_value_add_up():
    # A learning rate that stands twice in its grid is twice as likely.
    menu = Menu(
        architectures=Axis.of(("softmax",)),
        optimizers=Axis.of((Optimizer("sgd", (0.1, 0.1, 0.3)),)),
        batch_sizes=Axis.of((16,)),
        init_scales=Axis.of((1.0,)),
    )
    shares = {hpp.learning_rate: share for hpp, share in menu.settings().items()}
    assert shares == pytest.approx({0.1: 2 / 3, 0.3: 1 / 3})


@pytest.mark.parametrize("zero_bytes", [0, 4])
def test_choices_and_seeds_are_independent_in_pairs(zero_bytes):
    """Contingency tables of all pairs; Bonferroni-corrected to FALSE_ALARM."""
    drawn = [hash_to_architecture(h, MENU) for h in digests(8_000, zero_bytes)]
    # The rate and the momentum belong to an optimizer: looked at within one.
    columns = {
        "architecture": [d.hpp.architecture for d in drawn],
        "optimizer": [d.hpp.optimizer for d in drawn],
        "batch_size": [d.hpp.batch_size for d in drawn],
        "init_scale": [d.hpp.init_scale for d in drawn],
        "init_seed, first word": [d.init_seed[0] >> 5 for d in drawn],
        "init_seed, second word": [d.init_seed[7] & 7 for d in drawn],
        "order_key": [d.r[0] >> 5 for d in drawn],
        "eval_key": [d.r[8] >> 5 for d in drawn],
    }
    moving = [d.hpp for d in drawn if d.hpp.optimizer == "momentum"]
    pairs = [(a, b) for a in columns for b in columns if a < b]
    tables = {pair: (columns[pair[0]], columns[pair[1]]) for pair in pairs}
    rates = [hpp.learning_rate for hpp in moving]
    tables["rate", "momentum"] = rates, [hpp.momentum for hpp in moving]
    tables["rate", "batch_size"] = rates, [hpp.batch_size for hpp in moving]
    tables["rate", "architecture"] = rates, [hpp.architecture for hpp in moving]
    for pair, (one, other) in tables.items():
        table = np.asarray(stats.contingency.crosstab(one, other)[1])
        assert min(table.shape) > 1
        pvalue = float(stats.chi2_contingency(table)[1])  # pyright: ignore
        assert pvalue > FALSE_ALARM / len(tables), pair


def test_seed_bytes_are_uniform():
    drawn = [hash_to_architecture(h, MENU) for h in digests(2_000, zero_bytes=4)]
    for seeds in ([d.init_seed for d in drawn], [d.r for d in drawn]):
        counts = np.bincount(np.frombuffer(b"".join(seeds), np.uint8), minlength=256)
        assert stats.chisquare(counts).pvalue > FALSE_ALARM


# ------------------------------------------------------------------ rejection


def test_rejection_removes_the_modulo_bias():
    # 2^256 modulo 3·2^254 is 2^254: taken as it is, the first third would have 1/2.
    menu = menu_of_size(1 << 254, 1 << 254, 1 << 254)
    found = Counter(
        hash_to_architecture(h, menu).hpp.init_scale for h in digests(3_000)
    )
    assert stats.chisquare([found[s] for s in (1.0, 2.0, 3.0)]).pvalue > FALSE_ALARM


def test_a_menu_just_above_half_the_span_rejects_half_of_the_words():
    size = (1 << 255) + 1
    menu = menu_of_size(1 << 254, (1 << 254) + 1)
    looked_at = []
    for digest in digests(400):
        expansion = enumerate(words(digest[:16]))
        taken, word = next((i, word) for i, word in expansion if word < size)
        scale = hash_to_architecture(digest, menu).hpp.init_scale
        assert scale == (1.0 if word < 1 << 254 else 2.0)
        looked_at.append(taken)
    # Rejections are geometric with ratio 1/2; the rest of the tail is one cell.
    counts = np.bincount(np.minimum(looked_at, 4), minlength=5)
    law = np.array([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16])
    assert stats.chisquare(counts, 400 * law).pvalue > FALSE_ALARM


def test_the_first_biased_word_is_rejected_and_the_last_fair_one_taken(monkeypatch):
    size = 3
    limit = SPAN - 1  # the largest multiple of 3 up to 2^256
    assert limit % size == 0
    menu = menu_of_size(1, 1, 1)

    def scale_of(*expansion: int) -> float:
        left = list(expansion)

        def sha256(message: bytes):
            word = left.pop(0) if b"/hpp/" in message else 0
            return SimpleNamespace(digest=lambda: word.to_bytes(32, "big"))

        monkeypatch.setattr(architecture, "hashlib", SimpleNamespace(sha256=sha256))
        scale = hash_to_architecture(bytes(32), menu).hpp.init_scale
        assert not left
        return scale

    assert scale_of(limit - 1) == 3.0
    assert scale_of(limit, 1) == 2.0
    assert scale_of(limit, limit, 0) == 1.0


def test_the_largest_menu_uses_every_word_and_a_larger_one_is_refused():
    half = 1 << 255
    menu = menu_of_size(half, half)
    for digest in digests(20):
        first = hash_to_architecture(digest, menu).hpp.init_scale
        assert first == (1.0 if next(words(digest[:16])) < half else 2.0)
    with pytest.raises(ValueError, match=r"at most 2\^256 cells, got 11579\d+7$"):
        menu_of_size(half, half + 1)


def test_a_menu_of_one_setting_is_that_setting():
    menu = menu_of_size(1)
    assert set(menu.settings().values()) == {1.0}
    (only,) = menu.settings()
    assert {hash_to_architecture(h, menu).hpp for h in digests(20)} == {only}


# ------------------------------------------------------------------ what decides what


def test_deterministic():
    for digest in digests(50):
        assert hash_to_architecture(digest, MENU) == hash_to_architecture(digest, MENU)


def flipped(digest: bytes, bit: int) -> bytes:
    return (int.from_bytes(digest, "big") ^ (1 << (255 - bit))).to_bytes(32, "big")


def test_a_bit_of_the_first_half_moves_hpp_and_init_but_not_r():
    base = hashlib.sha256(b"base").digest()
    before = hash_to_architecture(base, MENU)
    after = [hash_to_architecture(flipped(base, bit), MENU) for bit in range(128)]
    assert len({before.init_seed, *(a.init_seed for a in after)}) == 129
    assert {a.r for a in after} == {before.r}
    # A fresh draw hits the same cell with its share, at most 1/40: 128 draws hit it
    # more than 15 times with probability below 1e-6.
    assert MENU.settings()[before.hpp] <= 1 / 40
    assert sum(a.hpp == before.hpp for a in after) <= 15


def test_a_bit_of_the_second_half_moves_r_alone():
    base = hashlib.sha256(b"base").digest()
    before = hash_to_architecture(base, MENU)
    after = [hash_to_architecture(flipped(base, b), MENU) for b in range(128, 256)]
    assert {(a.hpp, a.init_seed) for a in after} == {(before.hpp, before.init_seed)}
    assert len({before.r, *(a.r for a in after)}) == 129


def test_seeds_differ_even_if_the_halves_are_equal():
    for i in range(50):
        half = hashlib.sha256(b"%d" % i).digest()[:16]
        _, init_seed, r = hash_to_architecture(half + half, MENU)
        assert (len(init_seed), len(r)) == (8, 32)
        assert len({init_seed, *(r[k : k + 8] for k in range(0, 32, 8))}) == 5


def test_the_menu_does_not_move_the_seeds():
    for digest in digests(20):
        _, *seeds = hash_to_architecture(digest, MENU)
        assert seeds == list(hash_to_architecture(digest, menu_of_size(1))[1:])


# ------------------------------------------------------------------ golden vectors

# Made with sha256sum and bc, not with the library. A change of one of these is a change
# of the protocol: proofs made before it no longer verify.
GOLDEN = {
    "00" * 32: (
        HyperParameters("softmax", "sgd", 0.1, 0.0, 32, 0.5),
        "3e83bcf88dd8f933",
        "0da15292991cfed6ec48512328d8aa21b5713e159dcf5250e11e9a33a3379dc5",
    ),
    bytes(range(32)).hex(): (
        HyperParameters("mlp-8", "momentum", 0.1, 0.9, 32, 1.0),
        "8fc3cd19c4c4586a",
        "64557836e40ebaadf9f52725ebdee7dacfe028e25161cebc7e081dfe4b7949ba",
    ),
    "00" * 4 + "ff" * 28: (
        HyperParameters("mlp-8", "sgd", 0.3, 0.0, 32, 1.0),
        "a670775a0d5a6950",
        "2dfebd47955e0b97c4c92a6f0c07f0347935b04486ad2096169aa884634e6021",
    ),
    "22" * 32: (
        HyperParameters("cnn-4", "adam", 0.001, 0.0, 16, 0.5),
        "345b4f84130ca852",
        "264d0bd54ee2c76dec74b8eb08915525f7aef2f280a95f4143c0e12d75a69468",
    ),
}


@pytest.mark.parametrize("digest", GOLDEN)
def test_golden_vectors(digest):
    hpp, init_seed, r = GOLDEN[digest]
    found = hash_to_architecture(bytes.fromhex(digest), MENU)
    assert found.hpp == hpp
    assert found.init_seed.hex() == init_seed
    assert found.r.hex() == r


def test_golden_vector_of_the_third_word():
    # Its words start with d3, c1 and 23: two are at or above c0..0 = 3·2^254.
    menu = menu_of_size(1 << 254, 1 << 254, 1 << 254)
    assert hash_to_architecture(b"\x09" * 32, menu).hpp.init_scale == 1.0


# ------------------------------------------------------------------ runs


def test_run_digest_golden():
    message = bytes.fromhex(
        "64706f646c2f72756e2f3100" + "0" * 15 + "7" + "0" * 15 + "3"
    )
    assert run_digest(7, 3) == hashlib.sha256(message).digest()


def test_run_digests_differ_between_runs_and_seeds():
    drawn = {run_digest(seed, run) for seed in range(30) for run in range(30)}
    assert len(drawn) == 900


@pytest.mark.parametrize(
    ("seed", "run"), [(-1, 0), (0, -1), (1 << 64, 0), (0, 1 << 64)]
)
def test_run_digest_refuses_what_eight_bytes_cannot_hold(seed, run):
    with pytest.raises(OverflowError):
        run_digest(seed, run)


# ------------------------------------------------------------------ bad inputs


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_digest_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match=f"^digest must be 32 bytes, got {length}$"):
        hash_to_architecture(bytes(length), MENU)


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("softmax", ("softmax", 0)),
        ("mlp-1", ("mlp", 1)),
        ("mlp-32", ("mlp", 32)),
        ("cnn-8", ("cnn", 8)),
        ("cnn-9999", ("cnn", 9999)),
    ],
)
def test_architecture_names(name, parsed):
    assert Architecture.parse(name) == parsed


BAD_NAMES = (
    *("", "mlp", "mlp-", "mlp-0", "mlp-08", "mlp-10000", "mlp--8", "mlp-8.0", "mlp 8"),
    *("MLP-8", "xmlp-8", "mlp-8x", "mlp-8\n", " mlp-8", "softmax-8", "cnn", "mlp-1٣"),
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_other_architecture_names_are_refused(name):
    with pytest.raises(ValueError, match=r"^architecture must be 'softmax', ") as error:
        Architecture.parse(name)
    assert str(error.value).endswith(f"got {name!r}")


def test_axis_gives_each_option_its_weight_in_order():
    axis = Axis.of(("a", "b", "c"), (2, 1, 3))
    assert axis.radix == 6
    assert "".join(axis.choose(digit) for digit in range(6)) == "aabccc"
    with pytest.raises(ValueError, match=r"^digit must be below 6$"):
        axis.choose(6)


def test_axis_has_equal_weights_unless_told():
    assert Axis.of([3, 1, 2]) == Axis(options=(3, 1, 2), weights=(1, 1, 1))


@pytest.mark.parametrize(
    ("options", "weights", "message"),
    [
        ((), (), "at least one option, got none"),
        ((1, 2, 1), (1, 1, 1), r"options must differ, got \(1, 2, 1\)"),
        ((1, 2), (1,), r"weights must be 2 whole numbers ≥ 1, got \(1,\)"),
        ((1, 2), (1, 1, 1), r"weights must be 2 whole numbers ≥ 1, got \(1, 1, 1\)"),
        ((1, 2), (), r"weights must be 2 whole numbers ≥ 1, got \(\)"),
        ((1, 2), (1, 0), r"weights must be 2 whole numbers ≥ 1, got \(1, 0\)"),
        ((1, 2), (-1, 3), r"weights must be 2 whole numbers ≥ 1, got \(-1, 3\)"),
    ],
)
def test_impossible_axes_cannot_be_built(options, weights, message):
    with pytest.raises(ValueError, match=message):
        Axis.of(options, weights)


def with_menu(**axes: Axis) -> Menu:
    fields = ("architectures", "optimizers", "batch_sizes", "init_scales")
    return Menu(**{**{name: getattr(MENU, name) for name in fields}, **axes})


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"architectures": Axis.of(("softmax", "mlp"))}, "^architecture .* got 'mlp'$"),
        ({"batch_sizes": Axis.of((16, 0))}, "^batch_sizes must be ≥ 1, got 0$"),
        ({"batch_sizes": Axis.of((-4,))}, "^batch_sizes must be ≥ 1, got -4$"),
        ({"init_scales": Axis.of((0.0,))}, "^init_scales .* > 0, got 0.0$"),
        ({"init_scales": Axis.of((1.0, -1.0))}, "^init_scales .* > 0, got -1.0$"),
        ({"init_scales": Axis.of((math.inf,))}, "^init_scales .* > 0, got inf$"),
        ({"init_scales": Axis.of((math.nan,))}, "^init_scales .* > 0, got nan$"),
    ],
)
def test_impossible_menus_cannot_be_built(axes, message):
    with pytest.raises(ValueError, match=message):
        with_menu(**axes)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            Optimizer("rmsprop", (0.1,)),
            "^optimizer must be one of sgd, momentum, adam, got 'rmsprop'$",
        ),
        (Optimizer("sgd", ()), "^sgd: learning_rates and momenta must not be empty$"),
        (
            Optimizer("momentum", (0.1,), ()),
            "^momentum: learning_rates and momenta must not be empty$",
        ),
        (Optimizer("sgd", (0.1, 0.0)), "^learning_rates .* > 0, got 0.0$"),
        (Optimizer("sgd", (-0.1,)), "^learning_rates .* > 0, got -0.1$"),
        (Optimizer("adam", (math.inf,)), "^learning_rates .* > 0, got inf$"),
        (Optimizer("adam", (math.nan,)), "^learning_rates .* > 0, got nan$"),
        (Optimizer("momentum", (0.1,), (0.9, 1.0)), r"^momenta .* \[0, 1\), got 1.0$"),
        (Optimizer("momentum", (0.1,), (-0.1,)), r"^momenta .* \[0, 1\), got -0.1$"),
        (Optimizer("momentum", (0.1,), (math.nan,)), r"^momenta .* got nan$"),
        (
            Optimizer("sgd", (0.1,), (0.9,)),
            r"^momenta belong to the optimizer 'momentum'; 'sgd' got \(0.9,\)$",
        ),
        (
            Optimizer("adam", (0.1,), (0.0, 0.9)),
            r"^momenta belong to the optimizer 'momentum'; 'adam' got \(0.0, 0.9\)$",
        ),
    ],
)
def test_impossible_optimizers_cannot_stand_in_a_menu(optimizer, message):
    good = Optimizer("sgd", (0.1,))
    with pytest.raises(ValueError, match=message):
        with_menu(optimizers=Axis.of((good, optimizer)))


def test_a_menu_cannot_be_changed_after_it_was_checked():
    field = "batch_sizes"
    with pytest.raises(FrozenInstanceError):
        setattr(MENU, field, Axis.of((0,)))
    with pytest.raises(FrozenInstanceError):
        setattr(MENU.batch_sizes, "options", (0,))  # noqa: B010
