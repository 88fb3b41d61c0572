"""Which private chain reverts a block, in what a figure shows and says.

Notation
    equal, longer   ``security.criterion``: a private chain of equal length reverts
                    (ties win), or only one that is longer (ties lose)

A number of the second has its own name, ``persistence_violation_strict`` beside
``persistence_violation``. A figure shows those of a point's own criterion.
"""

import pandas as pd

from .tables import Tables

STRICT, CRITERION = "_strict", "security.criterion"
_RULED = ("persistence_violation", "safe_depth", "safe_depth_premined")
_WORDS = {"equal": "ties win", "longer": "ties lose"}


def by_criterion(tables: Tables) -> Tables:
    """Tables whose points have the numbers of their own criterion without its suffix.

    Args:
        tables: ``points``, if there are any. Where they do not say their criterion they
            have one, which the names of their numbers tell.

    Returns:
        The same, points with a column ``security.criterion``; numbers of the other
        criterion end in ``_other``.
    """
    if not {"quantity", "value"} <= set(tables.get("points", pd.DataFrame()).columns):
        return tables
    points = tables["points"]
    quantity = points["quantity"].astype(object)
    ruled, strict = (
        quantity.isin([name + suffix for name in _RULED]) for suffix in ("", STRICT)
    )
    if CRITERION in points:
        criterion = points[CRITERION]
    else:
        there = points["value"].notna()
        alone = bool((strict & there).any()) and not bool((ruled & there).any())
        criterion = pd.Series("longer" if alone else "equal", index=points.index)
    longer = criterion.eq("longer")
    own = quantity.where(~(strict & longer), quantity.str.removesuffix(STRICT))
    other = (ruled & longer) | (strict & ~longer)
    named = own.where(~other, own + "_other")
    return {
        **tables,
        "points": points.assign(**{CRITERION: criterion, "quantity": named}),
    }


def ties(df: pd.DataFrame) -> str:
    """What a figure's axis says of the column ``criterion``; "" without one."""
    if "criterion" not in df:
        return ""
    found = df["criterion"].dropna().unique().tolist()
    if len(found) == 1 and found[0] in _WORDS:
        return _WORDS[found[0]]
    return f"ties by {CRITERION}" if found else ""
