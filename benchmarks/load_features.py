"""How long does it take to load a modality's features, and how much memory?

    python benchmarks/load_features.py [--shapes 7050x4096 23033x4096] [--half]

Prints, per shape, the seconds and the growth of peak memory beside the size of the matrix.

Reads nothing: writes random features to a temporary folder (115 and 377 MB), then loads them in a fresh
process; Linux only (it reads the kernel's high-water mark).  Takes under a minute.
"""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from support import call, clocked, parser, peak_memory

from dataset_tools.features.feature_file import FeatureWriter, feature_path

NAME, MODALITY = "synthetic", "visual"


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--shapes", nargs="+", default=["7050x4096", "23033x4096"], metavar="NxD")
    arguments.add_argument("--half", action="store_true", help="float16 on disk")
    given = arguments.parse_args()
    for shape in given.shapes:
        items, width = map(int, shape.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), items, width, given.half)
            found = call(measure, folder, items)
        ratio = found["growth"] / (4 * items * width)
        print(
            f"{items:,} x {width:,}: {found['seconds']:.2f} s ({found['cpu']:.2f} s of CPU), "
            f"peak memory grows by {found['growth'] / 1e6:.0f} MB, {ratio:.2f} x the matrix",
            flush=True,
        )


def write(folder: Path, items: int, width: int, half: bool) -> None:
    """Random features of so many items, in no order."""
    generator = np.random.default_rng(0)
    order = generator.permutation(items)
    with FeatureWriter(feature_path(folder, NAME, MODALITY), MODALITY, width, half) as writer:
        for start in range(0, items, 512):
            tokens = [f"item{row}" for row in order[start : start + 512]]
            writer.write(tokens, generator.standard_normal((len(tokens), width), dtype=np.float32))


def measure(folder: str, items: int) -> dict[str, float]:
    """Time and growth of the peak, in bytes, of one `features.load`, libraries already imported."""
    from recbole_micro.data import features

    tokens = np.array(["[PAD]"] + [f"item{row}" for row in range(items)])
    dataset = SimpleNamespace(dataset_name=NAME, iid_field="item_id", field2id_token={"item_id": tokens})
    before = peak_memory()
    loading = clocked(lambda: features.load({"data_path": folder, "modalities": None}, dataset)[MODALITY])
    if int(loading.value.mask.sum()) != items:
        raise RuntimeError("not every item was covered")
    return {"seconds": loading.seconds, "cpu": loading.cpu, "growth": peak_memory() - before}


if __name__ == "__main__":
    main()
