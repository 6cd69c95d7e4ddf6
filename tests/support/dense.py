"""Dense float64 references: building blocks of the models' equations, and the comparison with a model."""

import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model
from torch.nn.functional import leaky_relu

import recbole_micro  # noqa: F401
from recbole_micro import Config
from tests.support import world as worlds

MODALITIES = ("visual", "textual", "audio")
LACKS_VISUAL, LACKS_ALL = 3, 5  # item numbers of the world
MISSING = {("visual", LACKS_VISUAL), *((modality, LACKS_ALL) for modality in MODALITIES)}


class Bench:
    """Models and batches on the world, where an item lacks one of three modalities and one lacks all."""

    def __init__(self, folder):
        self.world = worlds.build(folder, 0, MODALITIES, missing=MISSING)
        config = Config("MICRO", "world", config_dict=self.world.config())
        self.data = data_preparation(config, create_dataset(config))[0]._dataset

    def model(self, name, modalities=("visual", "textual"), **options):
        """A model in float64 with its own defaults and these options."""
        given = {"embedding_size": 6, **options, "modalities": list(modalities)}
        config = Config(name, "world", config_dict=self.world.config(**given))
        torch.manual_seed(0)
        return get_model(name)(config, self.data).double()

    def item(self, number):
        """The internal id of one of the world's items."""
        return int(self.data.token2id("item_id", f"i{number}"))

    def batch(self, model, n=12):
        """`n` training triples; the items that lack features are among them."""
        generator = torch.Generator().manual_seed(5)
        lacking = [self.item(LACKS_VISUAL), self.item(LACKS_ALL)]
        first = [(model.train_item == item).nonzero()[0, 0] for item in lacking]
        picks = torch.randperm(len(model.train_user), generator=generator)[: n - len(first)]
        picks = torch.cat([torch.stack(first), picks])
        negatives = torch.randint(1, model.n_items, (n,), generator=generator)
        negatives[-2:] = torch.tensor(lacking)
        users, items = model.train_user[picks], model.train_item[picks]
        return Interaction({"user_id": users, "item_id": items, "neg_item_id": negatives})


def knn_graph(x, mask, k, clamp=True):
    """Cosines of the k nearest of each row (itself first, lower index on ties), [n, n]; zeros elsewhere."""
    norm = x.norm(dim=1, keepdim=True)
    exists = (norm.squeeze(1) > 0) & mask
    unit = torch.where(exists[:, None], x / norm.clamp(min=1e-30), 0.0)
    cosine = (unit[:, None, :] * unit[None]).sum(-1)
    rank = cosine.detach().clone()
    rank[:, ~exists] = -torch.inf
    rank.fill_diagonal_(torch.inf)
    order = torch.sort(rank, dim=1, descending=True, stable=True).indices[:, :k]
    keep = torch.zeros_like(cosine).scatter(1, order, 1.0) * exists[:, None] * exists
    return (cosine.relu() if clamp else cosine) * keep


def symmetric(graph):
    """D^-1/2 A D^-1/2 with the row sums D."""
    degree = graph.sum(1)
    inverse = torch.where(degree > 0, degree.clamp(min=1e-12).rsqrt(), 0.0)
    return inverse[:, None] * graph * inverse


def frozen_graph(model, k, weights=None):
    """FREEDOM's item graph: neighbours with weight 1, each modality normalised, mixed; [n_items] squared."""
    named = weights or {"visual": 0.1, "textual": 0.9}
    weights = {m: named.get(m, 1 / len(model.modalities)) for m in model.modalities}
    graph = 0
    for name, (values, mask) in model.modalities.items():
        neighbours = (knn_graph(values, mask, k, clamp=False) != 0).double()
        graph = graph + weights[name] / sum(weights.values()) * symmetric(neighbours)
    return graph


def interactions(model):
    """R, [n_users, n_items] of zeros and ones."""
    r = torch.zeros(model.n_users, model.n_items, dtype=torch.float64)
    r[model.train_user, model.train_item] = 1
    return r


def normalized(a, how):
    """A square graph of zeros and ones, normalised by its degrees."""
    if how == "symmetric":
        return symmetric(a)
    if how == "mean_self_loop":
        a = a + torch.eye(len(a))
    degree = a.sum(1, keepdim=True)
    return torch.where(degree > 0, a / degree.clamp(min=1), 0.0)


def adjacency(model, how="symmetric"):
    """The normalised user-item graph, [n_users + n_items] squared."""
    n_users, n = model.n_users, model.n_users + model.n_items
    a = torch.zeros(n, n, dtype=torch.float64)
    a[:n_users, n_users:] = interactions(model)
    return normalized(a + a.T, how)


def ids(backbone):
    """The ID embeddings of users, then items."""
    return torch.cat([backbone.user_embedding.weight, backbone.item_embedding.weight])


def lightgcn_vectors(backbone, a, n_layers):
    """Mean of the ID embeddings and the layers of LightGCN on the graph `a`, users then items."""
    layers = [ids(backbone)]
    for _ in range(n_layers):
        layers.append(a @ layers[-1])
    return sum(layers) / len(layers)


def ngcf_vectors(backbone, a, n_layers):
    """Mean of the ID embeddings and the layers of NGCF on the graph `a`, users then items."""
    layers = [ids(backbone)]
    x = layers[0]
    for first, second in zip(backbone.sum_transform, backbone.product_transform, strict=True):
        side = a @ x
        x = leaky_relu(affine(first, side), 0.01) + leaky_relu(affine(second, x * side), 0.01)
        layers.append(unit(x))
    assert len(layers) == n_layers + 1
    return sum(layers) / len(layers)


def lightgcn(model, n_layers=2, how="symmetric"):
    """Users and items of LightGCN."""
    return lightgcn_vectors(model.backbone, adjacency(model, how), n_layers).split(
        [model.n_users, model.n_items]
    )


def ngcf(model, n_layers, how):
    """Users and items of NGCF."""
    return ngcf_vectors(model.backbone, adjacency(model, how), n_layers).split([model.n_users, model.n_items])


def batch_contrast(a, b, tau, known=None):
    """Mean over the known rows of -log of the own row's share in exp(cosine / tau) over all rows of b."""
    values = (unit(a) @ unit(b).T / tau).exp()
    values = -(values.diagonal() / values.sum(1)).log()
    return values.mean() if known is None else values[known].mean()


def unit(x):
    """Rows of length 1; a row of zeros stays."""
    length = x.norm(dim=1, keepdim=True)
    return torch.where(length > 0, x / length.clamp(min=1e-30), 0.0)


def affine(linear, x, mask=None):
    """W x + b by hand; zeros where the mask says that there is no x."""
    out = x @ linear.weight.T + (0 if linear.bias is None else linear.bias)
    return out if mask is None else torch.where(mask[:, None], out, 0.0)


def bpr(user, positive, negative):
    """-mean log sigmoid of the difference of two dot products."""
    return -((user * positive).sum(1) - (user * negative).sum(1)).sigmoid().log().mean()


def one_way_contrast(a, b, tau, among=None):
    """-log( e(a_i, b_i) / sum_j e(a_i, c_j) ) of every row, c = `among` or `b`, e = exp(cos / tau)."""
    similarity = unit(a) @ unit(b if among is None else among).T / tau
    return similarity.exp().sum(1).log() - (unit(a) * unit(b)).sum(1) / tau


def half_squares(*parts):
    """Half of the sum of squares."""
    return 0.5 * sum((part**2).sum() for part in parts)


def mean_squares_of_ids(model, batch):
    """Mean of the squares of the ID embeddings that a batch looks at, of a model with one table of them."""
    user, item = model.id_embedding.weight.split([model.n_users, model.n_items])
    items = (batch["item_id"], batch["neg_item_id"])
    return torch.stack([user[batch["user_id"]] ** 2 + item[i] ** 2 for i in items]).mean()


def agree(model, forward, losses, batch):
    """Assert that forward, every loss and every parameter's gradient equal those of the reference.

    `forward() -> (users, items)`, `losses(batch) -> tuple`, both from the parameters of `model`.
    """
    model.train()
    torch.manual_seed(3)
    vectors = model()
    torch.manual_seed(3)
    for ours, expected in zip(vectors, forward(), strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)
    model.start_epoch()
    torch.manual_seed(3)
    ours = model.calculate_loss(batch)
    torch.manual_seed(3)
    expected = losses(batch)
    assert len(ours) == len(expected) == len(model.loss_names)
    for got, value in zip(ours, expected, strict=True):
        assert got.item() == pytest.approx(value.item(), rel=1e-5, abs=1e-9)
    trained = [pair for pair in model.named_parameters() if pair[1].requires_grad]
    names, parameters = zip(*trained, strict=True)
    got = torch.autograd.grad(sum(ours), parameters, allow_unused=True, materialize_grads=True)
    expected = torch.autograd.grad(sum(expected), parameters, allow_unused=True, materialize_grads=True)
    for name, a, b in zip(names, got, expected, strict=True):
        assert torch.allclose(a, b, atol=1e-5 * max(1.0, float(b.abs().max()))), name
