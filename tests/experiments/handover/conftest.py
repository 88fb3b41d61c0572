"""A run folder as a run leaves it, its numbers invented, and its archive."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.handover.archive import pack
from dpodl.experiments.pipeline.provenance import provenance
from dpodl.experiments.pipeline.sources import stage_digests
from dpodl.experiments.pipeline.stages import TABLES
from dpodl.experiments.store.run_folder import RunFolder

ESTIMATES = pd.DataFrame(
    {
        "quantity": ["chain_growth", "safe_depth", "persistence_violation"],
        "value": [0.015012345, 468.0, 0.0],
        "low": [0.0103, 254.0, 0.0],
        "high": [0.0216, 862.0, 0.00231],
        "method": ["ratio", "grid", "Clopper–Pearson"],
    }
)


class Packed(NamedTuple):
    """A run and its archive.

    Attributes:
        config: Its config, whose law is that of a file of times.
        tables: Its tables.
        folder: The run's.
        archive: The file.
        times: Content of the file of times, which is there no more.
    """

    config: Config
    tables: dict[str, pd.DataFrame]
    folder: Path
    archive: Path
    times: bytes


def finished(folder: Path, config: Config, tables: dict[str, pd.DataFrame]) -> None:
    """Write what a run leaves."""
    store = RunFolder(folder)
    files = {f"{name}.csv": table.to_csv(index=False) for name, table in tables.items()}
    files |= {"config.toml": config.to_toml(), "summary.md": "# x"}
    contents = {name: text.encode() for name, text in files.items()}
    store.finish("summary", "key", {**contents, "figures/a.png": bytes(99)})
    facts = {**provenance("dpodl run own-times"), "code": stage_digests()}
    store.write_notes("key", facts)


@pytest.fixture(scope="session")
def packed(tmp_path_factory) -> Packed:
    root = tmp_path_factory.mktemp("packed")
    times = root / "my times.csv"
    times.write_text("time\n" + "\n".join(str(100 + 37 * i % 211) for i in range(60)))
    config = load_config("own-times", [f"law.path={times}"])
    laws = pd.DataFrame({"setting": [f"measured: {times}"], "mean": [204.25]})
    tables = dict.fromkeys(TABLES, laws) | {"estimates": ESTIMATES}
    folder = root / "own-times-0123456789"
    finished(folder, config, tables)
    archive = root / "run.zip"
    archive.write_bytes(pack(folder))
    content = times.read_bytes()
    times.unlink()
    return Packed(config, tables, folder, archive, content)
