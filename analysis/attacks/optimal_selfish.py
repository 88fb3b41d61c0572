"""Optimal selfish mining of a memoryless pool, between two bounds.

Notation

| symbol | name here | meaning |
|---|---|---|
| α, γ | `alpha`, `gamma` | the pool's share; honest share that ties for it |
| a, h | `pool`, `public` | blocks of the pool's and the public branch since the fork |
| R | | the pool's share of the settled blocks; honest play gives α |
| T | `most_blocks` | longest branch that the decision process follows |
| c = (1−α)/(1−2α) | `descent` | honest blocks, on average, until a lead falls by one |
| v | `values` | relative value of a state when a settled block costs R |

A match is possible when the last block was honest and a ≥ h ≥ 1 (`_MATCHABLE`); from
then on the network is split until the next honest block (`_SPLIT`). Assumes exponential
intervals and no delay; `sm1` has the first strategy for any law.

Source
    [SSZ16] Sapirshtein, Sompolinsky, Zohar, Optimal Selfish Mining Strategies in
            Bitcoin, FC'16.
"""

from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse
from scipy.sparse.linalg import spsolve

from ..bounds.arguments import Real
from ..bounds.latency import Bracket
from ..estimation.estimate import Refused

Ending: TypeAlias = Literal["forced", "played", "granted"]

_QUIET, _MATCHABLE, _SPLIT = range(3)
_ADOPT, _OVERRIDE, _WAIT, _MATCH = range(4)
_GAIN = 1e-11
_ROUNDS = 200


def optimal_selfish_revenue(
    alpha: Real, gamma: Real, *, most_blocks: int = 80
) -> Bracket:
    r"""Revenue of the best withholding strategy, between two bounds.

    Branches up to T blocks are decided exactly; beyond,

        lower:  the pool waits until its lead is one block and publishes (it can), or
                gives in when it is behind;
        upper:  the h public blocks are granted to the pool as won and the lead a − h is
                kept; a lead of T + 1 from h = 0 is cut by one for c blocks; behind by
                d, it catches up with probability (α/(1−α))^d and wins the branch.

    Each grant is worth at least what the pool could do from there, so no strategy
    exceeds the upper end (up to 1e-9, where policy iteration stops). The bracket closes
    like the probability of such branches: 1e-6 wide at α = .45, .02 at .49 for T = 80.

    Args:
        alpha: the pool's share, in [0, ½).
        gamma: share of honest provers that extend the pool's block in a tie, [0, 1].
        most_blocks: T ≥ 2; time and memory go like T².

    Returns:
        Bounds on R.

    Raises:
        ValueError: an argument outside its range.
        Refused: if policy iteration does not settle.

    Reference: [SSZ16]. At γ = 0 and α = .4, .45 the values quoted from it, .48866 and
    .66894, are reproduced by settling at T = 95 (`truncated_selfish_revenue`); the
    optimum is .488677 and .670058.
    """
    _require_pool(alpha, gamma, most_blocks)
    upper, policy = _solve(float(alpha), float(gamma), most_blocks, "granted")
    lower, _ = _solve(float(alpha), float(gamma), most_blocks, "played", policy)
    return Bracket(min(lower, upper), upper)


def truncated_selfish_revenue(
    alpha: Real, gamma: Real, *, most_blocks: int = 95
) -> float:
    r"""Revenue of the best strategy that settles at the latest at T blocks.

    At max(a, h) = T the pool must override or give in: a lower bound, loose for large
    α, which at T = 95 agrees with the values quoted from [SSZ16] to all their digits.

    Args:
        alpha: the pool's share, in [0, ½).
        gamma: share of honest provers that extend the pool's block in a tie, [0, 1].
        most_blocks: T ≥ 2.

    Returns:
        R.

    Raises:
        ValueError: an argument outside its range.

    Reference: [SSZ16] Table 1.
    """
    _require_pool(alpha, gamma, most_blocks)
    return _solve(float(alpha), float(gamma), most_blocks, "forced")[0]


class _Process(NamedTuple):
    """Four actions in every state: rows action·states + state.

    A state's action settles blocks and moves; (0, 0) is state 0.
    """

    moves: sparse.csr_array
    won: Float[np.ndarray, "actions states"]  # expected blocks settled for the pool
    settled: Float[np.ndarray, "actions states"]  # for either
    allowed: Bool[np.ndarray, "actions states"]


def _solve(
    alpha: float,
    gamma: float,
    most: int,
    ending: Ending,
    policy: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Policy iteration on R = won/settled: (I − P)v + R·settled = won, v(0, 0) = 0.

    Exact for ratios (a semi-Markov process whose clock is settled blocks), so neither
    a bisection on R nor a discount is needed.
    """
    process = _process(alpha, gamma, most, ending)
    states = process.won.shape[1]
    place = np.arange(states)
    # First guess, also where the other problem's policy is not allowed.
    honest = np.argmax(process.allowed[[_OVERRIDE, _ADOPT, _WAIT]], axis=0)
    guess = np.array([_OVERRIDE, _ADOPT, _WAIT])[honest]
    policy = guess if policy is None else policy
    policy = np.where(process.allowed[policy, place], policy, guess)
    for _ in range(_ROUNDS):
        chosen = policy * states + place
        stay = sparse.eye_array(states, format="csc") - process.moves[chosen].tocsc()
        clock = sparse.csc_array(process.settled[policy, place][:, None])
        system = sparse.hstack([clock, stay[:, 1:]], format="csc")
        values = np.asarray(spsolve(system, process.won[policy, place]))
        revenue = float(values[0])
        values[0] = 0.0
        ahead = (process.moves @ values).reshape(4, states)
        worth = process.won - revenue * process.settled + ahead
        worth = np.where(process.allowed, worth, -np.inf)
        best = worth.argmax(axis=0)
        # Only a real gain changes the policy, else rounding could make it cycle.
        better = worth[best, place] > worth[policy, place] + _GAIN * most
        if not better.any():
            return min(max(revenue, 0.0), 1.0), policy
        policy = np.where(better, best, policy)
    raise Refused(
        f"selfish mining: no best policy after {_ROUNDS} rounds at alpha = {alpha:g}, "
        f"gamma = {gamma:g}; a smaller most_blocks may help"
    )


def _process(alpha: float, gamma: float, most: int, ending: Ending) -> _Process:
    index, pool, public, fork = _states(most)
    states = len(pool)
    here = np.zeros(states)
    start = np.zeros(states, int)
    outcomes: list[list[tuple]] = [[], [], [], []]
    outcomes[_ADOPT] = [(1 + here, start, here, public)]
    left = np.maximum(pool - public - 1, 0)
    outcomes[_OVERRIDE] = [(1 + here, index[left, 0, _QUIET], public + 1, here)]
    edge = np.maximum(pool, public) == most
    for action, split in ((_WAIT, fork == _SPLIT), (_MATCH, fork == _MATCHABLE)):
        tip = np.where(split, _SPLIT, _QUIET)
        mine = _grow(index, pool + 1, public, tip, alpha, ending)
        theirs = _grow(index, pool, public + 1, 0 * tip + _MATCHABLE, alpha, ending)
        ahead = np.where(split, pool - public, 0)
        tied = (index[ahead, 1, _MATCHABLE], np.where(split, public, 0), here)
        joins = np.where(split, gamma * (1 - alpha), 0.0)
        outcomes[action] = [
            (alpha + here, *mine),
            (1 - alpha - joins, *theirs),
            (joins, *tied),
        ]
    waits = ~edge if ending == "forced" else np.ones(states, bool)
    allowed = np.array([public > 0, pool > public, waits, waits & (fork == _MATCHABLE)])
    place = np.arange(states)
    moves, won, settled = [], [], []
    for branches in outcomes:
        chance = np.concatenate([b[0] for b in branches])
        to = np.concatenate([b[1] for b in branches])
        at = np.tile(place, len(branches))
        moves.append(sparse.coo_array((chance, (at, to)), (states, states)))
        won.append(sum(b[0] * b[2] for b in branches))
        settled.append(sum(b[0] * (b[2] + b[3]) for b in branches))
    stacked = sparse.csr_array(sparse.vstack(moves))
    return _Process(stacked, np.array(won), np.array(settled), allowed)


def _states(most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the states (a, h, fork), and a, h, fork of each number."""
    pool, public = np.indices((most + 1, most + 1))
    level = (pool >= public) & (public >= 1)
    # Where no match is possible the state is the quiet one.
    index = np.repeat(np.arange((most + 1) ** 2).reshape(most + 1, -1, 1), 3, axis=2)
    for fork in (_MATCHABLE, _SPLIT):
        first = (most + 1) ** 2 + (fork - 1) * int(level.sum())
        index[level, fork] = first + np.arange(int(level.sum()))
    fork = np.repeat([0, 1, 2], [(most + 1) ** 2, level.sum(), level.sum()])
    columns = [np.concatenate([x.ravel(), x[level], x[level]]) for x in (pool, public)]
    return index, columns[0], columns[1], fork


def _grow(index, pool, public, fork, alpha: float, ending: Ending):
    """Where a block leads and what it settles there: (state, won, lost).

    Inside it settles nothing; beyond T the ending does.
    """
    most = index.shape[0] - 1
    lead = pool - public
    state = index[np.minimum(pool, most), np.minimum(public, most), fork]
    descent = (1 - alpha) / (1 - 2 * alpha)
    over, behind = pool > most, public > most
    if ending == "granted":
        caught = (alpha / (1 - alpha)) ** np.abs(lead)
        # Caught up with: both have (a + h)/2 and half of the |lead|/(1−2α) blocks
        # that it takes on average, given that it happens.
        meeting = (pool + public + np.abs(lead) / (1 - 2 * alpha)) / 2
        state = np.where(over, index[np.clip(lead, 0, most), 0, _QUIET], state)
        won = np.where(over, np.where(public == 0, descent, public), 0.0)
        won = np.where(behind, caught * meeting, won)
        lost = np.where(behind, (1 - caught) * public, 0.0)
    else:
        won = np.where(over, public + (lead - 1) * descent + 1, 0.0)
        lost = np.where(behind, public, 0)
        state = np.where(over, 0, state)
    return np.where(behind, 0, state), won, lost


def _require_pool(alpha: Real, gamma: Real, most_blocks: int) -> None:
    if not 0 <= alpha < 0.5:
        raise ValueError(f"alpha must be in [0, 0.5), got {alpha}")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must be in [0, 1], got {gamma}")
    if most_blocks < 2:
        raise ValueError(f"most_blocks must be ≥ 2, got {most_blocks}")
