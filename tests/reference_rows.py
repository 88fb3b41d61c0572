"""Rows of the reference tables that tests are held to."""

import csv
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent / "reference"


class Row(NamedTuple):
    case: str
    parameters: str
    value: str
    source: str


def rows(case: str) -> list[Row]:
    """Rows of a case of feedback.csv; there is at least one."""
    with (_FOLDER / "feedback.csv").open(encoding="utf-8") as lines:
        found = [Row(*each) for each in csv.reader(lines) if each[0] == case]
    assert found, case
    return found
