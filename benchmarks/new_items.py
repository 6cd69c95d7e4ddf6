"""Items that join after training, against the same items inside the training data.

    python benchmarks/new_items.py --dataset baby          5 % of Baby's items join after training

Of a tenth of the items, all without training interactions, half select the epoch and half are tested.
`inside`: they are in the data and in its item graphs, cold.  `added`: the data have never seen the tested
half; its vectors come from `encode_new_items`.  Recall@20 among all items, training and validation items
masked.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from dataset_tools import cold
from dataset_tools.dataset import Dataset
from dataset_tools.folder import DatasetFolder
from dataset_tools.splitting import split_dataset
from recbole_micro import load, run
from recbole_micro.features import Modality
from recbole_micro.recommend import NewItems, recommend

K = 20


def without_test_items(source: Dataset, name: str) -> tuple[list[str], dict[str, set[str]]]:
    """Write `source` without its cold test items; these items, and each user's among them."""
    record = json.loads((source.folder / f"{source.name}.cold.json").read_text(encoding="utf-8"))
    new = set(record["test"])
    found = source.interactions
    gone = np.array([item in new for item in found.items])
    liked: dict[str, set[str]] = {}
    for row in np.flatnonzero(gone[found.item]):
        liked.setdefault(found.users[found.user[row]], set()).add(found.items[found.item[row]])
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
    return sorted(new), liked


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="baby")
    parser.add_argument("--data-path", default="dataset")
    parser.add_argument("--seed", type=int, default=2020)
    parser.add_argument("--epochs", type=int)
    given = parser.parse_args()
    name, folder = f"{given.dataset}-new", Path(given.data_path)
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    split_dataset(Dataset(given.dataset, folder), "cold", cold_share=0.1, seed=given.seed, name=name)
    inside = Dataset(name, folder)
    items, liked = without_test_items(inside, f"{name}-without")
    options = {"data_path": str(folder), "seed": given.seed, "show_progress": False}
    if given.epochs is not None:
        options["epochs"] = given.epochs
    rows = {}
    transductive = run("MICRO", name, config_dict=options)
    rows["inside"] = transductive["test_result"][f"recall@{K}"]
    source = load(run("MICRO", f"{name}-without", config_dict=options)["checkpoint"])
    users = [user for user in liked if user in source[2].field2token_id["user_id"]]
    new = NewItems(items, features_of(inside, items))
    seen = (*source[:3], *source[3:5])  # the protocol `recbole`: training and validation items
    rows["added"] = recall(recommend(seen, users, K, new_items=new), liked)
    rows["random"] = K / len(inside.items)
    print(
        f"{given.dataset}: {len(items)} new items, {len(liked)} users, seed {given.seed}, "
        f"Recall@{K} among all items, protocol recbole"
    )
    for row, value in rows.items():
        print(f"  {row:8}{value:.4f}")


if __name__ == "__main__":
    main()
