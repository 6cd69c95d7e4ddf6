"""What every multimodal model shares: aligned features, training interactions, epochs, cached scores."""

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_micro import features, losses
from recbole_micro.backbones import HoldsTensors


class MultimodalRecommender(HoldsTensors, GeneralRecommender):
    """A recommender whose score is the dot product of a user and an item embedding.

    A model defines `__init__`, `forward() -> (user_embeddings [n_users, D], item_embeddings [n_items, D])` and
    `calculate_loss(interaction)`, which takes its ids from `batch(interaction)` and returns one loss, or a tuple of
    losses named by `loss_names`.
    `self.modalities` maps each modality to its `Modality(values [n_items, d_m], mask [n_items])`; tensors, graphs and
    dictionaries of them kept as plain attributes follow the model to its device.  `start_epoch()` is the place for
    whatever is drawn or rebuilt once an epoch.
    """

    input_type = InputType.PAIRWISE
    loss_names: tuple[str, ...] = ()

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        self.modalities = features.load(config, dataset)
        interactions = dataset.inter_matrix(form="coo")
        self.train_user = torch.from_numpy(interactions.row).long()
        self.train_item = torch.from_numpy(interactions.col).long()
        self.dynamic_negatives = bool(config["train_neg_sample_args"].get("dynamic"))
        self.stepped = True
        self.cache = None

    def start_epoch(self) -> None:
        """Called once before the first batch of each epoch."""

    def train(self, mode: bool = True):
        """RecBole's Trainer calls this at the start of every epoch; cached embeddings are stale from here on.

        RecBole's dynamic negative sampling also calls `eval()` and `train()` around every batch: those calls come
        after a training step and out of evaluation mode, an epoch's first does not.
        """
        if mode:
            new_epoch = self.training or not self.stepped or not getattr(self, "dynamic_negatives", False)
            super().train()
            self.cache, self.stepped = None, False
            if new_epoch:
                self.start_epoch()
            return self
        self.cache = None
        return super().train(False)

    def load_state_dict(self, state_dict, strict: bool = True, assign: bool = False):
        self.cache = None
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def batch(self, interaction) -> tuple[Tensor, Tensor, Tensor]:
        """Users, positive items and negative items of a training batch, [batch] each."""
        self.stepped = True
        return interaction[self.USER_ID], interaction[self.ITEM_ID], interaction[self.NEG_ITEM_ID]

    def bpr_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """BPR of the dot products of the batch's vectors, [batch, D] each."""
        return losses.bpr((user * positive).sum(-1), (user * negative).sum(-1))

    @torch.no_grad()
    def embeddings(self) -> tuple[Tensor, Tensor]:
        """User [n_users, D] and item [n_items, D] embeddings for scoring, computed once an evaluation."""
        if self.training:
            return self.forward()
        if self.cache is None:
            self.cache = tuple(part.detach() for part in self.forward())
        return self.cache

    def predict(self, interaction) -> Tensor:
        """Scores of the user-item pairs, [batch] (RecBole hook)."""
        user, item = self.embeddings()
        return (user[interaction[self.USER_ID]] * item[interaction[self.ITEM_ID]]).sum(-1)

    def full_sort_predict(self, interaction) -> Tensor:
        """Scores of all items for each user, [batch * n_items] (RecBole hook)."""
        user, item = self.embeddings()
        return (user[interaction[self.USER_ID]] @ item.T).view(-1)
