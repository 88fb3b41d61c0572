"""Training states: bits that do not depend on the cuts, digests that depend on all.

Proofs are checked by running a segment again from the middle, so the bits of a training
must be a function of where it is, never of how it came there.
"""

import hashlib
import struct
from functools import cache, partial
from itertools import combinations

import jax
import numpy as np
import pytest
from dpodl.models.learning.architecture import HyperParameters, Initialization
from dpodl.models.learning.chunk_program import Bucket
from dpodl.models.learning.curves import CurveSettings, train_chunk
from dpodl.models.learning.looks import pixels
from dpodl.models.learning.networks import build_network
from dpodl.models.learning.training import evaluation_sample, hyper_of
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.formats import HYPER_PARAMETERS
from dpodl.models.scheme.states import (
    Look,
    Model,
    Tensors,
    first_look,
    model_digest,
    parameters_of,
    run_segment,
    tensors_digest,
)

from ..mining_fixtures import BATCH, EVAL_SAMPLES, LOOK, STEPS_AN_EPOCH, mnist

LOOKS = 6
STEPS = LOOKS * LOOK  # 30: two and a half epochs
RULES = {
    "sgd": ("sgd", 0.2, 0.0),
    "momentum": ("momentum", 0.05, 0.9),
    "adam": ("adam", 0.005, 0.0),
}
FAMILIES = ("softmax", "mlp-8", "cnn-2")
EVERY_TRAINING = [(family, rule) for family in FAMILIES for rule in RULES]


@cache
def start(family: str, rule: str, rate: float | None = None) -> Initialization:
    rng = np.random.default_rng([FAMILIES.index(family), *rule.encode()])
    name, usual, momentum = RULES[rule]
    hpp = HyperParameters(family, name, rate or usual, momentum, BATCH, 1.0)
    return Initialization(hpp, rng.bytes(8), rng.bytes(32))


def on(initialization: Initialization, look: Look, steps: int) -> Look:
    return run_segment(
        initialization,
        mnist(),
        look,
        steps=steps,
        check_every=LOOK,
        eval_samples=EVAL_SAMPLES,
    )


def run(initialization: Initialization, cuts=()) -> Look:
    """The end of a training that is cut into segments; each end is stored and read."""
    look = first_look(initialization, mnist(), None)
    for begin, end in zip((0, *cuts), (*cuts, STEPS), strict=True):
        assert look.steps == begin
        stored = {name: values.tobytes() for name, values in look.tensors.items()}
        shapes = {name: values.shape for name, values in look.tensors.items()}
        tensors = {
            name: np.frombuffer(data, np.float32).reshape(shapes[name])
            for name, data in stored.items()
        }
        look = on(initialization, Look(tensors, look.correct, begin), end - begin)
    return look


@cache
def whole(family: str, rule: str) -> Look:
    return run(start(family, rule))


def assert_same_look(one: Look, other: Look) -> None:
    assert (one.correct, one.steps) == (other.correct, other.steps)
    assert one.tensors.keys() == other.tensors.keys()
    for name, values in one.tensors.items():
        assert values.tobytes() == other.tensors[name].tobytes(), name


# ------------------------------------------------------------------ segments


@pytest.mark.parametrize(("family", "rule"), EVERY_TRAINING)
def test_the_bits_do_not_depend_on_the_cuts(family, rule):
    places = range(LOOK, STEPS, LOOK)
    assert any(place % STEPS_AN_EPOCH for place in places)  # cut inside an epoch
    everywhere = [tuple(places)]
    some = [(5,), (10, 20), (25,), *everywhere]
    all_cuts = [c for n in range(LOOKS) for c in combinations(places, n)]
    for cuts in all_cuts if family == "softmax" else some:
        assert_same_look(run(start(family, rule), cuts), whole(family, rule))


def test_a_cut_at_the_end_of_an_epoch():
    """There the next order is drawn by the step itself, elsewhere by the segment."""
    initialization = start("softmax", "adam")
    first = first_look(initialization, mnist(), None)
    segment = partial(run_segment, check_every=STEPS_AN_EPOCH, eval_samples=100)
    at_once = segment(initialization, mnist(), first, steps=3 * STEPS_AN_EPOCH)
    look = first
    for _ in range(3):
        look = segment(initialization, mnist(), look, steps=STEPS_AN_EPOCH)
    assert_same_look(look, at_once)


@pytest.mark.parametrize("rule", RULES)
def test_a_diverging_training_does_not_depend_on_the_cuts(rule):
    """Plain SGD's buffer would be infinite, and 0 · ∞ is no number: it is dropped."""
    initialization = start("softmax", rule, rate=1e38)
    end = run(initialization)
    assert not all(np.isfinite(values).all() for values in end.tensors.values())
    for cuts in ((5,), (10,), (5, 10, 15, 20, 25)):
        assert_same_look(run(initialization, cuts), end)


@pytest.mark.parametrize("family", FAMILIES)
def test_looks_are_those_of_the_learning_curve(family):
    """What the experiments measure is what the chain's proofs are made of."""
    settings = CurveSettings(LOOK, STEPS, EVAL_SAMPLES)
    runs = [start(family, rule) for rule in RULES]
    curve = train_chunk(Bucket(family, BATCH), runs, mnist(), settings)
    for initialization, correct in zip(runs, np.asarray(curve.correct), strict=True):
        look, seen = first_look(initialization, mnist(), None), []
        for _ in range(LOOKS):
            look = on(initialization, look, LOOK)
            seen.append(look.correct)
        assert seen == correct.tolist()
        assert len(set(seen)) > 1


def test_the_count_is_that_of_the_model_on_its_evaluation_sample():
    look, initialization = whole("softmax", "sgd"), start("softmax", "sgd")
    hyper = jax.device_put(hyper_of(initialization))
    sample = evaluation_sample(hyper, mnist().images, mnist().labels, EVAL_SAMPLES)
    images, labels = map(np.asarray, sample)
    images = images / 255
    kernel, bias = (
        look.tensors[f"lp/Dense_0/{name}"].astype(float) for name in ("kernel", "bias")
    )
    logits = images.reshape(EVAL_SAMPLES, -1).astype(float) @ kernel.T + bias
    assert look.correct == (logits.argmax(axis=1) == labels).sum()
    # A sample, so that it matters which one.
    assert len(mnist().images) > EVAL_SAMPLES


# ------------------------------------------------------------------ what a state holds


@pytest.mark.parametrize(("family", "rule"), EVERY_TRAINING)
def test_a_state_holds_the_parameters_and_its_own_buffers(family, rule):
    shapes = {k: v.shape for k, v in whole(family, rule).tensors.items()}
    network = build_network(family, 10)
    parameters = jax.eval_shape(
        lambda: network.init(jax.random.key(0), pixels(mnist().images[:1]))
    )["params"]
    lp = {
        f"{layer}/{name}": leaf.shape
        for layer, leaves in parameters.items()
        for name, leaf in leaves.items()
    }
    prefixes = {
        "sgd": ["lp"],
        "momentum": ["lp", "momentum"],
        "adam": ["lp", "adam/mu", "adam/nu"],
    }
    expected = {f"{p}/{name}": s for p in prefixes[rule] for name, s in lp.items()}
    assert shapes == expected
    only_lp = parameters_of(whole(family, rule).tensors)
    assert only_lp.keys() == {f"lp/{name}" for name in lp}


@pytest.mark.parametrize(
    ("rule", "buffer"), [("momentum", "momentum/"), ("adam", "mu/"), ("adam", "nu/")]
)
def test_the_optimizer_s_buffers_matter(rule, buffer):
    initialization = start("softmax", rule)
    middle = on(initialization, first_look(initialization, mnist(), None), 15)
    dropped = {
        name: np.zeros_like(values) if buffer in name else values
        for name, values in middle.tensors.items()
    }
    assert_same_look(on(initialization, middle, 15), whole("softmax", rule))
    end = on(initialization, middle._replace(tensors=dropped), 15)
    honest = parameters_of(whole("softmax", rule).tensors)
    changed = [n for n in honest if (end.tensors[n] != honest[n]).any()]
    assert changed == list(honest)


@pytest.mark.parametrize("rule", RULES)
def test_the_step_count_matters(rule):
    """It picks the batches, and Adam's bias correction."""
    initialization = start("softmax", rule)
    middle = on(initialization, first_look(initialization, mnist(), None), 15)
    elsewhere = on(initialization, middle._replace(steps=10), 15)
    assert elsewhere.steps == 25
    kernel = "lp/Dense_0/kernel"
    honest = whole("softmax", rule).tensors[kernel]
    assert (elsewhere.tensors[kernel] != honest).any()


# ------------------------------------------------------------------ the first look


@pytest.mark.parametrize("rule", RULES)
def test_a_fresh_model_starts_at_its_seed(rule):
    initialization = start("softmax", rule)
    look = first_look(initialization, mnist(), None)
    assert (look.correct, look.steps) == (0, 0)
    other = first_look(initialization._replace(init_seed=bytes(8)), mnist(), None)
    for name, values in look.tensors.items():
        same = (values == other.tensors[name]).all()
        assert same == (name != "lp/Dense_0/kernel")
        assert (values == 0).all() == (name != "lp/Dense_0/kernel")
    kernel = look.tensors["lp/Dense_0/kernel"]
    # LeCun: variance 1/784; 7840 draws give its root within 1 %.
    assert kernel.std() * np.sqrt(784) == pytest.approx(1, abs=0.05)


def test_a_referenced_model_gives_its_parameters_and_no_buffers():
    referenced = whole("mlp-8", "adam").tensors
    for rule in RULES:
        look = first_look(start("mlp-8", rule), mnist(), parameters_of(referenced))
        assert (look.correct, look.steps) == (0, 0)
        fresh = first_look(start("mlp-8", rule), mnist(), None)
        assert look.tensors.keys() == fresh.tensors.keys()
        for name, values in look.tensors.items():
            if name.startswith("lp/"):
                assert values.tobytes() == referenced[name].tobytes()
            else:
                assert not values.any()


def test_a_referenced_state_s_buffers_are_ignored():
    referenced = whole("mlp-8", "momentum").tensors
    with_them = first_look(start("mlp-8", "momentum"), mnist(), referenced)
    without = first_look(start("mlp-8", "momentum"), mnist(), parameters_of(referenced))
    assert_same_look(with_them, without)


# ------------------------------------------------------------------ bad inputs


def spoilt(tensors: Tensors, how: str) -> Tensors:
    name = "lp/Dense_0/bias"
    changed: dict = {
        "missing": {k: v for k, v in tensors.items() if k != name},
        "extra": tensors | {"adam/mu/Dense_0/bias": np.zeros(10, np.float32)},
        "shape": tensors | {name: np.zeros((2, 5), np.float32)},
    }
    return changed[how]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"^tensor 'lp/Dense_0/bias' is missing$"),
        ("extra", r"^tensor 'adam/mu/Dense_0/bias' does not belong to the model$"),
        ("shape", r"^tensor 'lp/Dense_0/bias' must be float32 of shape \(10,\), got "),
    ],
)
def test_tensors_that_are_not_the_model_s_are_refused(how, message):
    look = whole("softmax", "sgd")
    with pytest.raises(ValueError, match=message):
        on(
            start("softmax", "sgd"),
            look._replace(tensors=spoilt(look.tensors, how)),
            LOOK,
        )


@pytest.mark.parametrize("how", ["missing", "shape"])
def test_referenced_parameters_that_do_not_fit_are_refused(how):
    tensors = spoilt(whole("softmax", "sgd").tensors, how)
    with pytest.raises(ValueError, match=r"^tensor 'lp/Dense_0/bias' "):
        first_look(start("softmax", "sgd"), mnist(), tensors)


def test_another_architecture_s_parameters_are_refused():
    with pytest.raises(ValueError, match=r"^tensor 'lp/Dense_1/bias' is missing$"):
        first_look(start("mlp-8", "sgd"), mnist(), whole("softmax", "sgd").tensors)


@pytest.mark.parametrize("steps", [-LOOK, 0, 1, LOOK + 1])
def test_segments_that_are_not_whole_looks_are_refused(steps):
    message = rf"^steps must be a positive multiple of check_every, 5, got {steps}$"
    with pytest.raises(ValueError, match=message):
        on(start("softmax", "sgd"), whole("softmax", "sgd"), steps)


# ------------------------------------------------------------------ digests


SMALL: Tensors = {
    "lp/a": np.array([[1, -2, 3.5], [0, 4, 5]], np.float32),
    "lp/b": np.array(7, np.float32),
    "adam/mu/a": np.array([], np.float32),
}


def test_the_digest_is_the_hash_that_its_docstring_says():
    message = b"dpodl/tensors/1\0"
    for name in ("adam/mu/a", "lp/a", "lp/b"):
        values = SMALL[name]
        message += struct.pack(">I", len(name)) + name.encode()
        message += struct.pack(f">I{values.ndim}I", values.ndim, *values.shape)
        message += struct.pack(f"<{values.size}f", *values.ravel().tolist())
    assert tensors_digest(SMALL) == hashlib.sha256(message).digest()


def test_every_bit_of_every_value_counts():
    digests = {tensors_digest(SMALL)}
    flips = 0
    for name, values in SMALL.items():
        for bit in range(values.nbytes * 8):
            raw = bytearray(values.tobytes())
            raw[bit // 8] ^= 1 << bit % 8
            flipped = np.frombuffer(bytes(raw), np.float32).reshape(values.shape)
            digests.add(tensors_digest(SMALL | {name: flipped}))
            flips += 1
    assert flips == 7 * 32
    assert len(digests) == 1 + flips


def test_zeros_of_either_sign_and_all_nans_differ():
    kinds = [0x00000000, 0x80000000, 0x7FC00000, 0xFFC00000, 0x7FC00001]
    words = (np.array([kind], np.uint32).view(np.float32) for kind in kinds)
    assert len({tensors_digest({"x": word}) for word in words}) == len(kinds)


def test_names_shapes_and_borders_count():
    six = np.arange(6, dtype=np.float32)
    arrangements: list[Tensors] = [
        {"a": six},
        {"b": six},
        {"A": six},
        {"a": six.reshape(2, 3)},
        {"a": six.reshape(3, 2)},
        {"a": six.reshape(1, 6)},
        {"a": six[:3], "b": six[3:]},
        {"a": six[:2], "b": six[2:]},
        {"b": six[:3], "a": six[3:]},
        {"a": six, "b": six[:0]},
        {"": six},
        {},
    ]
    assert len(set(map(tensors_digest, arrangements))) == len(arrangements)


def test_the_layout_in_memory_does_not_count():
    backwards = dict(reversed(SMALL.items()))
    assert tensors_digest(backwards) == tensors_digest(SMALL)
    fortran = SMALL | {"lp/a": np.asfortranarray(SMALL["lp/a"])}
    assert tensors_digest(fortran) == tensors_digest(SMALL)
    wide = np.repeat(SMALL["lp/a"], 2, axis=1)[:, ::2]
    assert tensors_digest(SMALL | {"lp/a": wide}) == tensors_digest(SMALL)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32, ">f4"])
def test_only_float32_has_a_digest(kind):
    """Rounded to float32, other values would pass for the committed ones."""
    given: dict = {"x": np.ones(3, kind)}
    digest = getattr(tensors_digest, "__wrapped__", tensors_digest)
    with pytest.raises(ValueError, match=r"^tensor 'x' must be float32, got "):
        digest(given)


def test_a_model_is_its_hyper_parameters_and_learnable_parameters():
    hpp = HyperParameters("mlp-8", "adam", 0.01, 0.0, 32, 1.0)
    base = model_digest(Model(hpp, SMALL))
    message = b"dpodl/model/1\0" + encode(HYPER_PARAMETERS, hpp) + tensors_digest(SMALL)
    assert base == hashlib.sha256(message).digest()
    others = {
        "architecture": "mlp-9",
        "optimizer": "sgd",
        "learning_rate": np.nextafter(0.01, 1).item(),
        "momentum": 0.5,
        "batch_size": 33,
        "init_scale": 2.0,
    }
    assert others.keys() == set(HyperParameters._fields)
    digests = {base}
    for name, value in others.items():
        digests.add(model_digest(Model(hpp._replace(**{name: value}), SMALL)))
    changed = SMALL | {"lp/b": np.nextafter(SMALL["lp/b"], np.float32(9))}
    digests.add(model_digest(Model(hpp, changed)))
    assert len(digests) == 2 + len(others)
