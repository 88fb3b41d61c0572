"""2^x for targets, by the integers of aserti3-2d.

Source: [BCH20]; the printed exponent line there lacks the radix, the code
does not.
"""

RADIX = 1 << 16
"""1, in the units of an exponent."""


def factor(fraction: int) -> int:
    """2^(fraction / 2^16) in units of 2^-16, for a fraction from 0 to 2^16 − 1.

    The cubic of aserti3-2d; its error is below 0.013 %.
    """
    if not 0 <= fraction < RADIX:
        raise ValueError(f"fraction must be from 0 to {RADIX - 1}, got {fraction}")
    cubic = 195766423245049 * fraction
    cubic += 971821376 * fraction**2 + 5127 * fraction**3
    return RADIX + ((cubic + (1 << 47)) >> 48)


def scaled(target: int, exponent: int, highest: int) -> int:
    """Target · 2^(exponent / 2^16), from 1 to ``highest``."""
    shift, fraction = exponent >> 16, exponent & (RADIX - 1)
    if shift > 256:
        return highest
    if shift < -512:
        return 1
    shift -= 16
    found = target * factor(fraction)
    found = found << shift if shift >= 0 else found >> -shift
    return min(max(found, 1), highest)


def quotient(numerator: int, denominator: int) -> int:
    """A quotient towards 0, as the C of aserti3-2d divides."""
    found = abs(numerator) // denominator
    return found if numerator >= 0 else -found
