"""Invented sweeps: numbers that follow from the parameters, so that tests know them."""

import math
from collections.abc import Iterable, Sequence
from itertools import product

import pandas as pd

DEPTHS = (1, 2, 4, 6, 8)
WINDOWS = (2.0, 5.0, 10.0, 20.0)
EPSILON = 0.5


def interval(t_acc: float, power: int, delay: float) -> float:
    """Mean block interval, steps."""
    return 1000 * t_acc + 50 * (256 - power) + delay


def risk(beta: float, depth: int) -> float:
    """Pr[violation]; 0 from where no replica sees one."""
    value = (beta / (1 - beta)) ** depth
    return value if value > 1e-3 else 0.0


def depth(beta: float, delay: float, target: float) -> float:
    """Confirmations; infinite where no depth is safe."""
    rate = (1 - beta) / beta - delay / 100
    if rate <= 1:
        return math.inf
    return math.ceil(math.log(1 / target) / math.log(rate))


def bad(kp: float) -> float:
    """Pr[bad], a straight line of c = 2."""
    return 0.6 * math.exp(-2.0 * EPSILON**2 * kp)


def _depths(beta: float, delay: float) -> list[tuple[str, float, float]]:
    return [
        *(("safe_depth", e, depth(beta, delay, e)) for e in (1e-3, 1e-9)),
        ("unsafe_depth", 1e-3, depth(beta, delay, 1e-3) - 1),
    ]


def sweep(
    *,
    t_accs: Sequence[float] = (0.95,),
    powers: Sequence[int] = (253,),
    betas: Sequence[float] = (0.25,),
    delays: Sequence[float] = (25,),
    failed: Iterable[int] = (),
    safe: bool = False,
) -> pd.DataFrame:
    """The table ``points`` of a grid; a failed point has one row, without numbers.

    Args:
        t_accs: T_acc.
        powers: log2 T_2.
        betas: β.
        delays: Δ.
        failed: Points that failed.
        safe: Whether points have confirmations for two risks.
    """
    rows = []
    grid = product(t_accs, powers, betas, delays)
    for point, (t_acc, power, beta, delay) in enumerate(grid):
        head = {
            "point": point,
            "status": "done",
            "error": "",
            "scheme.t_acc": t_acc,
            "scheme.t_1": "2^241",
            "scheme.t_2": f"2^{power}",
            "p_1": 2.0**-15,
            "p_2": 2.0 ** (power - 256),
            "network.provers": 20,
            "network.beta": beta,
            "network.delay_steps": delay,
            "security.epsilon": EPSILON,
        }
        if point in set(failed):
            empty = dict.fromkeys(("quantity", "at", "value", "low", "high"))
            rows.append(head | {"status": "failed", "error": "Refused: why"} | empty)
            continue
        mean = interval(t_acc, power, delay)
        numbers = [
            ("block_interval_mean", math.nan, mean),
            ("block_interval_cv", math.nan, 0.4),
            ("round_success", math.nan, 0.05),
            ("round_single_success", math.nan, 0.045),
            ("round_adversarial", math.nan, 0.016),
            ("decay_constant", math.nan, 2.0),
            ("decay_constant_iid", math.nan, 0.7),
            ("decay_fit_p_value", math.nan, 0.4),
            ("isolated_rate", math.nan, 0.001),
            *(("decay_slope", kp, 2.0) for kp in (3.5, 7.5, 15.0)),
            *(("decay_slope_iid", kp, 0.7) for kp in (3.5, 7.5, 15.0)),
            *(("persistence_violation", k, risk(beta, k)) for k in DEPTHS),
            *(_depths(beta, delay) if safe else ()),
            *(("liveness_quantile", q, 9 * mean * (1 + q)) for q in (0.5, 0.99)),
            *(("good_period", kp, 1 - bad(kp) * t_acc) for kp in WINDOWS),
            *(("good_period_all", kp, (1 - bad(kp)) ** 9) for kp in WINDOWS),
        ]
        for quantity, at, value in numbers:
            ends = (0.9 * value, 1.1 * value if value else 3e-3)
            if quantity.startswith("good"):
                ends = (value - 0.02 * (1 - value), value + 0.02 * (1 - value))
            rows.append(
                head
                | {"quantity": quantity, "at": at, "value": value}
                | {"low": ends[0], "high": ends[1], "count": 1000}
                | {"at_unit": "", "method": "invented", "unit": ""}
            )
    return pd.DataFrame(rows)
