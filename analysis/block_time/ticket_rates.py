"""How often a run above T_acc shows a ticket, and how often it will beyond its horizon.

Notation
    f_i         first look of run i with acc ≥ T_acc, its *passage*   ``first``
    s           looks since the passage, 1, 2, ...
    m_i         how many of them run i has shown                      ``shown``
    r_i(s)      chance that look f_i + s is a ticket (acc ≥ T_acc)    ``node_rates``
    a, b, σ     level, growth, and what runs differ in                ``parameters``

The model: a run *grows*,

    logit r_i(s) = a + b ln(1 + s) + u_i,   u_i ~ N(0, σ²).

A run that has just passed falls below T_acc again at every other look; as it trains on
it does so ever more rarely, like a power of the looks since its passage. What runs
differ in (one passes with ease, one hovers about T_acc) is one shift for the whole run.
a, b and σ are fitted to the looks since the passage of *all* runs by marginal
likelihood, so a run that passed at its last look is judged by those that passed
earlier; what a run has shown itself enters by the posterior of its u_i. The shifts
stand on nodes (Gauss–Hermite), which the law keeps apart: a mixture stays one.

Assumptions, all of which a longer training tests: (i) counted from the passage, late
runs do as early ones did at the same s; (ii) given its shift, a run's looks are
independent; (iii) the growth that was seen goes on until ``GROWTH`` horizons since the
passage, and then stops. Where b < 0 no fall goes on beyond the looks seen.

The bracket, of what is not known beyond the horizon:
    fastest     every look of a run that has passed is a ticket
    slowest     nothing grows beyond the looks that ``_SUPPORT`` runs have shown, and
                one run in ``_HOVERS`` never grows at all: its rate is one number for
                ever, r_i(s) = v_i ~ U(0, 1). Which runs those are is judged by what
                each has shown, ``_ALIKE`` neighbouring looks counted as one, for they
                resemble each other.

docs/science/laws.md has the judgement by models that were trained further.
"""

import math
from collections import OrderedDict
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import optimize, special

Plateau = Literal["central", "slowest", "fastest"]

GROWTH = 8
_SUPPORT = 5
_HOVERS, _ALIKE = 20, 3
_SHIFTS, _weights = np.polynomial.hermite_e.hermegauss(9)
_LOG_SHARES = np.log(_weights / _weights.sum())
_HOVER = special.logit((np.arange(8) + 0.5) / 8)
# Normal priors of a, b and ln σ: weak enough to leave a handful of runs to speak,
# strong enough that a fit exists where no look fails late.
_PRIOR_MEAN, _PRIOR_SD = np.array([0.0, 1.0, 0.0]), np.array([5.0, 1.5, 1.0])
_BOUNDS = [(-12.0, 12.0), (-4.0, 6.0), (-4.0, 2.0)]
# Fits that are kept, the last used last, in so many bytes of their arrays. A fit knows
# the tickets alone, whatever p_1 and p_2 are: settings of one T_acc share it.
_KEPT_BYTES = 2**25
_kept: OrderedDict[tuple, "TicketRates"] = OrderedDict()


class TicketRates(NamedTuple):
    """A fitted model of the looks since the passage.

    Attributes:
        parameters: a, b, ln σ; None: no look since a passage failed, every rate is 1.
        seen: Largest s that at least ``_SUPPORT`` runs have shown.
        shown: m_i.
        posterior: Of each shift, given what the run has shown.
        cautious: The same for ``slowest``, the hovering rates after the shifts.
    """

    parameters: Float[np.ndarray, " three"] | None
    seen: int
    shown: Int[np.ndarray, " runs"]
    posterior: Float[np.ndarray, "runs shifts"]
    cautious: Float[np.ndarray, "runs nodes"]


def ticket_rates(
    tickets: Bool[np.ndarray, "runs looks"],
    first: Int[np.ndarray, " runs"],
    *,
    start: TicketRates | None = None,
) -> TicketRates:
    """Fit the model to runs that have all passed.

    Args:
        tickets: L_i(t) of runs with a passage.
        first: Index of the look of the passage.
        start: A fit of a like sample, to start from.

    Returns:
        The fit, whose arrays are read-only: the same tickets are fitted once.
    """
    begun = None if start is None else start.parameters
    name = (
        tickets.shape,
        np.packbits(tickets).tobytes(),
        first.tobytes(),
        None if begun is None else begun.tobytes(),
    )
    found = _kept.pop(name, None)
    if found is None:
        found = _fitted(tickets, first, begun)
        for array in (found.parameters, *found[2:]):
            if array is not None:
                array.setflags(write=False)
        most = max(2, _KEPT_BYTES // sum(array.nbytes for array in found[2:]))
        while len(_kept) >= most:
            _kept.popitem(last=False)
    _kept[name] = found
    return found


def _fitted(
    tickets: Bool[np.ndarray, "runs looks"],
    first: Int[np.ndarray, " runs"],
    start: np.ndarray | None,
) -> TicketRates:
    runs, looks = tickets.shape
    since = first[:, None] + np.arange(1, looks + 1)
    shown = looks - 1 - first
    hits = np.take_along_axis(tickets, np.minimum(since, looks - 1), axis=1)
    hits = (hits & (since < looks)).astype(float)
    longest = int(np.sort(shown)[-min(_SUPPORT, runs)])
    total = hits.sum(axis=1)
    if (total == shown).all():
        one = np.ones((runs, 1))
        return TicketRates(None, longest, shown, one, one)
    log_since = np.log1p(np.arange(1.0, looks + 1))
    # Sums, not a matrix product: its threads would cost more than it does.
    weighted = (hits * log_since).sum(axis=1)
    x = log_since[:, None]

    def logs_of(parameters):
        """Log-likelihood of each run at each shift, and the logits of the rates."""
        a, b, log_sigma = parameters
        shifts = math.exp(log_sigma) * _SHIFTS
        logits = a + b * x + shifts
        linear = (a * total + b * weighted)[:, None] + total[:, None] * shifts
        return linear - _summed(np.logaddexp(0, logits))[shown], logits

    def objective(parameters):
        """−ln posterior of the parameters, its gradient, and the sum of squares of
        the runs' scores: the information, as far as first derivatives say it."""
        logs, logits = logs_of(parameters)
        evidence, posterior = _normalized(logs + _LOG_SHARES)
        rate = special.expit(logits)
        missed = posterior * (total[:, None] - _summed(rate)[shown])
        sloped = posterior * (weighted[:, None] - _summed(x * rate)[shown])
        scaled = math.exp(parameters[2]) * (missed * _SHIFTS).sum(axis=1)
        scores = np.stack([missed.sum(axis=1), sloped.sum(axis=1), scaled])
        off = (parameters - _PRIOR_MEAN) / _PRIOR_SD
        value = 0.5 * (off**2).sum() - evidence
        gradient = off / _PRIOR_SD - scores.sum(axis=1)
        return value, gradient, np.diag(_PRIOR_SD**-2.0) + scores @ scores.T

    if start is not None:
        best = _newton(objective, start)
    else:
        best = optimize.minimize(
            lambda parameters: objective(parameters)[:2],
            _PRIOR_MEAN,
            jac=True,
            method="L-BFGS-B",
            bounds=_BOUNDS,
        ).x
    logs, _ = logs_of(best)
    grown = _normalized(logs + _LOG_SHARES)[1]
    # By kind: evidence of neighbouring looks counted as one; within a kind, all of it.
    stays = total[:, None] * _HOVER - shown[:, None] * np.logaddexp(0, _HOVER)
    grows = special.logsumexp(logs / _ALIKE + _LOG_SHARES, axis=1, keepdims=True)
    odds = math.log((_HOVERS - 1) * len(_HOVER))
    kinds = _normalized(np.concatenate([grows + odds, stays / _ALIKE], axis=1))[1]
    cautious = np.concatenate([kinds[:, :1] * grown, kinds[:, 1:]], axis=1)
    return TicketRates(best, longest, shown, grown, cautious)


def node_shares(rates: TicketRates, plateau: Plateau) -> np.ndarray:
    """Posterior of the nodes of ``node_rates``, [runs, nodes]."""
    if rates.parameters is None or plateau == "fastest":
        return np.ones((len(rates.shown), 1))
    return rates.cautious if plateau == "slowest" else rates.posterior


def grows(rates: TicketRates, plateau: Plateau) -> bool:
    """Whether rates change beyond the looks that ``_SUPPORT`` runs have shown."""
    known = rates.parameters
    return known is not None and plateau == "central" and bool(known[1] > 0)


def node_rates(
    rates: TicketRates, since: Float[np.ndarray, " n"], plateau: Plateau, looks: int
) -> Float[np.ndarray, "nodes n"]:
    """r(s) at each node, as central, slowest or fastest has it.

    Args:
        rates: The fit.
        since: s, beyond what a run has shown.
        plateau: Which behaviour.
        looks: T, of the runs.
    """
    if plateau == "fastest" or (rates.parameters is None and plateau == "central"):
        return np.ones((1, len(since)))
    if rates.parameters is None:
        # No failure in m looks: at 95 % fewer than 3 in m fail.
        return np.full((1, len(since)), 1 - 3 / (3 + rates.shown.sum()))
    a, b, log_sigma = rates.parameters
    limit = GROWTH * looks if grows(rates, plateau) else max(rates.seen, 1)
    x = np.log1p(np.minimum(since, limit))
    logits = a + b * x + math.exp(log_sigma) * _SHIFTS[:, None]
    if plateau == "slowest":
        stays = np.broadcast_to(_HOVER[:, None], (len(_HOVER), len(since)))
        logits = np.concatenate([logits, stays])
    return special.expit(logits)


def _newton(objective, parameters: np.ndarray) -> np.ndarray:
    """A few steps downhill from a fit of a like sample, whose minimum is near."""
    value, gradient, information = objective(parameters)
    for _ in range(8):
        step = np.linalg.solve(information, gradient)
        if gradient @ step < 1e-3:  # of a log-likelihood
            break
        for _ in range(6):
            trial = np.clip(parameters - step, *np.transpose(_BOUNDS))
            tried = objective(trial)
            if tried[0] < value:
                parameters, (value, gradient, information) = trial, tried
                break
            step = step / 4
        else:
            break
    return parameters


def _normalized(logs: np.ndarray) -> tuple[float, np.ndarray]:
    """Sum of the rows' log-sums, and each row over its sum."""
    top = logs.max(axis=1, keepdims=True)
    weight = np.exp(logs - top)
    norm = weight.sum(axis=1, keepdims=True)
    return float((top + np.log(norm)).sum()), weight / norm


def _summed(values: np.ndarray) -> np.ndarray:
    """Sums over the first s rows, s = 0, 1, ..."""
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
