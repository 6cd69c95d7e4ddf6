"""Where a data set came from: `<name>.source.json`, one step per command that wrote into its folder."""

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dataset_tools.progress import byte_bar, progress

PACKAGES = ("recbole_micro", "numpy", "pyarrow", "scikit-learn")
ENCODERS = ("wordllama", "sentence-transformers", "transformers", "torch", "pillow")
READ_BYTES = 4 << 20


def source_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.source.json"


def hash_file(path: Path, shown: bool = True) -> dict[str, Any]:
    """A source file's name, size in bytes and SHA-256; `shown` with a bar."""
    digest = hashlib.sha256()
    with open(path, "rb") as file, byte_bar(f"checking {path.name}", path.stat().st_size, shown=shown) as bar:
        while chunk := file.read(READ_BYTES):
            digest.update(chunk)
            bar.update(len(chunk))
    return source_record(path, digest.hexdigest())


def hash_files(folder: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """One record for many files: their number, their bytes, and the SHA-256 of the list of their SHA-256."""
    digest, size = hashlib.sha256(), 0
    for path in progress(paths, f"checking {folder.name}", len(paths), "file"):
        found = hash_file(path, shown=False)
        digest.update(f"{found['sha256']} {found['file']}\n".encode("utf-8", "surrogateescape"))
        size += found["bytes"]
    return {"file": f"{folder.name}/", "files": len(paths), "bytes": size, "sha256": digest.hexdigest()}


def source_record(path: Path, sha256: str) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256}


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
    steps = read_steps(folder, name)
    steps.append(
        {
            "command": command,
            "options": dict(options),
            "sources": [hash_file(source) if isinstance(source, Path) else source for source in sources],
            "versions": {"python": platform.python_version(), **_versions(PACKAGES + tuple(packages))},
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


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
