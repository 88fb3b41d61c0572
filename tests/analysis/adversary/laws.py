"""Laws for tests of the adversary's chapter."""

from pathlib import Path

import numpy as np
import pandas as pd
from dpodl.analysis.block_time.law import KNOTS, BlockTimeLaw

REFERENCE = Path(__file__).parents[2] / "reference" / "adversary.csv"


def weibull(shape: float, scale: float = 1.0) -> BlockTimeLaw:
    """Λ = (x/scale)^shape."""
    top = 40 ** (1 / shape)
    places = top / (KNOTS - 1) * np.arange(KNOTS)
    g = scale * top / (KNOTS - 1)
    end = shape * top ** (shape - 1) / scale
    return BlockTimeLaw(places**shape, g, end, 0.0, False)


def bathtub() -> BlockTimeLaw:
    """A hazard that falls and rises again: 2, then .5, then 3."""
    hazards = np.repeat([2.0, 0.5, 3.0], [512, 1024, KNOTS - 1 - 1536])
    return BlockTimeLaw(
        np.concatenate([[0.0], np.cumsum(hazards)]) / 1024, 1 / 1024, 3.0, 0.0, False
    )


def rows(case: str) -> pd.DataFrame:
    """The reference's rows of a case."""
    table = pd.read_csv(REFERENCE)
    return table.loc[table["case"] == case]


def number(text: str, name: str) -> float:
    """The number after ``name=`` in a row's parameters."""
    return float(text.split(f"{name}=")[1].split(",")[0].split(" ")[0])
