"""The rankings by the features that items have, against brute force."""

import numpy as np
import pytest

from dataset_tools.dataset.reading import Dataset
from dataset_tools.operations.splitting.missing import remove_features
from recbole_micro import run
from recbole_micro.errors import UserError
from recbole_micro.options.config import Config
from recbole_micro.training.experiment import build
from tests.support.scores import whole
from tests.support.tiny import QUICK, write_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`tiny`; `gone`, where items lack textual features, visual ones, or both."""
    folder = write_tiny(tmp_path_factory.mktemp("data"), parts=True)
    remove_features(Dataset("tiny", folder), 0.5, seed=1, modalities=["textual"], name="once")
    remove_features(Dataset("once", folder), 0.5, seed=2, modalities=["visual"], name="gone")
    return folder


def built(folder, model, name, **options):
    return build(Config(model, name, config_dict={**QUICK, "data_path": str(folder), **options}))


def by_hand(made, items, k=5):
    """Recall@k of these items among all, by sorting."""
    train, valid, test = (
        list(
            zip(
                *(loader._dataset.inter_feat[field].tolist() for field in ("user_id", "item_id")), strict=True
            )
        )
        for loader in made[2:5]
    )
    scores_of = whole(made.model)
    values = []
    for user in sorted({user for user, _ in test}):
        liked = {item for other, item in test if other == user} & items
        if liked:
            hidden = {item for other, item in train + valid if other == user} - liked
            scores = scores_of[user].tolist()
            ranked = sorted(set(range(1, len(scores))) - hidden, key=lambda item: -scores[item])[:k]
            values.append(len(liked & set(ranked)) / len(liked))
    return float(np.mean(values))


def test_each_group_equals_brute_force(folder):
    made = built(folder, "MICRO", "gone")
    result = made.trainer.evaluate(made.test_data, load_best_model=False)
    masks = [part.mask.numpy() for part in made.model.modalities.values()]
    count = np.sum(masks, axis=0)
    groups = {"complete": count == 2, "partial": count == 1, "without": count == 0}
    for name, group in groups.items():
        items = set(group.nonzero()[0].tolist()) - {0}
        assert items
        assert result[f"{name}:recall@5"] == pytest.approx(by_hand(made, items), abs=1e-9)
    everything = set(range(1, len(count)))
    assert result["recall@5"] == pytest.approx(by_hand(made, everything), abs=1e-9)
    assert "without: items without any modality" in str(result) and "cold" not in str(result)


def test_the_epoch_is_selected_by_the_plain_ranking(folder, caplog):
    made = built(folder, "MICRO", "gone", epochs=1)
    score, result = made.trainer.fit(made.train_data, made.valid_data, saved=False)
    assert set(result) == {"recall@5", "ndcg@5", "precision@5"} and "all items" in str(result)
    assert "The epoch is selected" not in caplog.text


def test_a_share_tells_apart_what_it_removes_and_filled_items_stay_in_their_group(folder):
    options = {"missing_share": 0.5, "missing_modalities": ["visual"], "missing": "mean"}
    made = built(folder, "MICRO", "tiny", **options)
    assert all(part.mask[1:].all() for part in made.model.modalities.values())
    assert set(made.test_data.parts) == {"complete", "partial"}
    assert not built(folder, "MICRO", "tiny").test_data.parts


def test_models_without_features_are_told_apart_too(folder, tmp_path):
    options = {**QUICK, "data_path": str(folder), "checkpoint_dir": str(tmp_path), "epochs": 1}
    result = run("BPR", "gone", config_dict=options)["test_result"]
    assert {name.partition(":")[0] for name in result if ":" in name} == {"complete", "partial", "without"}
    assert not any(np.isnan(value) for value in result.values()) and "cannot" not in str(result)


def test_other_evaluations_are_as_ever(folder):
    made = built(folder, "MICRO", "gone", eval_args={"mode": "uni5"})
    assert set(made.trainer.evaluate(made.test_data, load_best_model=False)) == {
        "recall@5", "ndcg@5", "precision@5",
    }  # fmt: skip


@pytest.mark.parametrize(
    "model, options, sentence",
    [
        ("BPR", {"missing": "mean"}, "missing would change nothing: BPR reads no features"),
        ("STAIR", {"missing": "zero"}, "missing=zero would change nothing: to STAIR"),
        ("MICRO", {"missing_seed": 3}, "missing_seed would change nothing: no item loses its features"),
        ("BPR", {"missing_share": 0.5, "eval_args": {"mode": "uni5"}}, "missing_share would change nothing"),
    ],
)
def test_options_without_an_effect_are_refused(folder, model, options, sentence):
    with pytest.raises(UserError, match=sentence):
        built(folder, model, "tiny", **options)
