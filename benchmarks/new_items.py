"""Does MICRO find items that join after training as well as the same items inside the training data?

    python benchmarks/new_items.py                              5 % of Baby's items join after training
    python benchmarks/new_items.py --set preset=cold_start      with other settings of MICRO
    python benchmarks/new_items.py --show                       the table of what is there

Of a tenth of the items, all without training interactions, half select the epoch and half are tested.
`inside`: they are in the data and in its item graphs, cold.  `added`: the data have never seen the tested
half; its vectors come from `encode_new_items`.  Prints Recall@20 among all items, training and validation
items masked.

Reads the data set NAME below --data-path and writes NAME-new and NAME-new-without once; --show reads only the
CSV file, where finished trainings are kept and not repeated.  A training takes about ten minutes of one CPU
thread; --show takes seconds.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from support import add_run_arguments, call, markdown, parser, run_missing

from dataset_tools.dataset.folder import DatasetFolder
from dataset_tools.dataset.reading import Dataset
from dataset_tools.operations.splitting import cold
from dataset_tools.operations.splitting.resplit import split_dataset
from recbole_micro import load, run
from recbole_micro.data.features import Modality
from recbole_micro.inference.recommend import NewItems, recommend

K = 20


def cold_record(source: Dataset) -> dict:
    """Which items of a cold-start split are cold."""
    return json.loads((source.folder / f"{source.name}.cold.json").read_text(encoding="utf-8"))


def new_items_of_users(source: Dataset, new: set[str]) -> dict[str, set[str]]:
    """Each user's items among the new ones."""
    found, liked = source.interactions, {}
    gone = np.array([item in new for item in found.items])
    for row in np.flatnonzero(gone[found.item]):
        liked.setdefault(found.users[found.user[row]], set()).add(found.items[found.item[row]])
    return liked


def write_without(source: Dataset, name: str) -> None:
    """Write `source` without its cold test items."""
    record = cold_record(source)
    new, found = set(record["test"]), source.interactions
    gone = np.array([item in new for item in found.items])
    with DatasetFolder(source.folder.parent, name, force=True) as folder:
        folder.write_interactions(found.take(~gone[found.item]))
        folder.write_items([item for item in source.items if item not in new])
        for modality in source.modalities:
            file = source.features(modality)
            with folder.features(modality, file.width) as writer:
                for tokens, block in file.blocks():
                    keep = [row for row, token in enumerate(tokens.to_pylist()) if token not in new]
                    writer.write([tokens[row].as_py() for row in keep], block[keep])
        cold.write(folder.path, name, {**record, "test": []})


def features_of(source: Dataset, items: list[str]) -> dict[str, Modality]:
    """The features of these items."""
    place = {item: row for row, item in enumerate(source.items)}
    rows = [place[item] for item in items]
    parts = {modality: source.matrix(modality) for modality in source.modalities}
    return {
        m: Modality(torch.from_numpy(v[rows]), torch.from_numpy(mask[rows])) for m, (v, mask) in parts.items()
    }


def recall(lists, liked: dict[str, set[str]]) -> float:
    """Mean share of each user's new items in its list."""
    shown = lists.groupby("user_id")["item_id"].agg(set)
    return float(np.mean([len(items & shown.get(user, set())) / len(items) for user, items in liked.items()]))


def prepare(name: str, data_path: Path, split_seed: int) -> str:
    """The name NAME-new of a cold-start split of a tenth of the items; NAME-new-without lies beside it."""
    split, without = f"{name}-new", f"{name}-new-without"
    if not (data_path / split).is_dir():
        split_dataset(Dataset(name, data_path), "cold", cold_share=0.1, seed=split_seed, name=split)
    if not (data_path / without).is_dir():
        write_without(Dataset(split, data_path), without)
    return split


def measure(name: str, row: str, options: dict) -> dict:
    """Recall@20 on the new items of the split `name` after one training of MICRO."""
    source = Dataset(name, Path(options["data_path"]))
    result = run("MICRO", name if row == "inside" else f"{name}-without", config_dict=options)
    line = {"items": len(source.items), "protocol": "recbole", "valid score": result["best_valid_score"]}
    if row == "inside":
        return line | {"recall@20": result["test_result"][f"recall@{K}"]}
    items = sorted(cold_record(source)["test"])
    liked = new_items_of_users(source, set(items))
    trained = load(result["checkpoint"])
    users = [user for user in liked if user in trained.dataset.field2token_id["user_id"]]
    new = NewItems(items, features_of(source, items))
    lists = recommend(trained[:5], users, K, new_items=new)  # without the test loader: its items stay in
    return line | {"recall@20": round(recall(lists, liked), 6)}


def table(file: Path) -> str:
    """Means over the seeds, beside a random order."""
    lines = []
    runs = pd.read_csv(file, keep_default_na=False)
    for (dataset, options), group in runs.groupby(["dataset", "options"], sort=False):
        for row, part in group.groupby("row", sort=False):
            lines.append((dataset, options, row, len(part), f"{part['recall@20'].mean():.4f}"))
        lines.append((dataset, "", "random", "", f"{K / group['items'].iloc[0]:.4f}"))
    return markdown(("data set", "options", "row", "seeds", "Recall@20"), lines)


def main() -> None:
    arguments = parser(__doc__)
    add_run_arguments(arguments, "new_items_runs.csv", seeds="2020")
    given = arguments.parse_args()
    if not given.show:
        name = prepare(given.dataset, given.data_path, given.split_seed)
        run_missing(given, name, ("inside", "added"), lambda row, options: call(measure, name, row, options))
    print(f"Recall@20 on the new items among all items, protocol recbole\n\n{table(given.out)}")


if __name__ == "__main__":
    main()
