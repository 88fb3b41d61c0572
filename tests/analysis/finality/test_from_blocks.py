"""A list of blocks gives back what a simulated chain was made with."""

import numpy as np
import pytest
from dpodl.analysis.block_time.law import mean
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.finality import chain_facts


def mined(seed: int, blocks: int, *, provers: int, rate: float, delay: float):
    """Blocks of memoryless provers, one by one: times, heights and finders."""
    rng = np.random.default_rng(seed)
    waits = rng.exponential(1 / rate, blocks)
    finders = rng.integers(provers, size=blocks)
    times, heights = np.cumsum(waits), np.zeros(blocks, int)
    heard, own, first = 0, np.zeros(provers, int), 0
    for place, (now, who) in enumerate(zip(times, finders, strict=True)):
        while times[first] <= now - delay:
            heard = max(heard, heights[first])
            first += 1
        heights[place] = own[who] = 1 + max(heard, own[who])
    return times, heights, finders


def test_the_way_back_recovers_what_the_chain_was_made_with():
    delay, rate, provers, seeds = 8.0, 0.01, 40, 8
    # The finder himself does not wait for his block: a fortieth of Δ is missing.
    true = {"mean": delay + 1 / rate, "delay": delay * (1 - 1 / provers)}
    true |= {"share": 0.25, "correlation": 0.0}
    found = {name: [] for name in true}
    for seed in range(seeds):
        times, heights, finders = mined(
            seed, 6000, provers=provers, rate=rate, delay=delay
        )
        stamps = np.sort([times[heights == h].min() for h in np.unique(heights)])
        facts = chain_facts(
            stamps,
            stale=len(times) - len(stamps),
            marked=finders < 10,
            resamples=0,
        )
        for name in true:
            found[name].append(getattr(facts, name))
        assert mean(facts.law.law) == pytest.approx(facts.mean.value, rel=0.01)
    for name, each in found.items():
        inside = sum(one.low <= true[name] <= one.high for one in each)
        assert inside >= seeds - 3, name
        # Half-widths of one seed, over the root of their number.
        half = np.mean([one.high - one.low for one in each]) / 2 / np.sqrt(seeds)
        assert abs(np.mean([one.value for one in each]) - true[name]) < 2 * half, name


def test_intervals_cover_what_is_true():
    covered = {"mean": 0, "cv": 0, "share": 0, "exponential": 0}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        stamps = np.cumsum(rng.exponential(10.0, 300))
        facts = chain_facts(stamps, stale=0, marked=rng.random(300) < 0.3, resamples=0)
        covered["mean"] += facts.mean.low <= 10 <= facts.mean.high
        covered["cv"] += facts.cv.low <= 1 <= facts.cv.high
        assert facts.share is not None
        covered["share"] += facts.share.low <= 0.3 <= facts.share.high
        covered["exponential"] += facts.memoryless > 0.05
    assert min(covered.values()) >= 50  # 57 of 60 are expected


def test_other_intervals_are_told_from_exponential_ones():
    stamps = np.cumsum(np.random.default_rng(1).gamma(3.0, 4.0, 400))
    assert chain_facts(stamps, resamples=0).memoryless == 1 / 500


def test_what_a_list_does_not_say_is_not_said():
    stamps = np.cumsum(np.random.default_rng(1).exponential(10.0, 50))
    facts = chain_facts(stamps, resamples=2)
    assert facts.delay is facts.stale_rate is facts.share is None
    assert any("nothing is said of β" in note for note in facts.notes)
    none = chain_facts(stamps, stale=0, resamples=0)
    assert none.delay is not None
    assert (none.delay.value, none.delay.low) == (0.0, 0.0)
    assert 0 < none.delay.high < 2.0


def test_stamps_that_run_backwards_are_said_and_kept():
    stamps = np.cumsum(np.random.default_rng(1).exponential(10.0, 50))
    stamps[20] = stamps[18] - 3.0
    facts = chain_facts(stamps, resamples=0)
    assert any("1 of 49 timestamps" in note for note in facts.notes)
    assert any("1 intervals are 0" in note for note in facts.notes)


def test_too_little_is_refused():
    with pytest.raises(Refused, match="19 intervals, at least 20 are needed"):
        chain_facts(np.arange(20.0))
    with pytest.raises(Refused, match="all blocks bear one time"):
        chain_facts(np.zeros(40))
