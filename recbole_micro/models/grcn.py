"""GRCN: Graph-Refined Convolutional Network for Multimedia Recommendation (Wei et al., ACM MM 2020)."""

from collections.abc import Mapping
from typing import Any

import torch
from recbole.data.interaction import Interaction
from torch import Tensor, nn
from torch.nn import functional as F

from recbole_micro.data.features import Modality
from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory import Sizes
from recbole_micro.nn import losses
from recbole_micro.nn.graph import Graph, bipartite, both_ways
from recbole_micro.nn.ops import edge_dot, edge_softmax, propagate
from recbole_micro.nn.transform import FeatureTransform

ROUTING_STEPS = 3
LAYERS = 2


class Channel(FeatureTransform):
    """What one modality says: a representation of every node, and how much each edge is worth to its target.

    Edges of items without the modality take no part.
    """

    def __init__(self, modality: Modality, n_users: int, size: int):
        super().__init__(modality, size)
        self.preference = nn.Embedding(n_users, size)

    def forward(self, graph: Graph, user_graph: Graph, routing_steps: int) -> tuple[Tensor, Tensor]:
        """Representations x + sum_j a_ij x_j [n_users + n_items, size] and attentions a [n_edges] of `graph`.

        Before, in every routing step, p_u <- norm(p_u + sum_i softmax_i(p_u . f~_i) f~_i) on `user_graph`
        [n_users, n_items].
        """
        item = F.normalize(F.leaky_relu(self.transformed()), dim=-1)
        user = F.normalize(self.preference.weight, dim=-1)
        present = self.mask[user_graph.col]
        for _ in range(routing_steps):
            share = edge_softmax(user_graph, edge_dot(user_graph, user, item), present)
            user = F.normalize(user + propagate(user_graph.with_values(share), item), dim=-1)
        x = torch.cat([user, item])
        logits = both_ways(user_graph, edge_dot(user_graph, user, item))
        share = edge_softmax(graph, logits, both_ways(user_graph, present))
        return x + propagate(graph.with_values(share), x), share


class GRCN(MultimodalRecommender):
    r"""ID embeddings on a graph whose edges the modalities weigh, beside the modalities' own channels.

    .. math::
        w_e = \text{relu}(\max_m a^m_e c_{source(e), m}), \quad
        z_l = \sum_{j} w_{ij} z_{l-1, j}, \quad z_0 = \text{norm}(id), \quad
        x = [z_0 + z_1 + z_2 ; rep^1 ; \dots ; rep^M], \quad
        \mathcal L = \mathcal L_{BPR} + \text{reg} (\overline{id_u^2 + id_i^2} + \sum_m \overline{p_u^2})

    :math:`a^m` is an attention over a target's neighbours after three routing steps of the user
    preferences p; c is a trainable confidence.  In the published code the routing changes nothing
    (`route: none`).  Every step attends over all edges, several times for each modality: an epoch costs
    about five of MICRO's at the same batch size.  Options and their defaults: `properties/model/GRCN.yaml`.
    """

    loss_names = ("BPR", "L2")
    ranks_cold_items = True

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        parts = len(sizes.chosen(config))
        of_nodes = sizes.n_nodes * (config["embedding_size"] + parts)
        return of_nodes + parts * sizes.n_users * config["embedding_size"]

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        both = Graph.n_bytes(sizes.n_interactions, sizes.n_users, sizes.n_items)
        return {"user-item graph": sizes.user_item_graph() + both}

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        parts, edges = len(sizes.chosen(config)), 2 * sizes.n_interactions
        vectors = (12 * parts + 10) * sizes.n_nodes * config["embedding_size"]
        return vectors + 16 * parts * edges  # what each edge is worth, in every routing step

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        size = config["embedding_size"]
        self.reg_weight, self.prune = config["reg_weight"], config["prune"]
        self.graph = bipartite(self.train_user, self.train_item, self.n_users, self.n_items)
        edges = self.train_user, self.train_item, torch.ones(len(self.train_user))
        self.user_graph = Graph.from_edges(*edges, (self.n_users, self.n_items))
        self.routing_steps = ROUTING_STEPS if config["route"] == "users" else 0
        self.id_embedding = nn.Embedding(self.n_users + self.n_items, size)
        self.channels = nn.ModuleList(Channel(m, self.n_users, size) for m in self.modalities.values())
        self.confidence = nn.Embedding(self.n_users + self.n_items, len(self.channels))
        self.xavier_normal()

    def forward(self) -> tuple[Tensor, Tensor]:
        graphs = self.graph, self.user_graph
        said = [channel(*graphs, self.routing_steps) for channel in self.channels]
        attention = torch.stack([share for _, share in said], 1)  # [n_edges, n_modalities]
        confidence = self.confidence.weight.index_select(0, self.graph.col)
        weight = attention * confidence
        if self.prune:
            weight = weight.amax(1).relu()
        else:  # a modality that the item lacks has the weight 0, which is above another's negative one
            edges = self.user_graph
            known = torch.stack([both_ways(edges, channel.mask[edges.col]) for channel in self.channels], 1)
            weight = weight.masked_fill(~known, -torch.inf).amax(1).masked_fill(~known.any(1), 0.0)
        refined = self.graph.with_values(weight)
        z = F.normalize(self.id_embedding.weight, dim=-1)
        total = z
        for _ in range(LAYERS):
            z = propagate(refined, z)
            total = total + z
        sizes = [self.n_users, self.n_items]
        user, item = total.split(sizes)
        total = torch.cat([user, self.without_cold(item)])
        return torch.cat([total, *(rep for rep, _ in said)], 1).split(sizes)

    def calculate_loss(self, interaction: Interaction) -> tuple[Tensor, Tensor]:
        users, positives, negatives = self.batch(interaction)
        user, item = self.forward()
        items = self.n_users + torch.cat([positives, negatives])
        preferences = [channel.preference(users) for channel in self.channels]
        reg = losses.mean_squares(self.id_embedding(users), self.id_embedding(items), *preferences)
        return self.bpr_loss(user[users], item[positives], item[negatives]), self.reg_weight * reg
