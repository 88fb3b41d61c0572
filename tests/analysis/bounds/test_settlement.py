"""The margin's walk against published brackets, renewal identities and simulation."""

import numpy as np
import pytest
from dpodl.analysis.bounds import delays, races
from dpodl.analysis.bounds.latency import guo_ren, safe_depth
from dpodl.analysis.bounds.settlement import _epochs, gazi_ren_russell
from dpodl.analysis.estimation.estimate import Refused

BITCOIN = 10 / 600


@pytest.mark.parametrize(
    ("q", "depth", "lower", "upper", "digit"),
    [
        (0.1, 6, 1.1109e-3, 1.2739e-3, 1e-7),
        (0.2, 10, 6.0137e-3, 6.4514e-3, 1e-7),
        (0.3, 10, 0.11467, 0.11796, 1e-5),
    ],
)
def test_bitcoin_anchors(q, depth, lower, upper, digit):
    bracket = gazi_ren_russell(q, depth, x=BITCOIN)
    assert bracket.lower == pytest.approx(lower, rel=0, abs=0.51 * digit)
    assert bracket.upper == pytest.approx(upper, rel=0, abs=0.51 * digit)


@pytest.mark.parametrize(("q", "x"), [(0.1, BITCOIN), (0.3, 0.3), (0.05, 0.5)])
def test_epochs_are_a_renewal_process(q, x):
    epochs = _epochs(q, x)
    assert epochs.chance.sum() == pytest.approx(1, abs=1e-12)
    # Honest blocks of an epoch: one, and one more with each gap below Δ.
    alone = np.exp(-(1 - q) * x)
    for count in (1, 2, 3, 5):
        found = epochs.chance[epochs.honest == count].sum()
        exact = (1 - q) * alone * (1 - alone) ** (count - 1)
        assert found == pytest.approx(exact, rel=1e-11)
    # A long stretch has adversarial blocks at rate q, honest ones at rate 1 − q and
    # levels at the rate of honest growth.
    duration = float(epochs.chance @ epochs.taken) / q
    honest = float(epochs.chance @ epochs.honest) / duration
    levels = float(epochs.chance @ epochs.depths) / duration
    assert honest == pytest.approx(1 - q, rel=1e-10)
    assert levels == pytest.approx(delays.growth_under_delay(1 - q, x), rel=1e-10)


def _simulated_epochs(q, x, count):
    """(H, D, A) of epochs, block by block."""
    draw = np.random.default_rng(5)
    found = []
    for _ in range(count):
        honest, depths, now, level = 1, 1, 0.0, 0.0
        while (gap := draw.exponential(1 / (1 - q))) < x:
            now += gap
            honest += 1
            if now - level >= x:
                depths, level = depths + 1, now
        found.append((honest, depths, draw.poisson(q * (now + x))))
    return np.array(found)


def test_the_law_of_an_epoch_is_the_simulated_one():
    q, x, count = 0.3, 0.7, 40_000
    epochs = _epochs(q, x)
    honest, depths, taken = _simulated_epochs(q, x, count).T
    for event in [(3, 1, 0), (3, 2, 1), (4, 2, 0), (5, 3, 2), (1, 1, 0), (6, 2, 1)]:
        at = (epochs.honest, epochs.depths, epochs.taken)
        exact = epochs.chance[
            np.all([c == e for c, e in zip(at, event, strict=True)], 0)
        ]
        exact = float(exact.sum()) / (1 - q)
        share = np.mean(
            (honest == event[0]) & (depths == event[1]) & (taken == event[2])
        )
        assert abs(share - exact) < 4 * np.sqrt(exact * (1 - exact) / count), event


def test_a_simulated_private_attack_lies_in_the_bracket():
    q, depth, x, paths = 0.3, 6, 0.2, 100_000
    draw = np.random.default_rng(7)

    def adversarial(wait):
        interval = wait + draw.exponential(1 / (1 - q), paths)
        return draw.poisson(q * interval)

    lead = np.zeros(paths)
    for _ in range(80):
        lead = np.maximum(lead + adversarial(x) - 1, 0)
    # The target comes at a moment when no honest message is under way: what has passed
    # of that interval since the last one arrived is exponential, and so is the rest.
    lead += adversarial(x) + adversarial(0)
    caught = np.zeros(paths, bool)
    for public in range(1, 120):
        # Just before level public + 1.
        lead += adversarial(x)
        caught |= (lead >= public) & (public >= depth)
    share = float(caught.mean())
    bracket = gazi_ren_russell(q, depth, x=x)
    slack = 4 * np.sqrt(share / paths)
    assert bracket.lower - slack < share < bracket.upper + slack
    assert bracket.upper < 1.3 * bracket.lower


def test_the_bracket_closes_with_the_delay():
    exact = races.premined_race(0.2, 8)
    assert gazi_ren_russell(0.2, 8, x=0) == (exact, exact)
    for x in (1e-2, 1e-4, 1e-7):
        bracket = gazi_ren_russell(0.2, 8, x=x)
        assert exact < bracket.lower < bracket.upper < exact * (1 + 10 * x)


def test_it_is_narrower_than_the_closed_bracket():
    for q, depth, x in [(0.1, 6, BITCOIN), (0.25, 12, 0.05), (0.1, 8, 0.3)]:
        narrow, wide = gazi_ren_russell(q, depth, x=x), guo_ren(q, depth, x=x)
        assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_it_is_monotone_and_saves_confirmations():
    shares = [gazi_ren_russell(q, 6, x=0.05) for q in (0.05, 0.2, 0.3, 0.4, 0.45)]
    depths = [gazi_ren_russell(0.2, k, x=0.05) for k in (3, 6, 9, 12)]
    delays = [gazi_ren_russell(0.2, 6, x=x) for x in (0.01, 0.05, 0.2, 0.4)]
    for field in ("lower", "upper"):
        for grid, sign in ((shares, 1), (depths, -1), (delays, 1)):
            assert np.all(sign * np.diff([getattr(b, field) for b in grid]) > 0)
    few = safe_depth(1e-4, 0.1, x=0.1, bound=gazi_ren_russell)
    assert few < safe_depth(1e-4, 0.1, x=0.1)


def test_from_the_threshold_on_the_attack_succeeds():
    beta = delays.security_threshold(0.3)
    assert gazi_ren_russell(beta, 6, x=0.3) == (1.0, 1.0)
    assert gazi_ren_russell(0.6, 6, x=0.0) == (1.0, 1.0)
    below = gazi_ren_russell(0.97 * beta, 6, x=0.3)
    assert 0.9 < below.lower < below.upper < 1


@pytest.mark.parametrize(
    ("q", "depth", "x", "message"),
    [
        (0.1, 6, 1.0, r"^settlement: at x = 1 epochs of \d+ blocks .* limit is 60"),
        (0.496, 6, BITCOIN, r"^settlement: q = 0.496 is near the threshold 0.4979"),
        (0.1, 40, BITCOIN, r"^settlement: the answer is below 1e-13.* use guo_ren$"),
    ],
)
def test_it_refuses_what_it_cannot_compute(q, depth, x, message):
    with pytest.raises(Refused, match=message):
        gazi_ren_russell(q, depth, x=x)


@pytest.mark.parametrize(
    ("q", "depth", "x", "message"),
    [
        (0, 6, 0.1, r"^q must lie in \(0, 1\], got 0$"),
        (1.1, 6, 0.1, r"^q must lie in .*, got 1.1$"),
        (0.1, 0, 0.1, r"^depth must lie in .*, got 0$"),
        (0.1, 6, float("inf"), r"^x must lie in \[0, ∞\), got inf$"),
    ],
)
def test_refusals_name_field_range_and_value(q, depth, x, message):
    with pytest.raises(ValueError, match=message):
        gazi_ren_russell(q, depth, x=x)
