"""How every figure looks and is written: one style sheet, one palette, one ``save``.

Colours are Okabe and Ito's, safe for the colour-blind; each comes with a line style
and a marker of its own, so a grey print tells the series apart too.

Files are functions of the figure: no dates, no versions, so the same tables give the
same bytes. They carry the command that reproduces them.

Reference: M. Okabe, K. Ito, "Color Universal Design", 2008.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..models.learning.files import write_atomically

COLUMN_INCHES = 3.4
PNG_DPI = 300

_page_width: ContextVar[float] = ContextVar("page_width", default=COLUMN_INCHES)

_SHEET = Path(__file__).with_name("dpodl.mplstyle")


class Look(NamedTuple):
    """What tells one series from another.

    Attributes:
        color: Okabe–Ito, as #rrggbb.
        dashes: Matplotlib line style.
        marker: Matplotlib marker.
    """

    color: str
    dashes: str | tuple[float, tuple[float, ...]]
    marker: str


# Okabe and Ito's yellow is left out: too light for a thin line on white.
LOOKS = (
    Look("#0072b2", "-", "o"),
    Look("#d55e00", (0, (5, 1.5)), "s"),
    Look("#009e73", (0, (5, 1.5, 1, 1.5)), "^"),
    Look("#cc79a7", (0, (1, 1)), "D"),
    Look("#56b4e9", (0, (3, 1, 1, 1, 1, 1)), "v"),
    Look("#e69f00", (0, (8, 2)), "P"),
    Look("#000000", (0, (2, 2)), "X"),
)
# What every other series is compared with.
BASELINE = Look("#000000", "-", "o")


def look(index: int) -> Look:
    """The look of a figure's index-th series; after the last, the first again."""
    return LOOKS[index % len(LOOKS)]


@contextmanager
def styled() -> Iterator[None]:
    """The style sheet over Matplotlib's own defaults, whatever the user's settings.

    A context, and as ``@styled()`` a decorator of ``draw``.
    """
    with style.context(_SHEET, after_reset=True):
        yield


@contextmanager
def page_width(inches: float) -> Iterator[None]:
    """Figures made meanwhile are so wide; their texts keep their sizes in points."""
    token = _page_width.set(float(inches))
    try:
        yield
    finally:
        _page_width.reset(token)


def new_figure(height: float) -> Figure:
    """An empty figure on an Agg canvas, as wide as ``page_width``, or one paper column.

    Args:
        height: Inches.
    """
    figure = Figure(figsize=(_page_width.get(), height))
    FigureCanvasAgg(figure)
    return figure


def spaced(places: Sequence[float], gap: float) -> list[int]:
    """Which of some places, the preferred first, stand at least ``gap`` apart."""
    kept: list[int] = []
    for index, place in enumerate(places):
        if all(abs(place - places[other]) >= gap for other in kept):
            kept.append(index)
    return kept


def save(
    figure: Figure, path_without_suffix: Path | str, *, command: str
) -> list[Path]:
    """Write a figure as PNG (300 dpi) and PDF, each whole or not at all.

    Args:
        figure: What ``draw`` returned.
        path_without_suffix: Where to; ``.png`` and ``.pdf`` are appended.
        command: The command line that reproduces the figure; goes into the files'
            metadata (PNG ``Description``; PDF ``Subject`` and ``Keywords``).

    Returns:
        The two paths. Equal figures give equal bytes.
    """
    stem = Path(path_without_suffix)
    paths = []
    for suffix, content in rendered(figure, command=command).items():
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_atomically(path, content)
        paths.append(path)
    return paths


def rendered(figure: Figure, *, command: str) -> dict[str, bytes]:
    """A figure as PNG and PDF: suffix → content, as ``save`` writes it."""
    metadata = {
        "png": {"Description": command, "Software": None},
        "pdf": {
            "Subject": f"Reproduce with: {command}",
            "Keywords": command,
            "Creator": None,
            "Producer": None,
            "CreationDate": None,
        },
    }
    files = {}
    for suffix, fields in metadata.items():
        buffer = io.BytesIO()
        # Ticks and their labels are made when they are drawn, with the settings then.
        with styled():
            figure.savefig(buffer, format=suffix, dpi=PNG_DPI, metadata=fields)
        files[suffix] = buffer.getvalue()
    return files
