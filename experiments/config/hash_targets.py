"""Targets of the hash lotteries: 2^256 times a probability, as configs write them."""

import re
from fractions import Fraction
from typing import Annotated

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    WithJsonSchema,
)

HASH_BITS = 256


_POWER = re.compile(r"2\s*(?:\^|\*\*)\s*(\d{1,3})")


def parse_target(value: object) -> int:
    """A hash target from a number, ``"2^240"`` or digits; 2^256 means no lottery.

    Raises:
        ValueError: If it is none of these or outside [0, 2^256].
    """
    if isinstance(value, str):
        power = _POWER.fullmatch(value.strip())
        if power:
            value = 1 << int(power[1])
        elif value.strip().isdecimal() and len(value) < 100:
            value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(
            f'a target is "2^k", a whole number or its digits, got {value!r}'
        )
    if not 0 <= value <= 1 << HASH_BITS:
        raise ValueError(f"a target lies in [0, 2^256], got {format_target(value)}")
    return value


def format_target(value: int) -> str:
    """The shortest exact way to write a target: ``2^k`` or its digits."""
    if value > 0 and value.bit_count() == 1:
        return f"2^{value.bit_length() - 1}"
    return str(value)


def success_probability(target: int) -> float:
    """P = min(1, (T + 1)/2^256): a hash is at most T."""
    return float(min(Fraction(1), Fraction(target + 1, 1 << HASH_BITS)))


def target_of_probability(probability: float) -> int:
    """The largest T with success probability at most p.

    Raises:
        ValueError: If p is not in [2^-256, 1].
    """
    if not 2.0**-HASH_BITS <= probability <= 1:
        raise ValueError(f"a probability lies in [2^-256, 1], got {probability}")
    if probability == 1:
        return 1 << HASH_BITS
    return int(Fraction(probability) * (1 << HASH_BITS)) - 1


Target = Annotated[
    int,
    BeforeValidator(parse_target),
    PlainSerializer(format_target, when_used="always"),
    WithJsonSchema(
        {
            "type": "string",
            "allowed": '"2^k", a whole number in [0, 2^256], or its digits',
        }
    ),
]
