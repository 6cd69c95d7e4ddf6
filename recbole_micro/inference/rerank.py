"""Lists that trade some of the score for variety, and what that costs on the test set."""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn import functional as F

from recbole_micro.data import features
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError, hint
from recbole_micro.evaluation.protocol import masked_parts
from recbole_micro.inference.given_results import Given, evaluate_given
from recbole_micro.inference.item_columns import ItemColumns
from recbole_micro.inference.recommend import Ranker
from recbole_micro.inference.similar import spaces
from recbole_micro.models.base import MultimodalRecommender

POOL = 100  # the best items of a user, among which a list is chosen, where it is not longer
CATEGORIES = ("genre", "genres", "class", "category", "categories", "tag")
GROUPS = 20  # of similar items, where there is no column of categories
SMOOTHING = 0.01  # of a list's distribution by the user's, or the divergence could be infinite (Steck, 2018)


class Pool(NamedTuple):
    """The best items of some users, [n_users, P]: ids, and scores from 0 to 1 (minus infinity: no item)."""

    items: Tensor
    relevance: Tensor


class Rerank:
    """Chooses a list item by item: the next one has the greatest (1 - w) score + w variety.

    Scores are scaled to 0..1 among a user's `POOL` best items.  `diversity`: w.  `similarity` is behind the
    variety of MMR, and is what a list's similarity is measured by.  `name` says what it is for people.
    """

    name: str

    def __init__(self, source: tuple, diversity: float):
        _, self.model, self.dataset, *_ = source
        self.diversity = diversity
        self.spaces = compared_by(source)

    def __call__(self, users: np.ndarray, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Scores and items [n_users, k] of these users (internal ids) with `scores` [n_users, n_items]."""
        size = min(max(POOL, k), scores.shape[1])
        values, items = scores.topk(size)
        low = torch.where(values > -torch.inf, values, torch.inf).amin(1, keepdim=True)
        span = (values[:, :1] - low).clamp(min=1e-12)
        pool = Pool(items, torch.where(values > -torch.inf, (values - low) / span, -torch.inf))
        self.begin(users, pool)
        left = pool.relevance.clone()
        chosen: list[Tensor] = []
        kept: list[Tensor] = []
        for _ in range(min(k, size)):
            worth = (1 - self.diversity) * left + self.diversity * self.variety(chosen)
            pick = worth.masked_fill(left == -torch.inf, -torch.inf).argmax(1, keepdim=True)
            chosen.append(pick)
            over = left.gather(1, pick) == -torch.inf  # the user has no item left
            kept.append(values.gather(1, pick).masked_fill(over, -torch.inf))
            left.scatter_(1, pick, -torch.inf)
        return torch.cat(kept, 1), items.gather(1, torch.cat(chosen, 1))

    def begin(self, users: np.ndarray, pool: Pool) -> None:
        """What has to be known of the pools of these users before the first item is chosen."""
        raise NotImplementedError

    def variety(self, chosen: list[Tensor]) -> Tensor:
        """What each item of the pools adds after those `chosen` (places [n_users, 1] each), [n_users, P]."""
        raise NotImplementedError

    def similarity(self, items: Tensor) -> Tensor:
        """Cosines of the features of these items [n], [n, n]: the mean over the modalities that both have."""
        total = torch.zeros(len(items), len(items))
        both = torch.zeros_like(total)
        for space in self.spaces:
            rows, there = space.values[items.to(space.values.device)], space.mask[items.to(space.mask.device)]
            unit = F.normalize(rows.float(), dim=1) * there[:, None]
            total += (unit @ unit.T).cpu()
            both += (there[:, None] & there).cpu()
        return total / both.clamp(min=1)


def compared_by(source: tuple) -> list[Modality]:
    """What items are alike by: the data set's features, or where it has none the model's own vectors.

    A model that reads no features is measured by them as well, so that lists of two models can be compared.
    UserError where there are neither.
    """
    config, model, dataset, train_data, *_ = source
    if isinstance(model, MultimodalRecommender):
        return [*model.modalities.values()]
    if features.find(Path(config["data_path"]), dataset.dataset_name):
        return [*features.load(asked_for(config), train_data._dataset).values()]
    return [*spaces(model, dataset).values()]


def asked_for(config: RecBoleConfig, **options: Any) -> RecBoleConfig:
    """A copy of a configuration, with these options."""
    copied = copy.copy(config)
    copied.final_config_dict = {**config.final_config_dict, **options}
    return copied


class MMR(Rerank):
    """Variety is how unlike an item is to the most similar one before it (Carbonell and Goldstein, 1998).

    https://doi.org/10.1145/290941.291025
    """

    name = "mmr"

    def begin(self, users: np.ndarray, pool: Pool) -> None:
        self.alike = torch.stack([self.similarity(items) for items in pool.items])  # [n_users, P, P]
        self.nearest = torch.zeros(pool.items.shape)

    def variety(self, chosen: list[Tensor]) -> Tensor:
        if chosen:
            last = chosen[-1][:, :, None].expand(-1, 1, self.alike.shape[2])
            alike = self.alike.gather(1, last)[:, 0]
            self.nearest = alike if len(chosen) == 1 else torch.maximum(self.nearest, alike)
        return -self.nearest


class Calibrated(Rerank):
    """Variety is how little a list's categories then differ from those of what the user chose (Steck, 2018).

    The Kullback-Leibler divergence of the list's distribution from the user's, less; both are means over
    items whose own categories share a weight of 1.  https://doi.org/10.1145/3240323.3240372
    """

    def __init__(self, source: tuple, diversity: float, column: str | None = None):
        super().__init__(source, diversity)
        _, _, _, train_data, *_ = source
        self.train = train_data._dataset
        column = column or category_column(self.dataset)
        self.categories = categories(self.dataset, column) if column else self.groups()
        by = column or f"{self.categories.shape[1]} groups of items with similar features"
        self.name = f"calibrated by {by}"
        user = torch.as_tensor(np.asarray(self.train.inter_feat[self.train.uid_field]))
        item = torch.as_tensor(np.asarray(self.train.inter_feat[self.train.iid_field]))
        tastes = torch.zeros(self.dataset.user_num, self.categories.shape[1])
        tastes.index_add_(0, user, self.categories[item])
        self.tastes = F.normalize(tastes, p=1, dim=1)

    def groups(self) -> Tensor:
        """Groups of items whose features are alike, in place of categories, [n_items, GROUPS]."""
        unit = torch.cat([F.normalize(s.values.float(), dim=1) * s.mask[:, None] for s in self.spaces], 1)
        there = torch.stack([space.mask for space in self.spaces]).any(0).cpu()
        n_groups = min(GROUPS, int(there.sum()))
        found = MiniBatchKMeans(n_groups, random_state=0, n_init=3).fit_predict(unit.cpu()[there].numpy())
        result = torch.zeros(len(there), n_groups)
        result[there.nonzero()[:, 0], torch.from_numpy(found).long()] = 1
        return result

    def begin(self, users: np.ndarray, pool: Pool) -> None:
        self.taste = self.tastes[torch.as_tensor(users)][:, None]  # [n_users, 1, n_categories]
        self.shares = self.categories[pool.items]  # [n_users, P, n_categories]
        self.held = torch.zeros_like(self.taste)

    def variety(self, chosen: list[Tensor]) -> Tensor:
        if chosen:
            last = chosen[-1][:, :, None].expand(-1, 1, self.shares.shape[2])
            self.held = self.held + self.shares.gather(1, last)
        listed = F.normalize(self.held + self.shares, p=1, dim=2)
        listed = (1 - SMOOTHING) * listed + SMOOTHING * self.taste
        ratio = self.taste / listed.clamp(min=1e-12)
        return -(self.taste * ratio.clamp(min=1e-12).log()).sum(2)


def category_column(dataset: Dataset) -> str | None:
    """The first of `CATEGORIES` among the columns of the data set's `.item` file, if any is."""
    names = ItemColumns(dataset).names
    return next((name for name in CATEGORIES if name in names), None)


def categories(dataset: Dataset, column: str) -> Tensor:
    """The categories of every item, which share a weight of 1, [n_items, n_categories].

    `column` of the `.item` file; UserError where there is none of that name.
    """
    table = ItemColumns(dataset)
    if column not in table.names:
        known = ", ".join(table.names) or "none"
        raise UserError(
            f"--categories is {column!r}, but the columns of {table.path} are {known}"
            f"{hint(column, table.names, '.')}"
        )
    known = dataset.field2token_id[dataset.iid_field]
    words = {known[item]: text.split() for item, text in table.rows(column) if item in known}
    distinct = sorted({word for listed in words.values() for word in listed})
    names = {name: place for place, name in enumerate(distinct)}
    result = torch.zeros(dataset.item_num, max(1, len(names)))
    for item, listed in words.items():
        for word in listed:
            result[item, names[word]] = 1 / len(listed)
    return result


class Price(NamedTuple):
    """Lists before and after: Recall and NDCG, the share of all items that any list has, their similarity."""

    recall: float
    ndcg: float
    coverage: float
    similarity: float


def price(source: tuple, rerank: Rerank, k: int) -> tuple[Price, Price] | None:
    """What the lists of the test users are worth without and with `rerank`; None where nothing is tested."""
    config, _, dataset, train_data, _, test_data = source
    if not test_data or not hasattr(test_data, "uid_list"):
        return None
    masked = masked_parts(test_data._sampler, getattr(test_data, "protocol", "recbole"))
    users = np.asarray(test_data.uid_list)
    asked = asked_for(config, metrics=["Recall", "NDCG"], topk=[k])
    found = []
    for how in (None, rerank):
        ranker = Ranker(source, False, rerank=how)
        ranker.hide(masked)
        lists = pd.concat(ranker.lists(users, k), ignore_index=True)
        item = dataset.token2id(dataset.iid_field, lists["item_id"].to_numpy())
        user = dataset.token2id(dataset.uid_field, lists["user_id"].to_numpy())
        given = Given(user, item, -lists["rank"].to_numpy(dtype=float), dataset.item_num, True)
        metrics = evaluate_given(given, asked, train_data, test_data).metrics
        coverage = len(np.unique(item)) / (dataset.item_num - 1)
        alike = [within(rerank.similarity(torch.as_tensor(part))) for part in np.split(item, starts(user))]
        found.append(Price(metrics[f"recall@{k}"], metrics[f"ndcg@{k}"], coverage, float(np.nanmean(alike))))
    return found[0], found[1]


def starts(user: np.ndarray) -> np.ndarray:
    """Where in the lists another user's begins."""
    return np.flatnonzero(np.diff(user)) + 1


def within(alike: Tensor) -> float:
    """The mean similarity of two different items of a list; NaN where it has one."""
    n = len(alike)
    return float((alike.sum() - alike.diagonal().sum()) / (n * (n - 1))) if n > 1 else float("nan")
