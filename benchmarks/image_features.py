"""How fast are Amazon 2014 image features converted, and in how much memory?

    python benchmarks/image_features.py [--records 200000] [--rounds 3] [--folder DIR]

Prints, from one run and with the page cache dropped before each round, how fast the disk reads the file and
how fast a fresh process converts it (the fastest of a few rounds of each, in turn), with the largest peak of
resident memory: once keeping a tenth of the records, as Baby's reviews do, and once all.

Reads nothing: generates an image-feature file (200,000 records are 3.3 GB) in a temporary folder, which needs
twice that space; Linux only.  Takes a few minutes, as the disk does.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
from support import call, clocked, parser, peak_memory

from dataset_tools.converters.amazon.image_features import PORTION, RECORD, WIDTH, ImageFile
from dataset_tools.features.feature_file import FeatureWriter


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--records", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--folder", help="where to generate (default: the system's temporary folder)")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder).resolve() / "image_features_Synthetic.b"
        write(path, given.records)
        size = path.stat().st_size / 1e6
        for every in (10, 1):
            reading, runs = 0.0, []
            for _ in range(given.rounds):
                drop_cache(path)
                reading = max(reading, size / clocked(lambda: read(path)).seconds)
                drop_cache(path)
                runs.append(call(measure, str(path), given.records, every))
            found = min(runs, key=lambda run: run["seconds"])
            peak = max(run["peak"] for run in runs) / 1e6
            speed = size / found["seconds"]
            print(
                f"{given.records:,} records, {size:,.0f} MB, 1 of {every} kept: "
                f"{speed:.0f} MB/s ({size / found['cpu']:.0f} MB per s of CPU), "
                f"the disk reads {reading:.0f} MB/s ({speed / reading:.2f} x), "
                f"peak memory {peak:.0f} MB",
                flush=True,
            )


def asin(number: int) -> str:
    """The id of a record."""
    return f"B{number:09d}"


def write(path: Path, records: int) -> None:
    """Generate the file, on the disk when this returns."""
    block = np.zeros(1024, RECORD)
    block["values"] = np.random.default_rng(0).random(block["values"].shape, dtype=np.float32)
    with open(path, "wb") as file:
        for start in range(0, records, len(block)):
            numbers = range(start, min(start + len(block), records))
            block["asin"][: len(numbers)] = [asin(number) for number in numbers]
            block[: len(numbers)].tofile(file)
        file.flush()
        os.fsync(file.fileno())


def drop_cache(path: Path) -> None:
    """Let the next reading come from the disk."""
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(path: Path) -> None:
    """Read the file and nothing else."""
    buffer = bytearray(PORTION)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def measure(file: str, records: int, every: int) -> dict[str, float]:
    """Seconds and peak resident memory, in bytes, of one conversion, hashing included."""
    path, wanted = Path(file), frozenset(asin(number) for number in range(0, records, every))

    def convert() -> tuple[ImageFile, int]:
        images = ImageFile(path)
        with FeatureWriter(path.with_name("converted.parquet"), "visual", WIDTH) as writer:
            for tokens, values in images.blocks(wanted):
                writer.write(tokens, values)
        return images, writer.rows

    done = clocked(convert)
    images, rows = done.value
    if rows != len(wanted) or not images.record["sha256"]:
        raise RuntimeError("not every record was converted")
    return {"seconds": done.seconds, "cpu": done.cpu, "peak": peak_memory()}


if __name__ == "__main__":
    main()
