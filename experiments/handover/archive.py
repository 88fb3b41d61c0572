"""Pack a run into one file that another person can verify and run again.

In the archive lie the run folder's files as its manifest lists them, the user's data
and curves that the config names, what was installed, a list of SHA-256 that
``sha256sum -c`` checks, and the description of it all as an RO-Crate. The same run,
packed in the same environment, gives the same bytes.

The description is written by the library rocrate, an extra: who only reads archives
needs none of it. It warns of nothing and is light (0.14 s of processor time to import;
of what it needs, jinja2 and arcp are not there already).
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from ...models.learning.files import read_regular
from ..config.experiment import Config
from ..config.loading import parse_config
from ..config.section import ConfigError
from ..own.tables import examples, read_source
from ..store.run_folder import RunFolder
from .contents import CRATE, ENVIRONMENT, INPUTS, MOST_BYTES, MOST_FILES, SUMS

_WHEN = (1980, 1, 1, 0, 0, 0)  # the first that ZIP knows
_FORMATS = {
    ".csv": "text/csv",
    ".toml": "application/toml",
    ".json": "application/json",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".npz": "application/zip",
}
_ABOUT = {
    "config.toml": "the config, every setting with its value",
    "estimates.csv": "the security quantities with their 95 % intervals",
    "laws.csv": "block-time laws, point by point",
    "law_summary.csv": "means and spreads of the block-time laws",
    "references.csv": "closed forms that stand beside the estimates",
    "resamples.csv": "the estimates under each resample of the trained models",
    "notes.csv": "assumptions and warnings",
    "curves.csv": "learning curves, tidy",
    "curves.npz": "learning curves, as they are read back",
    "summary.md": "what the run says, in words",
    "manifest.json": "what was made from what, with the SHA-256 of each file",
    "provenance.json": "who made it, when and how: command, code, versions, machine",
    ENVIRONMENT: "what was installed where the archive was packed",
    INPUTS: "which file of the archive stands for which path of the config",
}


def pack(target: Path) -> bytes:
    """A run folder as an archive.

    Args:
        target: A folder that ``dpodl run`` wrote, finished and unchanged.

    Raises:
        ConfigError: If it is no such folder, is larger than is read back, or rocrate is
            not installed.
        Changed: If a file of it is not what was written.
        FileNotFoundError: If one is missing.
    """
    if not (target / "config.toml").is_file():
        raise ConfigError(
            f"{target} is no run folder: an archive is made of what `dpodl run` wrote"
        )
    folder = RunFolder(target)
    notes = folder.notes("summary")
    files = {name: folder.read(name) for name in folder.names()}
    for name in ("manifest.json", "provenance.json"):
        files[name] = read_regular(target / name)
    config = parse_config(files["config.toml"].decode(), str(target / "config.toml"))
    inputs: dict[str, str] = {}
    for setting, name, content in _inputs(config):
        inputs[setting] = name
        files[name] = content
    files[INPUTS] = (json.dumps(inputs, indent=1, sort_keys=True) + "\n").encode()
    files[ENVIRONMENT] = _environment().encode()
    size = sum(map(len, files.values()))
    if size > MOST_BYTES or len(files) > MOST_FILES - 2:
        raise ConfigError(
            f"the run has {len(files):,} files of {size:,} bytes; an archive that is "
            f"read back has at most {MOST_FILES:,} of {MOST_BYTES:,}"
        )
    files[CRATE] = _description(config, files, notes)
    files[SUMS] = sums(files).encode()
    return _zipped(files)


def sums(files: Mapping[str, bytes]) -> str:
    """The list of digests, as ``sha256sum`` writes it."""
    lines = (
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in sorted(files.items())
    )
    return "".join(lines)


def _inputs(config: Config) -> Iterator[tuple[str, str, bytes]]:
    """The user's own files: setting, name in the archive, content."""
    law, data = config.law, config.data
    measured = law.source in ("curves", "times")
    if measured and law.path is not None and str(law.path) not in examples():
        suffix = ".csv" if law.path.is_dir() else _suffix(law.path)
        yield "law.path", f"inputs/law{suffix}", read_source(law.path).content
    if law.trained and data.path is not None:
        if not data.path.is_file():
            raise ConfigError(
                f"data.path = {data.path} is no file, and an archive holds files: give "
                "the data as one npz"
            )
        yield "data.path", f"inputs/data{_suffix(data.path)}", read_regular(data.path)


def _suffix(path: Path) -> str:
    return path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,10}", path.suffix) else ""


def _environment() -> str:
    """Every library that dpodl needs, as it is installed here."""
    found: dict[str, str] = {}
    todo = ["dpodl"]
    while todo:
        name = todo.pop()
        plain = re.sub(r"[-_.]+", "-", name).lower()
        if plain in found:
            continue
        try:
            there = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another system
            continue
        found[plain] = there.version
        for each in there.requires or ():
            bare, _, marker = each.partition(";")
            if "extra" not in marker:
                todo.append(re.split(r"[^\w.-]", bare.strip(), maxsplit=1)[0])
    lines = (f"{name}=={version}\n" for name, version in sorted(found.items()))
    return (
        "# Installed where the archive was packed. What the run was made with is in\n"
        "# provenance.json.\n" + "".join(lines)
    )


def _description(
    config: Config, files: Mapping[str, bytes], notes: Mapping[str, Any]
) -> bytes:
    """The RO-Crate's metadata: files, and the run that made them."""
    try:
        from rocrate.model.softwareapplication import SoftwareApplication
        from rocrate.rocrate import ROCrate
    except ImportError:
        raise ConfigError(
            "an archive is described by the library rocrate, which is not installed: "
            "install dpodl[archive]"
        ) from None
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms["sha256"] = "https://schema.org/sha256"
    crate.name = f"dpodl run {config.name}"
    crate.description = config.description or "A run of dpodl."
    crate.root_dataset["datePublished"] = notes["finished"]
    given, made = [], []
    for name, content in sorted(files.items()):
        suffix = name[name.rfind(".") :]
        facts = {
            "encodingFormat": _FORMATS.get(suffix, "application/octet-stream"),
            "contentSize": str(len(content)),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        if name in _ABOUT:
            facts["description"] = _ABOUT[name]
        entity = crate.add_file(dest_path=name, properties=facts)
        own = name == "config.toml" or name.startswith("inputs/")
        if name not in (ENVIRONMENT, INPUTS):
            (given if own else made).append(entity)
    software = SoftwareApplication(
        crate,
        "#dpodl",
        properties={"name": "dpodl", "softwareVersion": notes["version"]},
    )
    crate.add(software)
    machine = notes["machine"]
    crate.add_action(
        software,
        identifier="#run",
        object=given,
        result=made,
        properties={
            "name": notes["command"],
            "endTime": notes["finished"],
            "description": f"Python {notes['python']} on {machine['system']}, "
            f"{machine['processor']}, {machine['cores']} cores",
        },
    )
    return (json.dumps(crate.metadata.generate(), indent=1) + "\n").encode()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as pack:
        # What it is stands first, for who reads only its beginning.
        for name in sorted(files, key=lambda each: (each != CRATE, each)):
            entry = zipfile.ZipInfo(name, _WHEN)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            pack.writestr(entry, files[name])
    return buffer.getvalue()
