"""A sweep's folder: what is kept, what is refused, and the table of all of it."""

import gzip
import io
import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.store.locks import exclusive
from dpodl.experiments.sweep import counts, points, shard_file
from dpodl.experiments.sweep.counts import count_points
from dpodl.experiments.sweep.design import design_of, frozen
from dpodl.experiments.sweep.evaluation import Outcome
from dpodl.experiments.sweep.points import parameters, points_table
from dpodl.experiments.sweep.results import (
    read_results,
    results_bytes,
    results_frame,
    results_table,
)
from dpodl.experiments.sweep.store import (
    StoreError,
    SweepStore,
    found_elsewhere,
    store_path,
)

OVER = {"scheme.t_acc": [0.3, 0.4, 0.5], "scheme.t_2": ["2^255", "7"]}
KEYS = [f"key {i}" for i in range(6)]


def outcome(value: float, rows: int = 2) -> Outcome:
    return Outcome(
        tuple(
            {
                "quantity": "chain_growth",
                "at": math.nan if i == 0 else float(i),
                "at_unit": "",
                "value": value + i,
                "low": -math.inf,
                "high": 1e300,
                "count": 2**40 + i,
                "method": "µ – of a test, “quoted”",
                "unit": "blocks",
            }
            for i in range(rows)
        ),
        "",
    )


def refused(why: str) -> Outcome:
    return Outcome((), why)


@pytest.fixture
def config():
    return frozen(load_config("smoke"), over=OVER)


@pytest.fixture
def store(config, tmp_path) -> SweepStore:
    """A store of six points of which none is tried."""
    design = design_of(config)
    rows = [
        parameters(each, design.values(i))  # pyright: ignore[reportArgumentType]
        for i, each in enumerate(design.settings())
    ]
    columns = {
        "key": KEYS,
        "group": ["a"] * 4 + ["b"] * 2,
        "label": [""] * 6,
        "error": [""] * 6,
    }
    found = SweepStore(store_path(config, tmp_path))
    found.write_plan(config, points_table(design, rows, columns))
    return found


# ------------------------------------------------------------------ shards


def test_a_shard_holds_what_was_put_in():
    outcomes = [outcome(1.5), refused("no"), outcome(2.5, 0), outcome(3.5, 1)]
    content = shard_file.encode(KEYS[:4], outcomes, unexpected=[1], attempt=3)
    facts = shard_file.facts_of(content)
    assert facts == shard_file.ShardFacts(tuple(KEYS[:4]), {1: "no"}, frozenset({1}), 3)
    rows = shard_file.table_of(content).to_pylist()
    assert [row.pop("place") for row in rows] == [0, 0, 3]
    assert math.isnan(rows[0].pop("at"))
    expected = dict(outcomes[0].rows[0])
    del expected["at"]
    # What a row does not say is said to be unknown.
    assert math.isnan(rows[0].pop("runs_effective"))
    assert rows[0].pop("warning") == ""
    assert rows[0] == expected
    assert shard_file.encode(KEYS[:4], outcomes, unexpected=[1], attempt=3) == content


def test_some_points_of_a_shard_are_as_if_they_had_been_alone():
    outcomes = [outcome(1.0), outcome(2.0, 3), refused("no"), outcome(4.0)]
    content = shard_file.encode(KEYS[:4], outcomes)
    assert shard_file.part_of(content, [1, 3]) == shard_file.encode(
        [KEYS[1], KEYS[3]], [outcomes[1], outcomes[3]]
    )
    assert shard_file.part_of(content, range(4)) == content


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100])
def test_what_is_no_shard(content):
    with pytest.raises(ValueError, match="not a shard"):
        shard_file.facts_of(content)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), buffer)
    with pytest.raises(ValueError, match="not a shard"):
        shard_file.facts_of(buffer.getvalue())


# ------------------------------------------------------------------ what is known


def test_rows_beat_failures_and_later_failures_earlier_ones(store):
    store.add(shard_file.encode(KEYS[:2], [refused("first"), refused("first")]))
    store.add(shard_file.encode(KEYS[:2], [refused("second"), outcome(1.0)], attempt=2))
    store.add(shard_file.encode(KEYS[1:2], [refused("third")], attempt=3))
    for each in (store, SweepStore(store.path)):
        known = each.known()
        assert known[KEYS[0]].error == "second"
        assert known[KEYS[0]].attempt == 2
        assert known[KEYS[1]].done


def test_a_reader_sees_new_shards_and_no_damaged_ones(store):
    reader = SweepStore(store.path)
    assert reader.known() == {}
    store.add(shard_file.encode(KEYS[:1], [outcome(1.0)]))
    assert set(reader.known()) == {KEYS[0]}
    store.add(shard_file.encode(KEYS[1:2], [outcome(1.0)]))
    (path,) = set(store.path.glob("shards/*")) - {reader.known()[KEYS[0]].shard}
    path.write_bytes(path.read_bytes()[:-1])
    assert set(SweepStore(store.path).known()) == {KEYS[0]}
    assert store.drop_damaged() == 1
    assert not path.exists()


def test_a_shard_under_another_name_is_none(store):
    store.add(shard_file.encode(KEYS[:1], [outcome(1.0)]))
    (path,) = store.path.glob("shards/*")
    path.rename(path.with_name("mine.parquet"))
    assert SweepStore(store.path).known() == {}


def test_points_of_other_sweeps(store, config, tmp_path):
    store.add(shard_file.encode(KEYS[:3], [outcome(1.0), refused("no"), outcome(3.0)]))
    here = tmp_path / "sweep-other-0123456789"
    ((content, places),) = found_elsewhere(tmp_path, KEYS, beside=here)
    assert places == [0, 2]
    assert list(found_elsewhere(tmp_path, KEYS, beside=store.path)) == []
    assert list(found_elsewhere(tmp_path, [KEYS[1]], beside=here)) == []
    (path,) = store.path.glob("shards/*")
    path.write_bytes(content[:200] + b"?" + content[201:])
    assert list(found_elsewhere(tmp_path, KEYS, beside=here)) == []


def test_whether_somebody_works_on_it(store):
    assert not store.worked_on()
    with exclusive(store.path):
        assert store.worked_on()
    assert not store.worked_on()


# ------------------------------------------------------------------ refusals


def test_a_folder_of_the_same_sweep_is_taken_on(store, config):
    store.check(config)
    assert store.config() == config
    assert store.path.name.startswith("sweep-smoke-")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("sweep.toml", b'name = "other"', "was changed"),
        ("sweep.toml", b"name = 3", "not this version's store"),
        ("sweep.toml", b"\xff", "not this version's store"),
        ("sweep.toml", b'name = "smoke"\nnew = 1', "not this version's store"),
    ],
)
def test_what_is_not_this_sweep_is_refused(store, config, name, content, told):
    (store.path / name).write_bytes(content)
    with pytest.raises(StoreError, match=told):
        store.check(config)
    with pytest.raises(ConfigError):
        store.write_plan(config, pa.table({"x": [1]}))


def test_a_store_of_another_format_is_refused(store, config):
    table = store.points()
    meta = json.dumps({"format": 99, "parameters": []}).encode()
    path = store.path / "points.parquet"
    pq.write_table(table.replace_schema_metadata({b"dpodl.sweep": meta}), path)
    store.folder.record("plan", "", ["sweep.toml", "points.parquet"])
    for read in (results_frame, count_points, lambda _: store.check(config)):
        with pytest.raises(StoreError, match="format 99; this dpodl reads 1"):
            read(store)


def test_what_is_no_store(tmp_path):
    for read in (results_frame, count_points):
        with pytest.raises(StoreError, match="no sweep's folder"):
            read(SweepStore(tmp_path))
    with pytest.raises(StoreError, match=r"no sweep\.toml"):
        SweepStore(tmp_path).config()


@pytest.mark.parametrize(
    "notes", ["", "{", "[]", '{"sessions": 3}', '{"sessions": [3]}']
)
def test_notes_that_are_damaged_are_none(store, notes):
    (store.path / "provenance.json").write_text(notes)
    assert store.sessions() == []
    assert counts.rate(store.sessions()) is None


def test_the_rate_is_that_of_the_last_who_computed(store):
    store.write_sessions(
        [
            {"computed": 10, "seconds": 1.0},
            {"computed": 10, "seconds": 5.0},
            {"computed": 0, "seconds": 0.0},
            {"no": "notes"},
        ]
    )
    assert counts.rate(store.sessions()) == 2.0


# ------------------------------------------------------------------ the table


@pytest.fixture
def filled(store) -> SweepStore:
    store.add(shard_file.encode(KEYS[3:5], [outcome(4.0), refused("not enough")]))
    store.add(shard_file.encode(KEYS[:2], [outcome(1.0, 3), outcome(2.0, 0)]))
    return store


def test_the_table_is_in_the_designs_order(filled):
    table = read_results(filled.path)
    assert list(table.point) == [0, 0, 0, 1, 3, 3, 4]
    assert list(table.status) == ["done"] * 6 + ["failed"]
    assert list(table.error) == [""] * 6 + ["not enough"]
    assert list(table["scheme.t_2"])[-3:] == ["7", "7", "2^255"]
    assert list(table["scheme.t_acc"]) == [0.3] * 4 + [0.4] * 2 + [0.5]
    assert table.p_2.iloc[4] == 8 / 2**256
    np.testing.assert_array_equal(
        table.value, [1.0, 2.0, 3.0, math.nan, 4.0, 5.0, math.nan]
    )
    assert table["count"].dtype == "Int64"
    assert table["count"].iloc[1] == 2**40 + 1


def test_nothing_is_known_of_points_that_are_not_tried(store):
    table = read_results(store.path)
    assert len(table) == 0
    assert list(table.columns[:3]) == ["point", "status", "error"]
    total, groups = count_points(store)
    assert total == (6, 0, 0, 6)
    assert [counts.todo for _, counts in groups] == [4, 2]


def test_counts(filled):
    total, groups = count_points(filled)
    assert total == counts.Counts(points=6, done=3, failed=1, todo=2)
    assert groups == [("a", (4, 3, 0, 1)), ("b", (2, 0, 1, 1))]


def test_every_format_has_the_same_numbers(filled):
    table = results_table(filled)
    frame = read_results(filled.path)
    found = pd.read_parquet(io.BytesIO(results_bytes(table, "parquet")))
    pd.testing.assert_frame_equal(found.astype({"count": "Int64"}), frame)
    csv = results_bytes(table, "csv")
    assert gzip.decompress(results_bytes(table, "csv.gz")) == csv
    again = pd.read_csv(io.BytesIO(csv), keep_default_na=False, na_values=[""])
    np.testing.assert_array_equal(again.value, frame.value)
    np.testing.assert_array_equal(again.low, frame.low)
    assert list(again.method.dropna()) == list(frame.method.dropna())
    records = json.loads(results_bytes(table, "json"))
    assert [r["value"] for r in records][:3] == [1.0, 2.0, 3.0]
    assert [r["low"] for r in records] == [None] * 7
    assert records[-1]["error"] == "not enough"


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "json", "parquet"])
def test_the_same_points_give_the_same_bytes_however_they_are_kept(
    kind, filled, config, tmp_path
):
    other = SweepStore(tmp_path / "apart" / filled.path.name)
    other.write_plan(config, filled.points())
    for key, what in (
        (KEYS[4], refused("not enough")),
        (KEYS[1], outcome(2.0, 0)),
        (KEYS[3], outcome(4.0)),
        (KEYS[0], outcome(1.0, 3)),
    ):
        other.add(shard_file.encode([key], [what]))
    one, two = (results_table(each) for each in (filled, other))
    assert results_bytes(one, kind) == results_bytes(two, kind)


def test_parameters_of_any_kind_have_a_column():
    over = {
        "network.provers": [4, 10**30],
        "menu": [{"architectures": ["softmax"]}],
        "protocol.abandon_steps": [12, "never"],
        "protocol.step_rule": [True],
        "scheme.p_2": [0.5],
    }
    config = frozen(load_config("smoke", ["network.beta=0"]), over={"seed": [1]})
    design = design_of(config)._replace(axes=(), rows=((),))
    assert points.parameter_names(design) == list(points._ALWAYS)
    kinds = {name: str(points._column(values).type) for name, values in over.items()}
    assert kinds == {
        "network.provers": "string",
        "menu": "string",
        "protocol.abandon_steps": "string",
        "protocol.step_rule": "bool",
        "scheme.p_2": "double",
    }
