"""Options that a checkpoint keeps are read back as they were."""

import json

from recbole_micro import Config, checkpoint
from recbole_micro.checkpoint import plain_config
from recbole_micro.options import stored
from recbole_micro.options.stored import config_from_plain
from tests.support.recbole_runs import make_config


def test_config_from_plain_keeps_every_option(columns_data):
    config = make_config(columns_data, train_neg_sample_args=None, seq_separator="1e3")
    again = stored.config_from_plain(json.loads(json.dumps(checkpoint.plain_config(config))))
    assert again.final_config_dict == config.final_config_dict


def test_the_options_of_a_model_without_negatives_are_read_again(given):
    config = Config("GRU4Rec", "tiny", config_dict={**given, "train_neg_sample_args": None})
    again = config_from_plain(plain_config(config))
    assert again["train_neg_sample_args"] == config["train_neg_sample_args"]
