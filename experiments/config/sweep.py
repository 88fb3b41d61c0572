"""What a sweep goes over, as a config's section."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
)

from .section import Section, Whole

QUICK = ("block_times", "growth", "forks", "confirmations")
"""Quantities that are found without replicas of races and rounds."""
QUANTITIES = (*QUICK, "persistence", "good_periods", "quality", "liveness")
"""What ``all`` asks of a sweep's points."""
TIERS = "tiers"
"""Confirmations against a private chain, the best attack found and any adversary: a
second a point, so that it is asked for by name."""
NAMES = (*QUANTITIES, TIERS)
"""What can be asked of a sweep's points."""


def dotted(given: Any) -> Any:
    """``over = {scheme.t_acc = …}`` nests in TOML; here a path is one key."""
    if not isinstance(given, Mapping):
        return given
    flat: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Mapping):
            inner = dotted(value)
            flat |= {f"{name}.{rest}": each for rest, each in inner.items()}
        else:
            flat[str(name)] = value
    return flat


def _asked(given: Any) -> str | tuple[str, ...]:
    """``all``, ``quick``, or names in the order of ``NAMES``.

    Raises:
        ValueError: If it is none of these; says what there is.
    """
    if given in ("all", "quick"):
        return given
    names = list(given) if isinstance(given, list | tuple) else []
    unknown = [each for each in names if each not in NAMES]
    if not names or unknown:
        raise ValueError(
            f"must be all, quick or a list of {', '.join(NAMES)}, got "
            f"{unknown if unknown else given!r}"
        )
    return tuple(each for each in NAMES if each in names)


class SweepConfig(Section):
    """The points that ``dpodl sweep`` computes, and how hard it tries at each."""

    design: Literal["grid", "list", "sobol", "halton", "latin"] = Field(
        default="grid",
        description="product of all values; values side by side; or spread over ranges",
    )
    points: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None, description="points of sobol, halton and latin"
    )
    over: Annotated[dict[str, str | tuple[Any, ...]], BeforeValidator(dotted)] = Field(
        default={},
        description="setting → values: an array, 'start:stop:step', 'low:high:log5', "
        "'a,b,c', or 'low..high' for sobol, halton and latin",
    )
    quantities: Annotated[str | tuple[str, ...], BeforeValidator(_asked)] = Field(
        default="all",
        description="all, or a list of block_times, growth, forks, confirmations, "
        "persistence, good_periods, quality, liveness and tiers: what is not asked for "
        "is not computed; quick: the first four; all: all but tiers",
    )
    replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=512, description="security.replicas of a point"
    )
    good_period_replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=128, description="security.good_period_replicas of a point"
    )
    bootstraps: Annotated[Whole, Field(ge=0)] = Field(
        default=6, description="security.bootstraps of a point"
    )
    bootstrap_replicas: Annotated[Whole, Field(ge=100)] = Field(
        default=100, description="security.bootstrap_replicas of a point"
    )
    shard: Annotated[Whole, Field(ge=1, le=10_000)] = Field(
        default=64, description="most points that are computed and kept together"
    )
