"""Training batches that live on the device of the model: shuffled, and their negatives drawn, there.

RecBole's loader shuffles, draws and checks on the CPU and copies each batch: on a GPU the model waits for it.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.data.interaction import Interaction
from recbole.sampler import Sampler
from recbole.utils import InputType, ModelType
from torch import Tensor

from recbole_micro.data.cold_items import trained_items
from recbole_micro.nn.graph import Graph, histories


class Negatives:
    """Items that a user has not, each with the same probability, without drawing any twice.

    `own` [n_users, n_items]: the users' training items; `items` [n] ascending: what is drawn from, all own
    items among it.  With a user's own places o_0 < o_1 < ... in `items`, the r-th of the others is at place
    r + #{j : o_j - j <= r}, which one binary search over the sorted o_j - j of all users finds.
    """

    def __init__(self, own: Graph, items: Tensor):
        self.items, self.crow = items, own.crow.long()
        place = torch.full((own.shape[1],), -1, dtype=torch.long, device=items.device)
        place[items] = torch.arange(len(items), device=items.device)
        row, col = own.row.long(), place[own.col.long()]
        before = torch.arange(len(col), device=items.device) - self.crow[row]
        self.keys = row * len(items) + col - before

    def draw(self, users: Tensor) -> Tensor:
        """One for each of the `users` [n], each of whom lacks some; from PyTorch's generator."""
        start = self.crow[users]
        lacking = len(self.items) - (self.crow[users + 1] - start)
        share = torch.rand(len(users), dtype=torch.float64, device=users.device)
        place = torch.minimum((share * lacking).long(), lacking - 1)
        skipped = torch.searchsorted(self.keys, users * len(self.items) + place, right=True) - start
        return self.items[place + skipped]


class DeviceBatches:
    """The batches of a training loader, on a device: the same sizes and distributions, other draws.

    Draws come from PyTorch's generator of the device.  Iterated once an epoch.
    """

    def __init__(self, loader: TrainDataLoader, device: torch.device):
        dataset, config = loader._dataset, loader.config
        self.size, self.shuffle, self.device = loader.step, loader.shuffle, device
        self.fields = dataset.uid_field, dataset.iid_field
        self.users, self.items = (dataset.inter_feat[field].to(device) for field in self.fields)
        arguments = loader.neg_sample_args
        self.negatives: Negatives | None = None
        self.candidates, self.model = 1, None
        if arguments["distribution"] != "none":
            self.negative_field = config["NEG_PREFIX"] + dataset.iid_field
            own = histories(self.users, self.items, dataset.user_num, dataset.item_num)
            self.negatives = Negatives(own, trained_items(config, dataset).to(device))
            if arguments.get("dynamic", False):
                self.candidates, self.model = arguments["candidate_num"], loader.model

    def __len__(self) -> int:
        return -(-len(self.users) // self.size)

    def __iter__(self) -> Iterator[Interaction]:
        n = len(self.users)
        order = torch.randperm(n, device=self.device) if self.shuffle else torch.arange(n, device=self.device)
        for part in order.split(self.size):
            users, items = self.users[part], self.items[part]
            batch = dict(zip(self.fields, (users, items), strict=True))
            if self.negatives is not None:
                batch[self.negative_field] = self.chosen(self.negatives, users)
            yield Interaction(batch)

    def chosen(self, negatives: Negatives, users: Tensor) -> Tensor:
        """Negatives of these users [n]; with dynamic sampling the highest-scoring of some candidates."""
        repeated = users.repeat(self.candidates)
        drawn = negatives.draw(repeated)
        if self.model is None:
            return drawn
        with getattr(self.model, "choosing_negatives", nullcontext)(), torch.no_grad():
            self.model.eval()
            scores = self.model.predict(Interaction(dict(zip(self.fields, (repeated, drawn), strict=True))))
            self.model.train()
        best = scores.view(self.candidates, -1).argmax(0)
        return drawn.view(self.candidates, -1).gather(0, best[None])[0]


def on_device(loader: Any, device: torch.device) -> DeviceBatches | None:
    """`DeviceBatches` in place of this training loader, where they give a model all that the loader does.

    That is so for general recommenders that read users, items and at most one uniform negative each.
    """
    config = loader.config
    if not isinstance(loader, TrainDataLoader) or not config["single_spec"] or config["worker"]:
        return None
    arguments = loader.neg_sample_args
    plain = config["MODEL_TYPE"] == ModelType.GENERAL and type(loader.transform).__name__ == "Equal"
    uniform = (
        arguments["distribution"] == "uniform"
        and arguments["sample_num"] == 1
        and loader.dl_format == InputType.PAIRWISE
        and isinstance(loader._sampler, Sampler)
    )
    served = plain and (uniform or arguments["distribution"] == "none")
    return DeviceBatches(loader, device) if served else None
