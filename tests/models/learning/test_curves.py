"""Curves of many runs: their bits, their programs, their bookkeeping.

With one lane a run's bits must depend on its digest and the settings alone; the tests
compare bytes. Compilation is nearly all of the time, so programs are shared.
"""

import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import permutations
from threading import Barrier
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.models.learning import chunk_program, curves
from dpodl.models.learning.architecture import (
    Axis,
    HyperParameters,
    Initialization,
    Menu,
    Optimizer,
    hash_to_architecture,
    run_digest,
)
from dpodl.models.learning.chunk_program import Bucket
from dpodl.models.learning.curves import (
    CHUNK_RUNS,
    CurveSet,
    CurveSettings,
    TrainingSet,
    chunk_runs,
    draw_runs,
    extend_chunk,
    train_chunk,
    training_set,
)
from dpodl.models.learning.data import load_dataset
from dpodl.models.learning.looks import Curve
from dpodl.models.learning.networks import build_network
from dpodl.models.learning.training import hyper_of, train_curve

EXAMPLES = 200
BATCH = 16
# The horizon is no multiple of check_every: the last 5 steps are not looked at.
SETTINGS = CurveSettings(check_every=10, horizon_steps=35, eval_samples=150)
OPTIMIZERS = Axis.of(
    (
        Optimizer("sgd", (0.1, 0.3)),
        Optimizer("momentum", (0.03, 0.1), (0.5, 0.9)),
        Optimizer("adam", (0.003, 0.01)),
    )
)


def menu(architectures: Sequence[str], batch_sizes: Sequence[int] = (BATCH,)) -> Menu:
    return Menu(
        architectures=Axis.of(architectures),
        optimizers=OPTIMIZERS,
        batch_sizes=Axis.of(batch_sizes),
        init_scales=Axis.of((0.5, 1.0)),
    )


def pixels(first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    data, part = load_dataset(), slice(first, first + EXAMPLES)
    return data.x_train[part], data.y_train[part]


@cache
def mnist() -> TrainingSet:
    return training_set(*pixels())


@cache
def runs(architecture: str = "mlp-8") -> tuple[Initialization, ...]:
    """Eight runs of one bucket, with every optimizer in each half."""
    return draw_runs(16, 8, menu([architecture]))


def train(
    chosen: Sequence[Initialization],
    data: TrainingSet | None = None,
    settings: CurveSettings = SETTINGS,
) -> Curve:
    hpp = chosen[0].hpp
    bucket = Bucket(hpp.architecture, hpp.batch_size)
    return train_chunk(bucket, chosen, data or mnist(), settings)


def bits(curve: Curve) -> list[bytes]:
    """The bits of each run of a chunk."""
    correct, loss = np.asarray(curve.correct), np.asarray(curve.loss)
    assert (correct.dtype, loss.dtype) == (np.int32, np.float32)
    assert correct.shape == loss.shape == (len(correct), SETTINGS.looks)
    return [a.tobytes() + b.tobytes() for a, b in zip(correct, loss, strict=True)]


@cache
def alone(architecture: str = "mlp-8") -> tuple[bytes, ...]:
    """The bits of each run trained in a chunk of its own."""
    return tuple(bits(train([run]))[0] for run in runs(architecture))


# ------------------------------------------------------------------ bits


def test_the_runs_to_compare_are_all_different():
    rules = [run.hpp.optimizer for run in runs()]
    assert all(len(set(rules[i : i + 4])) == 3 for i in (0, 4))
    assert len(set(alone())) == len(runs()) == 2 * CHUNK_RUNS


def test_bits_do_not_depend_on_the_neighbours_or_the_place():
    for order in permutations(range(4)):
        found = bits(train([runs()[i] for i in order]))
        assert found == [alone()[i] for i in order]
    for shift in range(8):
        order = [(shift + 3 * i) % 8 for i in range(4)]
        found = bits(train([runs()[i] for i in order]))
        assert found == [alone()[i] for i in order]


@pytest.mark.parametrize("count", range(1, CHUNK_RUNS + 1))
def test_bits_do_not_depend_on_the_number_of_runs(count):
    assert bits(train(runs()[:count])) == list(alone()[:count])


def test_bits_are_the_same_when_repeated():
    assert bits(train([runs()[5]] * CHUNK_RUNS)) == [alone()[5]] * CHUNK_RUNS
    for _ in range(5):
        assert bits(train([runs()[5]])) == [alone()[5]]


def test_bits_are_the_same_in_two_threads_at_once():
    alone()  # compiled before the threads start
    start = Barrier(2)

    def work(order: list[int]) -> list[list[bytes]]:
        start.wait()
        return [bits(train([runs()[i] for i in order])) for _ in range(20)]

    orders = [0, 1, 2, 3], [7, 2, 5, 0]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(work, orders))
    for order, repeated in zip(orders, found, strict=True):
        assert repeated == [[alone()[i] for i in order]] * 20


def test_bits_are_those_of_the_single_program():
    """The program that a proof of training is made and checked with."""
    single = partial(
        train_curve,
        network=build_network("mlp-8", mnist().classes),
        batch_size=BATCH,
        check_every=SETTINGS.check_every,
        looks=SETTINGS.looks,
        eval_samples=SETTINGS.eval_samples,
    )
    single = jax.jit(single, static_argnames="adam")
    for run, expected in zip(runs(), alone(), strict=True):
        hyper = jax.tree.map(jnp.asarray, hyper_of(run))
        adam = run.hpp.optimizer == "adam"
        curve = single(hyper, mnist().images, mnist().labels, adam=adam)
        assert bits(jax.tree.map(lambda leaf: leaf[None], curve)) == [expected]


OTHER_PROCESS = """
import pickle, sys
from concurrent.futures import ThreadPoolExecutor
import jax
from dpodl.models.learning.chunk_program import Bucket
from dpodl.models.learning.curves import train_chunk, training_set

pixels, chunks, settings, devices = pickle.load(sys.stdin.buffer)
assert len(jax.devices()) == 2

def work(device):
    data = training_set(*pixels, device=jax.devices()[device])
    assert data.images.device == jax.devices()[device]
    return [train_chunk(bucket, runs, data, settings) for bucket, runs in chunks]

with ThreadPoolExecutor() as pool:
    pickle.dump(list(pool.map(work, devices)), sys.stdout.buffer)
"""


def in_two_device_process(chunks, devices: list[int], monkeypatch) -> list[list[Curve]]:
    """The chunks' curves on the given host devices of a new process, all at once."""
    if jax.default_backend() != "cpu":
        pytest.skip("compares with bits of the host")
    flags = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    )
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    order = pickle.dumps((pixels(), chunks, SETTINGS, devices))
    command = [sys.executable, "-c", OTHER_PROCESS]
    done = subprocess.run(command, input=order, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


def test_bits_are_the_same_on_the_second_of_two_devices(monkeypatch):
    bucket = Bucket("mlp-8", BATCH)
    chunks = [(bucket, runs()[:4]), (bucket, runs()[6:])]
    (found,) = in_two_device_process(chunks, [1], monkeypatch)
    assert bits(found[0]) == list(alone()[:4])
    assert bits(found[1]) == list(alone()[6:])


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["softmax", "mlp-64", "cnn-2"])
def test_bits_of_every_family_on_one_device_and_two_at_once(architecture, monkeypatch):
    expected = alone(architecture)
    for order in ([0, 1, 2, 3], [7, 2, 5, 0], [6, 4, 1], [3, 3]):
        found = bits(train([runs(architecture)[i] for i in order]))
        assert found == [expected[i] for i in order]
    chunks = [(Bucket(architecture, BATCH), runs(architecture)[:4])]
    for (found,) in in_two_device_process(chunks, [0, 1], monkeypatch):
        assert bits(found) == list(expected[:4])


# ------------------------------------------------------------------ programs


def programs() -> int:
    """Programs compiled so far; each new one is an entry of the call cache."""
    return chunk_program.train_lanes._cache_size()  # pyright: ignore


def test_one_program_a_bucket_and_rule():
    """Runs, rates, momenta, scales, seeds, chunk sizes and pixels are all traced."""
    train(runs()[:4])
    compiled = programs()
    for count in range(1, CHUNK_RUNS + 1):
        train(draw_runs(100 + count, count, menu(["mlp-8"])))
    train(runs()[:4], training_set(*pixels(first=EXAMPLES)))
    assert programs() == compiled
    other = menu(["softmax"], [5])
    some = draw_runs(3, 12, other)
    adam = [run for run in some if run.hpp.optimizer == "adam"]
    others = [run for run in some if run.hpp.optimizer != "adam"]
    assert len({run.hpp.optimizer for run in others[:4]}) == 2
    train(others[:4])
    assert programs() == compiled + 1
    train(adam[:2])
    assert programs() == compiled + 2
    train(draw_runs(4, 4, other))
    train(runs()[:4])
    assert programs() == compiled + 2


@pytest.mark.parametrize("lanes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_lanes_agree_with_one_lane(lanes):
    wide = SETTINGS._replace(lanes=lanes)
    for count in range(1, CHUNK_RUNS + 1):
        one, other = train(runs()[:count]), train(runs()[:count], settings=wide)
        assert np.shape(other.correct) == np.shape(other.loss) == (count, 3)
        np.testing.assert_allclose(other.loss, one.loss, rtol=1e-4)
        # An example whose two best logits are equal up to rounding may flip.
        np.testing.assert_allclose(other.correct, one.correct, atol=1)


@pytest.mark.parametrize(
    ("count", "lanes", "groups"),
    [(1, 1, 1), (3, 1, 3), (4, 1, 4), (1, 2, 1), (3, 2, 2), (4, 3, 2), (4, 8, 1)],
)
def test_absent_runs_are_not_trained(count, lanes, groups, monkeypatch):
    def spy(hypers, starts, images, labels, trip_count, first, last, **static):
        assert int(trip_count) == groups
        assert (int(first), int(last)) == (0, SETTINGS.looks)
        slots = len(hypers.learning_rate)
        assert slots >= groups * lanes
        assert slots % lanes == 0
        assert static["lanes"] == lanes
        rows = jnp.tile(jnp.arange(slots)[:, None], (1, static["most_looks"]))
        return Curve(correct=rows, loss=rows), starts

    monkeypatch.setattr(curves, "train_lanes", spy)
    alike = [run for run in runs() if run.hpp.optimizer != "adam"]
    found = train(alike[:count], settings=SETTINGS._replace(lanes=lanes))
    expected = np.tile(np.arange(count)[:, None], (1, SETTINGS.looks))
    np.testing.assert_array_equal(found.correct, expected)
    np.testing.assert_array_equal(found.loss, expected)


def test_only_the_data_and_the_digest_matter():
    other = bits(train(runs()[:4], training_set(*pixels(first=EXAMPLES))))
    assert not set(other) & set(alone())
    run = runs()[0]
    moved = [
        run._replace(init_seed=runs()[1].init_seed),
        run._replace(r=runs()[1].r[:8] + run.r[8:]),
        run._replace(r=run.r[:8] + runs()[1].r[8:16] + run.r[16:]),
        run._replace(r=run.r[:16] + runs()[1].r[16:]),
    ]
    found = bits(train(moved))
    assert len({alone()[0], *found[:3]}) == 4
    assert found[3] == alone()[0]  # r's other half is not used yet


# ------------------------------------------------------------------ taking it up again


def extended(chosen, looks, *, lanes=1, stops=(), data=None) -> list[bytes]:
    """Bits of curves of so many looks, and of the last states, trained in parts."""
    hpp, curve, first = chosen[0].hpp, [], 0
    states: Any = None
    for stop in (*stops, looks):
        settings = SETTINGS._replace(horizon_steps=10 * stop, lanes=lanes)
        found = extend_chunk(
            Bucket(hpp.architecture, hpp.batch_size),
            chosen,
            data or mnist(),
            settings,
            first=first,
            starts=states,
            keep=True,
        )
        curve.append(found.curve)
        # Through bytes, as a file keeps them.
        states = [
            {
                n: np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape)
                for n, x in s.items()
            }
            for s in found.states or ()
        ]
        first = stop
    parts: Any = (np.concatenate(part, axis=1) for part in zip(*curve, strict=True))
    whole: Any = Curve(*parts)
    assert np.shape(whole.correct) == (len(chosen), looks)
    return [
        whole.correct[i].tobytes()
        + whole.loss[i].tobytes()
        + b"".join(name.encode() + s[name].tobytes() for name in sorted(s))
        for i, s in enumerate(states)
    ]


@pytest.mark.parametrize("architecture", ["softmax", "mlp-8", "cnn-2"])
def test_taken_up_anywhere_bits_are_those_of_one_training(architecture):
    """Rules, rates and seeds differ; an epoch has 12 steps, so looks cut epochs."""
    chosen = runs(architecture)[:4]
    assert {run.hpp.optimizer for run in chosen} == {"sgd", "momentum", "adam"}
    whole = extended(chosen, 7)
    compiled = programs()
    for stops in [(1,), (6,), (2, 3), (1, 2, 3, 4, 5, 6)]:
        assert extended(chosen, 7, stops=stops) == whole
    # Any number of missing looks, by the programs that were there.
    assert programs() == compiled
    short = [bits_[: 4 * 3] for bits_ in extended(chosen, 3)]
    assert [bits_[: 4 * 3] for bits_ in whole] == short


@pytest.mark.parametrize("lanes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_lanes_are_taken_up_too(lanes):
    chosen = [run for run in runs() if run.hpp.optimizer != "adam"][:3]
    whole = extended(chosen, 5, lanes=lanes)
    assert extended(chosen, 5, lanes=lanes, stops=(2,)) == whole
    assert extended(chosen, 5, lanes=lanes, stops=(1, 4)) == whole


def test_a_horizon_is_no_part_of_a_program():
    train(runs()[:4])
    compiled = programs()
    for looks in (1, 2, 5, 9):
        train(runs()[:4], settings=SETTINGS._replace(horizon_steps=10 * looks))
    assert programs() == compiled


def test_states_of_other_models_are_refused():
    first, other = runs()[:1], runs("softmax")[:1]
    bucket = Bucket("mlp-8", BATCH)
    settings = SETTINGS._replace(horizon_steps=10)
    chunk = partial(extend_chunk, data=mnist())
    theirs = chunk(Bucket("softmax", BATCH), other, settings=settings, keep=True).states
    with pytest.raises(ValueError, match=r"^a state must have the tensors "):
        chunk(bucket, first, settings=SETTINGS, first=1, starts=theirs)
    own = chunk(bucket, first, settings=settings, keep=True).states
    assert own is not None
    wide = {name: x.astype(np.float64) for name, x in own[0].items()}
    with pytest.raises(ValueError, match=r"must be float32 of shape "):
        chunk(bucket, first, settings=SETTINGS, first=1, starts=[wide])
    with pytest.raises(ValueError, match=r"^first must be from 0 to 2, got 3$"):
        chunk(bucket, first, settings=SETTINGS, first=3, starts=own)
    wrong: Any
    for wrong in ({"starts": own}, {"first": 1}, {"first": 1, "starts": [*own, *own]}):
        with pytest.raises(ValueError, match=r"^starts must be one state a run "):
            chunk(bucket, first, settings=SETTINGS, **wrong)


# ------------------------------------------------------------------ bookkeeping


@pytest.mark.parametrize(
    ("check_every", "horizon", "looks"),
    [(10, 35, 3), (10, 30, 3), (10, 10, 1), (1, 7, 7)],
)
def test_looks_are_whole(check_every, horizon, looks):
    assert CurveSettings(check_every, horizon, eval_samples=1).looks == looks


def test_a_training_set_keeps_its_bytes():
    every = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    data = training_set(every, np.array([0, 3, 1, 6], np.uint8))
    assert (data.images.dtype, data.labels.dtype) == (jnp.uint8, jnp.int32)
    np.testing.assert_array_equal(data.images, every)
    np.testing.assert_array_equal(data.labels, [0, 3, 1, 6])
    assert data.classes == 7


def test_drawn_runs_are_htoa_of_their_digests():
    some = menu(["softmax", "mlp-8", "cnn-2"], [8, 16])
    drawn = draw_runs(11, 6, some)
    assert drawn == tuple(
        hash_to_architecture(run_digest(11, i), some) for i in range(6)
    )
    assert draw_runs(11, 9, some)[:6] == drawn
    assert draw_runs(11, 0, some) == ()
    assert not set(draw_runs(12, 6, some)) & set(drawn)


def test_accuracy_is_the_share_of_the_sample():
    curve_set = CurveSet(
        initializations=runs()[:2],
        steps=np.array([10, 20]),
        correct=np.array([[0, 15], [30, 60]]),
        loss=np.zeros((2, 2)),
        eval_samples=60,
        population=EXAMPLES,
    )
    np.testing.assert_array_equal(curve_set.accuracy, [[0, 0.25], [0.5, 1]])


MIXED = draw_runs(5, 83, menu(["softmax", "mlp-8", "mlp-128", "cnn-8"], [16, 64]))


@pytest.mark.parametrize(
    "todo", [[], [7], list(range(83)), list(range(82, -1, -2)), [3, 50, 4, 49, 5]]
)
def test_chunks_cover_each_run_once(todo):
    chunks = list(chunk_runs(MIXED, todo))
    assert Counter(run for _, chunk in chunks for run in chunk) == Counter(todo)

    def program(i: int):
        hpp = MIXED[i].hpp
        return (hpp.architecture, hpp.batch_size), hpp.optimizer == "adam"

    for bucket, chunk in chunks:
        assert 1 <= len(chunk) <= CHUNK_RUNS
        ((found, _),) = {program(i) for i in chunk}
        assert found == bucket
    # No more chunks than needed.
    sizes = Counter(map(program, todo))
    needed = sum(-(-size // CHUNK_RUNS) for size in sizes.values())
    assert len(chunks) == needed


def test_the_largest_programs_come_first():
    order = [bucket for bucket, _ in chunk_runs(MIXED, range(83))]
    # Operations of a forward pass: 101,632, 61,600, 7,840 and 6,352 multiply–adds.
    assert list(dict.fromkeys(order)) == [
        *(("mlp-128", 64), ("cnn-8", 64), ("mlp-128", 16), ("cnn-8", 16)),
        *(("softmax", 64), ("mlp-8", 64), ("softmax", 16), ("mlp-8", 16)),
    ]


def test_chunks_do_not_depend_on_the_order_of_other_buckets():
    todo = list(range(83))
    again = sorted(chunk_runs(MIXED, todo[::-1]), key=str)
    for (bucket, chunk), (other, reverse) in zip(
        sorted(chunk_runs(MIXED, todo), key=str), again, strict=True
    ):
        assert bucket == other
        assert chunk == sorted(chunk)
        assert reverse == sorted(reverse, reverse=True)


# ------------------------------------------------------------------ bad inputs


@pytest.mark.parametrize("count", [0, CHUNK_RUNS + 1])
def test_a_chunk_of_another_size_is_refused(count):
    message = rf"^a chunk has 1 to {CHUNK_RUNS} runs, got {count}$"
    with pytest.raises(ValueError, match=message):
        train_chunk(Bucket("mlp-8", BATCH), runs()[:count], mnist(), SETTINGS)


@pytest.mark.parametrize("bucket", [Bucket("mlp-8", 32), Bucket("softmax", BATCH)])
def test_a_run_of_another_bucket_is_refused(bucket):
    hpp = HyperParameters(bucket.architecture, "sgd", 0.1, 0.0, bucket.batch_size, 1.0)
    own = runs()[0]._replace(hpp=hpp)
    message = r"^a run of HyperParameters\(architecture='mlp-8'.* does not belong to "
    with pytest.raises(ValueError, match=message):
        train_chunk(bucket, [own, runs()[0]], mnist(), SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"check_every": 0}, "^check_every must be ≥ 1, got 0$"),
        ({"check_every": -5}, "^check_every must be ≥ 1, got -5$"),
        ({"lanes": 0}, "^lanes must be ≥ 1, got 0$"),
        (
            {"horizon_steps": 9},
            "^horizon_steps must be at least check_every, 10, got 9$",
        ),
        ({"eval_samples": 0}, "^eval_samples must be from 1 to 200, got 0"),
        ({"eval_samples": 201}, "^eval_samples must be from 1 to 200, got 201"),
    ],
)
def test_impossible_settings_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        train(runs()[:1], settings=SETTINGS._replace(**change))


def test_a_batch_larger_than_the_training_set_is_refused():
    large = draw_runs(0, 1, menu(["softmax"], [EXAMPLES + 1]))
    with pytest.raises(ValueError, match=r"^batch_size must be from 1 to 200, got 201"):
        train(large)
