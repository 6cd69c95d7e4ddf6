"""Speed and memory of converting Amazon 2014 image features: `python benchmarks/image_features.py`.

Generates an image-feature file (200,000 records are 3.3 GB) in a temporary folder.  Prints, from one run
and with the page cache dropped before each, how fast the disk reads the file and how fast a fresh process
converts it (the fastest of a few rounds of each, in turn), with the largest peak of resident memory: once
keeping a tenth of the records, as Baby's reviews do, and once all.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dataset_tools.converters.amazon.image_features import PORTION, RECORD, WIDTH, ImageFile
from dataset_tools.features.feature_file import FeatureWriter


def main() -> None:
    """Print one line per share of kept records."""
    options = _parse()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "image_features_Synthetic.b"
        _write(path, options.records)
        size = path.stat().st_size / 1e6
        for every in (10, 1):
            reading, runs = 0.0, []
            for _ in range(options.rounds):
                reading = max(reading, size / _read(path))
                _drop_cache(path)
                command = [sys.executable, __file__, "--measure", str(path), str(options.records), str(every)]
                run = subprocess.run(command, check=True, capture_output=True, text=True)
                runs.append(json.loads(run.stdout))
            found = min(runs, key=lambda run: run["seconds"])
            peak = max(run["peak"] for run in runs)
            speed = size / found["seconds"]
            print(
                f"{options.records:,} records, {size:,.0f} MB, 1 of {every} kept: "
                f"{speed:.0f} MB/s ({size / found['cpu']:.0f} MB per s of CPU), "
                f"the disk reads {reading:.0f} MB/s ({speed / reading:.2f} x), "
                f"peak memory {peak:.0f} MB",
                flush=True,
            )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where to generate (default: the system's temporary folder)")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        path, records, every = options.measure
        print(json.dumps(_measure(Path(path), int(records), int(every))))
        sys.exit()
    return options


def _asin(number: int) -> str:
    return f"B{number:09d}"


def _write(path: Path, records: int) -> None:
    block = np.zeros(1024, RECORD)
    block["values"] = np.random.default_rng(0).random(block["values"].shape, dtype=np.float32)
    with open(path, "wb") as file:
        for start in range(0, records, len(block)):
            numbers = range(start, min(start + len(block), records))
            block["asin"][: len(numbers)] = [_asin(number) for number in numbers]
            block[: len(numbers)].tofile(file)
        file.flush()
        os.fsync(file.fileno())


def _drop_cache(path: Path) -> None:
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read(path: Path) -> float:
    """Seconds to read the file from the disk."""
    _drop_cache(path)
    buffer = bytearray(PORTION)
    with open(path, "rb", buffering=0) as file:
        start = time.perf_counter()
        while file.readinto(buffer):
            pass
        return time.perf_counter() - start


def _measure(path: Path, records: int, every: int) -> dict[str, float]:
    """Seconds and peak resident memory (MB) of one conversion, hashing included."""
    wanted = frozenset(_asin(number) for number in range(0, records, every))
    start, cpu = time.perf_counter(), time.process_time()
    images = ImageFile(path)
    with FeatureWriter(path.with_name("converted.parquet"), "visual", WIDTH) as writer:
        for tokens, values in images.blocks(wanted):
            writer.write(tokens, values)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    if writer.rows != len(wanted) or not images.record["sha256"]:
        raise RuntimeError("not every record was converted")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"seconds": seconds, "cpu": cpu, "peak": peak}


if __name__ == "__main__":
    main()
