"""How long do an epoch and an evaluation of RecBole's own models take in the plugin and in plain RecBole?

    python benchmarks/recbole_models.py [--models BPR,LightGCN] [--rounds 3] [--threads 1,2]

Prints for each number of threads the medians of an epoch (batch 1,024) and of the evaluation of all test
users, as the plugin runs them and as RecBole does, and their ratio; beside the evaluation its floor, which is
the products of users with all items and the top 20 alone; and whether the metrics of the same weights agree
at 10 decimals.  The last row of each is BPR with random vectors on 39,387 users and 23,033 items of random
interactions, and what memory its evaluation takes beyond what was there before.

Plain RecBole is its own configuration, for which the plugin leaves its data set, samplers, loaders and
trainer as they are, mends of faults excepted.  Each runs in a process of its own, after a round to warm up.
The floor is BPR's: other models must make their vectors first.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path.  Takes five minutes on two
cores, on which nothing else should run; where something else does, --cpu takes CPU seconds instead.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from baby_training import NAME, add_data_arguments, prepare
from speed import AS_OURS, BATCH, USERS_AT_ONCE
from speed import ITEMS as BABY_ITEMS
from support import call, clocked, forget_peak, markdown, parser, peak_memory

LARGE, USERS, ITEMS, EACH = "random-large", 39_387, 23_033, 7  # as many as Amazon Clothing has
WHO, WHAT = ("plugin", "RecBole"), ("epoch", "evaluation")
COLUMNS = (
    "threads",
    "data",
    "model",
    "what",
    "plugin",
    "RecBole",
    "plugin / RecBole",
    "floor",
    "plugin / floor",
)


def made(who: str, model: str, dataset: str, data_path: str):
    """The experiment of a model, run by the `plugin` or by `RecBole`."""
    import recbole.config

    import recbole_micro
    from recbole_micro.training.experiment import build

    n_items = ITEMS + 1 if dataset == LARGE else BABY_ITEMS
    options = {**AS_OURS, "data_path": data_path, "gpu_id": "", "state": "ERROR", "train_batch_size": BATCH}
    options |= {"eval_batch_size": USERS_AT_ONCE * n_items, "metric_decimal_place": 10}
    kind = recbole_micro.Config if who == "plugin" else recbole.config.Config
    experiment = build(kind(model, dataset, config_dict=options))
    experiment.trainer.eval_collector.data_collect(experiment.train_data)
    return experiment


def measure(who: str, model: str, dataset: str, data_path: str, weights: str, rounds: int, cpu: bool) -> dict:
    """Median seconds of what one of both does (epochs not on the large set), and the metrics of the weights.

    The plugin leaves its weights in the file, RecBole evaluates those.
    """
    import torch

    one = made(who, model, dataset, data_path)
    times: dict[str, list] = {what: [] for what in (*WHAT, "floor")}

    def timed(name: str, action: Callable):
        done = clocked(action)
        times[name].append(done.cpu if cpu else done.seconds)
        return done.value

    for number in range((rounds + 1) * (dataset != LARGE)):
        timed("epoch", lambda number=number: one.trainer._train_epoch(one.train_data, number))
    if who == "plugin":
        torch.save(one.model.state_dict(), weights)
    else:
        one.model.load_state_dict(torch.load(weights, weights_only=True))
    for _ in range(rounds + 1):
        metrics = timed("evaluation", lambda: evaluate(one))
        if who == "plugin":
            timed("floor", lambda: floor(one))
    medians = {name: statistics.median(found[1:]) for name, found in times.items() if found}
    return {"seconds": medians, "metrics": {name: float(value) for name, value in metrics.items()}}


def evaluate(experiment) -> dict:
    """The metrics on the test set."""
    return experiment.trainer.evaluate(experiment.test_data, load_best_model=False)


def memory_of_evaluation(who: str, data_path: str) -> float:
    """MB that an evaluation on the large set takes beyond what was there before."""
    experiment = made(who, "BPR", LARGE, data_path)
    forget_peak()
    before = peak_memory()
    evaluate(experiment)
    return (peak_memory() - before) / 2**20


def floor(experiment) -> None:
    """The scores of all test users and their top 20, from vectors as wide as the model's."""
    import torch

    n_users, n_items = len(experiment.test_data.uid_list), experiment.dataset.item_num
    width = experiment.config["embedding_size"]
    users, items = torch.rand(n_users, width), torch.rand(n_items, width).T
    for start in range(0, n_users, USERS_AT_ONCE):
        torch.topk(users[start : start + USERS_AT_ONCE] @ items, 20, dim=-1)


def write_large(data_path: Path) -> None:
    """Seven random interactions a user: five to train, one to validate, one to test."""
    import numpy as np

    folder = data_path / LARGE
    folder.mkdir(parents=True)
    items = np.random.default_rng(0).integers(0, ITEMS, (USERS, EACH))
    for part, columns in {"train": items[:, :-2], "valid": items[:, -2:-1], "test": items[:, -1:]}.items():
        lines = (f"u{user}\ti{item}\n" for user, row in enumerate(columns.tolist()) for item in row)
        (folder / f"{LARGE}.{part}.inter").write_text("user_id:token\titem_id:token\n" + "".join(lines))
    names = "".join(f"i{item}\n" for item in range(ITEMS))
    (folder / f"{LARGE}.item").write_text("item_id:token\n" + names)


def rows_of(threads: int, model: str, dataset: str, ours: dict, theirs: dict) -> list[list[str]]:
    """The rows of the table for the seconds that both took."""
    rows = []
    for what in WHAT:
        if what in ours:
            ratio = ours[what] / theirs[what]
            row = [
                str(threads),
                dataset,
                model,
                what,
                f"{ours[what]:.3f}",
                f"{theirs[what]:.3f}",
                f"{ratio:.2f}",
            ]
            least = ours["floor"]
            rows.append(
                [*row, *(["", ""] if what == "epoch" else [f"{least:.3f}", f"{ours[what] / least:.2f}"])]
            )
    return rows


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--models", default="BPR,LightGCN", metavar="MODEL,MODEL")
    arguments.add_argument(
        "--rounds", type=int, default=3, help="epochs and evaluations of each (default: 3)"
    )
    arguments.add_argument("--threads", default="1,2", metavar="N,N")
    arguments.add_argument("--cpu", action="store_true", help="CPU seconds, of all threads")
    add_data_arguments(arguments)
    given = arguments.parse_args()
    prepare(given.source, given.data_path)
    rows, agree = [], []
    with tempfile.TemporaryDirectory() as folder:
        write_large(Path(folder))
        jobs = [(model, NAME, str(given.data_path.resolve())) for model in given.models.split(",")]
        for threads in map(int, given.threads.split(",")):
            for job in [*jobs, ("BPR", LARGE, folder)]:
                more = (*job, str(Path(folder) / "weights.pth"), given.rounds, given.cpu)
                ours, theirs = (call(measure, who, *more, threads=threads) for who in WHO)
                rows += rows_of(threads, *job[:2], ours["seconds"], theirs["seconds"])
                agree.append(ours["metrics"] == theirs["metrics"])
        memory = [f"{who} {call(memory_of_evaluation, who, folder, threads=1):.0f} MB" for who in WHO]
    unit = "CPU seconds" if given.cpu else "seconds"
    print(f"Medians of {given.rounds}, {unit}; {USERS_AT_ONCE} users at once, batch {BATCH}.\n")
    print(markdown(COLUMNS, rows))
    print(f"\nMetrics of the same weights agree at 10 decimals in {sum(agree)} of {len(agree)} comparisons.")
    print(f"Memory of the evaluation of {LARGE}: {', '.join(memory)}.")


if __name__ == "__main__":
    main()
