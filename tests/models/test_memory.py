"""What a training takes of memory: the estimate beside real tensors."""

import pytest
import torch

from recbole_micro.models import memory
from recbole_micro.models.mmgcn import Channel
from recbole_micro.models.registry import MODELS
from recbole_micro.nn.graph import Graph
from recbole_micro.options.config import Config

OPTIONS = {
    "MICRO": {"cf_model": "NGCF", "freeze_features": False},
    "MMGCN": {"latent": 3},
    "VBPR": {"use_bias": False},
}


def sizes_of(bench, config):
    return memory.Sizes(config, bench.data, with_features=True)


def estimated(bench, name, **options):
    given = {"embedding_size": 7, "modalities": ["visual", "textual"], **options}
    config = Config(name, "world", config_dict=bench.world.config(**given))
    return config, memory.estimate(config.model_class, config, sizes_of(bench, config))


def tensors(value, seen):
    """The distinct tensors in an attribute of a model."""
    if torch.is_tensor(value):
        seen[value.data_ptr(), value.shape] = value
    elif isinstance(value, Graph):
        tensors(vars(value), seen)
    elif isinstance(value, dict):
        for part in value.values():
            tensors(part, seen)
    elif isinstance(value, (list, tuple)):
        for part in value:
            tensors(part, seen)
    return seen


def large_weights(model):
    """Tables of users and items and maps of features with their biases: not what is as wide as d alone."""
    widths = {part.values.shape[1] for part in model.modalities.values()}
    large = {model.n_users, model.n_items, model.n_users + model.n_items, *widths, sum(widths)}
    found = {}
    for module in model.modules():
        own = list(module.parameters(recurse=False))
        if any(large.intersection(p.shape) for p in own):
            found.update({id(p): p for p in own})
        if isinstance(module, Channel):  # of MMGCN, whose first layer may be as wide as the features
            found.update({id(p): p for p in module.layers[0].parameters()})
    return list(found.values())


def n_bytes(value):
    return sum(tensor.nbytes for tensor in tensors(value, {}).values())


@pytest.mark.parametrize("options", [{}, "others"], ids=["defaults", "others"])
@pytest.mark.parametrize("name", MODELS)
def test_weights_features_and_optimiser_are_those_of_the_model(bench, name, options):
    options = OPTIONS.get(name, {}) if options else {}
    config, estimate = estimated(bench, name, **options)
    model = bench.model(name, **{"embedding_size": 7, **options}).float()
    counted = large_weights(model)
    stay = estimate.stay
    weights = sum(stay.get(part, 0) for part in memory.WEIGHTS)
    assert weights == sum(p.nbytes for p in counted)
    assert stay.get("features") == n_bytes(model.modalities)
    optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config["learner"]](model.parameters())
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    states = [part for p in counted for part in optimizer.state[p].values() if part.shape == p.shape]
    assert stay.get("optimiser", 0) == sum(part.nbytes for part in states)
    assert stay.get("gradients", 0) == sum(p.grad.nbytes for p in counted)


@pytest.mark.parametrize("name", MODELS)
def test_graphs_are_not_larger_than_estimated(bench, name):
    _, estimate = estimated(bench, name)
    model = bench.model(name, embedding_size=7).float()
    begin = getattr(model, "start_epoch", None)
    if name != "EASEKNN":  # whose solution is estimated by itself
        begin()
    held = {}
    for module in model.modules():
        for key, value in vars(module).items():
            if not key.startswith("_") and key != "modalities":
                tensors(value, held)
    features = {part.values.data_ptr() for part in model.modalities.values()}
    real = sum(tensor.nbytes for (place, _), tensor in held.items() if place not in features)
    stay = dict(estimate.stay)
    for part in ("working memory", "features", "gradients", "optimiser", *memory.WEIGHTS, "pairs of items"):
        stay.pop(part, None)
    assert real <= 1.2 * sum(stay.values()) + 4096  # presence of modalities and the like


def test_the_bytes_of_a_graph():
    generator = torch.Generator().manual_seed(0)
    row, col = (torch.randint(high, (50,), generator=generator) for high in (9, 12))
    graph = Graph.from_edges(row, col, torch.ones(50), (9, 12))
    assert graph.row is not None and graph.t_val is not None  # kept from their first use on
    assert Graph.n_bytes(len(graph.col), 9, 12) == n_bytes(graph)
