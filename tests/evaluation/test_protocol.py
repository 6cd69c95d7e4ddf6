"""The protocols against brute force: what is masked, RecBole's metrics under both, the log."""

import logging

import numpy as np
import pytest
from recbole.data import create_dataset, data_preparation
from recbole.trainer import Trainer

from recbole_micro import Config, load, run
from recbole_micro.errors import UserError
from recbole_micro.evaluation import protocol
from recbole_micro.training.experiment import build
from tests.support.scores import whole
from tests.support.tiny import write_tiny

K = 5


@pytest.fixture(scope="module")
def tiny_data(tmp_path_factory):
    """Folder with the tiny data set, split into three files."""
    return write_tiny(tmp_path_factory.mktemp("data"), parts=True)


def pairs(dataset) -> dict[int, set[int]]:
    """Each user's items."""
    result = {}
    users, items = (dataset.inter_feat[field].tolist() for field in (dataset.uid_field, dataset.iid_field))
    for user, item in zip(users, items, strict=True):
        result.setdefault(user, set()).add(item)
    return result


def brute_force(trainer, loaders, part: int, masked: list[int]) -> dict[str, float]:
    """The metrics of part 1 (validation) or 2 (test) by sorting every user's items."""
    known = [pairs(loader._dataset) for loader in loaders]
    scores_of = whole(trainer.model)
    rows = []
    for user, positives in known[part].items():
        hidden = set().union(*(known[other].get(user, set()) for other in masked)) - positives
        scores = scores_of[user].tolist()
        ranked = sorted((i for i in range(1, len(scores)) if i not in hidden), key=lambda i: -scores[i])
        hits = [item in positives for item in ranked[:K]]
        gain = sum(1 / np.log2(place + 2) for place, hit in enumerate(hits) if hit)
        best = [sum(1 / np.log2(p + 2) for p in range(n)) for n in (min(len(positives), K), sum(hits))]
        of_hits = gain / best[1] if gain else 0.0
        rows.append((sum(hits) / len(positives), gain / best[0], of_hits, sum(hits) / K))
    names = ("recall@5", "ndcg@5", "ndcg_hits@5", "precision@5")
    return dict(zip(names, np.mean(rows, axis=0).tolist(), strict=True))


@pytest.mark.parametrize("name, masked", [("recbole", [0, 1]), ("paper", [0])])
def test_metrics_equal_a_brute_force_ranking(given, name, masked):
    config = Config("MICRO", "tiny", config_dict={**given, "protocol": name, "ndcg_ideal": "hits"})
    built = build(config)
    trainer, loaders = built.trainer, built[2:5]
    trainer.fit(*loaders[:2], saved=False)
    result = trainer.evaluate(loaders[2], load_best_model=False)
    assert list(result) == ["recall@5", "ndcg@5", "ndcg_hits@5", "precision@5"]
    assert result == pytest.approx(brute_force(trainer, loaders, 2, masked), abs=1e-9)
    assert 0 < result["ndcg@5"] < result["ndcg_hits@5"]
    # selection masks the training items, whatever the protocol
    valid = trainer.evaluate(loaders[1], load_best_model=False)
    assert valid == pytest.approx(brute_force(trainer, loaders, 1, [0]), abs=1e-9)
    for other, its_masked in (("recbole", [0, 1]), ("paper", [0])):
        again = protocol.evaluate(trainer, loaders[2], other)
        assert again == pytest.approx(brute_force(trainer, loaders, 2, its_masked), abs=1e-9)
        assert again.protocol == other
    assert trainer.evaluate(loaders[2], load_best_model=False) == result


@pytest.mark.parametrize("given_protocol", ["recbole", "paper"])
def test_histories_hold_what_is_masked(given, given_protocol):
    config = Config("BPR", "tiny", config_dict={**given, "protocol": given_protocol})
    train, valid, test = data_preparation(config, create_dataset(config))
    known = [pairs(loader._dataset) for loader in (train, valid, test)]
    before = test.uid2history_item
    for name, masked in (("recbole", [0, 1]), ("paper", [0])):
        other = protocol.under(test, name)
        for user in test.uid_list.tolist():
            expected = set().union(*(known[part].get(user, set()) for part in masked)) - known[2][user]
            assert other.uid2history_item[user].tolist() == sorted(expected)
        assert test.uid2history_item is before and test.protocol == given_protocol
    for user in valid.uid_list.tolist():
        assert set(valid.uid2history_item[user].tolist()) == known[0].get(user, set()) - known[1][user]


def test_an_item_that_is_positive_is_never_masked(given, tmp_path):
    """A test item may have been in training already."""
    folder = write_tiny(tmp_path / "again", parts=True)
    again = folder / "tiny" / "tiny.test.inter"
    train = (folder / "tiny" / "tiny.train.inter").read_text().splitlines()
    again.write_text("\n".join([*again.read_text().splitlines(), *train[1:4]]) + "\n")
    for name in protocol.PROTOCOLS:
        config = Config("BPR", "tiny", config_dict={**given, "data_path": str(folder), "protocol": name})
        _, _, test = data_preparation(config, create_dataset(config))
        for user in test.uid_list.tolist():
            assert not set(test.uid2history_item[user].tolist()) & set(test.uid2positive_item[user].tolist())


@pytest.mark.parametrize("whose, model", [("recbole_micro", "BPR"), ("recbole", "MICRO")])
def test_every_line_with_a_metric_names_the_protocol(given, whose, model, caplog):
    from recbole.quick_start import run_recbole

    caplog.set_level(logging.INFO)
    start = run if whose == "recbole_micro" else run_recbole
    result = start(model, "tiny", config_dict={**given, "protocol": "paper"})
    lines = [record.getMessage() for record in caplog.records]
    lines = [line for line in lines if "recall@5" in line or "valid_score" in line]
    assert len(lines) == 6  # two epochs with two lines each, best valid, test result
    assert all("protocol: paper" in line for line in lines)
    assert result["test_result"].protocol == "paper"


def test_a_checkpoint_keeps_its_protocol(given):
    result = run("BPR", "tiny", config_dict={**given, "protocol": "paper"})
    config, model, _, train, _, test = load(result["checkpoint"])
    trainer = Trainer(config, model)
    trainer.eval_collector.data_collect(train)
    again = trainer.evaluate(test, load_best_model=False)
    assert again == result["test_result"] and again.protocol == "paper"


@pytest.mark.parametrize(
    "options, named",
    [
        ({"eval_args": {"mode": "uni5"}}, "mode: full"),
        ({"repeatable": True}, "repeatable"),
    ],
)
def test_where_the_paper_protocol_means_nothing_it_is_refused(given, options, named):
    config = Config("BPR", "tiny", config_dict={**given, **options, "protocol": "paper"})
    with pytest.raises(UserError, match=named):
        data_preparation(config, create_dataset(config))


def test_an_unknown_protocol_is_refused(given):
    config = Config("BPR", "tiny", config_dict=given)
    built = build(config)
    trainer, test = built.trainer, built.test_data
    with pytest.raises(UserError, match="'papers'.*recbole, paper"):
        protocol.evaluate(trainer, test, "papers")
    with pytest.raises(UserError, match="protocol"):
        Config("BPR", "tiny", config_dict={**given, "protocol": "papers"})
