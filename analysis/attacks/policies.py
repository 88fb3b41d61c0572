"""Chains whose honest provers start from a model, and the private attack on them.

Notation (``warm.py``)
    fresh       every block from new parameters: the chain of all other rows
    latest_mtx  from a model below T_acc that extends the tip's parent
    tip_model   from the tip's own model, so that each block continues the one before

The policy is everybody's: corrupted provers mine a private chain by the same law. What
changes against ``fresh`` is the law. It has less dead time, so it is nearer to
memoryless, and blocks come faster; whether that is safer is the row's answer. The step
rule leaves of each block's work what it leaves to a relay of references.
"""

import numpy as np

from ..estimation.estimate import Refused
from .attack import Attack
from .situation import Situation
from .warm import block_steps, cross_slot_new, warm_attack

POLICIES = ("latest_mtx", "tip_model")
_BRANCHES = 8
_DRAWS = 64


def reference_policy(at: Situation, on: bool, *, policy: str) -> Attack:
    """The private attack where all provers follow a reference policy.

    Args:
        at: The situation; ``latest_mtx`` without measured branches is Refused.
        on: Whether the step rule holds.
        policy: ``latest_mtx`` or ``tip_model``.

    Raises:
        ValueError: If there is no such policy.
        Refused: As ``warm.cross_slot_new``.
    """
    if policy == "latest_mtx":
        if at.mtx is None:
            raise Refused(
                "reference_policy: what a model below T_acc saves is not known; branch "
                "real trainings (models.branching) at an accuracy below t_acc"
            )
        warm = cross_slot_new(at, on, kind="mtx")
    elif policy == "tip_model":
        count = _BRANCHES if at.warm is None else len(at.warm.origins)
        typical = int(block_steps(at, 1, _DRAWS).mean())
        due = max((typical + at.s_min) // 2, 1) if on else 1
        warm = warm_attack(
            at,
            at.warm,
            np.full(count, due),
            name="",
            mitigation="step rule",
            on=on,
            assumptions="every block continues the tip's model; neighbours share "
            "evenly what the step rule asks of them together",
        )
    else:
        raise ValueError(f"policy must be one of {POLICIES}, got {policy!r}")
    return warm._replace(
        name=f"reference_policy ({policy})",
        honest=warm.adversary,
        assumptions=f"honest and corrupted provers alike; {warm.assumptions}",
    )
