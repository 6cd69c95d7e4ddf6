"""The metrics: the paper's NDCG, and results that name their protocol."""

import pickle

import numpy as np
from recbole.evaluator.metrics import NDCG

from recbole_micro import Config
from recbole_micro.evaluation import metrics as metrics_module


def test_the_hits_ideal_counts_the_hits():
    hits = np.array([[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]], dtype=bool)
    metric = metrics_module.NDCG_hits({"topk": [4], "metric_decimal_place": 6})
    discount = 1 / np.log2([2, 3, 4, 5])
    expected = [
        [0, discount[1] / 1, discount[1] / 1, (discount[1] + discount[3]) / (1 + discount[1])],
        [0, 0, 0, 0],
        [1, 1, 1, 1],
    ]
    assert np.allclose(metric.metric_info(hits), expected)


def test_ndcg_on_arrays_is_recboles_to_the_last_bit():
    generator = np.random.default_rng(0)
    given = {"topk": [7, 20], "metric_decimal_place": 10}
    hits, counts = generator.random((300, 20)) < 0.2, generator.integers(0, 30, 300)
    theirs, ours = (
        NDCG(given).metric_info(hits, counts),
        metrics_module.NDCGOnArrays(given).metric_info(hits, counts),
    )
    assert (theirs == ours).all() and ours.max() > 0.5


def test_the_hits_ideal_is_computed_only_beside_ndcg(given):
    for metrics, computed in (["Recall"], ["Recall"]), (["ndcg", "Recall"], ["ndcg", "NDCG_hits", "Recall"]):
        more = {**given, "metrics": metrics, "ndcg_ideal": "hits"}
        assert Config("BPR", "tiny", config_dict=more)["metrics"] == computed
    assert "NDCG_hits" not in Config("BPR", "tiny", config_dict=given)["metrics"]


def test_results_with_a_protocol_are_dictionaries():
    result = metrics_module.Metrics({"recall@5": 0.5}, "paper")
    assert result == {"recall@5": 0.5}
    assert str(result) == "{'recall@5': 0.5} (protocol: paper)"
    again = pickle.loads(pickle.dumps(result))
    assert again == result and again.protocol == "paper"
