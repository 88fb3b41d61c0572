"""From a finished run or a sweep's store to one HTML page."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from ..figures.page.quantities import label_of
from ..figures.page.report import page
from ..models.learning.files import read_regular, write_atomically
from .config.experiment import Config
from .config.loading import parse_config
from .config.section import ConfigError
from .config.toml_text import parse_toml
from .pipeline import summary
from .pipeline.stages import TABLES
from .store.possible import Changed, check_possible
from .store.run_folder import RunFolder
from .world.tier_words import tier_rows, tier_sentence, tiers_are
from .world.verdict import VERDICT_QUANTITIES, sweep_line

# What shows that a folder is a store, and no table that somebody put there.
_OURS = ("manifest.json", "points.parquet", "shards")
_STORES = ("results.parquet", "results.csv.gz", "results.csv")


def write(
    target: Path, output: Path | None = None, *, accept_changed: bool = False
) -> tuple[Path, list[str]]:
    """Write the page of a run folder or of a sweep's store.

    Args:
        target: A run folder, or a folder with ``results.parquet`` or ``results.csv``.
        output: Where to; ``report.html`` in the target unless given.
        accept_changed: Whether what was changed is shown, with a note on the page.

    Returns:
        The page's path, and what is in it that no digest vouches for.

    Raises:
        ConfigError: If the target is neither, or is not finished.
        Changed: If a file is not what was written, or holds what cannot be.
    """
    path = target / "report.html" if output is None else output
    folder = RunFolder(target, accept_changed=accept_changed)
    write_atomically(path, html(folder).encode())
    return path, folder.changed + folder.unvouched


def html(folder: RunFolder) -> str:
    """The page of a run folder or of a sweep's store.

    Raises:
        ConfigError: If the target is neither, or is not finished.
        Changed: If a file is not what was written, or holds what cannot be.
    """
    target = folder.path
    if any((target / name).is_file() for name in _STORES):
        points = read_store(folder)
        with shown(folder):
            facts = sweep_facts(folder, points)
            return page({"points": points}, _with_note(facts, folder))
    if not (target / "config.toml").is_file():
        raise ConfigError(
            "TARGET must be a run folder (with config.toml and estimates.csv) or a "
            f"sweep's store (with {' or '.join(_STORES)}), got {target}"
        )
    missing = [name for name in TABLES if not (target / f"{name}.csv").is_file()]
    if missing:
        raise ConfigError(
            f"the run in {target} is not finished: {', '.join(missing)} missing; "
            f"dpodl run {target / 'config.toml'} goes on with it"
        )
    with shown(folder):
        tables = {name: folder.table(f"{name}.csv") for name in TABLES}
        return page(tables, _with_note(run_facts(folder, tables), folder))


@contextmanager
def shown(folder: RunFolder) -> Iterator[None]:
    """One line for what goes wrong with tables that nobody vouches for.

    Raises:
        ConfigError: If the folder's tables cannot be shown.
    """
    try:
        yield
    except (Changed, ConfigError, OSError):
        raise
    except Exception as error:
        # What is as it was written and cannot be shown is this program's fault.
        trusted = not folder.changed and not folder.unvouched
        # A table without its columns is none of them, whoever has recorded it.
        lacking = isinstance(error, ValueError | KeyError | AttributeError)
        if trusted and not lacking:
            raise
        raise ConfigError(
            f"the tables in {folder.path} cannot be shown: "
            f"{str(error) or type(error).__name__}"
        ) from error


def _with_note(facts: dict[str, Any], folder: RunFolder) -> dict[str, Any]:
    """The facts of a page that also says what is not as it was computed."""
    if not folder.changed:
        return facts
    rows = [(sentence,) for sentence in folder.changed]
    told = f"NOT AS IT WAS COMPUTED: {'; '.join(folder.changed)}. "
    return facts | {
        "verdict": told + facts["verdict"],
        "sections": [
            ("Not as it was computed", ("accepted by --accept-changed",), rows),
            *facts["sections"],
        ],
    }


def read_store(folder: RunFolder) -> pd.DataFrame:
    """A sweep's tidy results: a row for each number of each point.

    Raises:
        ConfigError: If there are none, or none that can be read here.
        Changed: If they are not what was written, or hold what cannot be.
    """
    path = folder.path
    found = [name for name in _STORES if (path / name).is_file()]
    if not found:
        raise ConfigError(f"{path} has neither {' nor '.join(_STORES)}")
    name, *others = found
    content = _store_content(folder, name)
    with shown(folder):
        if name.endswith(".parquet"):
            try:
                frame = _parquet(content, path / name)
            except ImportError as error:
                if not others:
                    raise ConfigError(
                        f"{path / name} needs pyarrow: install it, or export the "
                        "results as results.csv"
                    ) from error
                name = others[0]
                frame = _csv(_store_content(folder, name), name)
        else:
            frame = _csv(content, name)
    check_possible(frame, str(path / name))
    return frame


def _store_content(folder: RunFolder, name: str) -> bytes:
    """A store's results; an exported table that lies alone has no digest."""
    path = folder.path
    alone = not any((path / each).exists() for each in _OURS)
    if not alone:
        return folder.read(name)
    told = (
        f"{path / name} is an exported table: no digest vouches that its numbers are "
        "as they were computed"
    )
    if told not in folder.unvouched:
        folder.unvouched.append(told)
    return read_regular(path / name)


def _parquet(content: bytes, path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(content))
    except ImportError:
        raise
    except Exception as error:  # whatever Arrow meets in a file that is none of its own
        raise ConfigError(f"{path} is no Parquet table of results: {error}") from None


def _csv(content: bytes, name: str) -> pd.DataFrame:
    # An id such as 1e5 is no number, and a column's type must not hang on where its
    # first text stands.
    texts: Any = dict.fromkeys(("point", "status", "error", "quantity", "method"), str)
    return pd.read_csv(
        io.BytesIO(content),
        compression="gzip" if name.endswith(".gz") else None,
        dtype=texts,
        keep_default_na=False,
        na_values=[""],
        low_memory=False,
    )


def run_facts(folder: RunFolder, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """What a run's page says beside its charts.

    Raises:
        ConfigError: If the folder's config cannot be read.
        Changed: If it, or what is known of the run's origin, is not what was written.
    """
    config = parse_config(text_of(folder, "config.toml"), str(folder.path))
    notes: Any = tables["notes"]
    security = summary.closing_rows(config, tables)
    laws = (summary.law_columns(tables), summary.law_rows(tables))
    every = [
        (
            row["quantity"],
            f"{row['at']:.6g} {row['at_unit']}" if row["at"] == row["at"] else "",
            *(summary.number(row[name]) for name in ("value", "low", "high")),
            row["unit"],
            f"{row['count']:,.0f}",
            row["method"],
        )
        for row in tables["estimates"].to_dict("records")
    ]
    # The tiers stand below the verdict, a line each.
    line = summary.verdict(config, tables).line
    line = line.replace(tier_sentence(tables["estimates"]), "").strip()
    reasons = sorted(zip(notes.kind, notes.text, strict=True), key=_weight)
    return {
        "title": config.name,
        "description": config.description,
        "verdict": line,
        "tiers": tier_rows(tables["estimates"]),
        "tiers_are": tiers_are(tables["estimates"]),
        "rests_on": [
            *reasons,
            *(("to be read with it", t) for t in summary.footnotes(config, tables)),
        ],
        "sections": [
            ("Security", ("quantity", "value", "95 % interval"), security),
            ("Block time of one prover", *laws),
            ("Settings", ("setting", "value", "meaning"), list(_settings(config))),
            (
                "Every number",
                ("quantity", "at", "value", "low", "high", "unit", "count", "method"),
                every,
            ),
            ("Provenance", ("fact", "value"), list(_provenance(folder))),
        ],
    }


def sweep_facts(folder: RunFolder, points: pd.DataFrame) -> dict[str, Any]:
    """What a sweep's page says first: how many points, and how many are safe.

    Raises:
        ConfigError: If the store's config is no TOML.
        Changed: If a file of the store is not what was written.
    """
    store = folder.path
    config = _toml(folder, "sweep.toml")
    target = config.get("security", {}).get("target")
    if "security.target" not in points and target is not None:
        points = points.assign(**{"security.target": target})
    settings = [row for row in _flat(config) if not row[0].startswith("mining.")]
    provenance = list(_sweep_provenance(folder)) if config else []
    unvouched = [("digest", sentence) for sentence in folder.unvouched]
    heads: Any = points.drop_duplicates("point")
    done = int((heads["status"] == "done").sum())
    failed = len(heads) - done
    line = f"{done:,} of {len(heads):,} points done"
    line += f", {failed:,} failed (their errors are below)." if failed else "."
    return {
        "title": config.get("name", store.resolve().name),
        "description": config.get("description")
        or "A sweep: the same experiment at every point of a design.",
        "verdict": f"{line} {sweep_line(points)}",
        "rests_on": [*unvouched, *_verdict_methods(points)],
        "sections": [
            ("Settings", ("setting", "value"), settings),
            ("Provenance", ("fact", "value"), provenance + unvouched),
        ],
    }


def _weight(note: tuple[str, str]) -> int:
    """Faults first, then what is refused."""
    return {"fault": 0, "refused": 1}.get(note[0], 2)


def _settings(config: Config) -> Iterator[tuple[str, str, str]]:
    def walk(section: BaseModel, prefix: str) -> Iterator[tuple[str, str, str]]:
        settings = section.model_dump(mode="json", exclude_none=True)
        for name, field in type(section).model_fields.items():
            value = getattr(section, name)
            if isinstance(value, BaseModel):
                yield from walk(value, f"{prefix}{name}.")
            elif name in settings:
                for place, text in _flat(settings[name], f"{prefix}{name}"):
                    yield place, text, field.description or ""

    # How a chain is mined has no part in these numbers (Config.digest).
    yield from (row for row in walk(config, "") if not row[0].startswith("mining."))


def _provenance(folder: RunFolder) -> Iterator[tuple[str, str]]:
    try:
        facts = folder.notes("summary")
    except FileNotFoundError:
        yield "provenance.json", "missing: this run's origin is not known"
        return
    if not facts:  # accepted, and it cannot be read
        yield "provenance.json", "damaged: this run's origin is not known"
        return
    # Digests of hundreds of files, for whoever asks why a stage is done again.
    yield from _flat({k: v for k, v in facts.items() if k != "made_from"})


def _sweep_provenance(folder: RunFolder) -> Iterator[tuple[str, str]]:
    from .sweep.store import SweepStore

    store = SweepStore(folder.path)
    store.folder = folder
    sessions = store.sessions_to_readers()
    for number, session in enumerate(sessions, 1):
        head = f"session {number}" if len(sessions) > 1 else ""
        # Which worker had which points is the store's affair: here is their sum.
        shards = session.get("shards", [])
        rest = {name: each for name, each in session.items() if name != "shards"}
        yield from _flat(rest, head)
        points = sum(int(shard.get("points", 0)) for shard in shards)
        workers = len({shard.get("worker") for shard in shards})
        told = f"{len(shards):,} with {points:,} points, computed by {workers} workers"
        yield f"{head}.shards" if head else "shards", told


def _verdict_methods(points: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """How the numbers were computed that the verdicts are read from."""
    table: Any = points
    known = table[table["quantity"].isin(VERDICT_QUANTITIES) & table["value"].notna()]
    for (quantity, method), rows in known.groupby(["quantity", "method"]):
        count = rows["point"].nunique()
        yield label_of(quantity)[0], f"{method} ({count:,} points)"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as (place, text): a list that a person reads."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _flat(each, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for number, each in enumerate(value, 1):
            yield from _flat(each, f"{prefix} {number}")
    elif isinstance(value, list):
        yield prefix, ", ".join(map(_plain, value))
    else:
        yield prefix, _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def text_of(folder: RunFolder, name: str) -> str:
    """A text file of a folder.

    Raises:
        ConfigError: If it is no UTF-8 text.
        Changed: If it is not what was written.
    """
    try:
        return folder.read(name).decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{folder.path / name} is not UTF-8 text") from None


def _toml(folder: RunFolder, name: str) -> dict[str, Any]:
    if not (folder.path / name).is_file():
        return {}
    return parse_toml(text_of(folder, name), str(folder.path / name))
