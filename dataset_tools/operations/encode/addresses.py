"""Images from the addresses in `<name>.item`: a few at a time, once each, with a report of what failed."""

import csv
import io
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.files import replacing, write_text
from dataset_tools.formats.names import to_system
from dataset_tools.operations.encode.media_files import addresses, media_paths
from dataset_tools.progress import progress

AT_ONCE = 4  # connections
PAUSE = 0.1  # seconds between two requests to one host
ATTEMPTS = 3
LONGEST_WAIT = 60  # seconds, whatever a server asks for
TIMEOUT = 30
LARGEST = 32 << 20  # bytes
AGENT = "recbole_micro-dataset_tools (features for research; one request per image)"
FAILED = "failed.csv"
ENDINGS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}


class Fetched(NamedTuple):
    """How many images came, were there before, and failed."""

    came: int
    there: int
    failed: int


def fetch_images(dataset: Dataset, folder: str | Path) -> Fetched:
    """Have the image of every item whose column `image` is an address, as `<item id>.jpg` (.png, ...).

    What is there is not asked for again, so a stopped run goes on.  Those that failed are in `failed.csv`
    (item, address, reason), which the next run writes anew.  DataError where no item has an address.
    """
    folder = Path(folder)
    named = addresses(dataset)
    asked = [
        (item, name)
        for item, name in zip(dataset.items, named, strict=True)
        if urlsplit(name).scheme in ("http", "https")
    ]
    if not asked:
        raise DataError(
            f"No item of {dataset.name} has an address in the column image of {dataset.item_file.name}; "
            "--download fetches those."
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths = media_paths(dataset, folder, "image")
    there = {item for item, path in zip(dataset.items, paths, strict=True) if path}
    missing = [(item, address) for item, address in asked if item not in there]
    failed = list(_fetch_all(folder, missing))
    _report(folder / FAILED, failed)
    return Fetched(len(missing) - len(failed), len(asked) - len(missing), len(failed))


def _fetch_all(folder: Path, missing: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    """(item, address, reason) of those that failed."""
    import requests

    turns = _Turns()
    local = threading.local()

    def one(pair: tuple[str, str]) -> str:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.headers["User-Agent"] = AGENT
        return _fetch(local.session, turns, folder, *pair)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            found = progress(pool.map(one, missing), "images", len(missing), "image")
            for (item, address), reason in zip(missing, found, strict=True):
                if reason:
                    yield item, address, reason
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Turns:
    """Lets requests to one host follow each other with a pause."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait(self, host: str, pause: float = PAUSE) -> None:
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next.get(host, now))
            self._next[host] = start + pause
        time.sleep(max(0.0, start - now))

    def rest(self, host: str, seconds: float) -> None:
        """Nobody asks this host before."""
        with self._lock:
            self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + seconds)


def _fetch(session: Any, turns: _Turns, folder: Path, item: str, address: str) -> str:
    """Fetch one image; why that failed, "" where it did not."""
    import requests

    if "/" in item or "\0" in item or item in (".", ".."):
        return "its id cannot name a file"
    host, reason = urlsplit(address).netloc, ""
    for _ in range(ATTEMPTS):
        turns.wait(host)
        try:
            with session.get(address, timeout=TIMEOUT, stream=True) as answer:
                if answer.status_code in (429, 500, 502, 503, 504):
                    reason = f"the server answers {answer.status_code} {answer.reason}"
                    turns.rest(host, _wait(answer.headers.get("Retry-After", "")))
                    continue
                if answer.status_code != 200:
                    return f"the server answers {answer.status_code} {answer.reason}"
                return _keep(folder, item, answer.iter_content(1 << 16))
        except (requests.RequestException, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
    return reason


def _wait(asked: str) -> float:
    return min(float(asked), LONGEST_WAIT) if asked.isdecimal() else 1.0


def _keep(folder: Path, item: str, chunks: Iterable[bytes]) -> str:
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > LARGEST:
            return f"it is larger than {LARGEST >> 20} MiB"
    ending = next((ending for start, ending in ENDINGS.items() if content.startswith(start)), "")
    if not ending:
        return "it is no image"
    with replacing(folder / to_system(item + ending)) as part:
        part.write_bytes(content)
    return ""


def _report(path: Path, failed: list[tuple[str, str, str]]) -> None:
    if not failed:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([("item", "address", "reason"), *failed])
    write_text(path, text.getvalue())
