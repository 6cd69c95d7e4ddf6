"""How many users are ranked at once."""

from recbole.data import create_dataset, data_preparation

from recbole_micro import Config
from recbole_micro.evaluation.loaders import eval_batch_size


def test_eval_batch_is_chosen_from_the_number_of_items(given):
    for more, users in (({}, 256), ({"eval_batch_size": 34}, 2)):
        made = Config("BPR", "tiny", config_dict={**given, **more})
        dataset = create_dataset(made)
        assert dataset.item_num == 17, "items without interactions stay"
        _, valid, test = data_preparation(made, dataset)
        assert valid.step == test.step == users
    sampled = Config("BPR", "tiny", config_dict={**given, "eval_args": {"mode": "uni5"}})
    data_preparation(sampled, create_dataset(sampled))
    assert sampled["eval_batch_size"] == 4096


def test_eval_batch_is_bounded_by_memory():
    made = Config("BPR", "tiny")
    assert eval_batch_size(made, 1000) == 256_000
    assert eval_batch_size(made, 10**6) == 67 * 10**6
    assert eval_batch_size(made, 10**9) == 10**9
    assert eval_batch_size(Config("NeuMF", "tiny"), 1000) == 4096
