"""Every attack that is a block-time law, by name, with its mitigation off and on."""

import functools
from collections.abc import Callable
from typing import Any

from ..estimation.estimate import Refused
from . import attack as attacks, grinding, warm
from .attack import Attack
from .policies import POLICIES, reference_policy

# Of a Situation; those of BY_LAW of a LawSituation too.
Build = Callable[[Any], Attack]


BY_LAW = ("private", "private, pre-mined", "relabel", "equivocate")
"""Attacks whose provers need for a block what honest ones need."""


def law_builders() -> dict[str, list[Build]]:
    """As ``attack_builders``, where a law is known and not what it comes from.

    Other attacks than ``BY_LAW`` refuse: what a grinder saves hangs on p_1 and p_2, all
    else on trainings that begin with a model.
    """
    return {
        name: builds
        if name in BY_LAW
        else [functools.partial(_unknown, name=name)] * len(builds)
        for name, builds in attack_builders().items()
    }


def _unknown(at: object, *, name: str) -> Attack:
    what = (
        "what it saves hangs on p_1 and p_2, which are not told apart"
        if name.startswith("grind_")
        else "what it saves is trained from models and checkpoints, which are not known"
    )
    raise Refused(
        f"{name}: {what} in a law of whole attempts (law.source = times or formula); "
        "law.source = train has both"
    )


def _switched(build: Callable[..., Attack], **options) -> dict[bool, Build]:
    return {on: functools.partial(build, on=on, **options) for on in (False, True)}


def attack_builders(*, rarer_prehash: float = 1 / 16) -> dict[str, list[Build]]:
    """Every attack that is a block-time law, by name: mitigation off, then on.

    Args:
        rarer_prehash: Factor on p_1 that stands for the mitigation of its grinding.
    """
    switched = {
        "grind_posthash": _switched(grinding.grind_posthash),
        "cross_slot_new (mtx)": _switched(warm.cross_slot_new, kind="mtx"),
        "cross_slot_new (block)": _switched(warm.cross_slot_new, kind="block"),
        "cross_slot_old": _switched(warm.cross_slot_old),
        "reference_relay": _switched(warm.reference_relay),
        "surplus_reference": _switched(warm.surplus_reference),
        "withheld_mtx": _switched(warm.withheld_mtx),
        "forged_checkpoints": _switched(warm.forged_checkpoints),
        "relabel": _switched(attacks.relabel),
        "equivocate": _switched(attacks.equivocate),
    }
    policies = {
        f"reference_policy ({policy})": _switched(reference_policy, policy=policy)
        for policy in POLICIES
    }
    return {
        "private": [attacks.private],
        "private, pre-mined": [functools.partial(attacks.private, premined=True)],
        "grind_prehash": [
            grinding.grind_prehash,
            functools.partial(grinding.grind_prehash, rarer=rarer_prehash),
        ],
        **{name: list(both.values()) for name, both in (switched | policies).items()},
    }
