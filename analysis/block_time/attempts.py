"""What one attempt at a block comes to: training from one nonce to a block or the next.

Notation (``empirical.py``, ``ticket_rates.py``)
    L_i(t)       whether look t of run i is a ticket
    p            chance that a ticket ends the attempt: p_2, or 1 under ``restart``
    A(i, t)      chance that run i trains on after look t: Π_{s ≤ t} (1 − p L_i(s))
    T            looks of a run; beyond them L_i(t) is Bernoulli(r_i) by ``node_rates``

Within the horizon A is what the run has shown. Beyond it, what is left of a run goes on
at each of its nodes with the node's own rate, look by look for ``GROWTH`` horizons and
then geometrically: the mixture is kept, and nothing is cut off.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from .law import KNOTS
from .ticket_rates import (
    GROWTH,
    Plateau,
    TicketRates,
    grows,
    node_rates,
    node_shares,
    ticket_rates,
)

# Left beyond the horizon, that is not worth a model.
NOTHING = 1e-12
# Runs are taken together that have shown alike many looks since their passage.
_AGES = 12


class Lottery(NamedTuple):
    """The scheme's parameters as probabilities and times.

    Attributes:
        t_acc: T_acc in (0, 1].
        p_1: Pre-hash success probability in (0, 1].
        p_2: Post-hash success probability in (0, 1].
        hashes_per_step: Hashes a prover does in one unit of time.
        retry: ``continue`` or ``restart`` after a failed ticket.
        abandon_steps: Steps, whole looks, after which a model below T_acc is given up;
            None: never.
    """

    t_acc: float
    p_1: float
    p_2: float
    hashes_per_step: float
    retry: Literal["continue", "restart"] = "continue"
    abandon_steps: int | None = None


class Shown(NamedTuple):
    """What the runs have shown within their horizon.

    Attributes:
        ends: Chance that run i ends its attempt at look t with a block or, under
            ``restart``, with a ticket of either kind.
        alive: A(i, t) before look t = 1, 2, ...
        given_up: Whether run i is given up, and the look at which.
        left: A(i, T), of runs that go on beyond the horizon.
        rates: How often they show a ticket there; None: none is left.
    """

    ends: Float[np.ndarray, "runs looks"]
    alive: Float[np.ndarray, "runs looks"]
    given_up: tuple[Bool[np.ndarray, " runs"], int]
    left: Float[np.ndarray, " runs"]
    rates: TicketRates | None


class Late(NamedTuple):
    """What is left beyond the horizon, by kind of run: a cost, an age, a node.

    Attributes:
        alive: Runs still training k = 0, 1, ... looks beyond the horizon, by cost.
        costs: The costs of a step.
        left: Those left after the last of these looks, by kind.
        rate: Ticket rate from then on, by kind; 0: never again.
        group: Its cost group, by kind.
        never: Runs that never show a ticket.
    """

    alive: Float[np.ndarray, "costs looks"]
    costs: Float[np.ndarray, " costs"]
    left: Float[np.ndarray, " kinds"]
    rate: Float[np.ndarray, " kinds"]
    group: Int[np.ndarray, " kinds"]
    never: float


class Attempts(NamedTuple):
    """Training of one attempt, averaged over runs.

    Attributes:
        success: Mass of ending with a block, by grid cell.
        retry: Mass of ending with the need for a new nonce, by grid cell.
        never: Mass that does neither, ever.
        success_total: All mass of success, beyond the grid too.
        duration: Mean length of an attempt, in cells.
    """

    success: Float[np.ndarray, " knots"]
    retry: Float[np.ndarray, " knots"]
    never: float
    success_total: float
    duration: float


def shown_by(
    accuracy: Float[np.ndarray, "runs looks"],
    lottery: Lottery,
    check_every: int | float,
    *,
    start: TicketRates | None = None,
) -> Shown:
    """What each run has shown, and the model of what comes after.

    Args:
        accuracy: acc_i at the looks.
        lottery: T_acc, p_2, the retry policy and when a model is given up.
        check_every: Steps between two looks.
        start: Rates of a like sample, to start the fit from.
    """
    runs, looks = accuracy.shape
    tickets = accuracy >= lottery.t_acc
    first = np.argmax(tickets, axis=1)
    passed = tickets.any(axis=1)
    last = looks
    if lottery.abandon_steps is not None:
        last = int(lottery.abandon_steps // check_every)
        passed &= first < last
        tickets = tickets & passed[:, None]
    draw = ending(lottery) * tickets
    alive = np.concatenate([np.ones((runs, 1)), np.cumprod(1.0 - draw, axis=1)], axis=1)
    given_up = np.logical_and(~passed, lottery.abandon_steps is not None)
    alive[given_up, last:] = 0.0
    left, goes_on = alive[:, -1], passed & (alive[:, -1] > NOTHING)
    rates = None
    if goes_on.any():
        # Of all that passed: those that have ended say as much of the looks.
        rates = ticket_rates(tickets[passed], first[passed], start=start)
        whole = np.zeros(runs, int)
        whole[passed] = np.arange(passed.sum())
        rates = rates._replace(
            shown=looks - 1 - first,
            posterior=rates.posterior[whole],
            cautious=rates.cautious[whole],
        )
    return Shown(alive[:, :-1] * draw, alive[:, :-1], (given_up, last), left, rates)


def ending(lottery: Lottery) -> float:
    """p: under ``restart`` the first ticket ends an attempt, block or not."""
    return 1.0 if lottery.retry == "restart" else lottery.p_2


def later(
    shown: Shown,
    lottery: Lottery,
    costs: Float[np.ndarray, " runs"],
    plateau: Plateau,
    *,
    brief: bool = False,
) -> Late:
    """What becomes of the runs beyond their horizon.

    Args:
        shown: What they have shown.
        lottery: p_2, the policies.
        costs: c_i.
        plateau: ``central``, ``slowest`` or ``fastest``.
        brief: Whether rates that are constant beyond the looks seen are followed look
            by look no further: the same law, but for rounding.
    """
    runs, looks = shown.ends.shape
    passed = shown.ends.any(axis=1) | (shown.left < 1.0)
    goes_on = passed & (shown.left > NOTHING)
    # Below T_acc for the whole horizon and not given up: censored. At the fastest it
    # is above from the next look on; otherwise nothing is known of it.
    censored = ~passed & (shown.left > 0)
    groups, group_of = np.unique(costs, return_inverse=True)
    never = 0.0
    left, age = np.where(goes_on, shown.left, 0.0), np.zeros(runs, int)
    if censored.any() and plateau == "fastest":
        left = left + censored * shown.left
        goes_on = goes_on | censored
    elif censored.any():
        never = float(shown.left[censored].sum())
    none = np.zeros(0)
    if not goes_on.any():
        alive = np.zeros((len(groups), 1))
        return Late(alive, groups, none, none, none.astype(int), never)
    shares, rates = np.ones((runs, 1)), shown.rates
    if rates is not None:
        shares, age = node_shares(rates, plateau), rates.shown
    ages, age_of = np.unique(_binned(age, looks), return_inverse=True)
    mass = np.zeros((len(groups), len(ages), shares.shape[1]))
    np.add.at(mass, (group_of, age_of), left[:, None] * shares)
    p = ending(lottery)
    constant = plateau == "fastest" or rates is None or rates.parameters is None
    count = 0 if constant else GROWTH * looks
    if brief and rates is not None and not grows(rates, plateau):
        count = min(count, max(rates.seen, 1))
    if rates is None:
        rate = np.ones((1, ages[-1] + count + 2))
    else:
        since = np.arange(ages[-1] + count + 2.0)
        rate = node_rates(rates, since, plateau, looks)
    miss = np.log1p(-np.minimum(p * rate, 1.0 - 1e-16))
    summed = np.cumsum(miss, axis=1)
    place = ages[:, None] + np.arange(count + 1)
    # [nodes, ages, k]: chance that none of the next k looks ends the attempt.
    still = np.exp(summed[:, place] - summed[:, ages][:, :, None])
    still = still.swapaxes(0, 1).reshape(-1, count + 1)
    alive = mass.reshape(len(groups), -1) @ still
    remaining = mass * still[:, -1].reshape(len(ages), -1)
    after = np.broadcast_to(rate[:, ages + count + 1].T, remaining.shape)
    group = np.broadcast_to(np.arange(len(groups))[:, None, None], remaining.shape)
    keep = remaining > 0
    kinds = remaining[keep], after[keep], group[keep]
    return Late(alive, groups, *kinds, never)


def remaining_looks(
    rates: TicketRates, p: float, looks: int
) -> Float[np.ndarray, " runs"]:
    """Mean looks beyond the horizon until a run's next success, by its central rates.

    Args:
        rates: Of the runs.
        p: Chance that a ticket succeeds.
        looks: T.
    """
    ages, age_of = np.unique(rates.shown, return_inverse=True)
    count = GROWTH * looks
    since = np.arange(ages[-1] + count + 2.0)
    hit = np.minimum(p * node_rates(rates, since, "central", looks), 1.0 - 1e-16)
    summed = np.cumsum(np.log1p(-hit), axis=1)
    means = np.empty((len(ages), len(hit)))
    for row, age in enumerate(ages):
        alive = np.exp(summed[:, age : age + count + 1] - summed[:, [age]])
        end = alive[:, -1] / hit[:, age + count + 1]
        means[row] = alive[:, :-1].sum(axis=1) + end
    return (node_shares(rates, "central") * means[age_of]).sum(axis=1)


def _binned(age: Int[np.ndarray, " runs"], looks: int) -> Int[np.ndarray, " runs"]:
    """Ages on few values, evenly in ln(1 + s), in which the rates are smooth."""
    step = math.log1p(looks) / _AGES
    even = np.expm1(step * np.round(np.log1p(age) / step))
    return np.where(age < _AGES, age, np.rint(even)).astype(int)


class Within(NamedTuple):
    """Attempts that end within the horizon, whatever comes after it.

    Attributes:
        ends: Mass of ``Shown.ends``, by grid cell.
        fails: Mass of ends in a new nonce.
        looks: Cells that all looks take.
    """

    ends: Float[np.ndarray, " knots"]
    fails: Float[np.ndarray, " knots"]
    looks: float


def within_horizon(
    shown: Shown, lottery: Lottery, look_cells: Float[np.ndarray, " runs"]
) -> Within:
    """The part of ``attempts_of`` that all readings of the plateau share."""
    looks = shown.ends.shape[1]
    winning = lottery.p_2 if lottery.retry == "restart" else 1.0
    fails = (1.0 - winning) * shown.ends
    given_up, last = shown.given_up
    # Given up at the look ``last``: the attempt ends there in a new nonce.
    fails[given_up, last - 1] = 1.0
    places = look_cells[:, None] * np.arange(1, looks + 1)
    if look_cells[0] >= 1 and (look_cells == look_cells[0]).all():
        places = places[0]
    return Within(
        _onto_grid(places, shown.ends),
        _onto_grid(places, fails),
        float((look_cells * shown.alive.sum(axis=1)).sum()),
    )


def attempts_of(
    shown: Shown,
    late: Late,
    lottery: Lottery,
    look_cells: Float[np.ndarray, " runs"],
    cell: float,
    *,
    within: Within | None = None,
) -> Attempts:
    """Everything on the grid.

    Args:
        shown: Within the horizon.
        late: Beyond it.
        lottery: p_2, the policies.
        look_cells: Cells of a look of run i.
        cell: Cells of a look at cost 1.
        within: ``within_horizon`` of the same, where it is known already.
    """
    runs, looks = shown.ends.shape
    if within is None:
        within = within_horizon(shown, lottery, look_cells)
    winning = lottery.p_2 if lottery.retry == "restart" else 1.0
    after, later_looks = np.zeros(KNOTS), 0.0
    p, count = ending(lottery), late.alive.shape[1] - 1
    for group, cost in enumerate(late.costs):
        cells = cost * cell
        ends = -np.diff(late.alive[group])
        after += _onto_grid(cells * np.arange(looks + 1, looks + count + 1), ends)
        later_looks += cells * float(late.alive[group, :-1].sum())
    going = late.rate > 0
    hit, cells = p * late.rate[going], late.costs[late.group[going]] * cell
    if going.any():
        after += _late_ends(late.left[going], hit, cells, looks + count)
        later_looks += float((cells * late.left[going] / hit).sum())
    ended = float(shown.ends.sum() + late.alive[:, 0].sum() - late.left[~going].sum())
    return Attempts(
        success=winning * (within.ends + after) / runs,
        retry=(within.fails + (1.0 - winning) * after) / runs,
        never=float((late.never + late.left[~going].sum()) / runs),
        success_total=winning * ended / runs,
        duration=(within.looks + later_looks) / runs,
    )


def _onto_grid(places: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Mass at its place in cells, shared by the two knots around it: mean kept.

    Runs that look at the same moments, no two in a cell, may share one row of places:
    they are added up in their order, which to the last digit is what the grid does.
    """
    # Never at knot 0: an attempt takes time, even where it is less than a cell.
    low = np.maximum(np.floor(places + 1e-9), 1.0)
    share = np.clip(places - low, 0.0, 1.0)
    here, next_to = mass * (1.0 - share), mass * share
    if mass.ndim > places.ndim:
        here, next_to = here.sum(axis=0), next_to.sum(axis=0)
    keep = low < KNOTS
    knot = low[keep].astype(int)
    grid = np.bincount(knot, here[keep], KNOTS + 1)
    return (grid + np.bincount(knot + 1, next_to[keep], KNOTS + 1))[:KNOTS]


def _late_ends(left, per_look, look_cells, looks: int) -> np.ndarray:
    """Ends beyond the last look, on the grid as by ``_onto_grid``, summed over runs.

    There may be millions of looks where one is much cheaper than another, so the
    looks of a cell are summed in closed form: shared between the knots, the
    mass up to knot k is 1 − ∫_k^{k+1} S with S a geometric staircase.
    """
    total = np.zeros(KNOTS)
    knots = np.arange(KNOTS + 1.0)
    for cells in np.unique(look_cells):
        mine = look_cells == cells
        hit, which = np.unique(per_look[mine], return_inverse=True)
        mass = np.bincount(which, left[mine])
        done = np.maximum(np.floor(knots / cells + 1e-9) - looks, 0.0)
        here, after = done[:-1], done[1:]
        # Whole looks between a knot's first and its last: none where looks are longer.
        until = np.maximum(after - 1.0, here)
        count, place = np.arange(done[-1] + 1.0), np.array([here, after, until], int)
        if done[-1] > KNOTS:
            count, place = np.unique([here, after, until], return_inverse=True)
        alive = np.exp(count * np.log1p(-np.minimum(hit, 1.0 - 1e-16))[:, None])
        left_here, left_after, _ = (mass @ alive)[place]
        late, _, later = ((mass * (1.0 - hit) / hit) @ alive)[place]
        before_next = cells * (looks + here + 1.0) - knots[:-1]
        beyond_last = knots[1:] - cells * (looks + after)
        stairs = before_next * left_here + cells * (late - later)
        stairs += beyond_last * left_after
        total += mass.sum() - np.where(after > here, stairs, left_here)
    return np.maximum(np.diff(total, prepend=0.0), 0.0)
