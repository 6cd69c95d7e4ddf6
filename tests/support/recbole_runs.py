"""RecBole's own way from a configuration to scores, on the tiny data set with columns of every kind."""

import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.utils import get_model, get_trainer, init_seed

N_USERS, N_ITEMS = 30, 24
OPTIONS = {
    "epochs": 1,
    "embedding_size": 8,
    "state": "ERROR",
    "show_progress": False,
    "eval_batch_size": 1000,
    "train_batch_size": 64,
    "topk": [5],
    "valid_metric": "Recall@5",
    "metrics": ["Recall"],
}
COLUMNS = {
    "inter": ["user_id", "item_id", "label"],
    "item": ["item_id", "class", "price", "vec"],
    "user": ["user_id", "age"],
}


def make_config(data_path, model="BPR", **options):
    return Config(model, "tiny", config_dict={**OPTIONS, "data_path": str(data_path), **options})


def prepare(config):
    """(model, trainer, data loaders, data set) of a configuration."""
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    loaders = data_preparation(config, dataset)
    model = get_model(config["model"])(config, loaders[0]._dataset).to(config["device"])
    return model, get_trainer(config["MODEL_TYPE"], config["model"])(config, model), loaders, dataset


def scores(model, dataset):
    """[n_users, n_items] scores, pair by pair."""
    pairs = torch.cartesian_prod(torch.arange(dataset.user_num), torch.arange(dataset.item_num))
    pairs = dataset.join(Interaction({"user_id": pairs[:, 0], "item_id": pairs[:, 1]}))
    model.eval()
    with torch.no_grad():
        return model.predict(pairs).reshape(dataset.user_num, dataset.item_num)
