"""RecBole's collector of what metrics need, with time and memory for the lists instead of for all items."""

import torch
from recbole.evaluator.collector import Collector as RecBoleCollector
from recbole.evaluator.collector import DataStruct
from torch import Tensor

from recbole_micro.evaluation.top_k import top_k

LISTS = ("rec.items", "rec.topk")
PER_BATCH = (*LISTS, "rec.meanrank", "rec.score", "data.label")


class BatchesStruct(DataStruct):
    """RecBole's data behind the metrics; what comes batch by batch is joined once, when it is asked for."""

    def __getitem__(self, name: str):
        value = self._data_dict[name]
        if isinstance(value, list):
            value = self._data_dict[name] = torch.cat(value).cpu()
        return value

    def update_tensor(self, name: str, value: Tensor) -> None:
        """Add a batch, which stays on its device until then."""
        before = self._data_dict.setdefault(name, [])
        if not isinstance(before, list):
            before = self._data_dict[name] = [before]
        before.append(value.detach())


class OtherNeeds:
    """RecBole's register of what metrics need, without the lists, which are collected here."""

    def __init__(self, register):
        self.register = register

    def need(self, name: str) -> bool:
        """Whether RecBole's collector has to collect it."""
        return name not in LISTS and self.register.need(name)


class Collector(RecBoleCollector):
    """The same numbers as RecBole's: lists of items, which of them are hits, how many positives there are.

    RecBole writes the positives into a matrix of users and items and sums it; here they are sorted numbers,
    among which the items of the lists are looked up.
    """

    def __init__(self, config):
        super().__init__(config)
        self.data_struct = BatchesStruct()
        self.lists = [name for name in LISTS if self.register.need(name)]
        self.register = OtherNeeds(self.register)

    def keep_items(self) -> None:
        """Keep the lists themselves where their hits are kept, whatever the metrics need."""
        if "rec.topk" in self.lists and "rec.items" not in self.lists:
            self.lists.append("rec.items")

    def eval_batch_collect(self, scores_tensor, interaction, positive_u, positive_i):
        """Collect a batch: scores [n_users, n_items], and the row and the item of each positive."""
        super().eval_batch_collect(scores_tensor, interaction, positive_u, positive_i)
        if not self.lists:
            return
        items = top_k(scores_tensor, max(self.topk))
        if "rec.items" in self.lists:
            self.data_struct.update_tensor("rec.items", items)
        if "rec.topk" in self.lists:
            hits = with_counts(items, positive_u, positive_i, scores_tensor.shape[1])
            self.data_struct.update_tensor("rec.topk", hits)

    def get_data_struct(self) -> DataStruct:
        """What has been collected; what comes batch by batch begins anew."""
        collected = BatchesStruct()
        for name in list(self.data_struct._data_dict):
            collected.set(name, self.data_struct[name])
            if name in PER_BATCH:
                del self.data_struct[name]
        return collected


def with_counts(items: Tensor, rows: Tensor, positives: Tensor, n_items: int) -> Tensor:
    """Whether each of the `items` [n, k] is a positive of its row, then how many it has, int64 [n, k + 1].

    `rows`, `positives`: the row and the item of each positive, in any order and with repetitions.
    """
    keys = torch.unique(rows * n_items + positives).to(items.device)
    first = torch.arange(len(items) + 1, device=items.device)[:, None] * n_items
    counts = torch.searchsorted(keys, first).diff(dim=0)
    wanted = first[:-1] + items
    place = torch.searchsorted(keys, wanted).clamp_(max=max(len(keys) - 1, 0))
    hits = keys[place] == wanted if len(keys) else torch.zeros_like(wanted, dtype=torch.bool)
    return torch.cat([hits, counts], dim=1)
