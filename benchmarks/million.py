"""What do time and memory of MICRO grow like from ten thousand items to a million?

    python benchmarks/million.py [--items 10000,100000,1000000] [--data-path dataset]
    python benchmarks/million.py --show    the tables of what is there, and the plot

Prints, per number N of items (2 N users, 20 N interactions, two modalities of 128), the CPU seconds and the
peak memory of each stage: load (files and ids), split (80/10/10 by user, then dropped), prepare (parts,
samplers, loaders), build (features, neighbour search, graphs), the first step and the others, and the
evaluation of 1,000 users among all items; then the powers of N that fit the step and the peak.  Draws
docs/images/million.png.

Reads nothing: it makes data of items in clusters, block by block, in --data-path, and keeps what it measures
in results/million.csv.  Each N runs in a process of its own with one thread, under shipped defaults but for
knn_backend: faiss, learned_candidates: 50 and memory_check: False.  10,000 takes half a minute, 100,000 five,
a million an hour and 16 GB.
"""

import time
from pathlib import Path

import numpy as np
from support import RESULTS, ROOT, call, clocked, finished, forget_peak, keep, kept, markdown, parser
from support import peak_memory as peak

FILE, PLOT = RESULTS / "million.csv", ROOT / "docs" / "images" / "million.png"
USERS, INTERACTIONS = 2, 20  # of each item
LATENT, NOISE = 32, 0.3  # numbers behind an item's features, and the share of noise in those
TASTES = 3  # clusters that a user chooses from
TESTED = 1000  # users with a validation and a test interaction
SCORES = 1 << 25  # of the evaluation at a time
BLOCK = 1 << 18  # rows that are made together
OPTIONS = {"knn_backend": "faiss", "learned_candidates": 50, "graph_cache": False, "train_batch_size": 4096}
OPTIONS |= {"memory_check": False}  # whose estimate for a million items, 20 GB, is above what they take
STAGES = ("load", "split", "prepare", "build", "first step", "step", "evaluate")


def generate(folder: str, n_items: int, width: int) -> dict[str, float]:
    """Write the data set `items-N` with a fixed split into a folder; seconds and peak bytes."""
    from dataset_tools.features.feature_file import FeatureWriter, feature_path

    name = f"items-{n_items}"
    home = Path(folder) / name
    home.mkdir(parents=True)
    generator = np.random.default_rng(n_items)
    n_clusters = int(n_items**0.5)
    ends = np.linspace(0, n_items, n_clusters + 1).astype(np.int64)  # of the clusters, in the items' order

    def write() -> None:
        centres = generator.standard_normal((n_clusters, LATENT), dtype=np.float32)
        with open(home / f"{name}.item", "w", encoding="utf-8") as file:
            file.write("item_id:token\n")
            for start in range(0, n_items, BLOCK):
                np.savetxt(file, np.arange(start, min(start + BLOCK, n_items)), fmt="i%d")
        for modality in ("textual", "visual"):
            directions = generator.standard_normal((LATENT, width), dtype=np.float32) / LATENT**0.5
            with FeatureWriter(feature_path(home, name, modality), modality, width) as writer:
                for start in range(0, n_items, BLOCK):
                    items = np.arange(start, min(start + BLOCK, n_items))
                    cluster = np.searchsorted(ends, items, side="right") - 1
                    own = (
                        centres[cluster]
                        + generator.standard_normal((len(items), LATENT), dtype=np.float32) / 2
                    )
                    noise = generator.standard_normal((len(items), width), dtype=np.float32)
                    writer.write([f"i{item}" for item in items], own @ directions + NOISE * noise)
        write_interactions(home / name, USERS * n_items, INTERACTIONS * n_items, ends, generator)

    done = clocked(write)
    return {"seconds": done.seconds, "peak": peak()}


def write_interactions(
    stem: Path, n_users: int, n_interactions: int, ends: np.ndarray, generator: np.random.Generator
) -> None:
    """Each user's interactions with items of a few clusters, popular items first, in blocks of users."""
    each = n_interactions // n_users
    files = {part: open(f"{stem}.{part}.inter", "wb") for part in ("train", "valid", "test")}  # noqa: SIM115
    for file in files.values():
        file.write(b"user_id:token\titem_id:token\n")
    for start in range(0, n_users, BLOCK // each):
        users = np.arange(start, min(start + BLOCK // each, n_users))
        tastes = generator.integers(0, len(ends) - 1, (len(users), TASTES))
        cluster = np.take_along_axis(tastes, generator.integers(0, TASTES, (len(users), each)), 1)
        size = ends[cluster + 1] - ends[cluster]
        items = ends[cluster] + (size * generator.random(cluster.shape) ** 2).astype(np.int64)
        held = users < TESTED
        for part, rows, columns in (
            ("train", ~held, slice(None)),
            ("train", held, slice(2, None)),
            ("valid", held, slice(0, 1)),
            ("test", held, slice(1, 2)),
        ):
            chosen = items[rows, columns]
            pairs = np.column_stack([np.repeat(users[rows], chosen.shape[1]), chosen.ravel()])
            np.savetxt(files[part], pairs, fmt="u%d\ti%d")
    for file in files.values():
        file.close()


def split(dataset) -> int:
    """Split all interactions by user; how many parts."""
    whole = dataset.copy(dataset._dataframe_to_interaction(dataset.inter_feat))
    return len(whole.split_by_ratio([0.8, 0.1, 0.1], whole.uid_field))


def measure(folder: str, n_items: int) -> dict[str, float]:
    """CPU seconds and peak GB of each stage, by `STAGE, s` and `STAGE, GB`; Recall@20 after the few steps."""
    import gc

    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    from recbole_micro import Config
    from recbole_micro.studies.paper.epoch_cost import watch

    options = {"data_path": folder, "gpu_id": "", "state": "INFO", "show_progress": False, **OPTIONS}
    options["eval_batch_size"] = max(SCORES, n_items + 1)
    config = Config("MICRO", f"items-{n_items}", config_dict=options)
    init_seed(1, True)
    found: dict[str, float] = {}

    def stage(name: str, action):
        gc.collect()
        forget_peak()
        done = clocked(action)
        found[f"{name}, s"], found[f"{name}, GB"] = done.cpu, peak() / 2**30
        return done.value

    dataset = stage("load", lambda: create_dataset(config))
    stage("split", lambda: split(dataset))
    train, _, test = stage("prepare", lambda: data_preparation(config, dataset))
    model = stage("build", lambda: get_model("MICRO")(config, train._dataset))
    trainer = get_trainer(config["MODEL_TYPE"], "MICRO")(config, model)
    trainer.eval_collector.data_collect(train)
    moments = watch(train, time.process_time)
    stage("step", lambda: trainer._train_epoch(train, 0))
    steps = np.diff(moments)
    found |= {"first step, s": steps[0], "first step, GB": found["step, GB"], "step, s": np.median(steps[1:])}
    result = stage("evaluate", lambda: trainer.evaluate(test, load_best_model=False))
    return {"recall@20": result["recall@20"], **{name: round(value, 3) for name, value in found.items()}}


def growth(sizes: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The power p and the factor c of c N^p, fitted to the logarithms."""
    power, offset = np.polyfit(np.log(sizes), np.log(values), 1)
    return float(power), float(np.exp(offset))


def draw(rows, path: Path) -> None:
    """Seconds of a step and peak memory over N, with their fits."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    sizes = rows["items"].to_numpy(dtype=float)
    for axis, column, name in zip(
        axes, ("step, s", "peak, GB"), ("CPU seconds a step", "peak GB"), strict=True
    ):
        values = rows[column].to_numpy(dtype=float)
        axis.loglog(sizes, values, "o", color="#1b6ca8")
        for size, value in zip(sizes, values, strict=True):
            axis.annotate(f"{value:.2g}", (size, value), textcoords="offset points", xytext=(6, -10))
        if len(rows) > 1:
            power, factor = growth(sizes, values)
            axis.loglog(
                sizes, factor * sizes**power, "--", color="#888", label=f"$\\propto N^{{{power:.2f}}}$"
            )
            axis.legend(frameon=False)
        axis.set_xlabel("items N (2 N users, 20 N interactions)")
        axis.set_ylabel(name)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def show() -> None:
    """The tables of what is kept, and the plot."""
    rows = kept(FILE).sort_values("items")
    rows["peak, GB"] = rows[[f"{name}, GB" for name in STAGES]].max(axis=1)
    for unit, text in (("s", "CPU seconds, one thread"), ("GB", "Peak memory, GB")):
        lines = [
            [f"{int(row['items']):,}", *(row[f"{name}, {unit}"] for name in STAGES)]
            for _, row in rows.iterrows()
        ]
        print(f"{text}\n\n{markdown(['items', *STAGES], lines)}\n")
    if len(rows) > 1:
        for column in ("step, s", "peak, GB"):
            print(f"{column} grows like N^{growth(rows['items'].to_numpy(float), rows[column])[0]:.2f}")
    draw(rows, PLOT)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--items", default="10000,100000,1000000", metavar="N,N")
    arguments.add_argument("--width", type=int, default=128, help="of each modality")
    arguments.add_argument("--data-path", type=Path, default=Path("dataset"), metavar="DIR")
    arguments.add_argument("--show", action="store_true", help="run nothing")
    given = arguments.parse_args()
    folder = given.data_path.resolve()
    for n_items in [] if given.show else map(int, given.items.split(",")):
        if not (folder / f"items-{n_items}").exists():
            made = call(generate, str(folder), n_items, given.width)
            print(
                f"made {n_items:,} items in {made['seconds']:.0f} s, {made['peak'] / 2**30:.1f} GB",
                flush=True,
            )
        key = {"items": n_items, "width": given.width}
        if not finished(FILE, key):
            keep(FILE, key | call(measure, str(folder), n_items, threads=1))
    show()


if __name__ == "__main__":
    main()
