"""How deep is safe, narrowly: the walk of the margin over epochs of honest blocks.

Notation (time unit: one mean block interval of everybody, λ = 1)

| symbol | name here | meaning |
|---|---|---|
| q, p = 1 − q | `q` | the adversary's and the honest share of block events |
| k | `depth` | blocks that bury the target, its own included |
| x = λΔ | `x` | bound on message delay in mean block intervals |
| epoch | `_Epochs` | an honest block and those that follow it with gaps below Δ |
| H | `honest` | honest blocks of an epoch |
| D | `depths` | levels that they fill at the least: each Δ or more after the last |
| A | `taken` | adversarial blocks from the epoch's start to Δ after its end |
| m | `margins` | lead of the best chain without the target (< 0: behind) |

Source
    [GRR23] Gaži, Ren, Russell, Practical Settlement Bounds for Longest-Chain
            Consensus, CRYPTO'23, and the authors' program, renling/LCanalysis. The
            walks are theirs; the law of an epoch is computed exactly here, where the
            program forgets how many levels an epoch had when it asks for the next.

Assumptions as in `latency`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import optimize, sparse, stats
from scipy.signal import convolve2d
from scipy.sparse.linalg import spsolve
from scipy.special import gammaln

from ..estimation.estimate import Refused
from .arguments import Count, Real
from .delays import security_threshold
from .latency import Bracket, require_attack
from .races import premined_race

# Rarer epochs are left out. With the rounding of the linear systems this is an
# absolute error near 1e-16, so smaller answers than `_FLOOR` would be noise.
_RARE = 1e-20
_FLOOR = 1e-13
_MOST_BLOCKS = 60
_MOST_MARGIN = 1500

_Law: TypeAlias = Float[np.ndarray, "honest taken"]
_Rule: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def gazi_ren_russell(q: Real, depth: Count, *, x: Real) -> Bracket:
    r"""Bracket of the confirmation error from the walk of the margin over epochs.

    Events are one adversarial block (probability q) or an epoch (H, D, A). The margin
    m walks by A − D, and a target is confirmed when 2k blocks exist. Lower bound: the
    private attack in worst-case delay, m ← m + A − D, with a lead that stops at 0
    before the target. Upper bound: honest blocks of one epoch may have been mined in
    each other's ignorance, so where −A ≤ m ≤ D the adversary may split them and keep

        m ← min(0, m) + A;

    only an epoch of a single honest block and no other (H = 1, A = 0) parts a tie
    (m = 0 → −1), and not after the confirmation.

    The law of an epoch is exact: it falls into levels of Δ or more, independent but
    for whether another follows (`_level`).

    Args:
        q: the adversary's share, in (0, 1].
        depth: k ≥ 1, blocks.
        x: λΔ ≥ 0.

    Returns:
        Both bounds, tight where delays are short; 1 and 1 from the threshold
        `security_threshold(x)` on.

    Raises:
        ValueError: an argument outside its range.
        Refused: a delay with epochs of more than 60 blocks, a share so near the
            threshold that margins beyond 1500 count, or an answer below 1e-13.

    Reference: [GRR23].
    """
    require_attack(q, depth, x)
    if q == 0:
        raise ValueError("q must lie in (0, 1], got 0")
    if q >= security_threshold(x):
        return Bracket(1.0, 1.0)
    if x == 0:
        # Without delay both walks are that of single blocks.
        exact = premined_race(q, depth)
        return Bracket(exact, exact)
    epochs = _epochs(float(q), float(x))
    reach = 2 * int(depth) + _margins(epochs)
    if reach > _MOST_MARGIN:
        raise Refused(
            f"settlement: q = {q:g} is near the threshold {security_threshold(x):g} "
            f"(or the depth too great): margins up to {reach} would count, the limit "
            f"is {_MOST_MARGIN}"
        )
    # Private attack: blocks of a level beyond its first lengthen no chain.
    plain = epochs._replace(single=np.zeros_like(epochs.single))
    lower = _settlement(
        plain, _private, _private_lead, epochs.depths + epochs.taken, int(depth), reach
    )
    upper = _settlement(
        epochs, _margin, _margin, epochs.honest + epochs.taken, int(depth), reach
    )
    if lower < _FLOOR:
        raise Refused(
            f"settlement: the answer is below {_FLOOR:g}, where the numerical error of "
            "the margin's walk would show; use guo_ren"
        )
    return Bracket(lower, min(1.0, upper))


class _Epochs(NamedTuple):
    """Events of the margin's walk; an adversarial block is (0, 0, 1)."""

    chance: Float[np.ndarray, " events"]
    honest: Int[np.ndarray, " events"]
    depths: Int[np.ndarray, " events"]
    taken: Int[np.ndarray, " events"]
    single: Bool[np.ndarray, " events"]  # (H, A) = (1, 0), which parts a tie


def _level(q: float, x: float, most: int) -> tuple[_Law, _Law]:
    """Law of (honest, adversarial blocks) of a level that ends the epoch, or does not.

    A level's first block comes at 0; m more in (0, x), the last at s (0 if none). The
    next honest block after x comes at x + v: v < s means a gap below x, a new level;
    else the epoch ends at s + x.
    """
    p = 1 - q
    nodes, weights = np.polynomial.legendre.leggauss(48)
    s, ds = (nodes + 1) / 2 * x, weights / 2 * x
    a = np.arange(most)
    during = stats.poisson.pmf(a[:, None], q * (x + s))
    ends, goes_on = np.zeros((most + 1, most)), np.zeros((most + 1, most))
    ends[1] = np.exp(-p * x) * stats.poisson.pmf(a, q * x)
    for m in range(1, most):
        # Density of the m-th at s, none in (s, s + x); or (m within x) and v = s,
        # the last one somewhere after v.
        last = np.exp(m * math.log(p) + (m - 1) * np.log(s) - gammaln(m) - p * (x + s))
        later = np.exp(m * math.log(p * x) - gammaln(m + 1)) * -np.expm1(
            m * np.log(s / x)
        )
        ends[1 + m] = during @ (last * ds)
        goes_on[1 + m] = during @ (p * np.exp(-p * (x + s)) * later * ds)
    return ends, goes_on


def _epochs(q: float, x: float) -> _Epochs:
    p = 1 - q
    # H is geometric: the next honest block is a tailgater with 1 − e^{−px}.
    most = 8 + math.ceil(math.log(_RARE) / math.log(-math.expm1(-p * x)))
    if most > _MOST_BLOCKS:
        raise Refused(
            f"settlement: at x = {x:g} epochs of {most} blocks would count, the limit "
            f"is {_MOST_BLOCKS}; such delays are more than a fraction of an interval"
        )
    ends, goes_on = _level(q, x, most)
    # Convolve with what there is of it, mostly far fewer than `most` blocks a level.
    likely = goes_on > _RARE
    kernel = goes_on[: likely.any(axis=1).sum() + 2, : likely.any(axis=0).sum() + 1]
    law = np.zeros((most + 1, most + 1, most))  # [levels, honest, taken]
    law[0, 0, 1] = q
    law[1] = p * ends
    for levels in range(2, most + 1):
        law[levels] = convolve2d(kernel, law[levels - 1])[: most + 1, :most]
    levels, honest, taken = np.nonzero(law > _RARE)
    chance = law[levels, honest, taken]
    return _Epochs(chance, honest, levels, taken, (honest == 1) & (taken == 0))


def _margins(epochs: _Epochs) -> int:
    """Deficit from which the walk comes back with probability below `_RARE`."""
    gain = (epochs.taken - epochs.depths).astype(float)

    def excess(theta):
        return float(np.logaddexp.reduce(theta * gain + np.log(epochs.chance)))

    # ln E[e^{θ(A−D)}] = 0 has one root above 0: convex, falling at 0, rising at last.
    high = 1.0
    while excess(high) < 0:
        high *= 2
    low = high / 2
    while low > 1e-6 and excess(low) > 0:
        low /= 2
    if low <= 1e-6:
        return _MOST_MARGIN + 1
    root = float(optimize.brentq(excess, low, high))  # pyright: ignore
    return math.ceil(-math.log(_RARE) / root)


def _private(m: np.ndarray, depths: np.ndarray, taken: np.ndarray) -> np.ndarray:
    return m + taken - depths


def _private_lead(m: np.ndarray, depths: np.ndarray, taken: np.ndarray) -> np.ndarray:
    return np.maximum(m + taken - depths, 0)


def _margin(m: np.ndarray, depths: np.ndarray, taken: np.ndarray) -> np.ndarray:
    split = (m >= -taken) & (m <= depths)
    return np.where(split, np.minimum(m, 0) + taken, m + taken - depths)


def _settlement(
    epochs: _Epochs,
    rule: _Rule,
    lead_rule: _Rule,
    blocks: Int[np.ndarray, " events"],
    depth: int,
    reach: int,
) -> float:
    """Pr[margin ≥ 0 at or after the moment at which 2·depth blocks exist]."""
    margins = np.arange(-reach, reach + 1)
    lead = _stationary(epochs, lead_rule, reach)
    # mass[l, m]: l blocks still to come; a lead counts among the blocks.
    mass = np.zeros((2 * depth + 1, 2 * reach + 1))
    for ahead, chance in enumerate(lead):
        mass[max(2 * depth - ahead, 0), reach + ahead] += chance
    steps = {
        int(n): _moves(epochs, blocks == n, rule, margins, parts=True)
        for n in np.unique(blocks)
    }
    for left in range(2 * depth, 0, -1):
        for n, step in steps.items():
            mass[max(left - n, 0)] += step @ mass[left]
    after = _moves(epochs, epochs.chance > 0, rule, margins, parts=False)
    inside = after[:reach, :reach].T
    back = np.asarray(after[reach:, :reach].sum(axis=0)).ravel()
    caught = spsolve((sparse.eye_array(reach) - inside).tocsc(), back)
    return float(mass[0, reach:].sum() + mass[0, :reach] @ caught)


def _stationary(epochs: _Epochs, rule: _Rule, reach: int) -> np.ndarray:
    """Law of the lead 0..reach before the target; at `reach` it is cut."""
    leads = np.arange(reach + 1)
    step = _moves(epochs, epochs.chance > 0, rule, leads, parts=False)
    # One balance equation is redundant: π_0 = 1 in its place, then normalise.
    balance = (step - sparse.eye_array(reach + 1)).tocsc()
    known = -balance[:, [0]].toarray().ravel()[1:]
    law = np.append(1.0, np.asarray(spsolve(balance[1:, 1:].tocsc(), known)))
    return np.maximum(law, 0.0) / law.sum()


def _moves(
    epochs: _Epochs, chosen: np.ndarray, rule: _Rule, margins: np.ndarray, *, parts
) -> sparse.csr_array:
    """Matrix [to, from] of the chosen events on the margins, cut at their ends."""
    start = np.broadcast_to(margins, (int(chosen.sum()), len(margins)))
    depths, taken = (c[chosen][:, None] for c in (epochs.depths, epochs.taken))
    to = rule(start, depths, taken)
    if parts:
        to = np.where((start == 0) & (epochs.single[chosen][:, None]), -1, to)
    to = np.clip(to, margins[0], margins[-1]) - margins[0]
    chance = np.broadcast_to(epochs.chance[chosen][:, None], start.shape)
    size = len(margins)
    places = (to.ravel(), (start - margins[0]).ravel())
    return sparse.coo_array((chance.ravel(), places), (size, size)).tocsr()
