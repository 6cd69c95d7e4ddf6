"""RecBole's evaluation loaders with protocols, cold-start rankings and a batch size of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

from recbole.config import Config as RecBoleConfig
from recbole.data.dataloader import FullSortEvalDataLoader as RecBoleFullSortEvalDataLoader
from recbole.data.dataloader import KnowledgeBasedDataLoader
from recbole.data.dataloader import NegSampleEvalDataLoader as RecBoleNegSampleEvalDataLoader
from recbole.data.dataloader import TrainDataLoader as RecBoleTrainDataLoader
from recbole.data.dataloader import UserDataLoader as RecBoleUserDataLoader
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.sampler import Sampler
from recbole.utils import get_model
from torch import Tensor

from recbole_micro.data.cold_items import check_sampler, is_cold_start
from recbole_micro.data.lacking import is_told_apart
from recbole_micro.data.train_loader import TrainDataLoader, UserDataLoader
from recbole_micro.errors import UserError
from recbole_micro.evaluation.arrays import FullSortArrays, NegSampleArrays
from recbole_micro.evaluation.protocol import under
from recbole_micro.evaluation.ranking import PLAIN, cold_start_parts, feature_parts

RECBOLE_EVAL_BATCH = 4096  # scores at a time
EVAL_USERS = 256  # users at a time
EVAL_SCORES = 2**26  # 256 MB of float32, and RecBole holds a few copies
Parts = dict[str, tuple[RecBoleFullSortEvalDataLoader, Tensor | None]]


class EvaluationBatches:
    """What both evaluation loaders share: all users in every process, a batch size that fits the items."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        # `evaluation.multiprocess` shares the batches out; RecBole would share the users out.
        with of_one_process(config):
            super().__init__(config, dataset, sampler, shuffle=shuffle)

    def _init_batch_size_and_step(self):
        """Fill an unset `eval_batch_size` as soon as the number of items is known."""
        if self.config["eval_batch_size"] is None:
            self.config["eval_batch_size"] = eval_batch_size(self.config, self._dataset.item_num)
        super()._init_batch_size_and_step()


class FullSortEvalDataLoader(EvaluationBatches, FullSortArrays):
    """Ranks all items under a protocol; where items are told apart it has a part for each ranking.

    `protocol`: what is masked.  `parts`: ranking -> (loader, candidates bool [n_items] or None for all);
    empty where no items are told apart.  `selection`: the ranking that selects the epoch.
    """

    def __init__(self, config, dataset, sampler, shuffle=False):
        super().__init__(config, dataset, sampler, shuffle=shuffle)
        self.protocol, self.parts = config["protocol"] or "recbole", {}
        cold_start = is_cold_start(config)
        self.selection = config["cold_selection"] if cold_start else PLAIN
        if cold_start:
            check_sampler(sampler)
        if self.protocol == "paper":
            if self.is_sequential or not isinstance(sampler, Sampler):
                raise UserError(
                    "protocol: paper masks the training items, which repeatable: True and sequential models "
                    "recommend again: set protocol: recbole."
                )
            self.uid2history_item = under(self, "paper").uid2history_item
        if cold_start:
            self.parts |= self.told_apart(cold_start_parts(self, sampler.datasets[0]), sampler)
        if is_told_apart(config) and not self.is_sequential and isinstance(sampler, Sampler):
            self.parts |= self.told_apart(feature_parts(self, sampler.datasets[0]), sampler)

    def told_apart(self, asked: dict[str, tuple[Tensor, Tensor | None]], sampler: Sampler) -> Parts:
        """`parts` of these rankings: RecBole's loader of the interactions that each measures."""
        parts: Parts = {}
        for name, (chosen, candidates) in asked.items():
            part = object.__new__(type(self))
            rows = self._dataset.inter_feat[chosen.nonzero()[:, 0]]
            super(FullSortEvalDataLoader, part).__init__(self.config, self._dataset.copy(rows), sampler)
            part.protocol, part.parts, part.selection = self.protocol, {}, self.selection
            # RecBole masks the positives of the other rankings.
            parts[name] = under(part, self.protocol), candidates
        return parts

    def _init_batch_size_and_step(self):
        longest, n_items = max(self.config["topk"], default=0), self._dataset.item_num - 1
        if longest > n_items:
            raise UserError(
                f"topk is {longest}, but the data set has {n_items} items: choose a shorter list."
            )
        super()._init_batch_size_and_step()


class NegSampleEvalDataLoader(EvaluationBatches, NegSampleArrays):
    """Sampled rankings and labels; refuses what needs a ranking of all items."""

    def __init__(self, config, dataset, sampler, shuffle=False):
        if config["protocol"] == "paper":
            raise UserError(
                "protocol: paper ranks all items: set mode: full in eval_args, or protocol: recbole."
            )
        if is_cold_start(config):
            raise UserError("Cold start ranks all items: set mode: full in eval_args, or cold_start: False.")
        super().__init__(config, dataset, sampler, shuffle=shuffle)


EXTENDED = {
    RecBoleTrainDataLoader: TrainDataLoader,
    RecBoleUserDataLoader: UserDataLoader,
    RecBoleFullSortEvalDataLoader: FullSortEvalDataLoader,
    RecBoleNegSampleEvalDataLoader: NegSampleEvalDataLoader,
}


def loader_class(config: RecBoleConfig, chosen: type) -> type:
    """The plugin's subclass of the loader that RecBole has chosen; other loaders are RecBole's own."""
    if issubclass(chosen, KnowledgeBasedDataLoader) and is_cold_start(config):
        raise UserError("Cold start needs a general recommender: set cold_start: False.")
    return EXTENDED.get(chosen, chosen)


@contextmanager
def of_one_process(config: RecBoleConfig) -> Iterator[None]:
    """While this is open, RecBole sees a run of one process."""
    before = config["single_spec"]
    config["single_spec"] = True
    try:
        yield
    finally:
        config["single_spec"] = before


def eval_batch_size(config: RecBoleConfig, n_items: int) -> int:
    """The default `eval_batch_size`, in scores: those of 256 users, or of fewer where memory asks for it.

    RecBole's 4096 means one user at a time, a twelfth of the speed.  It stays for sampled evaluation and
    for models that score pair by pair, whose activations for all items of many users would not fit.
    """
    model_class = getattr(config, "model_class", None) or get_model(config["model"])
    scores_all = model_class.full_sort_predict is not AbstractRecommender.full_sort_predict
    if not scores_all or set(config["eval_args"]["mode"].values()) != {"full"} or config["repeatable"]:
        return RECBOLE_EVAL_BATCH
    return n_items * max(1, min(EVAL_USERS, EVAL_SCORES // n_items))
