"""How independent work is spread: by whoever asks for it, who knows the machine."""

from collections.abc import Callable, Iterable
from typing import Any

Mapped = Callable[[Callable[[int], Any], int], Iterable[Any]]
"""How (work, count) becomes work(0), ..., work(count − 1), in their order."""


def one_by_one(work: Callable[[int], Any], count: int) -> Iterable[Any]:
    """One after the other, here."""
    return map(work, range(count))
