"""Mistakes in options are one sentence."""

import pytest
from recbole.data import create_dataset, data_preparation

from recbole_micro import Config
from recbole_micro.errors import UserError
from tests.options.shared import make


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"learning_rat": 1}, r"no option 'learning_rat' \(in config_dict\); did you mean learning_rate\?"),
        ({"epochs": -1}, r"epochs is -1 \(in config_dict\); allowed: whole number >= 0\."),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"preset": "papr"}, "did you mean paper"),
        ({"gpu_id": "cuda:0"}, "gpu_id is cuda:0: name devices as 0 or 0,1"),
        (
            {"eval_args": {"split": {"RS": [0.8, 0.2]}}},
            r"split \{RS: \[0.8, 0.2\]\}; allowed: ",
        ),
        ({"eval_args": {"split": {"RS": [0, 0.5, 0.5]}}}, "with three shares"),
        ({"eval_args": {"split": {"LS": "valid"}}}, "valid_and_test or valid_only or test_only"),
        ({"eval_args": {"split": {"KS": 1}}}, "split {KS: 1}"),
        ({"metrics": ["Recal"]}, r"no metric 'Recal'; did you mean Recall\?"),
        (
            {"topk": [10], "valid_metric": "Recall@20"},
            "valid_metric is Recall@20, but .* Recall@10, NDCG@10, Precision@10",
        ),
        ({"valid_metric": "MRR@20"}, "valid_metric is MRR@20"),
        ({"eval_args": {"splt": {}}}, "eval_args has no key 'splt'"),
        ({"eval_args": {"mode": "fulll"}}, "mode .fulll. in eval_args is not supported"),
        ({"eval_args": {"mode": "uni"}}, "mode 'uni' in eval_args is not supported: choose full, labeled"),
        ({"eval_args": {"mode": {"valid": "full", "test": "pop"}}}, "mode 'pop' in eval_args"),
        ({"eval_args": {"order": "XX"}}, "eval_args.order is 'XX' .*one of RO, TO"),
        ({"eval_args": {"group_by": "users"}}, "eval_args.group_by is 'users' .*one of user, none or ~"),
        ({"train_neg_sample_args": {"distribution": "zipf"}}, "distribution is 'zipf' .*uniform, popularity"),
        ({"train_neg_sample_args": {"dynamc": True}}, "no key 'dynamc' .*did you mean dynamic"),
        ({"train_neg_sample_args": "{distribution:uniform}"}, "no key 'distribution:uniform'"),
        ({"train_neg_sample_args": {"dynamic": True}}, "dynamic: True without candidates"),
        ({"train_neg_sample_args": {"candidate_num": -2}}, "candidate_num is -2 .*whole number >= 0"),
        ({"train_neg_sample_args": {"sample_num": 0}}, "sample_num is 0 .*whole number > 0"),
        ({"learner": "adamm"}, "learner is 'adamm' .*one of adam, adamw"),
        ({"embedding_size": -1}, "embedding_size is -1 .*whole number >= 1"),
        ({"metrics": ""}, "metrics is empty"),
        ({"metrics": ["Recall", "AUC"]}, "can not be used at the same time"),
        ({"topk": 0}, "topk is 0"),
        ({"load_col": 3}, r"load_col is 3 .*allowed: \{key: value, ...\} or ~"),
    ],
)
def test_mistakes_are_one_sentence(given, sentence):
    with pytest.raises(UserError, match=sentence):
        make(**given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"topk": [10_000], "valid_metric": "Recall@10000"}, "topk is 10000, but the data set has 16 items"),
        (
            {
                "threshold": {"ratin": 4},
                "eval_args": {"mode": "labeled"},
                "metrics": ["AUC"],
                "valid_metric": "AUC",
            },
            "threshold is {'ratin': 4}: Field .ratin. not in inter_feat",
        ),
        ({"load_col": {"inter": ["user_id"]}}, "load_col reads no item_id of the interactions"),
    ],
)
def test_mistakes_that_only_the_data_show(tiny_data, given, sentence):
    made = make(data_path=str(tiny_data), **given)
    with pytest.raises(UserError, match=sentence):
        data_preparation(made, create_dataset(made))


def test_mistakes_in_files_name_the_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("knn_kk: 3\n")
    with pytest.raises(UserError, match=r"no option 'knn_kk' \(in .*mine.yaml\); did you mean knn_k\?"):
        make(files=[str(file)])


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("Micro", "did you mean MICRO"), ("LightGNC", "did you mean LightGCN"), (None, "No model is chosen")],
)
def test_unknown_models(model, sentence):
    with pytest.raises(UserError, match=sentence):
        Config(model, "tiny")
