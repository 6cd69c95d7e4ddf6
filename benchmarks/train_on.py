"""New interactions have come in: what does starting from the last training save, and what does it cost?

    python benchmarks/train_on.py [--model MICRO] [--epochs 60] [--seeds 2020] [--data-path dataset]

Prints, for a training from scratch and one with --init_from, the epochs and seconds to the best validation,
validation Recall@20 after the first look, and test Recall@20 and NDCG@20 of the best epoch.

Reads ml-100k below --data-path, prepared where it is missing.  Every user's interactions in the order of
time: the earlier training knows the first 80 % (its last sixteenth is its validation); then the next 10 %
arrive, and both trainings select on the next 5 % and are tested on the last 5 %.  Takes ten minutes a seed on
two cores.
"""

import shutil
import tempfile
import time
from pathlib import Path

import pandas as pd
from support import call, parser

from dataset_tools.dataset.catalog import prepare

NAME = "ml-100k"
BEFORE, AFTER = (0, 0.75, 0.80, 0.80), (0, 0.90, 0.95, 1.0)  # ends of training, validation and test


def write_parts(source: Path, folder: Path, ends: tuple[float, ...]) -> None:
    """A fixed split of the data set `ml-100k` in `folder`, by each user's own order of time."""
    shutil.copytree(source, folder / NAME)
    file = folder / NAME / f"{NAME}.inter"
    rows = pd.read_csv(file, sep="\t", dtype=str)
    file.unlink()
    rows = rows.iloc[rows["timestamp:float"].astype(float).argsort(kind="stable")]
    by_user = rows.groupby("user_id:token", sort=False)
    place = by_user.cumcount() / by_user["item_id:token"].transform("size")
    for part, first, last in zip(("train", "valid", "test"), ends, ends[1:], strict=False):
        chosen = rows[(place >= first) & (place < last)]
        if part == "test" and chosen.empty:  # before: nothing is measured on it
            chosen = rows[(place >= ends[1]) & (place < ends[2])]
        chosen.to_csv(folder / NAME / f"{NAME}.{part}.inter", sep="\t", index=False)


def train(model: str, folder: str, options: dict) -> dict:
    """One training: its checkpoint, epochs and seconds to the best validation, and what it reached."""
    import recbole_micro
    from recbole_micro.checkpoint import load_checkpoint

    options = {"data_path": folder, "checkpoint_dir": f"{folder}/saved", "show_progress": False, **options}
    begin = time.perf_counter()
    result = recbole_micro.run(model, NAME, config_dict={**options, "gpu_id": "", "state": "WARNING"})
    spent = time.perf_counter() - begin
    last = load_checkpoint(Path(result["checkpoint"]).with_suffix(".last.pth"))
    best = load_checkpoint(result["checkpoint"])["epoch"] + 1
    looks = last["last"]["validations"]
    return {
        "checkpoint": str(Path(result["checkpoint"]).absolute()),
        "best": best,
        "seconds": spent * best / (last["epoch"] + 1),
        "first": looks[0][1]["values"]["recall@20"],
        "valid": result["best_valid_result"]["recall@20"],
        "test": [result["test_result"][name] for name in ("recall@20", "ndcg@20")],
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="MICRO")
    arguments.add_argument("--epochs", type=int, default=60, help="at most; early stopping is the model's")
    arguments.add_argument("--seeds", default="2020", metavar="N,N")
    arguments.add_argument("--data-path", type=Path, default=Path("dataset"), metavar="DIR")
    given = arguments.parse_args()
    source = given.data_path / NAME
    if not source.is_dir():
        prepare(NAME, given.data_path)
    print(f"{given.model} on {NAME}, the newest tenth of every user's interactions being new")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {name: Path(scratch) / name for name in ("before", "after")}
        for folder, ends in zip(folders.values(), (BEFORE, AFTER), strict=True):
            write_parts(source, folder, ends)
        for seed in given.seeds.split(","):
            options = {"seed": int(seed), "epochs": given.epochs, "eval_step": 1, "stopping_step": 10}
            earlier = call(train, given.model, str(folders["before"]), options)
            print(f"seed {seed}: the earlier training was best after {earlier['best']} epochs", flush=True)
            for name, more in (("from scratch", {}), ("from before", {"init_from": earlier["checkpoint"]})):
                found = call(train, given.model, str(folders["after"]), {**options, **more})
                cost = f"best after {found['best']:>3} epochs, {found['seconds']:>5.0f} s"
                valid = f"validation Recall@20 {found['first']:.4f} at first, {found['valid']:.4f} at best"
                test = "test Recall@20 {:.4f}, NDCG@20 {:.4f}".format(*found["test"])
                print(f"{name:<13} {cost}   {valid}   {test}", flush=True)


if __name__ == "__main__":
    main()
