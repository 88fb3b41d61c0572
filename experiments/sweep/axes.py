"""One axis of a sweep: a setting of the config by its path, and the values it takes.

Values are written ``a,b,c``, ``start:stop:step``, ``low:high:log5``, ``low:high:lin5``
or, for designs that fill ranges, ``low..high`` and ``low..high:log``.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError

from ..config.experiment import Config
from ..config.hash_targets import format_target, parse_target, target_of_probability
from ..config.loading import problems_of
from ..config.moved import modern_path
from ..config.sections import LotteryConfig
from ..config.toml_text import bound_text

SPREAD = ("sobol", "halton", "latin")
SWEPT = (
    *("seed", "data", "menu", "training", "scheme", "protocol", "network", "adversary"),
    *("clock", "security"),
)
TWINS = {"p_1": "t_1", "p_2": "t_2"}
MOST_VALUES = 100_000
_RANGE = re.compile(r"(?P<low>[^:]+?)\.\.(?P<high>[^:]+?)(?P<log>:log)?")
_STEPS = re.compile(r"(?P<low>[^:,]+):(?P<high>[^:,]+):(?P<step>[^:,]+)")
_COUNT = re.compile(r"(?P<how>log|lin)(?P<count>\d{1,6})")
_DIGITS = 12  # of a number between two others: prints as it is
_SHOWN = 4  # values of an axis in a message


class Spread(NamedTuple):
    """A range of values.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        log: Whether it is even in the logarithm.
    """

    low: float | int
    high: float | int
    log: bool


class Axis(NamedTuple):
    """A setting that changes.

    Attributes:
        path: Where it is in the config.
        kind: integer, number, target, probability or other.
        values: As in JSON; none if it has a range.
        spread: Its range, for low-discrepancy designs.
    """

    path: str
    kind: str
    values: tuple[Any, ...]
    spread: Spread | None


# ------------------------------------------------------------------ what a path is


class _Field(NamedTuple):
    kind: str
    check: TypeAdapter


def _field(path: str) -> _Field:
    """The setting at a path.

    Raises:
        ValueError: If there is none, or no point's quantities depend on it.
    """
    keys = path.split(".")
    head, *rest = keys
    if (now := modern_path(keys)) != keys:
        raise ValueError(f"it is {'.'.join(now)} now")
    if head not in SWEPT:
        what = "no figure depends on it" if head in Config.model_fields else "unknown"
        raise ValueError(f"{what}; settings of {', '.join(SWEPT)} can be swept")
    info = Config.model_fields[head]
    annotation, metadata = info.annotation, info.metadata
    for name in rest:
        if get_origin(annotation) is dict:
            annotation, metadata = get_args(annotation)[1], []
            continue
        section = _section(annotation)
        if section is None:
            raise ValueError(f"{name!r} is not a table's entry; sweep the whole of it")
        if issubclass(section, LotteryConfig) and name in TWINS:
            return _Field("probability", TypeAdapter(float))
        if name not in section.model_fields:
            known = ", ".join(section.model_fields)
            raise ValueError(f"no such setting {name!r}; there are {known}")
        info = section.model_fields[name]
        annotation, metadata = info.annotation, info.metadata
    validators = [getattr(each, "func", None) for each in metadata]
    whole: Any = Annotated[annotation, *metadata] if metadata else annotation
    return _Field(
        "target" if parse_target in validators else _kind(annotation),
        TypeAdapter(whole),
    )


def _section(annotation: Any) -> type[BaseModel] | None:
    """The table that an annotation is, or may be; a list of tables is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, dict, Literal):
        return None
    inner = [_section(part) for part in get_args(annotation)]
    return next((each for each in inner if each is not None), None)


def _kind(annotation: Any) -> str:
    kinds = set(_leaves(annotation))
    if int in kinds and float not in kinds:
        return "integer"
    return "number" if float in kinds else "other"


def _leaves(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _leaves(get_args(annotation)[0])
    elif get_origin(annotation) in (tuple, list, dict, Literal):
        yield None
    elif get_args(annotation):
        for part in get_args(annotation):
            yield from _leaves(part)
    else:
        yield annotation


# ------------------------------------------------------------------ what its values are


def axis_of(path: str, given: str | tuple[Any, ...], *, spread: bool) -> Axis:
    """An axis from what a config or a command says.

    Args:
        path: The setting.
        given: Its values, as text or one by one.
        spread: Whether the design fills ranges.

    Raises:
        ValueError: A line for everything that is wrong.
    """
    field = _field(path)
    values: Sequence[Any]
    if isinstance(given, str):
        numeric = field.kind != "other"
        ends = _RANGE.fullmatch(given.strip()) if numeric else None
        steps = _STEPS.fullmatch(given.strip()) if numeric else None
        if ends:
            if not spread:
                raise ValueError(
                    f"low..high is for the designs {', '.join(SPREAD)}; give "
                    f"start:stop:step, low:high:log5 or a,b,c, got {given!r}"
                )
            return Axis(path, field.kind, (), _ends(field, ends))
        values = _stepped(field, steps) if steps else _split(given)
    else:
        values = given
    if not values:
        raise ValueError("no values")
    if len(values) > MOST_VALUES:
        raise ValueError(f"{len(values)} values; at most {MOST_VALUES}")
    found, problems = [], []
    for value in values:
        try:
            found.append(_checked(field, value))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        if len(problems) > _SHOWN:
            more = len(problems) - _SHOWN
            problems[_SHOWN:] = [f"… and {more} more of its values"]
        raise ValueError("\n".join(problems))
    return Axis(path, field.kind, tuple(found), None)


def _checked(field: _Field, value: Any) -> Any:
    """A value as JSON, if the setting can have it."""
    if field.kind == "probability":
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be a number, got {value!r}")
        target_of_probability(value)
        return float(value)
    try:
        valid = field.check.validate_python(value)
    except ValidationError as error:
        # The field's name is in front already; what counts is what is wrong.
        lines = [line.removeprefix("config: ") for line in problems_of(error)]
        raise ValueError("; ".join(dict.fromkeys(lines))) from None
    return field.check.dump_python(valid, mode="json", exclude_none=True)


def _split(given: str) -> list[Any]:
    """``a,b,c`` as TOML values; bare words are text, as with --set."""
    if not given.strip():
        return []
    if "\n" in given:
        raise ValueError(f"must be one line, got {given!r}")
    bound_text(given, "--over")
    for parse in (
        lambda: tomllib.loads(f"value = [{given}]")["value"],
        lambda: json.loads(f"[{given}]"),
    ):
        try:
            return parse()
        except (ValueError, RecursionError):
            continue
    found = []
    for part in _parts(given):
        try:
            found.append(tomllib.loads(f"value = {part}")["value"])
        except (ValueError, RecursionError):
            found.append(part)
    return found


def _parts(given: str) -> list[str]:
    """Split at the commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in given:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        if character == "," and not quote and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _number(field: _Field, given: str) -> int | float:
    """An end of a range.

    Raises:
        ValueError: If it is none that the setting can have.
    """
    if field.kind == "target":
        return parse_target(given)
    try:
        value = float(given)
    except ValueError:
        raise ValueError(f"must be a number, got {given!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"must be finite, got {given!r}")
    if field.kind == "integer":
        if not value.is_integer():
            raise ValueError(f"must be a whole number, got {given!r}")
        return int(value)
    return value


def _ends(field: _Field, match: re.Match[str]) -> Spread:
    low, high = (_number(field, match[name].strip()) for name in ("low", "high"))
    for end in (low, high):
        _checked(field, format_target(end) if field.kind == "target" else end)  # pyright: ignore[reportArgumentType]
    if low >= high:
        raise ValueError(f"low must be below high, got {match[0]}")
    log = match["log"] is not None
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must be above 0, got {match[0]}")
    return Spread(low, high, log)


def _stepped(field: _Field, match: re.Match[str]) -> list[Any]:
    counted = _COUNT.fullmatch(match["step"].strip())
    low, high = (_number(field, match[name].strip()) for name in ("low", "high"))
    if counted:
        count = int(counted["count"])
        if not 2 <= count <= MOST_VALUES:
            raise ValueError(f"log and lin take 2 to {MOST_VALUES}, got {count}")
        spread = Spread(low, high, counted["how"] == "log")
        if spread.log and min(low, high) <= 0:
            raise ValueError(f"a logarithmic range must be above 0, got {match[0]}")
        places = [i / (count - 1) for i in range(count)]
        found = [between(field.kind, spread, place) for place in places]
        return list(dict.fromkeys(found))
    if field.kind == "target":
        raise ValueError(f"targets take 2^250:2^256:log4 or a list, got {match[0]}")
    step = _number(field, match["step"].strip())
    if step == 0 or (high - low) / step < 0:
        raise ValueError(f"the step must lead from start to stop, got {match[0]}")
    if (high - low) / step > MOST_VALUES:
        raise ValueError(f"at most {MOST_VALUES} values, got {match[0]}")
    # In decimals 0.90 + 0.01 + 0.01 is 0.92.
    first, last, each = (Decimal(match[n].strip()) for n in ("low", "high", "step"))
    numbers = [first + i * each for i in range(int((last - first) / each) + 1)]
    return [int(n) if field.kind == "integer" else float(n) for n in numbers]


def between(kind: str, spread: Spread, place: float) -> Any:
    """The value at a place in [0, 1] of a range; a target as text."""
    low, high = spread.low, spread.high
    bottom, top = min(low, high), max(low, high)
    if kind == "target":
        if spread.log:
            exponent = math.log2(low) + place * (math.log2(high) - math.log2(low))
            # A float holds every power of 2 that is meant exactly.
            value = int(2.0**exponent)
        else:
            value = int(low + Fraction(place) * (int(high) - int(low)))
        return format_target(int(min(max(value, bottom), top)))
    if place in (0, 1):
        return (low, high)[int(place)]
    if spread.log:
        value = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
    else:
        value = low + place * (high - low)
    value = min(max(float(f"{value:.{_DIGITS}g}"), bottom), top)
    return round(value) if kind == "integer" else value


def drawn(kind: str, spread: Spread, place: float) -> Any:
    """The value of a range at a place that is spread evenly over [0, 1).

    A whole number k stands for all from k − ½ to k + ½, the two ends too: rounding what
    lies between them would give each end half the weight of the others.
    """
    if kind not in ("integer", "target"):
        return between(kind, spread, place)
    low, high = int(spread.low), int(spread.high)
    if not spread.log:
        value = low + math.floor(Fraction(place) * (high - low + 1))
    elif kind == "target":
        return between(kind, spread, place)  # powers of 2, not whole numbers
    else:
        bottom, top = math.log(low - 0.5), math.log(high + 0.5)
        value = math.floor(math.exp(bottom + place * (top - bottom)) + 0.5)
    value = min(max(value, low), high)
    return format_target(value) if kind == "target" else value
