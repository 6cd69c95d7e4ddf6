"""Seconds and peak memory of loading a modality's features: `python benchmarks/load_features.py`.

Writes random features to a temporary folder, then loads them in a fresh process that measures its own peak
resident memory before and after.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from dataset_tools.features.feature_file import FeatureWriter, feature_path

NAME, MODALITY = "synthetic", "visual"


def main() -> None:
    """Print one line per shape."""
    options = _parse()
    for items, width in options.shapes:
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), items, width, options.half)
            command = [sys.executable, __file__, "--measure", folder, "--shapes", f"{items}x{width}"]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        ratio = found["growth"] / (4 * items * width)
        print(
            f"{items:,} x {width:,}: {found['seconds']:.2f} s ({found['cpu']:.2f} s of CPU), "
            f"peak memory grows by {found['growth'] / 1e6:.0f} MB, {ratio:.2f} x the matrix"
        )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", type=_shape, default=[(7050, 4096), (23033, 4096)])
    parser.add_argument("--half", action="store_true", help="float16 on disk")
    parser.add_argument("--measure", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(_measure(Path(options.measure), options.shapes[0][0])))
        sys.exit()
    return options


def _shape(text: str) -> tuple[int, int]:
    items, width = text.split("x")
    return int(items), int(width)


def _write(folder: Path, items: int, width: int, half: bool) -> None:
    generator = np.random.default_rng(0)
    order = generator.permutation(items)
    with FeatureWriter(feature_path(folder, NAME, MODALITY), MODALITY, width, half) as writer:
        for start in range(0, items, 512):
            tokens = [f"item{row}" for row in order[start : start + 512]]
            writer.write(tokens, generator.standard_normal((len(tokens), width), dtype=np.float32))


def _measure(folder: Path, items: int) -> dict[str, float]:
    """Time and growth of the peak of one `features.load`, libraries already imported."""
    from recbole_micro.data import features

    tokens = np.array(["[PAD]"] + [f"item{row}" for row in range(items)])
    dataset = SimpleNamespace(dataset_name=NAME, iid_field="item_id", field2id_token={"item_id": tokens})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    loaded = features.load({"data_path": str(folder), "modalities": None}, dataset)[MODALITY]
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if int(loaded.mask.sum()) != items:
        raise RuntimeError("not every item was covered")
    return {"seconds": seconds, "cpu": cpu, "growth": growth}


if __name__ == "__main__":
    main()
