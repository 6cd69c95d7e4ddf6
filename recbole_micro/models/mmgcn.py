"""MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation (Wei et al., ACM MM 2019)."""

from collections.abc import Mapping
from typing import Any

import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory import Sizes
from recbole_micro.nn import losses
from recbole_micro.nn.device import HoldsTensors
from recbole_micro.nn.graph import Graph, bipartite, normalize
from recbole_micro.nn.ops import propagate
from recbole_micro.nn.transform import FeatureTransform

LAYERS = 3


class Layer(nn.Module):
    """x <- leaky(Linear([h ; x^])), or leaky(Linear(h) + x^), of width `size`.

    h = leaky(mean over the neighbours of x W), x^ = leaky(Linear(x)) + id.
    """

    def __init__(self, width: int, size: int, concat: bool):
        super().__init__()
        self.concat = concat
        self.message = nn.Linear(width, width, bias=False)
        self.own = nn.Linear(width, size)
        self.join = nn.Linear(width + size if concat else width, size)

    def forward(self, graph: Graph, x: Tensor, ids: Tensor) -> Tensor:
        h = F.leaky_relu(propagate(graph, self.message(x)))
        own = F.leaky_relu(self.own(x)) + ids
        if self.concat:
            return F.leaky_relu(self.join(torch.cat([h, own], 1)))
        return F.leaky_relu(self.join(h) + own)


class Channel(HoldsTensors):
    """One modality's users and items, [n_users + n_items, size], from x0 = norm([p_u ; f~_i]).

    Features wider than `latent` go through a linear map to that width (0: never).
    """

    def __init__(self, modality: Modality, n_users: int, size: int, latent: int, concat: bool):
        super().__init__()
        width = modality.values.shape[1]
        if 0 < latent < width:
            self.features, width = FeatureTransform(modality, latent), latent
        else:
            self.values = modality.values
        self.preference = nn.Embedding(n_users, width)
        widths = [width] + [size] * LAYERS
        self.layers = nn.ModuleList(Layer(before, size, concat) for before in widths[:LAYERS])

    def forward(self, graph: Graph, ids: Tensor) -> Tensor:
        items = self.features() if hasattr(self, "features") else self.values
        x = F.normalize(torch.cat([self.preference.weight, items]), dim=-1)
        for layer in self.layers:
            x = layer(graph, x, ids)
        return x


class MMGCN(MultimodalRecommender):
    r"""One graph convolution network per modality on the user-item graph; their mean scores by dot product.

    .. math::
        x^{(0)} = \text{norm}([p_u ; \tilde f_i]), \quad
        h = \text{leaky}(\text{mean}_{j \in N} W x_j), \quad \hat x = \text{leaky}(W_1 x) + id, \quad
        x \leftarrow \text{leaky}(W_2 [h ; \hat x]), \quad
        \mathcal L = \mathcal L_{BPR} + \text{reg} (\overline{id_u^2 + id_i^2} + \overline{p^2})

    The ID table is shared by all modalities; p of the first one is regularised.  The published code
    trains neither (`train_id: false`).  Every step takes all users and items through layers as wide as the
    features, so an epoch costs several of MICRO's.
    Options and their defaults: `properties/model/MMGCN.yaml`.
    """

    loss_names = ("BPR", "L2")
    ranks_cold_items = True

    @classmethod
    def inner_widths(cls, config: Mapping[str, Any], sizes: Sizes) -> list[int]:
        """The width of each modality on the graph: its own, or `latent` where that is smaller."""
        latent = config["latent"]
        return [latent if 0 < latent < width else width for width in sizes.chosen(config).values()]

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        own = sum(cls.inner_widths(config, sizes))
        return sizes.n_nodes * config["embedding_size"] + sizes.n_users * own

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        size, total = config["embedding_size"], 0
        for width, inner in zip(sizes.chosen(config).values(), cls.inner_widths(config, sizes), strict=True):
            total += (width + 1) * inner if inner < width else 0
            total += inner * inner + (inner + 1) * size  # the first layer's message, and its own part
            total += (inner + size * config["concat"] + 1) * size
        return total

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        return {"user-item graph": sizes.user_item_graph()}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        size = config["embedding_size"]
        return sizes.n_nodes * sum(7 * inner + 22 * size for inner in cls.inner_widths(config, sizes))

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.reg_weight = config["reg_weight"]
        bare = bipartite(self.train_user, self.train_item, self.n_users, self.n_items)
        self.graph = normalize(bare, "mean")
        self.id_embedding = nn.Embedding(self.n_users + self.n_items, size)
        self.channels = nn.ModuleList(
            Channel(modality, self.n_users, size, config["latent"], config["concat"])
            for modality in self.modalities.values()
        )
        if self.missing == "zero" and not any(hasattr(channel, "features") for channel in self.channels):
            raise UserError(
                "missing=zero would change nothing: to MMGCN with features no wider than latent a row of "
                "zeros and no row are the same.  Leave it out, or set missing=mean or missing=neighbours."
            )
        self.xavier_normal()
        for table in (self.id_embedding, *(channel.preference for channel in self.channels)):
            table.weight.requires_grad_(config["train_id"])

    def forward(self) -> tuple[Tensor, Tensor]:
        user, item = self.id_embedding.weight.split([self.n_users, self.n_items])
        ids = torch.cat([user, self.without_cold(item)])
        mean = sum(channel(self.graph, ids) for channel in self.channels) / len(self.channels)
        user, item = torch.split(mean, [self.n_users, self.n_items])
        return user, item

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        users, positives, negatives = self.batch(interaction)
        user, item = self.forward()
        items = self.n_users + torch.cat([positives, negatives])
        tables = self.id_embedding(users), self.id_embedding(items), self.channels[0].preference.weight
        reg = losses.mean_squares(*tables)
        return self.bpr_loss(user[users], item[positives], item[negatives]), self.reg_weight * reg
