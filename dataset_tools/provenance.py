"""Where a data set came from: `<name>.source.json`, one step per command that wrote into its folder."""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("recbole_micro", "numpy", "pyarrow", "scikit-learn")
READ_BYTES = 4 << 20


def source_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.source.json"


def hash_file(path: Path) -> dict[str, Any]:
    """A source file's name, size in bytes and SHA-256."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
    return source_record(path, digest.hexdigest())


def source_record(path: Path, sha256: str) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256}


def record_step(
    folder: Path,
    name: str,
    command: str,
    options: Mapping[str, Any],
    sources: Iterable[Path | dict[str, Any]],
    summary: Mapping[str, Any],
) -> None:
    """Append a step; `sources` are files to hash, or records of files hashed while they were read."""
    path = source_path(folder, name)
    steps = read_steps(folder, name)
    steps.append(
        {
            "command": command,
            "options": dict(options),
            "sources": [hash_file(source) if isinstance(source, Path) else source for source in sources],
            "versions": {"python": platform.python_version(), **_versions()},
            "summary": dict(summary),
        }
    )
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"name": name, "steps": steps}, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def read_steps(folder: Path, name: str) -> list[dict[str, Any]]:
    """The recorded steps, oldest first; none for a data set without a record."""
    path = source_path(folder, name)
    return json.loads(path.read_text(encoding="utf-8"))["steps"] if path.is_file() else []


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
