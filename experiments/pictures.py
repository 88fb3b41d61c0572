"""Draw the figures of a run from its tables."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import pandas as pd

from ..figures import NAMES


def drawn(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Names of the figures that the tables have something for."""
    # Good periods are refused where the simulated chain is shorter than the windows.
    windows = tables["estimates"].quantity.str.startswith("good_period").any()
    return [name for name in NAMES if name != "good_periods" or windows]


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
    from ..figures import FIGURES
    from ..figures.style import save

    if figures is None:
        figures = {name: FIGURES[name] for name in drawn(tables)}
    files = {}
    with TemporaryDirectory() as folder:
        for name, figure in figures.items():
            base = Path(folder) / name
            save(figure.draw(figure.data(tables)), base, command=command)
            for suffix in (".png", ".pdf"):
                path = base.with_suffix(suffix)
                files[f"figures/{path.name}"] = path.read_bytes()
    return files
