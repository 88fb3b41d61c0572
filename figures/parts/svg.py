"""A figure as SVG, beside the PNG and PDF of ``style.save``.

Text is drawn as paths: a viewer without the font shows the same figure. Equal figures
give equal bytes.
"""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from ...models.learning.files import write_atomically
from ..style import styled


def save_svg(figure: Figure, path: Path, *, command: str) -> Path:
    """Write a figure as SVG.

    Args:
        figure: What ``draw`` returned.
        path: Where to.
        command: The command line that reproduces it; the file's ``Description``.

    Returns:
        The path.
    """
    buffer = io.BytesIO()
    fields = {"Description": command, "Date": None, "Creator": None}
    # Without a salt the ids in the file would be random.
    with styled(), rc_context({"svg.hashsalt": "dpodl"}):
        figure.savefig(buffer, format="svg", metadata=fields)
    write_atomically(path, buffer.getvalue())
    return path
