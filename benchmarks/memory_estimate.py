"""How near is the estimate of memory to what a training takes?

    python benchmarks/memory_estimate.py [--models MICRO FREEDOM VBPR] [--sizes 20000x10000 80000x40000]

Prints, per model and size, the estimate, the measured peak and their ratio.  Both are what a training takes
beside its libraries, which a small training loads first, and the data set; the peak is the largest resident
size during an epoch, an evaluation of 2,000 users and the reading of the best state.

Reads nothing: users x items of the sizes get 10 random interactions each and two modalities of 512 and 128
numbers.  Every training runs in a process of its own; Linux only (it reads the kernel's high-water mark).
Takes about a minute per model on one core.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
from support import call, forget_peak, markdown, parser, peak_memory

from dataset_tools.features.feature_file import FeatureWriter, feature_path

NAME, SMALL = "synthetic", "small"
WIDTHS, PER_USER, EVALUATED = {"visual": 512, "textual": 128}, 10, 2000
MODELS = (
    "MICRO", "LATTICE", "FREEDOM", "VBPR", "MMGCN", "EASEKNN", "BPR", "LightGCN", "MultiVAE", "EASE",
)  # fmt: skip


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    arguments.add_argument("--sizes", nargs="+", default=["20000x10000", "60000x30000"], metavar="UxI")
    arguments.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="for all trainings")
    given = arguments.parse_args()
    rows = []
    for size in given.sizes:
        n_users, n_items = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), NAME, n_users, n_items)
            write(Path(folder), SMALL, 500, 200)
            for model in given.models:
                found = call(measure, model, folder, given.set, threads=1)
                estimated, measured = found["estimate"] / 2**20, found["peak"] / 2**20
                ratio = estimated / measured
                rows.append([model, size, f"{estimated:,.0f}", f"{measured:,.0f}", f"{ratio:.2f}"])
                print(*rows[-1], json.dumps(found["parts"]), flush=True)
    print(markdown(["model", "users x items", "estimate, MB", "measured, MB", "ratio"], rows))


def write(folder: Path, name: str, n_users: int, n_items: int) -> None:
    """A data set of random pairs as a fixed split, with features of every item."""
    home = folder / name
    home.mkdir()
    generator = np.random.default_rng(0)
    chosen = generator.integers(n_items, size=(n_users, PER_USER))
    chosen[:, 0] = np.arange(n_users) % n_items
    for part, columns, users in (
        ("train", chosen[:, :-2], n_users),
        ("valid", chosen[:, -2:-1], EVALUATED),
        ("test", chosen[:, -1:], EVALUATED),
    ):
        with open(home / f"{name}.{part}.inter", "w", encoding="utf-8") as file:
            file.write("user_id:token\titem_id:token\n")
            for user in range(min(users, n_users)):
                file.writelines(f"u{user}\ti{item}\n" for item in set(columns[user]))
    tokens = [f"i{item}" for item in range(n_items)]
    (home / f"{name}.item").write_text("item_id:token\n" + "\n".join(tokens) + "\n", encoding="utf-8")
    for modality, width in WIDTHS.items():
        with FeatureWriter(feature_path(home, name, modality), modality, width) as writer:
            for start in range(0, n_items, 1000):
                rows = tokens[start : start + 1000]
                writer.write(rows, generator.standard_normal((len(rows), width), dtype=np.float32))


def measure(model: str, folder: str, options: list[str]) -> dict:
    """The estimate and the growth of the peak from where the estimate is made, in bytes."""
    import psutil

    import recbole_micro
    from recbole_micro.models import memory_check
    from recbole_micro.options.values import parse

    chosen = {option: parse(value) for option, _, value in (text.partition("=") for text in options)}
    quick = {"data_path": folder, "epochs": 1, "eval_step": 1, "show_progress": False, "state": "ERROR"}
    quick |= chosen
    recbole_micro.run(model, SMALL, config_dict=quick)  # what libraries load with their first use
    found: dict = {}
    usual = memory_check.estimate

    def watched(model_class, config, sizes):
        result = usual(model_class, config, sizes)
        found.update(estimate=result.total, parts={p: round(s / 2**20) for p, s in result.parts.items()})
        found["before"] = psutil.Process().memory_info().rss
        forget_peak()
        return result

    memory_check.estimate = watched
    recbole_micro.run(model, NAME, config_dict=quick)
    return {"estimate": found["estimate"], "parts": found["parts"], "peak": peak_memory() - found["before"]}


if __name__ == "__main__":
    main()
