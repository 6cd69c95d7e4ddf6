"""What a configuration asks for, built in RecBole's order of steps and seeds: data, model, trainer."""

from logging import getLogger
from typing import NamedTuple

from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.trainer import Trainer
from recbole.utils import ModelType, get_model, get_trainer, init_seed

from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory_check import check as check_memory
from recbole_micro.training.mistakes import mistakes_of_data, mistakes_of_model

# What follows from the lack of a part of the data.
WITHOUT = {"validation": "the last epoch is kept", "test": "nothing is measured"}


class Experiment(NamedTuple):
    """A configuration, the data set and its three loaders, a model, and a trainer where one is asked for."""

    config: RecBoleConfig
    dataset: Dataset
    train_data: AbstractDataLoader
    valid_data: AbstractDataLoader
    test_data: AbstractDataLoader
    model: AbstractRecommender
    trainer: Trainer  # None where none is asked for


def build(config: RecBoleConfig, trainer: bool = True) -> Experiment:
    """Build everything, seeded where RecBole seeds; without `trainer` there is none, and nothing is written.

    Raises UserError for what the user can mend.
    """
    init_seed(config["seed"], config["reproducibility"])
    logger = getLogger()
    with mistakes_of_data(config):
        dataset = create_dataset(config)
        logger.info(dataset)
        train_data, valid_data, test_data = data_preparation(config, dataset)
    if trainer:
        for part, data in (("validation", valid_data), ("test", test_data)):
            if not data:
                logger.warning(
                    f"The data set {config['dataset']} has no {part} interactions: {WITHOUT[part]}."
                )
    rank = config["local_rank"] + (config["offset"] or 0)
    init_seed(config["seed"] + rank, config["reproducibility"])
    if config["MODEL_TYPE"] != ModelType.DECISIONTREE and not issubclass(
        config.model_class, MultimodalRecommender
    ):  # those check it themselves, however they are made
        check_memory(config, train_data._dataset, config.model_class)
    with mistakes_of_model(config, "built"):
        model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
    if not trainer:
        return Experiment(config, dataset, train_data, valid_data, test_data, model, None)
    logger.info(model)
    with mistakes_of_model(config, "trained"):
        runner = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return Experiment(config, dataset, train_data, valid_data, test_data, model, runner)
