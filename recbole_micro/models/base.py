"""What every multimodal model shares: aligned features, training interactions, epochs, cached scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_micro.data import features
from recbole_micro.data.array_cache import FOLDER, ArrayCache
from recbole_micro.data.cold_items import without_ids
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.models import memory_check
from recbole_micro.models.memory import FLOAT, DescribesMemory, Parts, Sizes, sampled_graph
from recbole_micro.models.score_parts import ScoreParts, View
from recbole_micro.nn import losses
from recbole_micro.nn.backbones import BACKBONES, Backbone
from recbole_micro.nn.device import HoldsTensors
from recbole_micro.nn.fixed_graphs import frozen_graph, frozen_graphs, shares_of
from recbole_micro.nn.graph import Graph
from recbole_micro.nn.item_graph import ModalityGraph
from recbole_micro.nn.transform import FeatureTransform
from recbole_micro.nn.walk import Walk


class MultimodalRecommender(DescribesMemory, HoldsTensors, GeneralRecommender):
    """A recommender whose score is the dot product of a user and an item embedding.

    A model defines `__init__`, `forward() -> (user_embeddings [n_users, D], item_embeddings [n_items, D])`
    and `calculate_loss(interaction)`, which takes its ids from `batch(interaction)` and returns one loss, or
    a tuple of losses named by `loss_names`. `self.modalities` maps each modality to its `Modality(values
    [n_items, d_m], mask [n_items])`; tensors, graphs and dictionaries of them kept as plain attributes
    follow the model to its device.  The plugin's trainer calls `start_epoch()` before the first batch of
    every epoch: the place for whatever is drawn or rebuilt once an epoch.
    """

    input_type = InputType.PAIRWISE
    loss_names: tuple[str, ...] = ()
    # Whether the loss compares positive items with sampled ones; a function of the options where they decide.
    needs_negatives: bool | Callable[[Mapping[str, Any]], bool] = True
    # Whether a row of zeros is another thing to the model than no row; `missing: zero` is refused where not.
    tells_zeros = True
    # RecBole's
    n_users: int
    n_items: int
    USER_ID: str
    ITEM_ID: str
    NEG_ITEM_ID: str

    @cached_property
    def ranks_cold_items(self) -> bool:
        """Whether scores of items without training interactions mean anything.

        A model says so with `ranks_cold_items = True`, or with such a property where options decide.
        """
        return False

    @cached_property
    def repeats_steps(self) -> bool:
        """Whether, after the first of an epoch, every step of as many interactions is the same work.

        That is, the same operations on tensors of the same sizes, none of which waits for the device: on
        CUDA it is replayed as a graph then.
        """
        return False

    def __init__(self, config: RecBoleConfig, dataset: Dataset):
        super().__init__(config, dataset)
        memory_check.check(config, dataset, type(self))
        self.modalities = features.load(config, dataset)
        self.missing: str = config["missing"] or "mask"  # what items without a row of features have got
        interactions = dataset.inter_matrix(form="coo")
        self.train_user = torch.from_numpy(interactions.row).long()
        self.train_item = torch.from_numpy(interactions.col).long()
        self.cold = without_ids(config, dataset)
        self.choosing = False
        self.walk: Walk | None = None  # what scores have beside the dot products of `embeddings`
        # The embeddings of one evaluation, or those that negatives of one epoch are chosen by.
        self.cache: tuple[Tensor, Tensor] | None = None

    def start_epoch(self) -> None:
        """Called once an epoch, before its first batch; whoever trains without a trainer calls it.

        Processes that train together draw the same in it, such as a sample of the edges.
        """

    def prepare_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Called once with the trainer's optimiser: the place for hooks around its steps."""

    def train(self, mode: bool = True) -> "MultimodalRecommender":
        """RecBole's Trainer calls this at the start of every epoch; cached embeddings are stale from here on.

        Nothing is drawn here: RecBole also calls it on a copy of the model, before training.
        """
        if not self.choosing:
            self.cache = None
        return super().train(mode)

    @contextmanager
    def choosing_negatives(self) -> Iterator[None]:
        """While this is open, candidates for a batch's negatives are scored (RecBole's dynamic sampling).

        RecBole calls `eval()`, `predict` and `train()` for it in every batch.  Here the embeddings behind the
        scores are computed once an epoch, at its start: anew in every batch they would cost more than the
        training.
        """
        self.choosing = True
        try:
            yield
        finally:
            self.choosing = False

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        self.cache = None
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def batch(self, interaction: Interaction) -> tuple[Tensor, ...]:
        """Users, positive items and, where sampled, negative items of a training batch, [batch] each."""
        fields = self.USER_ID, self.ITEM_ID, self.NEG_ITEM_ID
        return tuple(interaction[field] for field in fields if field in interaction)

    def backbone_of(self, kind: str, size: int, **options: Any) -> Backbone:
        """MF, NGCF or LightGCN (`kind`) of width `size` on the training interactions."""
        return BACKBONES[kind](self.train_user, self.train_item, self.n_users, self.n_items, size, **options)

    def feature_transforms(self, config: RecBoleConfig) -> nn.ModuleList:
        """A linear map of each modality's features to `embedding_size`, in the order of the modalities."""
        size, frozen = config["embedding_size"], config["freeze_features"]
        return nn.ModuleList(FeatureTransform(part, size, frozen) for part in self.modalities.values())

    def frozen_item_graph(self, config: RecBoleConfig) -> Graph:
        """FREEDOM's fixed graph of the items over all modalities, [n_items, n_items] (`frozen_graph`)."""
        self.frozen_options = {"knn_k": config["knn_k"], **search_options(config)}
        weights = config["modality_weights"]
        self.frozen_shares = shares_of(self.modalities, weights)
        return frozen_graph(self.modalities, modality_weights=weights, **self.frozen_options)

    def frozen_views(self, source: Tensor, graph: Graph, hops: int) -> dict[str, View]:
        """By modality, what the frozen graph of that method adds to the items in `hops` steps from `source`.

        The modalities' own graphs are made anew: nothing but explanations asks for them.
        """
        parts, shares = frozen_graphs(self.modalities, **self.frozen_options), self.frozen_shares
        return {
            m: View(source, source.new_full((len(source),), shares[m]), part, hops, graph)
            for m, part in parts.items()
        }

    def xavier_normal(self) -> None:
        """Draw every weight matrix and table anew, Xavier normal."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.xavier_normal_(module.weight)

    def without_cold(self, vectors: Tensor, items: Tensor | None = None) -> Tensor:
        """ID parts [n, d] of these `items` [n], or of all, with zeros for cold ones: nothing trains these."""
        if self.cold is None:
            return vectors
        return vectors.masked_fill((self.cold if items is None else self.cold[items])[:, None], 0)

    def bpr_loss(self, user: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """BPR of the dot products of the batch's vectors, [batch, D] each."""
        return losses.bpr((user * positive).sum(-1), (user * negative).sum(-1))

    @torch.no_grad()
    def embeddings(self) -> tuple[Tensor, Tensor]:
        """User [n_users, D] and item [n_items, D] embeddings for scoring, computed once an evaluation."""
        if self.training:
            return self.forward()
        if self.cache is None:
            user, item = self.forward()
            self.cache = user.detach(), item.detach()
        return self.cache

    def score_parts(self) -> ScoreParts:
        """The scores taken apart, at evaluation; a model says here what comes from which modality."""
        return ScoreParts()

    @torch.no_grad()
    def spaces(self) -> dict[str, Modality]:
        """The items' vectors by name, in which items can be compared: features, and what was trained."""
        return {**self.modalities, "trained": of_all(self.embeddings()[1])}

    def predict(self, interaction: Interaction) -> Tensor:
        """Scores of the user-item pairs, [batch] (RecBole hook)."""
        user, item = self.embeddings()
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        scores = (user[users] * item[items]).sum(-1)
        if self.walk is None or self.choosing:  # negatives are chosen by what is trained
            return scores
        return scores + self.walk.of_pairs(users, items)

    def full_sort_predict(self, interaction: Interaction) -> Tensor:
        """Scores of all items for each user, [batch * n_items] (RecBole hook)."""
        user, item = self.embeddings()
        users = interaction[self.USER_ID]
        scores = user[users] @ item.T
        return (scores if self.walk is None else self.walk.add(scores, users)).view(-1)


class ItemGraphRecommender(MultimodalRecommender):
    """What MICRO and LATTICE share: a chosen backbone, options of the item graphs, the L2 term."""

    @classmethod
    def memory(cls, config: Mapping[str, Any], sizes: Sizes) -> Parts:
        """The learned graph is searched for within a step, and within an evaluation."""
        stay, passing = super().memory(config, sizes)
        if stay.get("learned item graphs"):
            for part in ("training batch", "evaluation batch"):
                passing[part] += passing["neighbour search"]
        return stay, passing

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        graphs = super().graph_sizes(config, sizes) | sampled_graph(config, sizes)
        if config["cf_model"] == "MF":
            graphs |= {"user-item graph": 0, "sampled edges": 0}
        if config["graph_learning"] != "off" and config["lambda_coeff"] < 1:
            # The last search, its weights with their gradients, and what it joins with the initial graph.
            features = len(sizes.chosen(config)) * sizes.n_items * config["embedding_size"] * FLOAT
            graphs["learned item graphs"] = 3 * graphs["item graphs"] + features
            count = config["learned_candidates"] or 0
            graphs["candidates"] = (
                len(sizes.chosen(config)) * sizes.n_items * min(count, sizes.n_items) * FLOAT
            )
        return graphs

    def __init__(self, config: RecBoleConfig, dataset: Dataset):
        super().__init__(config, dataset)
        self.n_item_layers = config["n_item_layers"]
        self.reg_weight, self.reg_on = config["reg_weight"], config["reg_on"]
        options = {}
        if config["cf_model"] != "MF":
            options = {"n_layers": config["n_ui_layers"]}
            options |= {name: config[name] for name in ("adjacency", "edge_dropout")}
        self.backbone = self.backbone_of(config["cf_model"], config["embedding_size"], **options)

    def modality_graph(self, config: RecBoleConfig, modality: str) -> ModalityGraph:
        """The item graph of one modality with the options of the configuration."""
        return ModalityGraph(
            self.modalities[modality],
            config["embedding_size"],
            knn_k=config["knn_k"],
            lambda_coeff=config["lambda_coeff"],
            graph_learning=config["graph_learning"],
            clamp_negative=config["clamp_negative"],
            freeze_features=config["freeze_features"],
            learned_candidates=candidates_of(config),
            **search_options(config),
        )

    @torch.no_grad()
    def spaces(self) -> dict[str, Modality]:
        found = super().spaces()
        for graph, (modality, part) in zip(self.item_graphs(), self.modalities.items(), strict=False):
            found[f"{modality}:learned"] = Modality(graph.transformed(), part.mask)
        found["collaborative"] = of_all(self.without_cold(self.backbone()[1]))
        return found

    def item_graphs(self) -> Sequence[ModalityGraph]:
        """The modalities' graphs in the order of the modalities; none where the model has none."""
        raise NotImplementedError

    def l2_loss(self, ids: Sequence[Tensor], vectors: Sequence[Tensor]) -> Tensor:
        """`reg_weight` times L2 of the batch's vectors, or of its ID embeddings (`reg_on`).

        Both are of users, positive and negative items: ids [batch], vectors [batch, d].
        """
        if not self.reg_weight:
            return vectors[0].new_zeros(())
        if self.reg_on == "ego":
            tables = self.backbone.user_embedding, self.backbone.item_embedding, self.backbone.item_embedding
            vectors = [table(index) for table, index in zip(tables, ids, strict=True)]
        return self.reg_weight * losses.l2(*vectors)


def search_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `knn` that options decide, for raw features: memory, backend, cache."""
    cache = ArrayCache(Path(config["data_path"]) / FOLDER) if config["graph_cache"] else None
    return {"memory": config["knn_memory"], "backend": config["knn_backend"], "cache": cache}


def candidates_of(config: Mapping[str, Any]) -> int:
    """`learned_candidates`; UserError where no graph is learned, or more neighbours are wanted than these."""
    count = config["learned_candidates"] or 0
    if count and (config["graph_learning"] == "off" or config["lambda_coeff"] == 1):
        raise UserError(
            "learned_candidates limits the learned graph, and graph_learning=off or lambda_coeff=1 learns "
            "none: leave it out."
        )
    if 0 < count < config["knn_k"]:
        raise UserError(
            f"learned_candidates is {count}, fewer than the {config['knn_k']} neighbours (knn_k) that are "
            "chosen from them: raise it, or set it to 0 for all items."
        )
    return count


def of_all(vectors: Tensor) -> Modality:
    """Vectors [n_items, d] that every item has but the padding, row 0."""
    mask = torch.ones(len(vectors), dtype=torch.bool, device=vectors.device)
    mask[0] = False
    return Modality(vectors, mask)
