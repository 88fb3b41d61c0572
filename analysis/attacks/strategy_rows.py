"""Attacks by what is published and when, as rows of the attack table.

Notation (that of ``table.py``)
    γ       honest share that extends a withheld block in a tie
    β       the corrupted share, what honest play earns
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Array, Key

from ..estimation.estimate import Estimate, Refused
from ..estimation.training_error import Basis, training_interval
from ..withholding.best import best_withholding
from .balancing import Balance, balance
from .rows import Effort, Row, depth_estimates, judge, refused_row, spread_of
from .situation import LawSituation, Situation, plain
from .sm1 import sm1_revenue


class Evidence(NamedTuple):
    """A situation with what is uncertain of it.

    Attributes:
        key: Fixes the simulations.
        at: The situation.
        others: Its resamples.
        basis: What its figures rest on.
    """

    key: Key[Array, ""]
    at: Situation | LawSituation
    others: Sequence[Situation | LawSituation]
    basis: Basis


def selfish_row(job: Evidence, gamma: float) -> Row:
    """What SM1 earns."""

    def revenue(here: Situation | LawSituation) -> Estimate:
        return sm1_revenue(
            job.key,
            plain(here).law,
            provers=here.provers,
            beta=here.beta,
            gamma=gamma,
            events=2048,
            replicas=256,
        )

    about = f"SM1, no delay, γ = {gamma:g}, all provers of one law; compared with β"
    return _revenue_row(job, "selfish", about, revenue, "SM1 earns")


def withholding_row(job: Evidence, gamma: float) -> Row:
    """What the best policy earns that looks at ages."""

    def revenue(here: Situation | LawSituation) -> Estimate:
        return best_withholding(
            job.key,
            plain(here).law,
            honest=here.honest,
            own=here.adversarial,
            gamma=gamma,
            cells=64,
            steps=1024,
        ).revenue

    about = (
        f"best policy on 64 ages, forks up to 7 blocks, no delay, γ = {gamma:g}, all "
        "provers of one law, blind to their accuracy; a lower end; compared with β"
    )
    return _revenue_row(job, "best_withholding", about, revenue, "this policy earns")


def _revenue_row(
    job: Evidence,
    name: str,
    assumptions: str,
    revenue: Callable[[Situation | LawSituation], Estimate],
    earns: str,
) -> Row:
    beta = job.at.beta
    try:
        if beta >= 0.5:
            raise Refused(f"{name}: it needs β < ½, got {beta:g}; lower network.beta")
        found = revenue(job.at)
        spread = spread_of(lambda here: revenue(here).value, job.others)[0]
    except Refused as refusal:
        return refused_row(name, False, str(refusal), assumptions)
    found = training_interval(found, spread, "angle", basis=job.basis)
    if found.low > beta:
        verdict, reason = "fails", f"{earns} more than its share {beta:g}"
    elif found.high <= beta and name == "selfish":
        verdict, reason = "holds", f"{earns} no more than its share {beta:g}"
    elif found.high <= beta:
        # Another one might: honest play alone earns the share.
        reason = f"{earns} less than its share {beta:g}, a better one is not excluded"
        verdict = "undecided"
    else:
        verdict, reason = "undecided", "the interval holds the adversary's share"
    quality = found._replace(
        value=1 - found.value, low=1 - found.high, high=1 - found.low
    )
    return Row(
        name,
        "",
        False,
        (),
        verdict,
        reason,
        assumptions,
        quality=quality,
        revenue=found,
        basis=job.basis,
    )


def balance_row(job: Evidence, targets: Sequence[float], effort: Effort) -> Row:
    """How long a fork is kept level whose delays are the adversary's."""
    at = job.at
    assumptions = (
        "one strategy: halves cut off by Δ, all corrupted provers on the lagging "
        "branch, nothing saved up, a fork to begin with; better ones may exist"
    )

    def found(here: Situation | LawSituation) -> Balance:
        law = plain(here).law
        return balance(
            law,
            law,
            provers=here.honest,
            adversarial=here.adversarial,
            delay_steps=here.delay_steps,
        )

    def depth(each: Balance) -> dict[float, float]:
        return {target: each.depth(target) for target in targets}

    try:
        if at.honest < 2:
            raise Refused(
                f"balance: {at.honest:g} honest provers cannot be split, at least 2 "
                "are needed (network.provers, network.beta)"
            )
        value = found(at)
    except Refused as refusal:
        return refused_row("balance", False, str(refusal), assumptions)
    spread, failed = spread_of(found, job.others)
    depths = depth_estimates(depth(value), [depth(each) for each in spread], job.basis)
    verdict, reason = judge(depths[0][1], failed, effort)
    return Row(
        "balance",
        "",
        False,
        depths,
        verdict,
        reason,
        assumptions,
        figures=(("level_survival", value.ratio),),
        basis=job.basis,
    )
