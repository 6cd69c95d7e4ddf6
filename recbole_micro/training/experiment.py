"""What a configuration asks for, built in RecBole's order of steps and seeds: data, model, trainer."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from typing import NamedTuple

from recbole.config import Config as RecBoleConfig
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import AbstractDataLoader
from recbole.data.dataset import Dataset
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.trainer import Trainer
from recbole.utils import ModelType, dataset_arguments, get_model, get_trainer, init_seed

from recbole_micro.errors import UserError
from recbole_micro.models.base import MultimodalRecommender
from recbole_micro.models.memory_check import check as check_memory

# Options on which the data depend.
DATA_ARGUMENTS = {
    *dataset_arguments, "eval_args", "train_neg_sample_args", "numerical_features", "discretization",
    "encoding", "token_num_threshold",
}  # fmt: skip
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


@contextmanager
def mistakes_of_data(config: RecBoleConfig) -> Iterator[None]:
    """Say in one sentence what RecBole, or pandas below it, ends with while it reads and splits data."""
    try:
        yield
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:
        # RecBole says it of a user who has every item: there is no negative to draw.
        if "have interacted with all items" in str(error):
            raise UserError(str(error)) from error
        where = [one.name for one in traceback.extract_tb(error.__traceback__) if "recbole" in one.filename]
        reason = f"{type(error).__name__} in {where[-1]}: {' '.join(str(error).split())[:200]}"
        given = [name for name in getattr(config, "given", {}) if name in DATA_ARGUMENTS]
        asked = f" ({', '.join(given)})" if given else ""
        raise UserError(
            f"RecBole cannot read the data set {config['dataset']} with these options ({reason}): look into "
            f"the options for data that you gave{asked}, and into the files in {config['data_path']}."
        ) from error


@contextmanager
def missing_columns(config: RecBoleConfig) -> Iterator[None]:
    """Say which column of the data a model of RecBole's asks for in vain."""
    try:
        yield
    except KeyError as error:
        if config.model_class.__module__.split(".")[0] != "recbole" or not isinstance(error.args[0], str):
            raise
        label = " (threshold makes labels)" if error.args[0] == config["LABEL_FIELD"] else ""
        raise UserError(
            f"{config['model']} needs the column {error.args[0]} of the data, which is not there: read it "
            f"with load_col{label}, or choose another model."
        ) from error


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
    with missing_columns(config):
        model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
    if not trainer:
        return Experiment(config, dataset, train_data, valid_data, test_data, model, None)
    logger.info(model)
    runner = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return Experiment(config, dataset, train_data, valid_data, test_data, model, runner)
