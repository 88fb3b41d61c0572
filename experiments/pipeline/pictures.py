"""Draw the figures of a run from its tables."""

from collections.abc import Mapping
from types import ModuleType

import pandas as pd

from ...figures import NAMES


def drawn(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Names of the figures that the tables have something for."""
    # Good periods are refused where the simulated chain is shorter than the windows.
    windows = tables["estimates"].quantity.str.startswith("good_period").any()
    # Measured times and formulas have no learning curves.
    there = {"good_periods": windows, "learning_curves": len(tables["curves"]) > 0}
    return [name for name in NAMES if there.get(name, True)]


def render(
    tables: Mapping[str, pd.DataFrame],
    *,
    command: str,
    figures: Mapping[str, ModuleType] | None = None,
) -> dict[str, bytes]:
    """Figures as PNG and PDF: file name in the run folder → content.

    Args:
        tables: Tidy tables by name.
        command: What reproduces them, written into the files' metadata.
        figures: Their modules by name; None: those that ``drawn`` names.
    """
    # Matplotlib: not for those who only ask what was drawn.
    from ...figures import FIGURES
    from ...figures.style import rendered

    if figures is None:
        figures = {name: FIGURES[name] for name in drawn(tables)}
    files = {}
    for name, figure in figures.items():
        drawing = figure.draw(figure.data(tables))
        for suffix, content in rendered(drawing, command=command).items():
            files[f"figures/{name}.{suffix}"] = content
    return files
