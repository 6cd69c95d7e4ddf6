"""The SHA-256 of source files, by which a record tells later which files were read."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools.progress import byte_bar, progress

READ_BYTES = 4 << 20


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
    """What the provenance keeps of a source file: its name, size in bytes and SHA-256."""
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256}
