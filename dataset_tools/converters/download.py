"""Downloading source files: resumed where they broke off, their checksums recorded and verified later."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dataset_tools.errors import DataError
from dataset_tools.files import held, write_text
from dataset_tools.formats.hashing import hash_file
from dataset_tools.progress import byte_bar, readable

RECORDS = "downloads.json"
ATTEMPTS = 5
CHUNK = 1 << 16  # what a connection that breaks off loses at most
TIMEOUT = 60


def fetch(base: str, paths: Sequence[str], folder: str | Path) -> list[Path]:
    """Have `<base>/<path>` for every path in `folder`; the local files.

    A file's size and SHA-256 are written to `downloads.json` when it first arrives and checked on every later
    use.  An interrupted download goes on where it stopped, within a run and in the next one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [_fetch_one(f"{base.rstrip('/')}/{path}", folder) for path in paths]


def remaining(base: str, paths: Sequence[str], folder: str | Path) -> tuple[int, int | None]:
    """(files that `fetch` would ask for, their bytes that are not in `folder` yet, None where not told).

    DataError where the server cannot be reached or lacks one.
    """
    import requests

    folder, total = Path(folder), 0
    absent = [path for path in paths if not _arrived(folder, path)]
    known = True
    for path in absent:
        url = f"{base.rstrip('/')}/{path}"
        try:
            answer = requests.head(url, timeout=TIMEOUT, allow_redirects=True)
        except requests.RequestException as error:
            raise DataError(f"{url} cannot be reached ({type(error).__name__}); check the network.") from None
        if answer.status_code == 404:
            raise DataError(f"{url} could not be downloaded: the server answers 404 {answer.reason}.")
        size = answer.headers.get("Content-Length", "") if answer.ok else ""
        known = known and size.isdecimal()
        part = Resuming(folder / path.rsplit("/", 1)[-1]).part
        have = part.stat().st_size if part.exists() else 0
        total += max(0, int(size) - have) if size.isdecimal() else 0
    return len(absent), total if known else None


def _arrived(folder: Path, path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return (folder / name).is_file() and name in _read(folder)


def _fetch_one(url: str, folder: Path) -> Path:
    """One at a time in a folder, whose records they share; others wait, and find the file there."""
    with held(folder / f".{RECORDS}.lock", folder):
        return _fetch_alone(url, folder)


def _fetch_alone(url: str, folder: Path) -> Path:
    name = url.rsplit("/", 1)[1]
    target, known = folder / name, _read(folder).get(name)
    if target.is_file() and known:
        if hash_file(target) == known:
            return target
        raise DataError(
            f"{target} is not what was downloaded (see {folder / RECORDS}); delete it to download it again."
        )
    try:
        if not target.is_file():
            _arrive(Resuming(target), url, target, known)
        if known is None:
            _write(folder, {**_read(folder), name: hash_file(target)})
    except OSError as error:
        raise DataError(f"{url} could not be downloaded: {error}.") from None
    print(f"  {name}: {readable(target.stat().st_size)}", file=sys.stderr)
    return target


def _arrive(download: "Resuming", url: str, target: Path, known: dict | None) -> None:
    """Have the whole file under its name; OSError where it is another one than was `known` before."""
    download(url)
    if known:
        found = {**hash_file(download.part), "file": target.name}
        if found != known:
            download.part.unlink()
            raise OSError(f"its hash is {found['sha256']}, not {known['sha256']} as before")
    os.replace(download.part, target)


class Resuming:
    """Downloads into `<target>.part`, and asks the server for the rest of what is there."""

    def __init__(self, target: Path):
        self.part = target.with_name(target.name + ".part")
        self._version = target.with_name(target.name + ".part.version")

    def __call__(self, url: str) -> None:
        import requests
        from requests.exceptions import ChunkedEncodingError

        broken = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError)
        error: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                self._continue(requests, url)
                self._version.unlink(missing_ok=True)
                return
            except broken as problem:
                error = problem
        raise OSError(f"the connection broke off {ATTEMPTS} times; run the command again to go on ({error})")

    def _continue(self, requests: Any, url: str) -> None:
        """One connection: append what is missing."""
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        if have:  # of a range from 0 a server sends a part, whose version would not be kept
            headers["Range"] = f"bytes={have}-"
        if have and self._version.is_file():
            headers["If-Range"] = self._version.read_text(encoding="utf-8")
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            if answer.status_code == 416 and _total(answer) == have:
                return
            if answer.status_code not in (200, 206):
                raise OSError(f"the server answers {answer.status_code} {answer.reason}")
            resumed = answer.status_code == 206
            total = _total(answer) if resumed else int(answer.headers.get("Content-Length", 0))
            if not resumed:
                self._remember(answer)
            with (
                open(self.part, "ab" if resumed else "wb") as file,
                byte_bar(self.part.stem, total or None, have * resumed) as bar,
            ):
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
            if total and self.part.stat().st_size != total:
                raise requests.ConnectionError(f"{self.part.stat().st_size} of {total} bytes arrived")

    def _remember(self, answer: Any) -> None:
        """Keep what names this version of the file, so that the rest of another one is never appended."""
        tag = answer.headers.get("ETag", "")
        name = answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        if name:
            self._version.write_text(name, encoding="utf-8")
        else:
            self._version.unlink(missing_ok=True)


def _total(answer: Any) -> int:
    """The whole file's size from `Content-Range: bytes a-b/total`."""
    size = answer.headers.get("Content-Range", "").rsplit("/", 1)[-1]
    return int(size) if size.isdecimal() else 0


def _read(folder: Path) -> dict[str, dict]:
    path = folder / RECORDS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _write(folder: Path, records: dict[str, dict]) -> None:
    write_text(folder / RECORDS, json.dumps(records, indent=1, sort_keys=True) + "\n")
