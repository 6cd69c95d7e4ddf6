"""Items that were not in the data: their vectors are those that the same items have inside it."""

import numpy as np
import pytest
import torch

from recbole_micro import Config
from recbole_micro.errors import UserError
from recbole_micro.models.new_items import encode_new_items
from recbole_micro.nn.graph import Graph, normalize
from recbole_micro.nn.knn import knn
from recbole_micro.training.experiment import build
from tests.support.tiny import write_dataset

KNOWN, NEW, CLUSTERS, USERS, K = 36, 5, 3, 12, 4
OPTIONS = {"gpu_id": "", "show_progress": False, "state": "ERROR", "embedding_size": 24, "knn_k": K}


def features() -> dict[str, np.ndarray]:
    """[KNOWN + NEW, width] per modality: known items crowd around their cluster, each new one lies off it.

    So no known item has a new one among its neighbours, in the raw and in identically transformed features.
    """
    generator = np.random.default_rng(0)
    cluster = np.arange(KNOWN + NEW) % CLUSTERS
    result = {}
    for modality, width in (("textual", CLUSTERS + NEW), ("visual", CLUSTERS + NEW + 2)):
        values = np.eye(width)[cluster] + 0.05 * generator.standard_normal((KNOWN + NEW, width))
        values[KNOWN:, CLUSTERS : CLUSTERS + NEW] += np.eye(NEW)
        result[modality] = values.astype(np.float32)
    return result


def write(folder, items: int):
    """A data set with the first `items` items; the users like known ones only."""
    generator = np.random.default_rng(1)
    likes = [(u, i) for u in range(USERS) for i in generator.choice(KNOWN, 9, replace=False)]
    parts = {"train": likes, "valid": likes[::9], "test": likes[4::9]}
    write_dataset(folder, "few", parts, items, {m: values[:items] for m, values in features().items()})
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where the new items are unknown, and where they are in the data without an interaction."""
    made = tmp_path_factory.mktemp("new")
    return write(made / "without", KNOWN), write(made / "with", KNOWN + NEW)


def model_of(folder, **more):
    torch.manual_seed(3)
    config = Config("MICRO", "few", config_dict={**OPTIONS, "data_path": str(folder), **more})
    built = build(config)
    trainer, train_data = built.trainer, built.train_data
    return trainer.model, train_data._dataset


def ids(dataset, numbers) -> torch.Tensor:
    return torch.as_tensor(dataset.token2id("item_id", [f"i{number}" for number in numbers]))


def pair(folders, **more):
    """The model that does not know the new items and the one that does, with the same parameters."""
    (unaware, few), (aware, all_items) = (model_of(folder, **more) for folder in folders)
    own = unaware.state_dict()
    for name, value in aware.state_dict().items():
        if "item_embedding" in name or name == "scoring.bias":
            own[name][ids(few, range(KNOWN))] = value[ids(all_items, range(KNOWN))]
        elif "user_embedding" in name:
            users = [f"u{number}" for number in range(USERS)]
            there = torch.as_tensor(all_items.token2id("user_id", users))
            own[name][torch.as_tensor(few.token2id("user_id", users))] = value[there]
        else:
            own[name] = value
    unaware.load_state_dict(own)
    for model in (unaware, aware):
        for graph in model.graphs.values():
            width = graph.raw.shape[1]
            graph.transform.weight.data = torch.eye(24, width)
            graph.transform.bias.data.zero_()
    return unaware.eval(), aware.eval(), ids(all_items, range(KNOWN, KNOWN + NEW))


def without_self_loops(graph: Graph, items: torch.Tensor) -> Graph:
    own = (graph.row == graph.col) & torch.isin(graph.row, items)
    keep = ~own
    return Graph.from_sorted(graph.row[keep].long(), graph.col[keep].long(), graph.val[keep], graph.shape)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"n_item_layers": 2},
        {"n_item_layers": 2, "item_input": "features", "lambda_coeff": 0.4},
        {"graph_learning": "off"},
        {"n_item_layers": 0, "item_input": "features"},
        {"item_view": "features"},
        {"clamp_negative": False, "cf_model": "MF"},
    ],
    ids=str,
)
def test_a_new_item_equals_the_same_item_inside_the_data_without_its_self_loop(folders, more):
    unaware, aware, new = pair(folders, cold_start=True, **more)
    assert unaware.n_items < aware.n_items
    for graph in aware.graphs.values():  # its transductive graphs without the new items' self-loops
        raw = without_self_loops(knn(graph.raw, mask=graph.mask, **graph.knn_options), new)
        known = raw.row.long()[torch.isin(raw.col.long(), new)]
        assert torch.isin(known, new).all()  # no known item has a new one as a neighbour
        graph.initial = normalize(raw, "symmetric")
        learned = without_self_loops(graph.learned(), new)
        graph.learned = lambda learned=learned: learned
    given = {modality: values[KNOWN:] for modality, values in features().items()}
    found = encode_new_items(unaware, given, k=K - 1)  # inside the data the item itself is one of K
    assert found.shape == (NEW, 25) and found[:, :-1].norm(dim=1).allclose(torch.ones(NEW))
    expected = aware.embeddings()[1][new]
    assert torch.allclose(found, expected, atol=2e-6)


def test_modalities_that_a_new_item_lacks_take_no_part(folders):
    unaware, _, _ = pair(folders)
    given = {modality: torch.tensor(values[KNOWN:]) for modality, values in features().items()}
    full = encode_new_items(unaware, given)
    given["visual"][1] = 0
    given["textual"][2] = 0
    given["textual"][3] = given["visual"][3] = 0
    partial = encode_new_items(unaware, given)
    only = {m: encode_new_items(unaware, {m: torch.tensor(features()[m][KNOWN:])}) for m in given}
    assert torch.allclose(partial[[0, 4]], full[[0, 4]])
    assert torch.allclose(partial[1], only["textual"][1])
    assert torch.allclose(partial[2], only["visual"][2])
    assert not partial[3].any()


def test_ids_of_new_items_are_used_nowhere(folders):
    unaware, _, _ = pair(folders)
    given = {modality: values[KNOWN:] for modality, values in features().items()}
    once = encode_new_items(unaware, given)
    alone = torch.cat(
        [encode_new_items(unaware, {m: v[i : i + 1] for m, v in given.items()}) for i in range(NEW)]
    )
    assert torch.allclose(once, alone)  # nor do they see each other


@pytest.mark.parametrize(
    "given, words",
    [
        ({"audio": torch.ones(2, 3)}, "textual, visual.*audio"),
        ({}, "none"),
        ({"textual": torch.ones(2, 3)}, "textual features have 3 columns, the model's 8"),
        ({"textual": torch.ones(2, 8), "visual": torch.ones(3, 10)}, "different numbers of rows"),
        ({"textual": torch.full((2, 8), torch.nan)}, "NaN"),
    ],
)
def test_features_that_do_not_fit_are_refused(folders, given, words):
    with pytest.raises(UserError, match=words):
        encode_new_items(pair(folders)[0], given)


def test_models_without_an_item_graph_say_so(folders):
    bare, _ = model_of(folders[0], knn_k=0)
    with pytest.raises(UserError, match="MICRO cannot encode new items"):
        encode_new_items(bare, {"textual": torch.ones(1, 8)})
