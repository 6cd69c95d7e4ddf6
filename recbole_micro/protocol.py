"""Protocols of evaluation: what is masked at test, and which ideal NDCG is measured against.

`recbole` masks a user's training and validation items when the test items are ranked, `paper` (MICRO's
published code) the training items only.  While the validation items are ranked, both mask the training items.
"""

from collections import OrderedDict
from contextlib import contextmanager
from logging import LoggerAdapter, getLogger

import numpy as np
import torch
from recbole.data import utils as data_utils
from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
from recbole.evaluator import register
from recbole.evaluator.metrics import NDCG
from recbole.sampler import Sampler
from recbole.trainer import HyperTuning, Trainer, hyper_tuning
from recbole.utils import EvaluatorType, dict2str

from recbole_micro.errors import UserError

PROTOCOLS = ("recbole", "paper")
# A saved loader is of no use for another value of these.
LOADER_OPTIONS = ("protocol", "cold_start", "cold_selection", "official_negatives")


class NDCG_hits(NDCG):
    """NDCG@k with the ideal list of the hits among the k items instead of the user's positives.

    That of MICRO's published code: never below NDCG@k, and not comparable with it.
    """

    def metric_info(self, pos_index, pos_len=None):
        discount = 1 / np.log2(np.arange(pos_index.shape[1]) + 2)
        gain = np.cumsum(pos_index * discount, axis=1)
        ideal = np.concatenate([[1.0], np.cumsum(discount)])  # without hits the gain is 0
        return gain / ideal[np.cumsum(pos_index, axis=1)]

    def calculate_metric(self, dataobject):
        return self.topk_result("ndcg_hits", self.metric_info(self.used_info(dataobject)[0]))


class Metrics(OrderedDict):
    """Results of one evaluation that say under which protocol they were measured."""

    def __init__(self, values=(), protocol: str = "recbole"):
        super().__init__(values)
        self.protocol = protocol

    def __reduce__(self):
        return type(self), (dict(self), self.protocol)

    def __repr__(self):
        return f"{dict(self)} (protocol: {self.protocol})"

    __str__ = __repr__


class MetricLines(LoggerAdapter):
    """RecBole's epoch lines with the protocol where they show a metric."""

    def process(self, msg, kwargs):
        if isinstance(msg, str) and ("valid_score" in msg or "valid result" in msg):
            msg = f"{msg} [protocol: {self.extra['protocol']}]"
        return msg, kwargs


def install() -> None:
    """Make the metric NDCG_hits and the loaders' options known to RecBole; idempotent."""
    register.metrics_dict["ndcg_hits"] = NDCG_hits
    register.metric_information["ndcg_hits"] = NDCG_hits.metric_need
    register.metric_types["ndcg_hits"] = EvaluatorType.RANKING
    hyper_tuning.dict2str = labelled_text
    known = data_utils.dataset_arguments
    data_utils.dataset_arguments = [*known, *(name for name in LOADER_OPTIONS if name not in known)]


def metrics_of(final: dict) -> list[str]:
    """The metrics to compute: with `ndcg_ideal: hits` the paper's NDCG beside the usual one."""
    metrics = [final["metrics"]] if isinstance(final["metrics"], str) else list(final["metrics"])
    names = [str(metric).lower() for metric in metrics]
    if final.get("ndcg_ideal") == "hits" and "ndcg" in names and "ndcg_hits" not in names:
        metrics.insert(names.index("ndcg") + 1, "NDCG_hits")
    return metrics


def evaluate(trainer, test_data, protocol: str, load_best_model: bool = False, **options) -> Metrics:
    """The metrics of `trainer.model` on `test_data` under a protocol, whatever the configuration says.

    Other arguments are those of RecBole's `Trainer.evaluate`; `load_best_model` reads the checkpoint first.
    """
    with masked(test_data, protocol):
        return trainer.evaluate(test_data, load_best_model=load_best_model, **options)


@contextmanager
def masked(test_data, protocol: str):
    """While this is open, `test_data` (of full ranking) masks what the protocol says."""
    if protocol not in PROTOCOLS:
        raise UserError(f"There is no protocol {protocol!r}: it is one of {', '.join(PROTOCOLS)}.")
    loaders = [test_data, *getattr(test_data, "rankings", {}).values()]
    before = [(loader.protocol, loader.uid2history_item) for loader in loaders]
    for loader in loaders:
        apply(loader, protocol)
    try:
        yield test_data
    finally:
        for loader, state in zip(loaders, before, strict=True):
            loader.protocol, loader.uid2history_item = state


def apply(loader, protocol: str) -> None:
    """Let a loader of full ranking mask what the protocol says."""
    loader.protocol = protocol
    loader.uid2history_item = histories(loader, masked_parts(loader._sampler, protocol))


def masked_parts(sampler, protocol: str) -> list:
    """The data sets whose interactions are masked while those of `sampler.phase` are ranked."""
    earlier = sampler.datasets[: sampler.phases.index(sampler.phase)]
    return earlier[:1] if protocol == "paper" else earlier


def histories(loader, datasets: list) -> np.ndarray:
    """Per user of `loader` the items of `datasets` that are none of its positives: [n_users] tensors."""
    n_items = loader._dataset.item_num
    users = np.asarray(loader.uid_list)
    seen = [pair_keys(dataset.inter_feat, loader, n_items) for dataset in datasets]
    positive = [np.asarray(loader.uid2positive_item[user]) + user * n_items for user in users]
    seen = np.setdiff1d(np.concatenate(seen), np.concatenate(positive))
    first, last = np.searchsorted(seen, [users * n_items, (users + 1) * n_items])
    items = torch.from_numpy(seen % n_items)
    result = np.full(len(loader.uid2positive_item), None, dtype=object)
    for user, start, end in zip(users, first, last, strict=True):
        result[user] = items[start:end]
    return result


def pair_keys(interactions, loader, n_items: int) -> np.ndarray:
    """One whole number per interaction, in the order of users, then items."""
    return np.asarray(interactions[loader.uid_field]) * n_items + np.asarray(interactions[loader.iid_field])


def protocol_loader(original):
    """A loader of full ranking masks what the option `protocol` says."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        original(self, config, dataset, sampler, shuffle=shuffle)
        self.protocol = config["protocol"] or "recbole"
        if self.protocol != "paper":
            return
        if self.is_sequential or not isinstance(sampler, Sampler):
            raise UserError(
                "protocol: paper masks the training items, which repeatable: True and sequential models "
                "recommend again: set protocol: recbole."
            )
        apply(self, self.protocol)

    return __init__


def sampled_loader(original):
    """RecBole's sampled rankings know one protocol."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        if config["protocol"] == "paper":
            raise UserError(
                "protocol: paper ranks all items: set mode: full in eval_args, or protocol: recbole."
            )
        original(self, config, dataset, sampler, shuffle=shuffle)

    return __init__


def labelled_results(original):
    """Results of an evaluation carry their protocol."""

    def evaluate(self, eval_data, load_best_model=True, model_file=None, show_progress=False):
        result = original(self, eval_data, load_best_model, model_file, show_progress)
        if result is None:
            return None
        return Metrics(result, getattr(eval_data, "protocol", "recbole"))

    return evaluate


def labelled_lines(original):
    """The trainer's lines show the protocol."""

    def __init__(self, config, model):
        original(self, config, model)
        self.logger = MetricLines(getLogger(), {"protocol": config["protocol"] or "recbole"})

    return __init__


def labelled_best(original):
    """A search's line on its best trial so far shows the protocol, which RecBole's leaves out."""

    def _print_result(self, result_dict):
        valid = result_dict["best_valid_result"]
        label = getattr(valid, "protocol", "recbole")
        tested = f", test {result_dict['test_result']}" if result_dict["test_result"] else ""
        score = result_dict["best_valid_score"]
        print(f"best so far: score {score:.4f} [protocol: {label}], validation {valid}{tested}")

    return _print_result


def labelled_text(result: dict) -> str:
    """RecBole's text of a search's results, with the protocol."""
    return dict2str(result) + (f"    protocol : {result.protocol}" if isinstance(result, Metrics) else "")


WRAPS = (
    (FullSortEvalDataLoader, "__init__", protocol_loader),
    (NegSampleEvalDataLoader, "__init__", sampled_loader),
    (Trainer, "__init__", labelled_lines),
    (HyperTuning, "_print_result", labelled_best),
    (Trainer, "evaluate", labelled_results),
)
