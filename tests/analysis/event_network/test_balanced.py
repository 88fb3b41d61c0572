"""The balance attack's chain: the Markov chain of its forks, and a plain simulation."""

import jax
import numpy as np
import pytest
from dpodl.analysis.attacks.balancing import balance
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential, fastest_of
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.event_network import balanced
from dpodl.analysis.event_network.balanced import Halves, simulate_balance

HONEST, CORRUPTED, DELAY = 6, 2, 25.0
LAW = exponential(0.004, dead_time=60.0)


def halves(law=LAW, delay=DELAY):
    return Halves(fastest_of(law, HONEST / 2), fastest_of(law, CORRUPTED), delay)


@pytest.fixture(scope="module")
def played():
    return simulate_balance(jax.random.key(3), halves(), levels=96, replicas=500)


def plain(rng, levels: int):
    """One fork after the other, level by level, in absolute times of the two halves."""

    def first(count):
        return 60.0 + rng.exponential(250.0 / count)

    tips, branch = [0.0, 0.0], []
    for _ in range(levels):
        slow = int(tips[1] > tips[0])
        finds = [tips[half] + first(HONEST / 2) for half in (0, 1)]
        ours = tips[slow] + first(CORRUPTED)
        own = ours < finds[slow]
        finds[slow] = min(finds[slow], ours)
        early = int(finds[1] < finds[0])
        forked = finds[1 - early] <= finds[early] + DELAY
        branch.append((early, forked, [own and half == slow for half in (0, 1)]))
        tips = (
            finds
            if forked
            else [finds[early] + DELAY * (half != early) for half in (0, 1)]
        )
    owns, deep, winner, depths = [], 0, branch[-1][0], []
    for early, forked, own in reversed(branch):
        winner = winner if forked else early
        deep = deep + 1 if forked else 0
        owns.append(own[winner])
        depths.append(deep)
    return min(tips) / levels, np.mean(owns), np.array(depths)


def test_it_is_what_two_halves_play_in_absolute_times(played):
    rng = np.random.default_rng(4)
    runs = [plain(rng, 300) for _ in range(120)]
    pairs = {
        "interval": (played.reached[:, -1] / 96, [run[0] for run in runs]),
        "own": (played.own.mean(axis=1), [run[1] for run in runs]),
        **{
            f"reverted {k}": (
                (played.reverted >= k).mean(axis=1),
                [(run[2] >= k).mean() for run in runs],
            )
            for k in (1, 2, 3)
        },
    }
    for name, (ours, theirs) in pairs.items():
        a, b = np.mean(ours), np.mean(theirs)
        error = np.hypot(
            np.std(ours) / np.sqrt(len(ours)), np.std(theirs) / np.sqrt(len(theirs))
        )
        assert abs(a - b) < 4 * error + 0.004 * max(1.0, a), name


def test_long_forks_go_on_as_the_markov_chain_has_it(played):
    """Pr[one more level], once it has lived a few, is the largest eigenvalue."""
    chain = balance(LAW, LAW, provers=HONEST, adversarial=CORRUPTED, delay_steps=DELAY)
    deep = played.reverted
    longer, all_ = (deep >= 4).sum(), (deep >= 3).sum()
    error = np.sqrt(chain.ratio * (1 - chain.ratio) / all_)
    assert all_ > 300
    assert abs(longer / all_ - chain.ratio) < 5 * error + 0.01


def test_levels_and_blocks_add_up(played):
    assert (np.diff(played.reached, axis=1) >= 0).all()
    assert (played.settled >= played.reached[:, 1:] - 1e-9).all()
    assert (played.settled <= played.reached[:, 1:] + DELAY + 1e-6).all()
    assert (played.found <= 2).all()
    assert (played.found >= played.kept).all()
    last = played.reached[:, -1:]
    honest = (played.honest <= last).sum(axis=1)
    # At the ends a level's second block may lie outside.
    assert (abs(honest - played.found.sum(axis=1)) <= 2).all()


def test_without_delay_no_fork_lives():
    found = simulate_balance(
        jax.random.key(1), halves(delay=0.0), levels=64, replicas=100
    )
    assert (found.reverted == 0).all()
    # All provers then race on one tip: rates add.
    rate = 1 / (found.reached[:, -1].mean() / 64 - 60.0)
    assert rate == pytest.approx(0.004 * (HONEST + CORRUPTED), rel=0.05)


def test_more_of_a_chain_at_a_longer_fork_than_is_followed(monkeypatch):
    chain = balance(
        LAW, LAW, provers=HONEST, adversarial=CORRUPTED, delay_steps=DELAY, levels=8
    )
    longer = balance(LAW, LAW, provers=HONEST, adversarial=CORRUPTED, delay_steps=DELAY)
    for depth in (3, 8, 20):
        assert chain.at(depth) == pytest.approx(longer.at(depth), rel=0.02)
    monkeypatch.setattr(balanced, "_MOST", 1)
    with pytest.raises(Refused, match="balance: a fork lives longer than 64 levels"):
        simulate_balance(jax.random.key(1), halves(delay=1e9), levels=16, replicas=8)


def test_a_law_that_never_ends_is_refused():
    stuck = BlockTimeLaw(np.minimum(np.arange(8192) / 64, 0.5), 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match=r"balance on a network: some block never came"):
        simulate_balance(jax.random.key(1), halves(stuck), levels=16, replicas=8)
