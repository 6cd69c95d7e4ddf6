"""What a configuration asks for, built in RecBole's order of steps and seeds: data, model, trainer."""

from logging import getLogger
from typing import Any, NamedTuple

from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed

from recbole_micro.errors import UserError

WITHOUT = {"validation": "the last epoch is kept", "test": "nothing is measured"}


class Experiment(NamedTuple):
    """A configuration, the data set and its three loaders, a model, and a trainer where one is asked for."""

    config: Any
    dataset: Any
    train_data: Any
    valid_data: Any
    test_data: Any
    model: Any
    trainer: Any


def build(config, trainer: bool = True) -> Experiment:
    """Build everything, seeded where RecBole seeds; without `trainer` nothing is written.

    Raises UserError for what the user can mend.
    """
    init_seed(config["seed"], config["reproducibility"])
    logger = getLogger()
    dataset = create_dataset(config)
    logger.info(dataset)
    try:
        train_data, valid_data, test_data = data_preparation(config, dataset)
    except ValueError as error:
        # RecBole says it of a user who has every item: there is no negative to draw.
        if isinstance(error, UserError) or "have interacted with all items" not in str(error):
            raise
        raise UserError(str(error)) from error
    if trainer:
        for part, data in (("validation", valid_data), ("test", test_data)):
            if not data:
                logger.warning(
                    f"The data set {config['dataset']} has no {part} interactions: {WITHOUT[part]}."
                )
    rank = config["local_rank"] + (config["offset"] or 0)
    init_seed(config["seed"] + rank, config["reproducibility"])
    model = get_model(config["model"])(config, train_data._dataset).to(config["device"])
    if not trainer:
        return Experiment(config, dataset, train_data, valid_data, test_data, model, None)
    logger.info(model)
    runner = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)
    return Experiment(config, dataset, train_data, valid_data, test_data, model, runner)
