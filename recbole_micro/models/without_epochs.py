"""What models without epochs share: histories, neighbours, scores by users."""

from collections.abc import Mapping
from typing import Any

import torch
from recbole.utils import ModelType
from torch import Tensor, nn

from recbole_micro.data.features import Modality
from recbole_micro.models.base import MultimodalRecommender, search_options
from recbole_micro.models.memory import Sizes
from recbole_micro.nn.graph import Graph, histories, take_rows
from recbole_micro.nn.knn import other_items

_SCORES_AT_ONCE = 1 << 24  # of pairs that need whole rows of scores


class WithoutEpochs(MultimodalRecommender):
    """A recommender that learns nothing by steps: scores from the users' training items.

    A model defines `scores(users [n]) -> [n, n_items]`.  RecBole gives it one epoch with a loss of 0.
    """

    type = ModelType.TRADITIONAL
    loss_names = ("nothing",)
    score_copies = 6  # histories, their products, sums

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return 0

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return 0

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        return 0

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        graphs = super().graph_sizes(config, sizes)
        graphs["user-item graph"] = Graph.n_bytes(sizes.n_interactions, sizes.n_users, sizes.n_items)
        return graphs

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.unused = nn.Parameter(torch.zeros(1))  # an optimiser wants one
        self.histories = histories(self.train_user, self.train_item, self.n_users, self.n_items)

    def neighbours(self, config, modality: str) -> Graph:
        """The `knn_k` most similar items of every item, itself not among them, [n_items, n_items]."""
        return other_items(self.modalities[modality], config["knn_k"], **search_options(config))

    def scores(self, users: Tensor) -> Tensor:
        """Scores of all items for these users, [n, n_items]."""
        raise NotImplementedError

    def spaces(self) -> dict[str, Modality]:
        return dict(self.modalities)

    @torch.no_grad()
    def score_of(self, user: int, item: int) -> float:
        """The score of one pair."""
        return float(self.scores(torch.tensor([user], device=self.unused.device))[0, item])

    def items_of(self, users: Tensor) -> Graph:
        """The training items of these users, [n, n_items] of ones."""
        return take_rows(self.histories, users)

    def calculate_loss(self, interaction) -> tuple[Tensor]:
        return (0 * self.unused.sum(),)

    @torch.no_grad()
    def predict(self, interaction) -> Tensor:
        """Scores of the user-item pairs, [batch] (RecBole hook)."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        distinct, place = torch.unique(users, return_inverse=True)
        result = self.unused.new_empty(len(users))
        height = max(1, _SCORES_AT_ONCE // self.n_items)
        for start in range(0, len(distinct), height):
            here = (place >= start) & (place < start + height)
            scores = self.scores(distinct[start : start + height])
            result[here] = scores[place[here] - start, items[here]]
        return result

    @torch.no_grad()
    def full_sort_predict(self, interaction) -> Tensor:
        """Scores of all items for each user, [batch * n_items] (RecBole hook)."""
        return self.scores(interaction[self.USER_ID]).reshape(-1)
