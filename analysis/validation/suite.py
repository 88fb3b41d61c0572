"""Does this installation compute what it must? Every anchor of security.md §7, again.

The table that ``dpodl validate`` prints: closed forms, grid, tilting, splitting, Monte
Carlo and the decision process against published numbers, exact ones and each other, in
less than a minute on one core. Exact rows are judged to their digits, random ones at
3.5 standard errors. With some 67 random rows a fresh key fails one by chance with a
probability of at most 5.4 % (``checks.false_alarm_level`` adds up the rows at hand); a
fixed key always gives the same answer, so a failure that is new is not chance.

Not judged, only shown: Nakamoto's own numbers beside the race that they approximate.
"""

import zlib
from collections.abc import Callable, Sequence

import jax
from jaxtyping import Array, Key

from ..estimation.estimate import Refused
from . import (
    exact_cases,
    sampled_cases,
)
from .check import Case, Check, refused

SEED = 2023  # the default of the command line; any other will do


def cases() -> list[Case]:
    """All cases, the exact ones first."""
    return [*exact_cases.CASES, *sampled_cases.CASES]


def validate(
    key: Key[Array, ""],
    names: Sequence[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    *,
    clock: Callable[[], float] | None = None,
) -> list[Check]:
    """Run cases and judge their checks.

    Args:
        key: Fixes every draw. A case's draws depend on its name, not on its company.
        names: Cases to run, in the table's order; None: all.
        progress: Told (name, cases done, cases to run) before each case, and at last.
        clock: Seconds, e.g. ``time.process_time``; None: ``seconds`` stays None.

    Returns:
        The checks. A case whose engine refuses is one failed check with its reason.

    Raises:
        ValueError: If a name is unknown or there is none.
    """
    chosen = _chosen(names)
    checks: list[Check] = []
    for done, case in enumerate(chosen):
        if progress is not None:
            progress(case.name, done, len(chosen))
        begin = clock() if clock is not None else 0.0
        found = _checks_of(key, case)
        seconds = clock() - begin if clock is not None else None
        checks += [c._replace(case=case.name, seconds=seconds) for c in found]
    if progress is not None:
        progress(chosen[-1].name, len(chosen), len(chosen))
    return checks


def failures(checks: Sequence[Check]) -> list[Check]:
    """The checks that were judged and did not pass."""
    return [check for check in checks if check.passed is False]


def _checks_of(key: Key[Array, ""], case: Case) -> list[Check]:
    own = jax.random.fold_in(key, zlib.crc32(case.name.encode()))
    try:
        return case.run(own)
    except Refused as refusal:
        return [refused(case.name, str(refusal))]


def _chosen(names: Sequence[str] | None) -> list[Case]:
    known = cases()
    if names is None:
        return known
    unknown = sorted(set(names) - {case.name for case in known})
    if unknown or not names:
        allowed = ", ".join(case.name for case in known)
        raise ValueError(f"names must be among {allowed}, got {unknown or 'none'}")
    return [case for case in known if case.name in names]
