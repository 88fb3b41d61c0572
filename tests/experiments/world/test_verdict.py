"""Verdicts in words, of hand-made tables."""

import math

import pandas as pd
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.world.verdict import count_verdicts, sweep_line, verdict

CONFIG = load_config(
    "smoke", ["security.levels=128", "security.depths=40", "security.target=1e-3"]
)


def row(quantity, at, value, low, high, method="Fourier grid"):
    return {
        **{"quantity": quantity, "at": at, "value": value, "low": low, "high": high},
        **{"method": method, "count": 400},
    }


def curve(depth=40, value=1e-4):
    return row("persistence_violation", float(depth), value, value / 2, 2 * value)


def unsafe(value, low, high, method="Fourier grid"):
    return row("unsafe_depth", 1e-3, value, low, high, method)


def said(*rows, faults=()):
    notes = pd.DataFrame([("fault", text) for text in faults], columns=["kind", "text"])
    laws = pd.DataFrame({"main": [True], "runs": [192]})
    tables = {
        "estimates": pd.DataFrame([*rows]),
        "law_summary": laws,
        "notes": notes,
    }
    return verdict(CONFIG, tables)


def test_safe_not_safe_and_between():
    found = said(curve(), unsafe(29.0, 25.0, 31.0))
    assert (found.safe_depth, found.unsafe_depth, found.never) == (32, 25, False)
    assert found.asked == "SAFE"
    assert "SAFE from 32 confirmations" in found.line
    assert "NOT SAFE up to 25; undecided at 26–31: 768 models, not 192" in found.line


def test_a_depth_that_is_open_says_how_many_models_decide_it():
    found = said(curve(), unsafe(36.0, 31.0, 44.0))
    assert found.asked == "UNDECIDED"
    # (ln(45/37) / ln(40/37))² · 192
    needed = 192 * (math.log(45 / 37) / math.log(40 / 37)) ** 2
    assert 1200 < needed < 1300
    assert "about 1,300 models, not 192, would decide 40" in found.line


def test_where_the_private_chain_outgrows_no_depth_is_safe():
    never = unsafe(math.inf, math.inf, math.inf)
    growth = row("private_growth", math.nan, 1.24, 1.2, 1.3)
    good = row("good_period", 40.0, 0.984, 0.98, 0.99)
    quality = row("chain_quality", math.nan, 0.04, 0.03, 0.05)
    stale = row("stale_rate", math.nan, 0.79, 0.78, 0.8)
    found = said(curve(value=1.0), never, growth, good, quality, stale)
    assert (found.safe_depth, found.unsafe_depth, found.never) == (None, None, True)
    assert found.line.startswith("NOT SAFE at any depth against a private chain")
    assert "1.24 [1.2, 1.3] times as fast" in found.line
    assert "Pr[window of 40 blocks is good] = 0.984 does not help" in found.line
    assert "chain quality 0.04, 79% of the honest blocks stale" in found.line
    bad = row("good_period", 40.0, 0.3, 0.2, 0.4)
    assert "does not help" not in said(curve(), never, growth, bad).line


def test_a_fault_stands_before_the_verdict():
    found = said(curve(), unsafe(29.0, 25.0, 31.0), faults=["depth 3"])
    assert found.line.startswith("NOT TO BE RELIED ON")


def test_a_run_of_before_is_judged_by_its_simulated_curve():
    rows = [curve(k, 2.0**-k) for k in range(1, 41)]
    found = said(*[{**each, "method": "share"} for each in rows])
    # Its band is a factor of two: 2^-k is above 1e-3 up to 9, its ends up to 8 and 10.
    assert (found.safe_depth, found.unsafe_depth) == (11, 8)


def points(*each):
    rows = []
    for number, some in enumerate(each):
        head = {"point": number, "status": "done", "error": ""}
        rows += [{**head, **one} for one in some]
    return pd.DataFrame(rows)


def test_points_are_counted_by_the_depth_that_was_asked_for():
    gap = "mostly the gap between the bound and the network"
    table = points(
        [curve(), unsafe(29.0, 25.0, 31.0)],
        [curve(), unsafe(60.0, 45.0, 80.0)],
        [curve(), unsafe(math.inf, math.inf, math.inf)],
        [curve(), unsafe(44.0, 30.0, 50.0, f"grid; {gap}")],
        [curve(), unsafe(36.0, 31.0, 44.0)],
        [row("chain_growth", math.nan, 1.0, 0.9, 1.1)],
    )
    found = count_verdicts(table)
    assert found is not None
    assert found[:6] == (6, 1, 2, 1, 2, 1)
    line = sweep_line(table)
    assert "SAFE at 40 confirmations in 1 of 6 points" in line
    assert "NOT SAFE in 2 (1 of them at any depth), undecided in 2" in line
    assert "more models in 1" in line
    assert "nearer than its bound in 1" in line
