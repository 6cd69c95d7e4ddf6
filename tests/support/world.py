"""A synthetic world whose right answer is known.

Items lie in visual x textual clusters, users like one combination.
Some items of every combination never occur in training; their features alone tell who likes them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.tiny import write_dataset

VISUAL, TEXTUAL = 3, 4
ITEMS, WITHHELD = 8, 2  # items of a combination, and how many of them only the test set knows
USERS, LIKES = 12, 4  # users of a combination, and training items of each user


@dataclass
class World:
    """`cluster[i]`: item i's combination; `taste[u]`: the one user u likes; `withheld`: item numbers."""

    folder: Path
    name: str
    cluster: np.ndarray
    taste: np.ndarray
    withheld: np.ndarray

    def config(self, **options) -> dict:
        """A config_dict that trains on this world quickly and quietly."""
        base = dict(data_path=str(self.folder), gpu_id="", show_progress=False, state="ERROR", epochs=25)
        base.update(eval_step=0, train_batch_size=512, learning_rate=0.02, checkpoint_dir="saved")
        return base | options


def build(folder: Path, seed: int = 0, modalities=("visual", "textual"), shuffled=False, missing=()) -> World:
    """Write the data set `world` into `folder`: a fixed split, every item, one feature file per modality.

    `shuffled` gives every item another item's features; `missing` lists (modality, item number) rows to leave
    out.  A third modality repeats the textual clusters.
    """
    rng = np.random.default_rng(seed)
    combinations = VISUAL * TEXTUAL
    cluster = np.repeat(np.arange(combinations), ITEMS)
    taste = np.repeat(np.arange(combinations), USERS)
    members = np.arange(combinations * ITEMS).reshape(combinations, ITEMS)
    withheld = members[:, -WITHHELD:].ravel()
    parts = {"train": [], "valid": [], "test": []}
    for user, liked in enumerate(taste):
        known = rng.permutation(members[liked, :-WITHHELD])
        parts["train"] += [(user, i) for i in known[:LIKES]]
        parts["valid"] += [(user, known[LIKES])]
        parts["test"] += [(user, i) for i in members[liked, -WITHHELD:]]
    features = {}
    for number, modality in enumerate(modalities):
        label = cluster // TEXTUAL if modality == "visual" else cluster % TEXTUAL
        width = 8 + number
        values = np.eye(width)[label] + 0.15 * rng.standard_normal((len(cluster), width))
        order = rng.permutation(len(cluster)) if shuffled else np.arange(len(cluster))
        features[modality] = values[order]
        features[modality][[item for name, item in missing if name == modality]] = np.nan
    write_dataset(folder, "world", parts, len(cluster), features)
    return World(folder, "world", cluster, taste, withheld)


def recall_on_withheld(world: World, scores: np.ndarray) -> float:
    """Share of cluster mates among each user's WITHHELD best withheld items.

    `scores` [n_users, n_items] in the world's numbering; chance is 1 / (VISUAL * TEXTUAL).
    """
    order = np.argsort(-scores[:, world.withheld], axis=1, kind="stable")[:, :WITHHELD]
    return float((world.cluster[world.withheld][order] == world.taste[:, None]).mean())


def recall_on_valid(world: World, scores: np.ndarray, k: int = 5) -> float:
    """Share of users whose validation item is among their k best new items that training knows."""
    scores, train, valid = scores.copy(), pairs(world, "train"), pairs(world, "valid")
    scores[:, world.withheld] = -np.inf
    scores[train[:, 0], train[:, 1]] = -np.inf
    best = np.argsort(-scores[valid[:, 0]], axis=1, kind="stable")[:, :k]
    return float((best == valid[:, 1:]).any(1).mean())


def popularity(world: World) -> np.ndarray:
    """Scores [n_users, n_items]: how many training interactions an item has, for every user."""
    counts = np.bincount(pairs(world, "train")[:, 1], minlength=len(world.cluster))
    return np.tile(counts.astype(float), (len(world.taste), 1))


def pairs(world: World, part: str) -> np.ndarray:
    """User and item numbers [n, 2] of the train, valid or test part."""
    lines = (world.folder / world.name / f"{world.name}.{part}.inter").read_text().splitlines()[1:]
    return np.array([[int(token[1:]) for token in line.split("\t")] for line in lines])


def mates_first(world: World, scores: np.ndarray) -> bool:
    """Whether withheld mates score above those of all other combinations, averaged over users."""
    combination = world.cluster[world.withheld]
    means = [scores[:, world.withheld[combination == c]].mean(1) for c in range(VISUAL * TEXTUAL)]
    mean = np.stack(means, 1)  # [n_users, n_combinations]
    relative = np.stack([np.roll(row, -liked) for row, liked in zip(mean, world.taste, strict=True)]).mean(0)
    return bool(relative[0] > relative[1:].max())


def score_matrix(model, dataset, world: World) -> np.ndarray:
    """The model's scores [n_users, n_items] in the world's numbering."""
    import torch
    from recbole.data.interaction import Interaction

    users = dataset.token2id(dataset.uid_field, [f"u{u}" for u in range(len(world.taste))])
    items = dataset.token2id(dataset.iid_field, [f"i{i}" for i in range(len(world.cluster))])
    model.eval()
    with torch.no_grad():
        scores = model.full_sort_predict(Interaction({dataset.uid_field: torch.as_tensor(users)}))
    return scores.view(len(users), -1).numpy()[:, items]
