"""What a training takes of memory, from the sizes of the data and the options, before anything is made.

A model of the plugin says what it keeps by class methods (`DescribesMemory`); RecBole's own are estimated by
what they have in common.  All figures are bytes unless they say otherwise.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset

from recbole_micro.data import features
from recbole_micro.nn.candidates import EXACT_UP_TO, POINTS, number_of_lists
from recbole_micro.nn.graph import Graph, histories

FLOAT, DOUBLE, ID = 4, 8, 8
Parts = tuple[dict[str, int], dict[str, int]]  # what stays, what passes: bytes by part
STATES = {"adam": 2, "adamw": 2, "sparse_adam": 2, "adagrad": 1, "rmsprop": 1}  # numbers kept per weight
SCORE_COPIES = 3  # of a batch's scores: they, RecBole's matrix of positives, and what the top k takes
EDGE, EDGE_MAKING = 24, 64  # of an edge: in a graph, and while one is made (measured)
WORKING = 32 << 20  # what any training takes: buffers of libraries, gaps between blocks (measured)
# RecBole's closed forms: dense matrices of all pairs of items that are there at the peak, of 4 bytes.
PAIRS_OF_ITEMS = {"EASE": 9, "ADMMSLIM": 9}
# RecBole's models whose weights and batches are rows of all items: the widths of their layers.
AUTOENCODERS = {
    "MultiDAE": "mlp_hidden_size", "MultiVAE": "mlp_hidden_size", "RaCT": "mlp_hidden_size",
    "MacridVAE": "encoder_hidden_size", "RecVAE": "hidden_dimension", "CDAE": "embedding_size",
    "DiffRec": "dims_dnn", "LDiffRec": "dims_dnn",
}  # fmt: skip
WIDTHS = ("embedding_size", "latent_dim", "mf_embedding_size", "ui_embedding_size", "user_embedding_size")


class Sizes:
    """The sizes of a data set that memory depends on: users, items (padding included), interactions, widths.

    `widths`: of the features of each modality.  `dataset`: of the training interactions.
    """

    def __init__(self, config: RecBoleConfig, dataset: Dataset, with_features: bool):
        self.dataset = dataset
        self.n_users, self.n_items = dataset.user_num, dataset.item_num
        self.n_interactions = len(dataset.inter_feat)
        self.widths = features.widths(config, dataset) if with_features else {}

    @property
    def n_nodes(self) -> int:
        """Users and items."""
        return self.n_users + self.n_items

    def chosen(self, config: Mapping[str, Any]) -> dict[str, int]:
        """The widths of the modalities that the options choose."""
        return {m: w for m, w in self.widths.items() if m in (config["modalities"] or self.widths)}

    def user_item_graph(self, share: float = 1.0) -> int:
        """A graph of users and items with `share` of the interactions in both directions."""
        return Graph.n_bytes(round(2 * share * self.n_interactions), self.n_nodes, self.n_nodes)

    def item_graph(self, k: int) -> int:
        """A graph of every item's k neighbours."""
        return Graph.n_bytes(self.n_items * min(k, self.n_items), self.n_items, self.n_items)

    @cached_property
    def histories(self) -> Graph:
        """Who has what: the training interactions, [n_users, n_items]."""
        matrix = self.dataset.inter_matrix(form="coo")
        rows, cols = (torch.from_numpy(np.asarray(side)).long() for side in (matrix.row, matrix.col))
        return histories(rows, cols, self.n_users, self.n_items)


class DescribesMemory:
    """What a multimodal model says of its memory, from sizes and options alone (mix-in of its class)."""

    score_copies = SCORE_COPIES  # of a batch's scores in the evaluation

    @classmethod
    def memory(cls, config: Mapping[str, Any], sizes: Sizes) -> Parts:
        """What stays and what passes in a training, by part, in bytes (`models.memory` adds the optimiser).

        What an option takes that a model has (`knn_k`, `n_item_layers`, `freeze_features`) is counted here; a
        model says the rest in `n_embeddings`, `n_feature_weights`, `graph_sizes`, `n_step`.
        """
        n_embeddings, n_maps = cls.n_embeddings(config, sizes), cls.n_feature_weights(config, sizes)
        graphs, of_items = cls.graph_sizes(config, sizes), sum(sizes.chosen(config).values()) * sizes.n_items
        if config["freeze_features"] is False:  # a copy that is trained
            n_maps += of_items
        stay = {
            "features": FLOAT * of_items + len(sizes.chosen(config)) * sizes.n_items,
            "interactions": 2 * ID * sizes.n_interactions,
            "embeddings": FLOAT * n_embeddings,
            "weights of features": FLOAT * n_maps,
            **graphs,
        }
        largest = max(graphs.values(), default=0)
        passing = {
            "making of graphs": largest * EDGE_MAKING // EDGE,
            "neighbour search": cls.neighbour_search(config, sizes),
            "training batch": FLOAT * cls.n_step(config, sizes),
            "evaluation batch": of_scores(config, cls.score_copies) + FLOAT * cls.n_forward(config, sizes),
        }
        return stay, passing

    @classmethod
    def n_embeddings(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        """How many weights the tables of users and items have."""
        return sizes.n_nodes * config["embedding_size"]

    @classmethod
    def n_feature_weights(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        """How many weights the linear maps of the features have."""
        return sum(width + 1 for width in sizes.chosen(config).values()) * config["embedding_size"]

    @classmethod
    def graph_sizes(cls, config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
        """The bytes of the graphs by part: of users and items, of the items' neighbours in each modality."""
        k = config["knn_k"] or 0
        k = sum(k.get(m, 10) if isinstance(k, dict) else k for m in sizes.chosen(config))
        return {"user-item graph": sizes.user_item_graph(), "item graphs": k and sizes.item_graph(k)}

    @classmethod
    def neighbour_search(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        """The bytes that the search for neighbours takes while it lasts."""
        if not config["knn_k"]:
            return 0
        widest = max(sizes.chosen(config).values())
        faiss = 0
        if (
            config["knn_backend"] == "faiss" and sizes.n_items > EXACT_UP_TO
        ):  # its vectors, and those it learns
            learned = 2 * POINTS * number_of_lists(sizes.n_items)
            faiss = sizes.n_items * (FLOAT * widest + ID) + FLOAT * widest * learned
        return round(config["knn_memory"] * 2**20) + faiss

    @classmethod
    def n_step(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        """How many numbers a step computes and keeps for its backward pass, but for the batch's own."""
        layers = config["n_item_layers"] or 0
        views = 3 * (layers + 1) * len(sizes.chosen(config)) * sizes.n_items
        return (6 * sizes.n_nodes + views) * config["embedding_size"]

    @classmethod
    def n_forward(cls, config: Mapping[str, Any], sizes: Sizes) -> int:
        """How many numbers all vectors of users and items take while they are computed for an evaluation."""
        return cls.n_step(config, sizes) // 2


def sampled_graph(config: Mapping[str, Any], sizes: Sizes) -> dict[str, int]:
    """The graph of the edges that an epoch keeps, where it leaves some out."""
    dropped = config["edge_dropout"]
    return {"sampled edges": sizes.user_item_graph(1 - dropped)} if dropped else {}


class Estimate:
    """The peak of a training: parts that stay, and passing ones, of which one is there at a time."""

    def __init__(self, stay: Mapping[str, int], passing: Mapping[str, int]):
        self.stay = {part: size for part, size in stay.items() if size}
        self.passing = {part: size for part, size in passing.items() if size}

    @property
    def total(self) -> int:
        """The sum of what stays and the greatest of what passes."""
        return sum(self.stay.values()) + max(self.passing.values(), default=0)

    @property
    def at_the_start(self) -> "Estimate":
        """What is there when the model has been made, before it is moved to its device and trained."""
        stay = {part: size for part, size in self.stay.items() if part not in ("gradients", "optimiser")}
        return Estimate(stay, {part: self.passing.get(part, 0) for part in ("neighbour search",)})

    @property
    def parts(self) -> dict[str, int]:
        """The parts of the total, the largest first."""
        together = dict(self.stay)
        if self.passing:
            greatest = max(self.passing, key=self.passing.__getitem__)
            together[greatest] = self.passing[greatest]
        return dict(sorted(together.items(), key=lambda part: -part[1]))


def estimate(model_class: type, config: Mapping[str, Any], sizes: Sizes) -> Estimate:
    """What a training of the model takes beside the data set, which is there already."""
    describe = getattr(model_class, "memory", None)
    stay, passing = describe(config, sizes) if describe else of_recbole(model_class.__name__, config, sizes)
    weights = sum(stay[part] for part in WEIGHTS if part in stay)
    stay["working memory"] = WORKING
    stay["gradients"] = weights
    stay["optimiser"] = weights * STATES.get(str(config["learner"] or "adam").lower(), 0)
    passing["training batch"] = passing.get("training batch", 0) + batch_rows(config)
    # At the end the best state is read: weights and the optimiser's state, beside those that are there.
    passing["best state"] = weights + stay["optimiser"]
    return Estimate(stay, passing)


WEIGHTS = ("embeddings", "weights", "weights of features")  # the parts that are trained


def batch_rows(config: Mapping[str, Any]) -> int:
    """The vectors of a batch's users and items, with what is computed from them and the gradients."""
    width = next((config[name] for name in WIDTHS if isinstance(config[name], int)), 64)
    return (config["train_batch_size"] or 0) * width * 12 * FLOAT


def of_scores(config: Mapping[str, Any], copies: int = SCORE_COPIES) -> int:
    """A batch of scores in the evaluation and what is made of it."""
    return (config["eval_batch_size"] or 0) * copies * FLOAT


def of_recbole(name: str, config: Mapping[str, Any], sizes: Sizes) -> Parts:
    """What stays and what passes in one of RecBole's own models, as far as their kinds have it in common.

    Tables of users and items, the graph of both where there are layers on it, weights that are as wide as the
    items are many, closed forms.
    """
    size = next((config[width] for width in WIDTHS if isinstance(config[width], int)), 0)
    stay: dict[str, int] = {}
    passing: dict[str, int] = {"evaluation batch": of_scores(config)}
    if name in PAIRS_OF_ITEMS:
        stay["pairs of all items"] = PAIRS_OF_ITEMS[name] * FLOAT * sizes.n_items**2
    elif name in AUTOENCODERS:
        layers = config[AUTOENCODERS[name]]
        outer = layers[0] if isinstance(layers, list) else layers
        stay["weights"] = 2 * outer * sizes.n_items * FLOAT
        rows = 6 * sizes.n_items * FLOAT  # the input, its copies, the output, its softmax, their gradients
        passing["training batch"] = (config["train_batch_size"] or 0) * rows
        passing["evaluation batch"] += 2 * of_scores(config, 1)
    elif size:
        stay["embeddings"] = sizes.n_nodes * size * FLOAT
        if config["n_layers"]:
            # An index of 2 x 8 bytes and a weight per edge and direction, coalesced once.
            stay["user-item graph"] = 2 * sizes.n_interactions * (2 * ID + FLOAT)
            outputs = (int(config["n_layers"]) + 2) if isinstance(config["n_layers"], int) else 4
            passing["training batch"] = 3 * outputs * sizes.n_nodes * size * FLOAT
            passing["evaluation batch"] += outputs * sizes.n_nodes * size * FLOAT
    return stay, passing
