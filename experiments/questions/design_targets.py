"""The words of ``dpodl design``: what ``--target`` and ``--over`` may say.

    persistence=2^-40@depth<=60     risk ε at so many confirmations, attack from the tip
    persistence_premined=…          the same, the adversary comes with a lead
    interval=600s, interval=600s+-10%, interval<=900s
    liveness@0.99<=3600s            quantile of the wait until it is final
    quality>=0.5  useful>=0.5  beta>=0.3  beta_warm>=0.2  stale<=0.1  verification<=0.2
    honest_epsilon<=0.01        largest gain of one rational deviator (dpodl rational)
    storage<=20MB

Times are in s, min, h, d, steps or blocks (mean intervals; not for the interval
itself). Everything that is wrong is said at once.
"""

import difflib
import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...analysis.calibration.targets import Sense, Target
from ..config.experiment import Config
from ..config.hash_targets import (
    format_target,
    parse_target,
    success_probability,
    target_of_probability,
)
from ..config.moved import modern_path
from ..config.section import ConfigError
from ..sweep.axes import axis_of

DEFAULT_TOLERANCE = 0.1
MOST_SETTINGS = 20_000
_NUMBER = re.compile(r"\d{1,30}(\.\d{0,30})?([eE][+-]?\d{1,3})?|\.\d{1,30}|2\^-\d{1,4}")
_TARGET = re.compile(
    r"(?P<name>[a-z_]+)(@(?P<level>[^<>=@]+))?(?P<sense><=|>=|=)(?P<rest>.+)"
)
_DEPTH = re.compile(r"(?P<risk>[^@]+)@depth<=(?P<depth>\d{1,6})( ?blocks)?")
_AMOUNT = re.compile(r"(?P<number>[^ ]*?) ?(?P<unit>[a-zA-Z]*)")
_SPACES = re.compile(r"\s*(<=|>=|=|@|\+-|±)\s*")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_SHARES: dict[str, Sense] = {
    "quality": ">=",
    "useful": ">=",
    "beta": ">=",
    "beta_warm": ">=",
    "stale": "<=",
    "verification": "<=",
    "honest_epsilon": "<=",
}
_EXAMPLES = {
    "persistence": "persistence=2^-40@depth<=60",
    "persistence_premined": "persistence_premined=2^-40@depth<=60",
    "interval": "interval=600s",
    "liveness": "liveness@0.99<=3600s",
    "storage": "storage<=20MB",
    **{name: f"{name}{sense}0.3" for name, sense in _SHARES.items()},
}


class Asked(NamedTuple):
    """What the targets say.

    Attributes:
        targets: To be judged; bounds in steps, blocks, shares or bytes. A bound of
            ``liveness`` in blocks is told by ``liveness_blocks``.
        interval_steps: Mean interval that p_1 is solved for; None: p_1 is given.
        risk: ε of persistence; None: no such target.
        risk_premined: ε with a head start; None: no such target.
        level: Quantile of liveness.
        liveness_blocks: Whether the liveness bound counts mean intervals.
    """

    targets: tuple[Target, ...]
    interval_steps: float | None = None
    risk: float | None = None
    risk_premined: float | None = None
    level: float = 0.99
    liveness_blocks: bool = False


class Scan(NamedTuple):
    """Values that are tried; none: the default of a setting."""

    t_acc: tuple[float, ...] = ()
    t_1: tuple[int, ...] = ()
    t_2: tuple[int, ...] = ()
    s_min: tuple[int, ...] = ()


def read_targets(config: Config, given: Sequence[str]) -> Asked:
    """The targets of a command line.

    Args:
        config: Its clock converts seconds.
        given: ``--target`` texts.

    Raises:
        ConfigError: With everything that is wrong.
    """
    if not given:
        raise ConfigError(
            "no target: give --target, e.g. " + ", ".join(_EXAMPLES.values())
        )
    asked, problems, seen = Asked(()), [], set()
    for text in given:
        try:
            name, asked = _read(config, text, asked)
            if name in seen:
                raise ValueError(f"{name} is asked for twice")
            seen.add(name)
        except ValueError as error:
            shown = text if len(text) <= 80 else text[:77] + "..."
            problems.append(f"--target {shown!r}: {error}")
    if problems:
        raise ConfigError(_told(problems))
    return asked


def read_scan(config: Config, over: Sequence[str], asked: Asked) -> Scan:
    """The values of a command line's ``--over``.

    Args:
        config: Limits of S_min.
        over: ``setting=values`` texts.
        asked: Whether p_1 is solved for.

    Raises:
        ConfigError: With everything that is wrong.
    """
    scan, problems = Scan(), []
    for text in over:
        try:
            name, values = _values(config, text)
            if getattr(scan, name):
                raise ValueError(f"{name} is given twice")
            if name == "t_1" and asked.interval_steps is not None:
                raise ValueError(
                    "T_1 is solved for by --target interval=…; leave out one of both"
                )
            scan = scan._replace(**{name: values})
        except ValueError as error:
            lines = str(error).split("\n")
            problems += [f"--over {text[:80]!r}: {line}" for line in lines]
    count = math.prod(max(1, len(values)) for values in scan)
    if count > MOST_SETTINGS:
        problems.append(f"--over: {count} settings; at most {MOST_SETTINGS}")
    if problems:
        raise ConfigError(_told(problems))
    return scan


def _read(config: Config, text: str, asked: Asked) -> tuple[str, Asked]:
    match = _TARGET.fullmatch(_SPACES.sub(r"\1", text.strip()))
    if match is None or match["name"] not in _EXAMPLES:
        raise ValueError(_unknown(match["name"] if match else text))
    name, sense, rest = match["name"], match["sense"], match["rest"]
    if (match["level"] is None) == (name == "liveness"):
        raise ValueError(f"write it as {_EXAMPLES[name]}")
    if name in _SHARES:
        _require(sense, (_SHARES[name],), name)
        bound = _share(rest)
        return name, _with(asked, Target(name, _SHARES[name], bound, text))
    if name == "storage":
        _require(sense, ("<=",), name)
        number, unit = _amount(rest)
        if unit not in _BYTES:
            raise ValueError(
                f"a size needs a unit of {', '.join(_BYTES)}, got {rest!r}"
            )
        return name, _with(asked, Target(name, "<=", number * _BYTES[unit], text))
    if name == "liveness":
        _require(sense, ("<=",), name)
        level = _share(match["level"])
        steps, blocks = _time(config, rest, blocks=True)
        asked = asked._replace(level=level, liveness_blocks=blocks)
        return name, _with(asked, Target("liveness", "<=", steps, text))
    if name == "interval":
        return name, _interval(config, sense, rest, text, asked)
    _require(sense, ("=",), name)
    parts = _DEPTH.fullmatch(rest)
    if parts is None or int(parts["depth"]) < 1:
        raise ValueError(f"write it as {_EXAMPLES[name]}, depth from 1 to 999999")
    risk = _share(parts["risk"])
    figure = "depth" if name == "persistence" else "depth_premined"
    field = "risk" if name == "persistence" else "risk_premined"
    target = Target(figure, "<=", float(parts["depth"]), text)
    return name, _with(asked._replace(**{field: risk}), target)


def _interval(config, sense: str, rest: str, text: str, asked: Asked) -> Asked:
    amount, tolerance = rest, DEFAULT_TOLERANCE
    for mark in ("+-", "±"):
        if mark in rest:
            amount, _, percent = rest.partition(mark)
            if sense != "=" or not percent.endswith("%"):
                raise ValueError(
                    f"write a tolerance as interval=600s+-10%, got {rest!r}"
                )
            tolerance = _number(percent.removesuffix("%")) / 100
            if not 0 < tolerance < 1:
                raise ValueError(f"a tolerance lies between 0 and 100 %, got {rest!r}")
    steps, _ = _time(config, amount.strip(), blocks=False)
    if sense != "=":
        one: Sense = "<=" if sense == "<=" else ">="
        return _with(asked, Target("interval", one, steps, text))
    asked = asked._replace(interval_steps=steps)
    return _with(asked, Target("interval", "=", steps, text, tolerance))


def _with(asked: Asked, target: Target) -> Asked:
    return asked._replace(targets=(*asked.targets, target))


def _unknown(name: str) -> str:
    names = difflib.get_close_matches(name[:40], _EXAMPLES, n=1)
    if names:
        return f"write it as {_EXAMPLES[names[0]]}"
    return "there are " + ", ".join(_EXAMPLES.values())


def _require(sense: str, allowed: tuple[Sense, ...], name: str) -> None:
    if sense not in allowed:
        raise ValueError(
            f"{name} takes {' or '.join(allowed)}, as {_EXAMPLES[name]}, got {sense!r}"
        )


def _number(text: str) -> float:
    if not text.isascii() or _NUMBER.fullmatch(text) is None:
        raise ValueError(f"must be a number, 1e-9 or 2^-40, got {text[:40]!r}")
    if text.startswith("2^-"):
        return 2.0 ** -int(text[3:])
    return float(text)


def _share(text: str) -> float:
    value = _number(text)
    if not 0 < value < 1:
        raise ValueError(f"must lie between 0 and 1, got {text[:40]!r}")
    return value


def _amount(text: str) -> tuple[float, str]:
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"must be a number and a unit, got {text[:40]!r}")
    value = _number(match["number"])
    if not 0 < value < math.inf:
        raise ValueError(f"must be > 0 and finite, got {text[:40]!r}")
    return value, match["unit"]


def _time(config: Config, text: str, *, blocks: bool) -> tuple[float, bool]:
    """A time in steps, or in mean intervals if the second is true."""
    value, unit = _amount(text)
    if unit in _SECONDS:
        return value * _SECONDS[unit] / config.clock.seconds_per_step, False
    if unit in ("step", "steps"):
        return value, False
    if blocks and unit in ("block", "blocks"):
        return value, True
    units = [*_SECONDS, "steps", *(["blocks"] if blocks else [])]
    raise ValueError(f"a time needs a unit of {', '.join(units)}, got {text[:40]!r}")


def _values(config: Config, text: str) -> tuple[str, tuple]:
    path, separator, values = text.partition("=")
    path = ".".join(modern_path(path.strip().split(".")))
    if not separator or not values.strip():
        raise ValueError("write it as scheme.t_acc=0.90:0.98:0.01")
    readers: dict[str, tuple[str, Callable]] = {
        "scheme.t_acc": ("t_acc", float),
        "scheme.t_1": ("t_1", parse_target),
        "scheme.p_1": ("t_1", target_of_probability),
        "scheme.t_2": ("t_2", parse_target),
        "scheme.p_2": ("t_2", target_of_probability),
        "protocol.s_min": ("s_min", int),
    }
    if path not in readers:
        raise ValueError(f"a design chooses {', '.join(readers)}, got {path[:40]!r}")
    name, read = readers[path]
    axis = axis_of(path, values, spread=False)
    found = tuple(dict.fromkeys(map(read, axis.values)))
    if name in ("t_1", "t_2") and min(map(success_probability, found)) < 1e-60:
        low = format_target(min(found))
        raise ValueError(f"a target must leave a chance of 1e-60, got {low}")
    return name, found


def _told(problems: Sequence[str]) -> str:
    return "the design cannot be used:\n  " + "\n  ".join(problems)
