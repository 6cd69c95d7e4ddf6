"""Cold items in training: they are no negatives, and a split that leaks them is refused."""

import json

import pytest

from dataset_tools.__main__ import main
from recbole_micro.errors import UserError
from recbole_micro.training.experiment import build
from tests.support import cold, world
from tests.support.cold import cold_by_hand, loaders

SAMPLED = ["MICRO", "LATTICE", "VBPR", "MMGCN", "GRCN", "FREEDOM", "BM3"]
SAMPLED += ["PGL", "DAMRS", "LGMRec", "STAIR", "MGCN", "SMORE", "GUME"]
BUILT_IN = ["BPR", "LightGCN", "NGCF", "NeuMF", "DMF", "SGL", "FISM", "LINE"]


@pytest.mark.parametrize("model", [*SAMPLED, *BUILT_IN])
@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_no_cold_item_is_ever_a_negative(cold_world, model, distribution):
    sampling = {
        "distribution": distribution,
        "sample_num": 2,
        "alpha": 1.0,
        "dynamic": False,
        "candidate_num": 0,
    }
    config, train, *_ = loaders(cold_world, model, train_neg_sample_args=sampling, preset="bpr")
    withheld = cold_by_hand(train)
    assert len(withheld) >= 24
    seen = set()
    for _ in range(5):
        for batch in train:
            if "neg_item_id" in batch.interaction:
                seen |= set(batch["neg_item_id"].tolist())
            else:
                seen |= set(batch["item_id"][batch["label"] == 0].tolist())
    assert not seen & withheld
    assert len(seen) > 0.9 * (train._dataset.item_num - 1 - len(withheld))


def test_dynamic_negatives_are_warm_as_well_and_cost_one_forward_pass_an_epoch(cold_world):
    sampling = {"distribution": "uniform", "sample_num": 1, "alpha": 1.0, "dynamic": True, "candidate_num": 4}
    given = {"preset": "bpr", "train_neg_sample_args": sampling, "train_batch_size": 128}
    config = cold.config(cold_world, "MICRO", **given)
    built = build(config)
    trainer, train = built.trainer, built.train_data
    train.get_model(trainer.model)
    withheld, passes, forward = cold_by_hand(train), [], trainer.model.forward
    trainer.model.forward = lambda: passes.append(1) or forward()
    seen = {item for batch in train for item in batch["neg_item_id"].tolist()}
    assert seen and not seen & withheld
    assert len(train) > 1 and len(passes) == 1


def test_softmax_compares_with_warm_items_alone(cold_world):
    for official, left_out in ((False, cold_by_hand), (True, lambda train: set())):
        built = build(cold.config(cold_world, "MICRO", official_negatives=official))
        model, train = built.model, built.train_data
        expected = set(range(1, model.n_items)) - left_out(train)
        assert set(model.shared_items().tolist()) == expected and model.softmax_items >= len(expected)


def test_negatives_are_not_what_the_user_has(cold_world):
    _, train, *_ = loaders(cold_world)
    known = set(zip(*(train._dataset.inter_feat[f].tolist() for f in ("user_id", "item_id")), strict=True))
    for batch in train:
        assert not known & set(zip(batch["user_id"].tolist(), batch["neg_item_id"].tolist(), strict=True))


@pytest.mark.parametrize("more", [{"official_negatives": True}, {"cold_start": False}])
def test_the_official_negatives_are_all_items(cold_world, more):
    _, train, *_ = loaders(cold_world, **more)
    seen = {item for _ in range(8) for batch in train for item in batch["neg_item_id"].tolist()}
    assert len(seen & cold_by_hand(train)) > 20


def test_a_user_with_all_warm_items_is_refused(tmp_path):
    made = world.build(tmp_path)
    with open(made.folder / "world" / "world.train.inter", "a") as file:
        file.writelines(f"u0\ti{item}\n" for item in range(len(made.cluster)) if item not in made.withheld)
    with pytest.raises(UserError, match="1 user.*all 72 warm items"):
        loaders(made, name="world", cold_start=True)


def test_a_split_whose_cold_items_leak_into_training_is_refused(cold_world, tmp_path):
    made = world.build(tmp_path)
    assert main(["split", "world", "--cold", "0.25", "--data-path", str(made.folder)]) == 0
    folder = made.folder / "world-cold"
    leaked = json.loads((folder / "world-cold.cold.json").read_text())["test"][0]
    with open(folder / "world-cold.train.inter", "a") as file:
        file.write(f"u0\t{leaked}\n")
    with pytest.raises(UserError, match=rf"1 cold item.*{leaked}.*dataset_tools split"):
        loaders(made)
