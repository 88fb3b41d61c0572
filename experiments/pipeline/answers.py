"""Keep the answer to a question: tables, figures, config, and what reproduces them."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pandas as pd

from ..config.experiment import Config
from ..store.files import table_bytes
from ..store.locks import exclusive
from ..store.run_folder import RunFolder
from . import pictures
from .provenance import provenance


def keep_answer(
    folder: Path,
    question: str,
    tables: Mapping[str, pd.DataFrame],
    *,
    command: str,
    config: Config | None = None,
    figures: Mapping[str, ModuleType] | None = None,
    others: Mapping[str, bytes] | None = None,
) -> None:
    """Write ``<table>.csv``, ``figures/``, ``config.toml`` and ``provenance.json``.

    Args:
        folder: Where to; one folder for all that was asked.
        question: Name of the command that asks it.
        tables: Tidy tables by name.
        command: The command line that reproduces them, noted with the tables and in
            the figures' metadata.
        config: Whose answer it is; None: a chain's, which has it.
        figures: Figure modules by name, drawn from ``tables``.
        others: Files of other kinds by name.
    """
    files = {f"{name}.csv": table_bytes(table) for name, table in tables.items()}
    files |= others or {}
    if config is not None:
        files["config.toml"] = config.to_toml().encode()
    if figures:
        files |= pictures.render(tables, command=command, figures=figures)
    with exclusive(folder, wait=True):
        kept = RunFolder(folder)
        kept.finish(question, command, files)
        kept.write_notes(command, provenance(command))
