"""Items without training interactions: which they are, and training that never draws them as negatives.

A data set asks for this with `<name>.cold.json` (what `dataset_tools split --cold` writes), or a run with
`cold_start: True`.
"""

import json
from pathlib import Path

import numpy as np
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset
from recbole.sampler.sampler import AbstractSampler

from recbole_micro.data.sampler import Sampler
from recbole_micro.errors import UserError


def record_path(config: RecBoleConfig) -> Path:
    """Where a data set says which of its items are cold."""
    return Path(config["data_path"]) / f"{config['dataset']}.cold.json"


def is_cold_start(config: RecBoleConfig) -> bool:
    """Whether cold items are told apart: the option `cold_start`, or else whether the data set lists them."""
    chosen = config["cold_start"]
    return record_path(config).is_file() if chosen is None else chosen


def cold_items(config: RecBoleConfig, train: Dataset) -> np.ndarray:
    """Which items have no interaction in the data set `train`, bool [n_items]; False for the padding item.

    Raises UserError where an item that the data set lists as cold has training interactions.
    """
    cold = np.ones(train.item_num, dtype=bool)
    cold[0] = False
    cold[np.asarray(train.inter_feat[train.iid_field])] = False
    path = record_path(config)
    if path.is_file():
        ids = train.field2token_id[train.iid_field]
        listed = listed_items(path)
        leaked = [token for token in listed if token in ids and not cold[ids[token]]]
        if leaked:
            raise UserError(
                f"{path} lists {len(leaked)} cold item(s) that have training interactions (first: "
                f"{', '.join(leaked[:3])}): make the split again with python -m dataset_tools split --cold, "
                "or set cold_start=False."
            )
    return cold


def listed_items(path: Path) -> list[str]:
    """The cold items that a data set lists; UserError where the file is no such list."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return [str(token) for part in ("valid", "test") for token in record[part]]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no list of cold items ({type(error).__name__}: {error}): make the split again with "
            "python -m dataset_tools split --cold, or set cold_start=False."
        ) from error


def without_ids(config: RecBoleConfig, train: Dataset) -> torch.Tensor | None:
    """Items whose ID part a model leaves out (`cold_item_id: zero`), bool [n_items]; None: no such items."""
    if not is_cold_start(config) or config["cold_item_id"] != "zero":
        return None
    return torch.from_numpy(cold_items(config, train))


def trained_items(config: RecBoleConfig, train: Dataset) -> torch.Tensor:
    """Items that a training may compare with, [n] ascending: all, in a cold start those that are not cold.

    With `official_negatives` cold ones as well.
    """
    left_out = np.zeros(train.item_num, dtype=bool)
    if is_cold_start(config) and not config["official_negatives"]:
        left_out = cold_items(config, train)
    left_out[0] = True
    return torch.from_numpy(np.flatnonzero(~left_out))


def check_sampler(sampler: AbstractSampler | None) -> None:
    """Raise UserError where RecBole's sampler does not tell training interactions from others."""
    if not isinstance(sampler, Sampler):
        raise UserError("Cold start needs a general recommender and repeatable: False.")


class WarmSampler(Sampler):
    """A sampler of negatives, restricted to `warm`, the items with training interactions [n_warm]."""

    def __init__(self, sampler: Sampler, warm: np.ndarray):
        self.__dict__.update(vars(sampler))
        self.warm = warm
        full = int((self.used_ids.counts >= len(warm)).sum())
        if full:
            raise UserError(
                f"{full} user(s) have all {len(warm)} warm items in training, so there are no negatives "
                "for them: leave them out with user_inter_num_interval, or set official_negatives: True."
            )
        self.set_distribution(self.distribution)

    def _uni_sampling(self, sample_num):
        return self.warm[np.random.randint(0, len(self.warm), sample_num)]

    def _get_candidates_list(self):
        train = self.datasets[0]
        return np.asarray(train.inter_feat[train.iid_field])


def training_sampler(
    config: RecBoleConfig, dataset: Dataset, sampler: AbstractSampler | None
) -> AbstractSampler | None:
    """The sampler of a training loader: in a cold-start run one that never draws cold items."""
    if not is_cold_start(config):
        return sampler
    warm = ~cold_items(config, dataset)  # refuses cold items that have training interactions, in any case
    if sampler is None or config["official_negatives"]:
        return sampler
    check_sampler(sampler)
    return WarmSampler(sampler, np.flatnonzero(warm)[1:])
