"""Top-k lists with original ids from a checkpoint, with new items among them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from recbole_micro.models.new_items import encode_new_items, nearest_known
from recbole_micro.nn.graph import Graph
from recbole_micro.options.values import parse_strings
from recbole_micro.training.loading import OTHER_INPUTS, Loaded, load_data_and_model

USERS_AT_ONCE = 256
PARTS = ("train", "valid", "test")
COLUMNS = ["user_id", "rank", "item_id", "score"]
# Of users (internal ids) with scores [n_users, n_items]: the scores and items [n_users, k] of their lists.
Choice = Callable[[np.ndarray, torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]]


class NewItems(NamedTuple):
    """Items that the data set does not have: ids and features, `Modality(values [n, d_m], mask [n])`."""

    tokens: list[str]
    features: dict[str, Modality]


def recommend(
    source: str | Path | Loaded,
    users: str | Sequence[str] = "all",
    k: int = 20,
    exclude_seen: bool | Sequence[str] = True,
    new_items: NewItems | None = None,
    items: Collection[str] | None = None,
) -> pd.DataFrame:
    """The `k` best items of each user, best first: columns user_id, rank (from 1), item_id, score.

    `source`: a checkpoint, or what `load` returns for one.  `users`: ids, or `all`.  `exclude_seen` leaves
    out every item of a user's training, validation and test interactions, or of those of the parts that it
    names (`PARTS`).  `new_items` (MICRO) are ranked
    among the others.  `items`: ids of those that may be listed (default: all).  Raises UserError for unknown
    users and for features that do not fit the model.
    """
    if not isinstance(source, tuple):
        source = load_data_and_model(source, log=False)
    ids = user_ids(source[2], users)  # RecBole's plain tuple does as well
    ranker = Ranker(source, exclude_seen, new_items)
    if items is not None:
        ranker.only(np.isin(ranker.tokens, list(items)))
    return pd.concat(ranker.lists(ids, k), ignore_index=True)


class Ranker:
    """Makes top-k lists from a loaded checkpoint, some users at a time.

    `tokens`: ids of what is ranked, [n_items + n_new] with the padding first.  `hide` and `only` say what no
    list may have: a user's items in some interactions, and whatever is not allowed.
    """

    def __init__(
        self,
        source: tuple,
        exclude_seen: bool | Sequence[str] = True,
        new_items: NewItems | None = None,
        rerank: Choice | None = None,
    ):
        _, self.model, self.dataset, *loaders = source
        check_kind(self.model)
        self.model.eval()
        self.tokens = np.asarray(self.dataset.field2id_token[self.dataset.iid_field], dtype=object)
        self.choose = rerank or largest
        self.vectors = self.near = None
        if new_items is not None:
            self.vectors = encode_new_items(self.model, new_items.features)
            self.near = nearest_known(self.model, new_items.features)
            self.tokens = np.concatenate([self.tokens, np.array(new_items.tokens, dtype=object)])
        parts = PARTS if exclude_seen is True else exclude_seen or ()
        self.hide([loaders[PARTS.index(part)]._dataset for part in parts])
        self.only(np.ones(len(self.tokens), dtype=bool))

    def hide(self, datasets: Sequence[Dataset]) -> None:
        """Leave out the items of a user's interactions in these data sets."""
        empty = np.empty(0, dtype=np.int64)
        user, item = (
            np.concatenate([empty, *(np.asarray(one.inter_feat[getattr(one, field)]) for one in datasets)])
            for field in ("uid_field", "iid_field")
        )
        self.seen = ByUser(user, item)

    def only(self, allowed: np.ndarray) -> None:
        """Rank these items alone, bool [n_items + n_new]; UserError where there is none."""
        self.allowed = torch.from_numpy(allowed).clone()
        self.allowed[0] = False  # the padding item
        if not self.allowed.any():
            raise UserError("No item is left to recommend: allow more of them.")

    def scores(self, ids: np.ndarray) -> torch.Tensor:
        """Scores [n_users, n_items + n_new], minus infinity for what these users may not get."""
        scores = scores_of(self.model, self.dataset, ids, self.vectors, self.near)
        scores[:, ~self.allowed] = -torch.inf
        row, place = self.seen.rows(ids)
        scores[row, self.seen.item[place]] = -torch.inf
        return scores

    def lists(self, ids: np.ndarray, k: int) -> Iterator[pd.DataFrame]:
        """The lists of these users (internal ids), `USERS_AT_ONCE` at a time; columns as of `recommend`."""
        if k < 1:
            raise UserError(f"k is {k}: ask for at least 1 item.")
        for start in range(0, len(ids), USERS_AT_ONCE):
            portion = ids[start : start + USERS_AT_ONCE]
            values, items = self.choose(portion, self.scores(portion), k)
            names = self.dataset.id2token(self.dataset.uid_field, portion)
            yield as_lists(values, items, names, self.tokens)


class ByUser:
    """Pairs of users and items (internal ids, [n_pairs] each), found by user.

    `order`: where a pair stood in the arguments; `item`: its item.
    """

    def __init__(self, user: np.ndarray, item: np.ndarray):
        order = np.argsort(user, kind="stable")
        self.user = user[order]
        self.order, self.item = torch.from_numpy(order), torch.from_numpy(item[order])

    def rows(self, users: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Of every pair of these users [n_users]: the user's place there, and the pair's place in `item`."""
        start, end = (np.searchsorted(self.user, users, side) for side in ("left", "right"))
        count = torch.from_numpy(end - start)
        row = torch.repeat_interleave(torch.arange(len(users)), count)
        shift = torch.from_numpy(start) - (count.cumsum(0) - count)
        return row, torch.arange(len(row)) + torch.repeat_interleave(shift, count)


def check_kind(model: AbstractRecommender) -> None:
    """Raise UserError for the kinds of model whose scores need more than a user and an item."""
    if model.type in OTHER_INPUTS:
        name, needs = type(model).__name__, OTHER_INPUTS[model.type]
        raise UserError(
            f"{name} scores {needs} rather than a user and an item, which is not served here: take a "
            "general, context-aware or knowledge-based model."
        )


def user_ids(dataset: Dataset, users: str | Sequence[str]) -> np.ndarray:
    """Internal ids of these users, or of `all`; UserError where one is unknown."""
    ids, unknown = known_users(dataset, users)
    if unknown or not len(ids):
        first = ", ".join(unknown[:3]) or "(none asked for)"
        raise UserError(
            f"The data set {dataset.dataset_name} has no user {first}: "
            "give ids as in its .inter file, or `all`."
        )
    return ids


def known_users(dataset: Dataset, users: str | Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Internal ids of those of these users, or of `all`, that the data set has; the ids of the others."""
    if isinstance(users, str):
        if users == "all":
            return np.arange(1, dataset.user_num), []
        users = parse_strings(users)
    if not isinstance(users, Iterable):
        raise UserError(f"users is {users!r}: give a list of ids as in the .inter file, or `all`.")
    users = list(users)
    known, padding = dataset.field2token_id[dataset.uid_field], "[PAD]"
    there = [str(user) in known and user != padding for user in users]
    ids = [known[str(user)] for user, found in zip(users, there, strict=True) if found]
    return np.array(ids, dtype=int), [str(u) for u, found in zip(users, there, strict=True) if not found]


@torch.no_grad()
def scores_of(
    model: AbstractRecommender,
    dataset: Dataset,
    users: np.ndarray,
    vectors: torch.Tensor | None,
    near: Mapping[str, Graph] | None = None,
) -> torch.Tensor:
    """Scores [n_users, n_items + n_new] on the CPU.

    `vectors` [n_new, d] are those of new items, `near` the known items near them (`nearest_known`).
    """
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
        rows = asked[dataset.uid_field]
        added = model.embeddings()[0][rows] @ vectors.T
        scores = torch.cat([scores, added if near is None else added + model.walk.of_new(rows, near)], 1)
    return scores.float().cpu()


def largest(users: np.ndarray, scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `k` largest scores and their items, [n_users, k]."""
    return scores.topk(min(k, scores.shape[1]))


def as_lists(
    values: torch.Tensor, items: torch.Tensor, users: np.ndarray, tokens: np.ndarray
) -> pd.DataFrame:
    """The lists of these users [n_users] from scores and items [n_users, k] in their order.

    `tokens`: the items' ids.  Items with a score of minus infinity are left out.
    """
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
