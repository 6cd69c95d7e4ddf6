"""The journal of trials."""

from recbole_micro.tuning.trials import Journal


def test_a_metric_whose_smaller_values_are_better(tmp_path):
    journal = Journal(tmp_path / "trials.jsonl")
    for size, score in ((4, 0.5), (8, 0.2), (16, 0.2)):
        result = {"best_valid_score": score, "valid_score_bigger": False, "best_valid_result": {}}
        journal.add({"embedding_size": size}, result | {"state": "finished", "epochs": 2})
    assert journal.best()["params"] == {"embedding_size": 8}
