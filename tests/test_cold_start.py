"""Cold start on the synthetic world and a split of it: split, negatives, masks, three rankings."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction

from dataset_tools.__main__ import main
from dataset_tools.dataset.reading import Dataset
from recbole_micro import Config, run
from recbole_micro.errors import UserError
from recbole_micro.evaluation import protocol
from recbole_micro.evaluation import ranking as ranking_module
from recbole_micro.models.base import WithoutEpochs
from recbole_micro.studies.worker import train_in
from recbole_micro.training.experiment import build
from tests import world
from tests.tiny import write_tiny

QUICK = {"topk": [5], "valid_metric": "Recall@5", "metric_decimal_place": 10, "embedding_size": 16}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The world, and `world-cold`: a quarter of its items are cold, half of them in the test set."""
    made = world.build(tmp_path_factory.mktemp("data"))
    folder = str(made.folder)
    assert main(["split", "world", "--cold", "0.25", "--seed", "3", "--data-path", folder]) == 0
    return made


def options(data, **more):
    return data.config(**QUICK, **more)


def loaders(data, model="BPR", name="world-cold", **more):
    config = Config(model, name, config_dict=options(data, **more))
    return config, *data_preparation(config, create_dataset(config))


def cold_by_hand(train_data, *others) -> set[int]:
    """Items of the other parts, or of no part, that training never shows."""
    dataset = train_data._dataset
    return set(range(1, dataset.item_num)) - set(dataset.inter_feat["item_id"].tolist())


def test_the_split_withholds_a_share_of_the_items(data):
    record = json.loads((data.folder / "world-cold" / "world-cold.cold.json").read_text())
    found = Dataset("world-cold", data.folder).interactions
    items = np.array(found.items)[found.item]
    assert len(record["valid"]) == len(record["test"]) == 12  # of 96
    cold = {*record["valid"], *record["test"]}
    assert len(cold) == 24
    assert not cold & set(items[found.part == 0])
    assert not set(record["valid"]) & set(items[found.part == 2])
    assert not set(record["test"]) & set(items[found.part == 1])
    assert set(items[found.part == 2]) - cold  # warm items are tested too
    assert len(found) == len(Dataset("world", data.folder).interactions)
    assert Dataset("world-cold", data.folder).modalities == ["textual", "visual"]


def test_keep_warm_leaves_all_other_interactions_in_training(data):
    command = ["split", "world", "--cold", "0.25", "--seed", "3", "--keep-warm", "--name", "world-kept"]
    assert main([*command, "--data-path", str(data.folder)]) == 0
    record = json.loads((data.folder / "world-kept" / "world-kept.cold.json").read_text())
    found = Dataset("world-kept", data.folder).interactions
    expected = {1: set(record["valid"]), 2: set(record["test"])}
    for part, cold in expected.items():
        assert set(np.array(found.items)[found.item[found.part == part]]) <= cold
    same = json.loads((data.folder / "world-cold" / "world-cold.cold.json").read_text())
    assert same["valid"] == record["valid"] and same["test"] == record["test"]


def test_another_split_of_a_cold_data_set_forgets_its_list(data):
    command = ["split", "world-cold", "--name", "world-again", "--data-path", str(data.folder)]
    assert main(command) == 0
    assert not (data.folder / "world-again" / "world-again.cold.json").exists()


SAMPLED = ["MICRO", "LATTICE", "VBPR", "MMGCN", "GRCN", "FREEDOM", "BM3", "MGCN", "SMORE", "GUME"]
BUILT_IN = ["BPR", "LightGCN", "NGCF", "NeuMF", "DMF", "SGL", "FISM", "LINE"]


@pytest.mark.parametrize("model", [*SAMPLED, *BUILT_IN])
@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_no_cold_item_is_ever_a_negative(data, model, distribution):
    sampling = {
        "distribution": distribution,
        "sample_num": 2,
        "alpha": 1.0,
        "dynamic": False,
        "candidate_num": 0,
    }
    config, train, *_ = loaders(data, model, train_neg_sample_args=sampling)
    cold = cold_by_hand(train)
    assert len(cold) >= 24
    seen = set()
    for _ in range(5):
        for batch in train:
            if "neg_item_id" in batch.interaction:
                seen |= set(batch["neg_item_id"].tolist())
            else:
                seen |= set(batch["item_id"][batch["label"] == 0].tolist())
    assert not seen & cold
    assert len(seen) > 0.9 * (train._dataset.item_num - 1 - len(cold))


def test_dynamic_negatives_are_warm_as_well_and_cost_one_forward_pass_an_epoch(data):
    sampling = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": True, "candidate_num": 4}
    config = Config(
        "MICRO", "world-cold", config_dict=options(data, train_neg_sample_args=sampling, train_batch_size=128)
    )
    built = build(config)
    trainer, train = built.trainer, built.train_data
    train.get_model(trainer.model)
    cold, passes, forward = cold_by_hand(train), [], trainer.model.forward
    trainer.model.forward = lambda: passes.append(1) or forward()
    seen = {item for batch in train for item in batch["neg_item_id"].tolist()}
    assert seen and not seen & cold
    assert len(train) > 1 and len(passes) == 1


def test_negatives_are_not_what_the_user_has(data):
    _, train, *_ = loaders(data)
    known = set(zip(*(train._dataset.inter_feat[f].tolist() for f in ("user_id", "item_id")), strict=True))
    for batch in train:
        assert not known & set(zip(batch["user_id"].tolist(), batch["neg_item_id"].tolist(), strict=True))


@pytest.mark.parametrize("more", [{"official_negatives": True}, {"cold_start": False}])
def test_the_official_negatives_are_all_items(data, more):
    _, train, *_ = loaders(data, **more)
    seen = {item for _ in range(8) for batch in train for item in batch["neg_item_id"].tolist()}
    assert len(seen & cold_by_hand(train)) > 20


def test_a_user_with_all_warm_items_is_refused(tmp_path):
    made = world.build(tmp_path)
    with open(made.folder / "world" / "world.train.inter", "a") as file:
        file.writelines(f"u0\ti{item}\n" for item in range(len(made.cluster)) if item not in made.withheld)
    with pytest.raises(UserError, match="1 user.*all 72 warm items"):
        loaders(made, name="world", cold_start=True)


def test_a_split_whose_cold_items_leak_into_training_is_refused(data, tmp_path):
    made = world.build(tmp_path)
    assert main(["split", "world", "--cold", "0.25", "--data-path", str(made.folder)]) == 0
    folder = made.folder / "world-cold"
    leaked = json.loads((folder / "world-cold.cold.json").read_text())["test"][0]
    with open(folder / "world-cold.train.inter", "a") as file:
        file.write(f"u0\t{leaked}\n")
    with pytest.raises(UserError, match=rf"1 cold item.*{leaked}.*dataset_tools split"):
        loaders(made)


def by_hand(trainer, parts, part: int, ranking: str, masked: list[int], k: int = 5) -> float:
    """Recall@k of a ranking by sorting."""
    known = []
    for loader in parts:
        rows = (loader._dataset.inter_feat[field].tolist() for field in ("user_id", "item_id"))
        known.append(list(zip(*rows, strict=True)))
    trained_users, trained = {u for u, _ in known[0]}, {i for _, i in known[0]}
    cold = set(range(1, parts[0]._dataset.item_num)) - trained
    candidates = {"all": trained | cold, "cold": cold, "warm": trained}[ranking]
    positives = {}
    for user, item in known[part]:
        if (item in cold) == (ranking != "warm") and (ranking != "warm" or user in trained_users):
            positives.setdefault(user, set()).add(item)
    user_vectors, item_vectors = trainer.model.eval().embeddings()
    values = []
    for user, liked in positives.items():
        hidden = {i for other in masked for u, i in known[other] if u == user} - liked
        scores = (user_vectors[user] @ item_vectors.T).tolist()
        ranked = sorted(candidates - hidden, key=lambda i: -scores[i])[:k]
        values.append(len(liked & set(ranked)) / len(liked))
    return float(np.mean(values))


@pytest.mark.parametrize("name, masked", [("recbole", [0, 1]), ("paper", [0])])
def test_three_rankings_equal_brute_force(data, name, masked):
    config = Config("MICRO", "world-cold", config_dict=options(data, protocol=name, eval_step=1, epochs=2))
    built = build(config)
    trainer, parts = built.trainer, built[2:5]
    trainer.fit(*parts[:2], saved=False)
    result = trainer.evaluate(parts[2], load_best_model=False)
    for ranking, front in (("all", ""), ("cold", "cold:"), ("warm", "warm:")):
        expected = by_hand(trainer, parts, 2, ranking, masked)
        assert result[f"{front}recall@5"] == pytest.approx(expected, abs=1e-9)
    assert len(result) == 9 and result.protocol == name
    other = {"recbole": "paper", "paper": "recbole"}[name]
    again = protocol.evaluate(trainer, parts[2], other)
    expected = by_hand(trainer, parts, 2, "all", [0] if other == "paper" else [0, 1])
    assert again["recall@5"] == pytest.approx(expected, abs=1e-9)
    assert trainer.evaluate(parts[2], load_best_model=False) == result


@pytest.mark.parametrize("ranking", ["all", "cold", "warm"])
def test_the_epoch_is_selected_by_the_chosen_ranking(data, ranking):
    config = Config(
        "MICRO", "world-cold", config_dict=options(data, cold_selection=ranking, epochs=1, eval_step=1)
    )
    built = build(config)
    trainer, parts = built.trainer, built[2:5]
    score, result = trainer.fit(*parts[:2], saved=False)
    assert score == pytest.approx(by_hand(trainer, parts, 1, ranking, [0]), abs=1e-9)
    assert ranking_module.WHAT[ranking] in str(result)


def test_a_model_that_cannot_rank_cold_items_is_reported_so(data, tmp_path):
    more = {"checkpoint_dir": str(tmp_path), "epochs": 2, "eval_step": 1}
    result = run("BPR", "world-cold", config_dict=options(data, **more))
    test = result["test_result"]
    assert all(np.isnan(test[name]) for name in test if not name.startswith("warm:"))
    assert 0 < test["warm:recall@5"] < 1
    assert "BPR cannot rank cold items" in str(test)
    assert "warm items" in str(result["best_valid_result"])  # not selected by noise


def test_popularity_ranks_cold_items_below_the_others_and_not_among_themselves(data, tmp_path):
    result = run("Pop", "world-cold", config_dict=options(data, checkpoint_dir=str(tmp_path)))["test_result"]
    assert result["recall@5"] == 0 and result["warm:recall@5"] > 0
    assert np.isnan(result["cold:recall@5"])


ABLE = {
    "MICRO": True,
    "LATTICE": True,
    "FREEDOM": True,
    "VBPR": True,
    "MMGCN": True,
    "GRCN": True,
    "BM3": False,
    "MGCN": True,
    "SMORE": True,
    "GUME": True,
    "ContentKNN": True,
    "EASEKNN": True,
}


@pytest.mark.parametrize("model", ABLE)
def test_models_say_whether_they_rank_cold_items(data, model):
    trainer = build(Config(model, "world-cold", config_dict=options(data))).trainer
    assert ranking_module.ranks_cold_items(trainer.model) == ABLE[model]
    assert ranking_module.ranks_cold_items(trainer.model) == depends_on_features(trainer.model)


@pytest.mark.parametrize(
    "more, able",
    [
        ({"knn_k": 0}, False),
        ({"n_item_layers": 0}, False),
        ({"n_item_layers": 0, "item_input": "features"}, True),
        ({"item_view": "features"}, True),
        ({"item_view": "none"}, False),
    ],
)
def test_micro_says_so_by_its_options(data, more, able):
    trainer = build(Config("MICRO", "world-cold", config_dict=options(data, **more))).trainer
    assert ranking_module.ranks_cold_items(trainer.model) is able
    assert depends_on_features(trainer.model) is able


@torch.no_grad()
def depends_on_features(model) -> bool:
    """Whether cold items differ from each other once they have no ID embedding."""
    model.eval()
    cold = cold_mask(model)
    for name, value in model.named_parameters():
        if "item_embedding" in name or "id_embedding" in name:
            value[-len(cold) :][cold] = 0
    if isinstance(model, WithoutEpochs):
        vectors = model.full_sort_predict(Interaction({"user_id": torch.arange(model.n_users)}))
        vectors = vectors.view(model.n_users, -1).T[cold]
    else:
        vectors = model.embeddings()[1][cold]
    own = vectors - vectors.mean(0)
    spread = (own.norm(dim=1) > 1e-6).float().mean()
    return bool(spread > 0.5)


def cold_mask(model):
    mask = torch.ones(model.n_items, dtype=torch.bool)
    mask[model.train_item] = mask[0] = False
    return mask


@pytest.mark.parametrize("model", ["MICRO", "LATTICE", "FREEDOM"])
def test_the_id_part_of_a_cold_item_is_zero_or_untrained(data, model):
    vectors = {}
    for choice in ("zero", "untrained"):
        trainer = build(Config(model, "world-cold", config_dict=options(data, cold_item_id=choice))).trainer
        vectors[choice] = trainer.model.eval().embeddings()[1]
    cold = cold_mask(trainer.model)
    assert torch.equal(vectors["zero"][~cold], vectors["untrained"][~cold])
    part = trainer.model.backbone()[1]
    assert torch.allclose((vectors["untrained"] - vectors["zero"])[cold], part[cold], atol=1e-6)


@pytest.mark.parametrize("model", ["MICRO", "VBPR", "MMGCN", "GRCN"])
@pytest.mark.parametrize("choice", ["zero", "untrained"])
@torch.no_grad()
def test_only_features_reach_the_vector_of_a_cold_item(data, model, choice):
    """Its own ID embedding changes nothing (but what MICRO's item graphs pass on), if its ID part is zero."""
    own = {"n_item_layers": 0, "item_input": "features"} if model == "MICRO" else {}
    given = options(data, cold_item_id=choice, **own)
    trained = build(Config(model, "world-cold", config_dict=given)).trainer.model.eval()
    cold, before = cold_mask(trained), trained.embeddings()[1]
    table = next(v for n, v in trained.named_parameters() if "item_embedding" in n or n.startswith("id_emb"))
    table[-len(cold) :][cold] *= -2
    trained.eval().cache = None
    changed = (trained.embeddings()[1] - before).abs().amax(1) > 1e-6
    assert not changed[~cold].any()
    assert changed[cold].all() if choice == "untrained" else not changed[cold].any()


def test_withheld_items_of_the_world_are_ranked_by_their_features(tmp_path):
    """The world's test items are cold: MICRO finds them among all items."""
    made = world.build(tmp_path)
    more = {"cold_start": True, "checkpoint_dir": str(tmp_path / "saved")}
    found = run("MICRO", "world", config_dict=made.config(**QUICK, **more))["test_result"]
    chance = 5 / len(made.cluster)
    assert found["recall@5"] > 2 * chance
    assert found["cold:recall@5"] > 0.6  # 5 of 24 by chance


def test_a_run_of_a_study_without_cold_items_to_rank_keeps_its_users(tmp_path):
    tiny = {**QUICK, "model": "BPR", "dataset": "tiny", "epochs": 1, "gpu_id": "", "cold_start": True}
    (tmp_path / "options.yaml").write_text(
        json.dumps({**tiny, "data_path": str(write_tiny(tmp_path / "data"))})
    )
    result = train_in(tmp_path)
    users = pd.read_parquet(tmp_path / "users.parquet")
    assert result["test"]["warm:recall@5"] == pytest.approx(users["recall@5"].mean())


def test_sampled_rankings_are_refused(data):
    with pytest.raises(UserError, match="mode: full"):
        loaders(data, eval_args={"split": {"RS": [8, 1, 1]}, "mode": "uni5"})


def test_a_checkpoint_keeps_the_cold_start(data, tmp_path):
    from recbole_micro import load

    more = {"checkpoint_dir": str(tmp_path), "epochs": 1}
    result = run("MICRO", "world-cold", config_dict=options(data, **more))
    config, model, *_, test = load(result["checkpoint"])
    from recbole.trainer import Trainer

    assert Trainer(config, model).evaluate(test, load_best_model=False) == result["test_result"]
