"""Run an archive's experiment again and say what differs.

Everything is computed anew, models trained as well. A number is *the same as printed*
where it and its interval read alike, to the digits that ``figures.parts.printed`` gives
the archive's; a number without an interval, to six digits. On the same machine with the
same versions every byte should be the same; on another processor trainings round
differently, and what differs then should do so within the intervals.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...figures.parts.printed import printed
from ...models.learning.files import write_atomically
from ..config.experiment import Config
from ..config.loading import parse_config
from ..pipeline.provenance import provenance
from ..pipeline.sources import stage_digests
from ..pipeline.stages import TABLES, RunResult, run
from ..store.files import Progress, unsealed_json
from ..store.run_folder import RunFolder
from .contents import Archive, ArchiveError

_KEPT = "archive"
_NUMBERS = (".csv", ".npz", ".md")
# Different every time.
_PASSING = ("command", "finished")


class TableDifference(NamedTuple):
    """How a table of the repeated run compares with the archive's.

    Attributes:
        table: Its name.
        rows: Of the archive's.
        rows_now: Of the repeated run's.
        identical: Rows of which every cell is the same.
        printed: Rows of which every number is the same as printed, those included.
        largest: The largest distance of a value from the archive's, in half widths of
            the archive's interval; NaN where no interval is in the table.
    """

    table: str
    rows: int
    rows_now: int
    identical: int
    printed: int
    largest: float

    @property
    def same(self) -> bool:
        """Whether every row is the same as printed."""
        return self.rows == self.rows_now == self.printed


class Repetition(NamedTuple):
    """What became of an archive that was run again.

    Attributes:
        result: The run.
        made_with: What the two were made with where it differs: fact, then, now.
        tables: Table by table.
        files: The archive's tables, curves and words that are byte for byte the same
            now, and all of these. Figures carry the command that drew them.
    """

    result: RunResult
    made_with: list[tuple[str, str, str]]
    tables: list[TableDifference]
    files: tuple[int, int]

    @property
    def same(self) -> bool:
        """Whether every table is the same as printed."""
        return all(each.same for each in self.tables)


def repeat(
    archive: Archive, output: Path, progress: Progress, *, command: str
) -> Repetition:
    """Run an archive's config again, in a folder of its own.

    Args:
        archive: What ``open_archive`` gave.
        output: The run and what was in the archive are kept in
            ``repeat-<name>-<digest>`` in it; a repetition that was interrupted goes on.
        progress: Told how far each stage is.
        command: The command line, kept with the run.

    Raises:
        ArchiveError: If its config names code, or files that it does not hold.
        Changed: If a table is not what its manifest says, or holds what cannot be.
        ConfigError, Refused, DataError: As ``stages.run``.
    """
    config = archived_config(archive)
    root = output / f"repeat-{config.name}-{archive.sha256[:10]}"
    kept = root / _KEPT
    for name, content in archive.files.items():
        write_atomically(kept / name, content)
    before = {name: RunFolder(kept).table(f"{name}.csv") for name in TABLES}
    paths = {
        setting: str((kept / name).resolve())
        for setting, name in archive.inputs.items()
    }
    result = run(_with_paths(config, paths), root, progress, command=command)
    # A law of measured times is called by the path of its file.
    said = {path: str(_setting(config, each)) for each, path in paths.items()}
    compared = [
        compare_tables(name, before[name], _renamed(result.tables[name], said))
        for name in TABLES
    ]
    now = {n: result.folder / n for n in archive.files if n.endswith(_NUMBERS)}
    now = {name: path for name, path in now.items() if path.is_file()}
    same = [n for n, path in now.items() if path.read_bytes() == archive.files[n]]
    facts = {**provenance(command), "code": stage_digests()}
    differences = list(_differences(_notes(archive), facts))
    return Repetition(result, differences, compared, (len(same), len(now)))


def archived_config(archive: Archive) -> Config:
    """The config of an archive, which must need nothing that the archive lacks.

    Raises:
        ArchiveError: If it names code, or files that the archive does not hold.
        ConfigError: If it cannot be used.
    """
    where = f"{archive.name}: config.toml"
    try:
        text = archive.files["config.toml"].decode()
    except UnicodeDecodeError:
        raise ArchiveError(f"{where} is not UTF-8 text") from None
    config = parse_config(text, where)
    part = config.adversary.part or config.law.formula.part
    if part:
        raise ArchiveError(
            f"{archive.name} names code, {part}, and an archive is not let run any: "
            "unpack it, read that code, and `dpodl run` its config.toml"
        )
    for setting in ("law.path", "data.path"):
        path = _setting(config, setting)
        if path is None or setting in archive.inputs or _is_example(setting, path):
            continue
        raise ArchiveError(
            f"{archive.name} names a file that it does not hold: {setting} = {path}"
        )
    return config


def compare_tables(name: str, then: Any, now: Any) -> TableDifference:
    """Two tables row by row, in their order.

    Args:
        name: Of the table.
        then: The archive's.
        now: The repeated run's.
    """
    if list(then.columns) != list(now.columns):
        return TableDifference(name, len(then), len(now), 0, 0, np.nan)
    ends = {"value", "low", "high"} <= set(then.columns)
    identical = alike = 0
    largest = 0.0 if ends else np.nan
    pairs = zip(then.to_dict("records"), now.to_dict("records"), strict=False)
    for old, new in pairs:
        if all(_equal(old[each], new[each]) for each in old):
            identical, alike = identical + 1, alike + 1
            continue
        alike += _printed(old, ends) == _printed(new, ends)
        if ends:
            largest = max(largest, _widths(old, new["value"]))
    return TableDifference(name, len(then), len(now), identical, alike, largest)


def _widths(old: Mapping[Any, Any], value: float) -> float:
    half = (old["high"] - old["low"]) / 2
    moved = abs(value - old["value"])
    if not moved > 0:
        return 0.0
    return moved / half if half > 0 else np.inf


def _printed(row: Mapping[Any, Any], ends: bool) -> list[str]:
    shown = []
    for column, value in row.items():
        if not isinstance(value, float) or (ends and column in ("low", "high")):
            text = "" if ends and column in ("low", "high") else str(value)
        elif ends and column == "value":
            text = " ".join(printed(value, float(row["low"]), float(row["high"])))
        else:
            text = printed(value, np.nan, np.nan).value
        shown.append(text)
    return shown


def _equal(one: Any, other: Any) -> bool:
    return one == other or (one != one and other != other)


def _renamed(table: Any, said: Mapping[str, str]) -> Any:
    texts = table.select_dtypes(include=["object", "string"]).columns
    for path, name in said.items():
        changed = {c: table[c].str.replace(path, name, regex=False) for c in texts}
        table = table.assign(**changed)
    return table


def _notes(archive: Archive) -> dict[str, Any]:
    try:
        return unsealed_json(archive.files["provenance.json"])
    except ValueError as error:
        raise ArchiveError(f"{archive.name}: provenance.json: {error}") from None


def _differences(
    then: Mapping[str, Any], now: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, str, str]]:
    # At the top only what is known of both; a package may be of one alone.
    names = dict.fromkeys([*then, *now]) if path else now
    for name in names:
        if not path and name in _PASSING:
            continue
        old, new = then.get(name, "–"), now.get(name, "–")
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _differences(old, new, f"{path}{name}.")
        elif old != new:
            yield f"{path}{name}", str(old), str(new)


def _setting(config: Config, path: str) -> Path | None:
    section, name = path.split(".")
    if path == "law.path" and config.law.source not in ("curves", "times"):
        return None
    if path == "data.path" and not config.law.trained:
        return None
    return getattr(getattr(config, section), name)


def _is_example(setting: str, path: Path) -> bool:
    from ..own.tables import examples

    return setting == "law.path" and str(path) in examples()


def _with_paths(config: Config, paths: Mapping[str, str]) -> Config:
    plain = config.model_dump(mode="json", exclude_none=True)
    for setting, path in paths.items():
        section, name = setting.split(".")
        plain[section][name] = path
    return Config.model_validate(plain)
