"""Where a data set came from: `<name>.source.json`, one step per command that wrote into its folder."""

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dataset_tools.files import held, write_text
from dataset_tools.formats.hashing import hash_file

PACKAGES = ("recbole_micro", "numpy", "pyarrow", "scikit-learn")


def source_path(folder: Path, name: str) -> Path:
    """Where the data set `name` in `folder` keeps its record."""
    return folder / f"{name}.source.json"


def record_step(
    folder: Path,
    name: str,
    command: str,
    options: Mapping[str, Any],
    sources: Iterable[Path | dict[str, Any]],
    summary: Mapping[str, Any],
    packages: Sequence[str] = (),
) -> None:
    """Append a step; `sources` are files to hash, or records of files hashed while they were read.

    The versions of `packages` are recorded beside those of the usual ones, where they are installed.
    """
    path = source_path(folder, name)
    step = {
        "command": command,
        "options": dict(options),
        "sources": [hash_file(source) if isinstance(source, Path) else source for source in sources],
        "versions": {"python": platform.python_version(), **_versions(PACKAGES + tuple(packages))},
        "summary": dict(summary),
    }
    with held(path.with_name(f".{path.name}.lock"), path):  # or of two steps at a time one would be lost
        steps = [*read_steps(folder, name), step]
        write_text(path, json.dumps({"name": name, "steps": steps}, indent=1) + "\n")


def read_steps(folder: Path, name: str) -> list[dict[str, Any]]:
    """The recorded steps, oldest first; none for a data set without a record."""
    path = source_path(folder, name)
    return json.loads(path.read_text(encoding="utf-8"))["steps"] if path.is_file() else []


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
