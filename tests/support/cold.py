"""A cold start on the synthetic world: its options, its loaders, and which items are cold."""

from pathlib import Path

from recbole.data import create_dataset, data_preparation

from dataset_tools.__main__ import main
from recbole_micro import Config
from tests.support import world

QUICK = {"topk": [5], "valid_metric": "Recall@5", "metric_decimal_place": 10, "embedding_size": 16}


def build(folder: Path) -> world.World:
    """The world in `folder`, and `world-cold`: a quarter of its items are cold, half of them tested."""
    made = world.build(folder)
    assert main(["split", "world", "--cold", "0.25", "--seed", "3", "--data-path", str(folder)]) == 0
    return made


def options(made: world.World, **more) -> dict:
    """A config_dict that trains on either of the two quickly."""
    return made.config(**QUICK, **more)


def config(made: world.World, model: str, **more) -> Config:
    """The configuration of a model on the cold split."""
    return Config(model, "world-cold", config_dict=options(made, **more))


def loaders(made: world.World, model: str = "BPR", name: str = "world-cold", **more) -> tuple:
    """The configuration, and the loaders of training, validation and test."""
    chosen = Config(model, name, config_dict=options(made, **more))
    return chosen, *data_preparation(chosen, create_dataset(chosen))


def cold_by_hand(train_data) -> set[int]:
    """Items of the other parts, or of no part, that training never shows."""
    dataset = train_data._dataset
    return set(range(1, dataset.item_num)) - set(dataset.inter_feat["item_id"].tolist())
