"""Measured times as they are found."""

import pytest
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.own.time_list import read_times


def read(folder, text, columns=None):
    path = folder / "times.csv"
    path.write_text(text, encoding="utf-8")
    return read_times(path, columns)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("time\n3\n5\n", [False, False]),
        ("solve_time,censored\n3,0\n5,1\n", [False, True]),
        ("seconds;solved\n3;yes\n5;no\n", [False, True]),
        ("duration\ttimeout\n3\tfalse\n5\tTrue\n", [False, True]),
        ("time,censored\n3,\n,1\n5,1\n", [False, True]),
    ],
)
def test_times_and_what_was_cut_off(text, cut, tmp_path):
    found = read(tmp_path, text)
    assert found.times.tolist() == [3.0, 5.0]
    assert found.censored.tolist() == cut


def test_columns_can_be_named(tmp_path):
    found = read(tmp_path, "a,b\n3,1\n5,0\n", {"time": "a", "censored": "b"})
    assert found.censored.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("when\n3\n", "known as the time"),
        ("time\n0\n", "row 1: a time must be > 0"),
        ("time\n3\n-5\n", "row 2: a time must be > 0"),
        ("time,censored\n3,perhaps\n", "must hold 0 or 1"),
    ],
)
def test_what_are_no_times_is_told(text, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        read(tmp_path, text)
