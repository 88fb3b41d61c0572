"""The measured table: what adds up, what follows from closed forms, what must grow."""

import math

import pytest
from dpodl.experiments.mining.verification_cost import (
    COLUMNS,
    CostSetting,
    verification_cost,
)
from dpodl.models.learning.architecture import HyperParameters
from dpodl.models.learning.curves import training_set
from dpodl.models.learning.data import load_dataset
from dpodl.models.scheme.records import Build

BUILD = Build("1", "1", "cpu", "test", "", bytes(32))
STEPS, LOOK = 80, 5
SOFTMAX_BYTES = 4 * (784 * 10 + 10)


def setting(**changes) -> CostSetting:
    data = load_dataset()
    plain = CostSetting(
        data=training_set(data.x_train[:400], data.y_train[:400]),
        hpp=HyperParameters("softmax", "sgd", 0.1, 0.0, 32, 1.0),
        steps=STEPS,
        check_every=LOOK,
        checkpoint_every=(LOOK, 2 * LOOK, 6 * LOOK),
        challenges=(0, 1, 2, None),
        eval_samples=300,
        repeats=3,
    )
    return plain._replace(**changes)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def table(told):
    return verification_cost(setting(), BUILD, lambda *report: told.append(report))


def test_every_column_is_there_and_described(table):
    assert list(table.columns) == list(COLUMNS)
    assert len(table) == 12
    assert not table.drop(columns=["rerolls_one", "rerolls_tenth"]).isna().any().any()


def test_progress_counts_rows(table, told):
    assert told == [("measuring verification", i, len(table)) for i in range(13)]


def test_segments_cover_the_steps(table):
    assert list(table.segments.unique()) == [16, 8, 3]
    assert (table.challenges <= table.segments).all()


def test_rerun_steps_are_those_of_the_drawn_segments(table):
    everything = table[table.challenges == table.segments]
    assert (everything.rerun_share == 1.0).all()
    # 80 steps end with a short segment of 20.
    nothing = table[table.challenges == 0]
    assert list(nothing.rerun_share) == [LOOK / STEPS, 2 * LOOK / STEPS, 20 / STEPS]
    for _, rows in table.groupby("checkpoint_every"):
        assert rows.sort_values("challenges").rerun_share.is_monotonic_increasing


def test_a_proofs_bytes_add_up(table):
    parts = table.header_bytes + table.opening_bytes + table.tensor_bytes
    assert parts.to_numpy() == pytest.approx(table.proof_bytes.to_numpy())
    everything = table[table.challenges == table.segments]
    # The beginning of every segment but the first, which follows from h_1.
    expected = (everything.segments - 1) * SOFTMAX_BYTES
    assert list(everything.tensor_bytes) == list(expected)
    assert (table.header_bytes == table.header_bytes.iloc[0]).all()


def test_a_prover_keeps_every_checkpoint_once(table):
    assert (table.storage_bytes == table.segments * SOFTMAX_BYTES).all()


def test_more_challenges_than_segments_are_all_of_them():
    small = setting(checkpoint_every=(40,), challenges=(1, 2, 9, None), repeats=1)
    found = verification_cost(small, BUILD, lambda *_: None)
    assert list(found.challenges) == [1, 2]


def test_optimizer_buffers_are_kept_too():
    hpp = HyperParameters("softmax", "adam", 0.01, 0.0, 32, 1.0)
    small = setting(hpp=hpp, checkpoint_every=(40,), challenges=(1,), repeats=1)
    (row,) = verification_cost(small, BUILD, lambda *_: None).to_dict("records")
    assert row["storage_bytes"] == 2 * 3 * SOFTMAX_BYTES


def test_detection_and_rerolls_are_the_closed_forms(table):
    for row in table.itertuples():
        n, q = row.segments, row.challenges
        assert row.detection_one == pytest.approx(q / n)
        tenth = -(-n // 10)
        missed = math.comb(n - tenth, q) / math.comb(n, q)
        assert row.detection_tenth == pytest.approx(1 - missed)
        for detection, tries in (
            (row.detection_one, row.rerolls_one),
            (row.detection_tenth, row.rerolls_tenth),
        ):
            if detection == 1:
                assert tries == math.inf
            else:
                assert tries == pytest.approx(1 / (1 - detection))


def test_times_are_positive_and_ordered(table):
    for what in ("training", "verification"):
        low, middle, high = (
            table[f"{what}_{name}"] for name in ("low", "seconds", "high")
        )
        assert (low > 0).all()
        assert (low <= middle).all()
        assert (middle <= high).all()
    ratio = table.verification_seconds / table.training_seconds
    assert table.ratio.to_numpy() == pytest.approx(ratio.to_numpy())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 7}, "steps"),
        ({"repeats": 0}, "repeats"),
        ({"challenges": (-1,)}, "challenges"),
        ({"checkpoint_every": (7,)}, "checkpoint_every"),
        ({"eval_samples": 401}, "eval_samples"),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        verification_cost(setting(**changes), BUILD, lambda *_: None)
