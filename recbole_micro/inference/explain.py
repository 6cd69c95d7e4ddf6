"""Why an item is recommended: its score taken apart by modality and by the items that it comes from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender

from recbole_micro.errors import UserError
from recbole_micro.inference.item_columns import ItemColumns
from recbole_micro.inference.recommend import scores_of
from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.score_parts import ScoreParts

TOLERANCE = 1e-4  # of the sum of the parts beside the model's own score, relative where that is above 1


@dataclass(frozen=True)
class Neighbour:
    """What one item adds to another one's score through one modality.

    `hops`: how many steps of the modality's graph lead there (0: the item itself).  `share`: in units of the
    score.  `chosen`: whether it is among the user's own training items.
    """

    modality: str
    item: str
    title: str
    hops: int
    share: float
    chosen: bool


@dataclass(frozen=True)
class Explanation:
    """The score of an item for a user: `collaborative` and the shares of all `neighbours` sum to `score`.

    `modalities`: the attention to each, of the item.  `neighbours`: those with the largest shares first.
    `note` says what the model cannot tell.
    """

    user: str
    item: str
    score: float
    collaborative: float
    modalities: dict[str, float]
    neighbours: list[Neighbour]
    title: str = ""
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What `explain --out F.json` writes."""
        known = asdict(self)
        return {name: known[name] for name in FIELDS}

    def through(self) -> dict[str, float]:
        """By modality, what all neighbours together add to the score."""
        total = dict.fromkeys([*self.modalities, *(one.modality for one in self.neighbours)], 0.0)
        for one in self.neighbours:
            total[one.modality] += one.share
        return total

    def by_choice(self) -> dict[str, list[Neighbour]]:
        """The neighbours under a heading for people: the user's own training items, then the others."""
        own = [one for one in self.neighbours if one.chosen]
        others = [one for one in self.neighbours if not one.chosen]
        found = {"Because of what this user chose": own, "Because of this item and others": others}
        return {heading: items for heading, items in found.items() if items}


FIELDS = ("user", "item", "score", "collaborative", "modalities", "neighbours")


class Explainer:
    """Explains the scores of one trained model; what all explanations need is computed once.

    `titles`: by item id; read from the data set's `.item` file where they are not given.
    """

    @torch.no_grad()
    def __init__(self, model: AbstractRecommender, dataset: Dataset, titles: Mapping[str, str] | None = None):
        self.model, self.dataset = model.eval(), dataset
        self.titles = ItemColumns(dataset).titles() if titles is None else titles
        self.parts = model.score_parts() if isinstance(model, MultimodalRecommender) else ScoreParts()

    @torch.no_grad()
    def explain(self, user: str, item: str) -> Explanation:
        """The score of this pair of original ids, taken apart.

        Raises UserError for an unknown id, and where the parts of a model of one's own do not sum to its
        score.
        """
        row, column = internal_id(self.dataset, "user", user), internal_id(self.dataset, "item", item)
        score = float(scores_of(self.model, self.dataset, np.array([row]), None)[0, column])
        user, item = str(user), str(item)
        title = self.titles.get(item, "")
        name = type(self.model).__name__
        if not self.parts.modalities:
            return Explanation(user, item, score, score, {}, [], title, self.nothing_more())
        collaborative = self.parts.collaborative(row, column)
        neighbours = self.neighbours(row, column)
        total = collaborative + sum(neighbour.share for neighbour in neighbours)
        if not abs(total - score) <= TOLERANCE * max(1.0, abs(score)):
            raise UserError(
                f"The parts of {name}'s score of {item} for {user} sum to {total:.6g}, but the score is "
                f"{score:.6g}: correct its score_parts()."
            )
        attention = {m: float(weight[column]) for m, weight in self.parts.attention.items()}
        return Explanation(user, item, total, collaborative, attention, neighbours, title)

    def nothing_more(self) -> str:
        """Why a model has the score alone."""
        name = type(self.model).__name__
        if isinstance(self.model, MultimodalRecommender):
            return f"{name} mixes features and who likes what before it scores: nothing can be told apart."
        return f"{name} reads no features: its score is one number."

    def neighbours(self, user: int, item: int) -> list[Neighbour]:
        """Every item that adds to this score, by modality; the largest shares first."""
        found: list[Neighbour] = []
        model, tokens = self.model, self.dataset.field2id_token[self.dataset.iid_field]
        chosen = set(model.train_item[model.train_user == user].tolist())
        for modality in self.parts.modalities:
            reached = self.parts.reached(modality, user, item)
            for j, hops, share in zip(*(part.tolist() for part in reached), strict=True):
                token = str(tokens[j])
                if share:
                    title = self.titles.get(token, "")
                    found.append(Neighbour(modality, token, title, hops, share, j in chosen))
        return sorted(found, key=lambda neighbour: -abs(neighbour.share))


def explain(model: AbstractRecommender, dataset: Dataset, user_id: str, item_id: str) -> Explanation:
    """Why `model` scores this item for this user as it does; for many pairs keep an `Explainer`.

    `model` and `dataset` as `load` returns them; original ids.  Raises UserError for unknown ids.
    """
    return Explainer(model, dataset).explain(user_id, item_id)


def internal_id(dataset: Dataset, kind: str, token: str) -> int:
    """The internal id of a `user` or an `item`; UserError where it is unknown."""
    known = dataset.field2token_id[{"user": dataset.uid_field, "item": dataset.iid_field}[kind]]
    found = int(known.get(str(token), 0))
    if not found:  # 0 is the padding
        raise UserError(
            f"The data set {dataset.dataset_name} has no {kind} {token}: give an id as in its .inter file."
        )
    return found
