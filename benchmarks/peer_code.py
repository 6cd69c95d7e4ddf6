"""What drives other people's code for `peers.py`: MMRec's models and the official MICRO, as they come.

Both are read from folders of theirs.  What they import and do not need here (image files, plots) is stubbed
where it is missing, as is what PyTorch and SciPy have removed since, and `.cuda()` stays on the CPU.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

SPLITS = {"train": 0, "val": 1, "test": 2}  # MMRec's labels of the files of the MICRO layout
NAME = "baby"
NOT_NEEDED = (
    "lmdb",
    "PIL",
    "tqdm",
    "matplotlib",
    "matplotlib.pyplot",
    "torchvision",
    "torchvision.transforms",
    "torchvision.transforms.functional",
)


def write_for_mmrec(source: Path, folder: Path) -> None:
    """Baby as MMRec reads it: one table of interactions with their split, and the features as they are."""
    home = folder / NAME
    home.mkdir(parents=True)
    with open(home / f"{NAME}.inter", "w", encoding="utf-8") as file:
        file.write("userID\titemID\tx_label\n")
        for split, label in SPLITS.items():
            for user, items in json.loads((source / "5-core" / f"{split}.json").read_text()).items():
                file.writelines(f"{user}\t{item}\t{label}\n" for item in items)
    copy_features(source, home)


def write_for_micro(source: Path, folder: Path) -> None:
    """Baby as the official MICRO reads it, which is how it came, beside a folder to run in."""
    home = folder / "data" / NAME
    shutil.copytree(source / "5-core", home / "5-core", copy_function=shutil.copyfile)
    copy_features(source, home)
    (folder / "codes").mkdir()


def copy_features(source: Path, home: Path) -> None:
    """The features of images and texts; MMRec writes its graphs beside them."""
    for kind in ("image", "text"):
        shutil.copyfile(source / f"{kind}_feat.npy", home / f"{kind}_feat.npy")


def make_room(code: str) -> None:
    """Let modules of this folder be imported, and what they expect of a machine of their time be there."""
    import numpy as np
    import scipy.sparse
    import torch

    np.float, np.asfarray = float, partial(np.asarray, dtype=float)  # type: ignore[attr-defined]
    for name in NOT_NEEDED:
        if name.partition(".")[0] in sys.modules or importlib.util.find_spec(name.partition(".")[0]) is None:
            sys.modules.setdefault(name, MagicMock())
    if importlib.util.find_spec("torch_scatter") is None:
        scatter = ModuleType("torch_scatter")
        scatter.scatter_add = lambda values, index, dim, dim_size: torch.zeros(dim_size).index_add_(  # type: ignore[attr-defined]
            dim, index, values
        )
        sys.modules["torch_scatter"] = scatter
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *_, **__: self  # type: ignore[assignment,method-assign]
    scipy.sparse.dok_matrix._update = lambda matrix, values: matrix._dict.update(values)
    sys.path.insert(0, code)


class Cut:
    """The batches of a loader until `seconds` are over, and the moments at which each began."""

    def __init__(self, loader: Any, seconds: float):
        self.loader, self.seconds = loader, seconds
        self.moments: list[float] = []

    def __iter__(self) -> Iterator:
        self.moments = [time.perf_counter()]
        for batch in self.loader:
            yield batch
            self.moments.append(time.perf_counter())
            if self.moments[-1] - self.moments[0] > self.seconds and len(self.moments) > 2:
                break
        self.loader.pr = self.loader.inter_pr = 0  # MMRec's loaders are their own iterators


def whole(moments: Sequence[float], n_steps: int) -> float:
    """Seconds of an epoch of `n_steps` from the moments between the first of them.

    The first step counts once, as it may build what holds for the epoch, and the mean of the others for each
    of the others.
    """
    taken = [after - before for before, after in zip(moments, moments[1:], strict=False)]
    return taken[0] + statistics.mean(taken[1:]) * (n_steps - 1)


def mmrec(code: str, data: str, model: str, options: dict, users: int, seconds: float) -> dict:
    """Seconds of an epoch and of an evaluation of a model of MMRec's, after a few steps to warm up.

    After `seconds` of an epoch the rest is extrapolated, as is the evaluation from so many `users` (0: all).
    """
    folder = str(Path(code).resolve() / "src")
    make_room(folder)
    os.chdir(folder)  # where its configuration is read from
    import torch
    from common.trainer import Trainer  # MMRec's
    from utils.configurator import Config
    from utils.dataloader import EvalDataLoader, TrainDataLoader
    from utils.dataset import RecDataset
    from utils.utils import get_model, init_seed

    given = {
        "gpu_id": 0,
        "use_gpu": False,
        "data_path": f"{data}/",
        "metrics": ["Recall", "NDCG", "Precision"],
    }
    config = Config(model, NAME, {**given, "topk": [20], "seed": 1, **options})
    train_set, _, test_set = RecDataset(config).split()
    everybody = test_set.df[test_set.uid_field].unique()
    if users:
        test_set.df = test_set.df[test_set.df[test_set.uid_field].isin(everybody[:users])]
    for part in (train_set, test_set):
        str(part)  # counts its interactions
    init_seed(1)
    train = TrainDataLoader(config, train_set, batch_size=config["train_batch_size"], shuffle=True)
    test = EvalDataLoader(
        config, test_set, additional_dataset=train_set, batch_size=config["eval_batch_size"]
    )
    train.pretrain_setup()
    network = get_model(model)(config, train)
    trainer = Trainer(config, network)
    for budget in (seconds / 20, seconds):
        start = time.perf_counter()
        network.pre_epoch_processing()
        before = time.perf_counter() - start
        batches = Cut(train, budget)
        trainer._train_epoch(batches, 0)
    start = time.perf_counter()
    trainer.evaluate(test)
    evaluation = time.perf_counter() - start
    measured = len(test.eval_u)
    return {
        "epoch, s": before + whole(batches.moments, len(train)),
        "evaluation, s": evaluation * len(everybody) / measured,
        "steps": f"{len(batches.moments) - 1} of {len(train)}",
        "users": f"{measured} of {len(everybody)}",
        "threads": torch.get_num_threads(),
    }


class Enough(Exception):
    """As many steps as were asked for are done."""


def official_micro(code: str, data: str, steps: int, users: int) -> dict:
    """Seconds of an epoch and of an evaluation of the official MICRO, from its first `steps` and `users`."""
    folder = str(Path(code).resolve() / "codes")
    sys.argv = ["main.py", "--dataset", NAME, "--debug", "--epoch", "1", "--verbose", "2"]
    os.chdir(Path(data) / "codes")
    make_room(folder)
    import torch

    entry = importlib.import_module("main")
    generator = entry.data_generator
    importlib.import_module("utility.batch_test").cores = torch.get_num_threads()  # it takes a fifth of them
    entry.set_seed(1)
    sizes = {"n_users": generator.n_users, "n_items": generator.n_items}
    trainer = entry.Trainer({**sizes, "norm_adj": generator.get_adj_mat()[1]})
    sample, moments = generator.sample, []

    def next_batch() -> tuple:
        moments.append(time.perf_counter())
        if len(moments) > steps:
            raise Enough
        return sample()

    generator.sample = next_batch
    with contextlib.suppress(Enough):
        trainer.train()
    everybody = list(generator.test_set)
    few, many = (clocked_test(trainer, everybody[:count]) for count in (users // 4, users))
    each = (many - few) / (users - users // 4)
    n_steps = generator.n_train // generator.batch_size + 1
    return {
        "epoch, s": whole(moments, n_steps),
        "evaluation, s": many + each * (len(everybody) - users),
        "steps": f"{len(moments) - 1} of {n_steps}",
        "users": f"{users} of {len(everybody)}",
        "threads": torch.get_num_threads(),
    }


def clocked_test(trainer: Any, users: list) -> float:
    """Seconds of the official evaluation of these users, the graphs rebuilt."""
    start = time.perf_counter()
    trainer.test(users, is_val=False)
    return time.perf_counter() - start
