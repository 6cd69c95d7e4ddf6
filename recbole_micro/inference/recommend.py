"""Top-k lists with original ids from a checkpoint, with new items among them."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import AbstractRecommender

from dataset_tools.errors import DataError
from dataset_tools.features.feature_file import ID_COLUMN, FeatureFile
from dataset_tools.features.join import ItemIndex, join
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.inference.new_items import encode_new_items
from recbole_micro.options import user_models
from recbole_micro.options.values import parse_strings
from recbole_micro.training.loading import Loaded, load_data_and_model

USERS_AT_ONCE = 256
COLUMNS = ["user_id", "rank", "item_id", "score"]


class NewItems(NamedTuple):
    """Items that the data set does not have: ids and features, `Modality(values [n, d_m], mask [n])`."""

    tokens: list[str]
    features: dict[str, Modality]


def recommend(
    source: str | Path | Loaded,
    users: str | Sequence[str] = "all",
    k: int = 20,
    exclude_seen: bool = True,
    new_items: NewItems | None = None,
) -> pd.DataFrame:
    """The `k` best items of each user, best first: columns user_id, rank (from 1), item_id, score.

    `source`: a checkpoint, or what `load` returns for one.  `users`: ids, or `all`.  `exclude_seen` leaves
    out every item of a user's training, validation and test interactions.  `new_items` (MICRO) are ranked
    among the others.  Raises UserError for unknown users and for features that do not fit the model.
    """
    if not isinstance(source, tuple):
        source = load_data_and_model(source, log=False)
    _, model, dataset, *loaders = source  # RecBole's plain tuple does as well
    if k < 1:
        raise UserError(f"k is {k}: ask for at least 1 item.")
    ids = user_ids(dataset, users)
    tokens = np.asarray(dataset.field2id_token[dataset.iid_field], dtype=object)
    vectors = None
    if new_items is not None:
        vectors = encode_new_items(model, new_items.features)
        tokens = np.concatenate([tokens, np.array(new_items.tokens, dtype=object)])
    seen = seen_items([loader._dataset for loader in loaders], ids) if exclude_seen else None
    model.eval()
    parts = []
    for start in range(0, len(ids), USERS_AT_ONCE):
        portion = ids[start : start + USERS_AT_ONCE]
        scores = scores_of(model, dataset, portion, vectors)
        scores[:, 0] = -torch.inf  # the padding item
        if seen is not None:
            hidden = seen[(seen[:, 0] >= start) & (seen[:, 0] < start + len(portion))]
            scores[hidden[:, 0] - start, hidden[:, 1]] = -torch.inf
        parts.append(best(scores, k, dataset.id2token(dataset.uid_field, portion), tokens))
    return pd.concat(parts, ignore_index=True)


def user_ids(dataset: Dataset, users: str | Sequence[str]) -> np.ndarray:
    """Internal ids of these users, or of `all`; UserError where one is unknown."""
    field = dataset.uid_field
    if isinstance(users, str):
        if users == "all":
            return np.arange(1, dataset.user_num)
        users = parse_strings(users)
    if not isinstance(users, Iterable):
        raise UserError(f"users is {users!r}: give a list of ids as in the .inter file, or `all`.")
    users = list(users)
    known = dataset.field2token_id[field]
    unknown = [str(user) for user in users if str(user) not in known]
    if unknown or not len(users):
        first = ", ".join(unknown[:3]) or "(none asked for)"
        raise UserError(
            f"The data set {dataset.dataset_name} has no user {first}: "
            "give ids as in its .inter file, or `all`."
        )
    return np.array([known[str(user)] for user in users])


def seen_items(datasets: Sequence[Dataset], ids: np.ndarray) -> torch.Tensor:
    """(position in `ids`, item) of every interaction of these users, [n, 2]."""
    user, item = (
        np.concatenate([np.asarray(dataset.inter_feat[getattr(dataset, field)]) for dataset in datasets])
        for field in ("uid_field", "iid_field")
    )
    order = np.argsort(ids, kind="stable")
    first, last = (np.searchsorted(ids[order], user, side) for side in ("left", "right"))
    times = last - first  # a user may be asked for twice
    offset = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    position = order[np.repeat(first, times) + offset]
    return torch.from_numpy(np.stack([position, np.repeat(item, times)], 1))


@torch.no_grad()
def scores_of(
    model: AbstractRecommender, dataset: Dataset, users: np.ndarray, vectors: torch.Tensor | None
) -> torch.Tensor:
    """Scores [n_users, n_items + n_new] on the CPU; `vectors` [n_new, d] are those of new items."""
    device = next(model.parameters(), torch.empty(0)).device
    asked = dataset.join(Interaction({dataset.uid_field: torch.as_tensor(users)})).to(device)
    try:
        scores = model.full_sort_predict(asked)
    except NotImplementedError:
        items = dataset.get_item_feature().to(device)
        pairs = asked.repeat_interleave(dataset.item_num)
        pairs.update(items.repeat(len(users)))
        scores = model.predict(pairs)
    scores = scores.view(len(users), -1)
    if vectors is not None:
        scores = torch.cat([scores, model.embeddings()[0][asked[dataset.uid_field]] @ vectors.T], 1)
    return scores.float().cpu()


def best(scores: torch.Tensor, k: int, users: np.ndarray, tokens: np.ndarray) -> pd.DataFrame:
    """The lists of these users [n_users] from their `scores` [n_users, n_items + n_new].

    `tokens`: the items' ids.  Items with a score of minus infinity are left out.
    """
    values, items = scores.topk(min(k, scores.shape[1]))
    finite = values > -torch.inf
    row, column = (part.numpy() for part in finite.nonzero(as_tuple=True))
    listed = tokens[items[finite].numpy()]
    return pd.DataFrame(
        dict(zip(COLUMNS, (np.asarray(users)[row], column + 1, listed, values[finite].numpy()), strict=True))
    )


def read_new_items(folder: str | Path, dataset: Dataset) -> NewItems:
    """The items in a folder's feature files (`*.<modality>.parquet`) that the data set does not have.

    Raises UserError where there are none, or where a file is damaged or has an item twice.
    """
    known = dataset.field2token_id[dataset.iid_field]
    columns = (ID_COLUMN, f"{dataset.iid_field}:token")
    try:
        files = [FeatureFile(path, modality, columns) for path, modality in feature_files(Path(folder))]
        listed = {token for file in files for ids in file.ids() for token in ids.to_pylist()}
        tokens = sorted(token for token in listed if token not in known)
        joined = {file.modality: join(file, ItemIndex(tokens)) for file in files}
    except DataError as error:
        raise UserError(str(error)) from error
    if not tokens:
        raise UserError(f"{folder} has no feature file (*.<modality>.parquet) with items that are new.")
    features = {
        modality: Modality(torch.from_numpy(found.values), torch.from_numpy(found.mask))
        for modality, found in joined.items()
        if found.mask.any()
    }
    return NewItems(tokens, features)


def feature_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, modality) of each feature file."""
    for path in sorted(folder.glob("*.*.parquet")):
        yield path, path.name.removesuffix(".parquet").rsplit(".", 1)[1]


def write(lists: pd.DataFrame, path: str | Path) -> None:
    """Write what `recommend` returns as `.csv`, or as `.json` with one entry per user."""
    path = Path(path)
    if path.suffix == ".csv":
        lists.to_csv(path, index=False)
    elif path.suffix == ".json":
        entries = [
            {"user_id": user, "items": rows[["item_id", "score"]].to_dict("records")}
            for user, rows in lists.groupby("user_id", sort=False)
        ]
        path.write_text(json.dumps(entries, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    else:
        raise UserError(f"{path} is neither a .csv nor a .json file: choose one of the two.")


HELP = """\
usage: recbole-micro recommend --checkpoint=FILE [--users=ID,ID|all] [--topk=N] [--out=FILE]

The best items of each user that the user has no interaction with, with the data set's own ids.

  --checkpoint=FILE  the .pth file that training wrote
  --users=A,B        ids as in the .inter file, or all (the default)
  --topk=N           length of a list (default: 20)
  --out=FILE         a .csv or .json file (default: CSV on the screen)
  --new_items=DIR    also rank new items, those of the feature files DIR/*.<modality>.parquet (MICRO)
  --data_path=DIR    the folder that holds the data set's, if it has moved since the training
  --plugins=FILE     the Python file of a model of your own"""


def main(own: dict[str, str], k: int | None) -> int:
    """`recbole-micro recommend`: `own` are its arguments by name, `k` is `topk`; the exit code."""
    if "checkpoint" not in own:
        raise UserError("recommend needs a trained model: write --checkpoint=FILE.")
    out = own.get("out")
    if out and Path(out).suffix not in (".csv", ".json"):
        raise UserError(f"--out is {out}: choose a .csv or a .json file.")
    if out and not Path(out).parent.is_dir():
        raise UserError(f"There is no folder {Path(out).parent} for --out={out}: make it first.")
    user_models.load(own.get("plugins"))
    source = load_data_and_model(own["checkpoint"], own.get("data_path"), log=False)
    new = read_new_items(own["new_items"], source.dataset) if "new_items" in own else None
    lists = recommend(source, own.get("users", "all"), k or 20, new_items=new)
    if out:
        write(lists, out)
    else:
        lists.to_csv(sys.stdout, index=False)
    return 0
