"""Trainings that would not fit into memory are refused before they take it, with options that would fit."""

from collections.abc import Callable, Iterator, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any

import psutil
import torch
from recbole.config import Config as RecBoleConfig
from recbole.data.dataset import Dataset

from recbole_micro.errors import UserError
from recbole_micro.models.memory import Estimate, Sizes, estimate

LARGE = 2 * 2**30  # from here on the log says what a run takes
SHOWN, NAMED = 4, 3  # parts of an estimate, and ways out, in a sentence
# What is tried to make a training fit, and the least that is proposed: first what changes no result.
LEAST: dict[str, Any] = {
    "eval_batch_size": 1,  # users
    "knn_memory": 64,
    "freeze_features": True,
    "contrast_scope": "batch",
    "train_batch_size": 128,
    "graph_learning": "off",
    "latent": 32,
    "ease_items": 100,
    "knn_k": 3,
    "embedding_size": 8,
    "mf_embedding_size": 8,
    "mlp_embedding_size": 8,
}
Measure = Callable[[Estimate], Estimate]


class Changed(Mapping):
    """A configuration with other values of some options; reads like RecBole's, None where there is none."""

    def __init__(self, config: Mapping[str, Any], **changes: Any):
        self.config, self.changes = config, changes

    def __getitem__(self, name: str) -> Any:
        return self.changes[name] if name in self.changes else self.config[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.changes)

    def __len__(self) -> int:
        return len(self.changes)


def check(config: RecBoleConfig, dataset: Dataset, model_class: type) -> None:
    """Raise UserError where a training needs more memory than is free; the log says what a large one takes.

    `dataset`: of the training interactions, as models get it.  `memory_check: False` goes ahead all the same.
    """
    sizes = Sizes(config, dataset, with_features=hasattr(model_class, "memory"))
    device = config["device"]
    places: list[tuple[str, int, Measure]] = [("", free_memory(device), lambda whole: whole)]
    if device.type == "cuda":  # models are made on the CPU
        places.append((" of the CPU", free_memory(torch.device("cpu")), lambda whole: whole.at_the_start))
    for where, free, measure in places:
        if not config["single_spec"] and config["nproc"]:
            free //= config["nproc"]  # the processes of this machine take as much each

        def needs(options: Mapping[str, Any], measure: Measure = measure) -> Estimate:
            return measure(estimate(model_class, options, sizes))

        needed = needs(config)
        if needed.total > LARGE:
            getLogger().info(f"Memory{where}: about {described(needed)}; {gigabytes(free)} are free")
        if needed.total > free and config["memory_check"] is not False:
            raise UserError(
                f"{config['model']} on {config['dataset']} takes about {described(needed)}{where}, and "
                f"{gigabytes(free)} are free: {advice(needs, config, sizes, free)}; memory_check=False goes "
                "ahead all the same."
            )


def gigabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 2**30:,.1f} GB" if size >= 2**30 / 10 else f"{size / 2**20:,.1f} MB"


def described(needed: Estimate) -> str:
    """The total and its largest parts, the largest first."""
    parts = [f"{part} {gigabytes(size)}" for part, size in needed.parts.items()][:SHOWN]
    return f"{gigabytes(needed.total)} of memory ({', '.join(parts)})"


def advice(
    needs: Callable[[Mapping[str, Any]], Estimate], config: Mapping[str, Any], sizes: Sizes, free: int
) -> str:
    """Which options make a training fit: single ones, or several together; each has been tried.

    `needs`: the estimate for a configuration.
    """
    tried = {name: list(smaller(name, config, sizes)) for name in (*LEAST, "modalities")}
    alone = []
    for name, values in tried.items():
        fits = (value for value in values if needs(Changed(config, **{name: value})).total <= free)
        value = next(fits, None)
        if value is not None:
            alone.append(shown(name, value))
    if alone:
        return f"set {' or '.join(alone[:NAMED])}"
    together: dict[str, Any] = {}
    left = {name: values[-1] for name, values in tried.items() if values}
    while left and needs(Changed(config, **together)).total > free:
        sums = {one: needs(Changed(config, **together, **{one: value})).total for one, value in left.items()}
        best = min(sums, key=sums.__getitem__)
        if sums[best] >= needs(Changed(config, **together)).total:
            break
        together[best] = left.pop(best)
    if needs(Changed(config, **together)).total <= free:
        return f"set {' and '.join(shown(name, value) for name, value in together.items())} together"
    return (
        "no option makes it fit, so leave out rare users and items with user_inter_num_interval and "
        "item_inter_num_interval, or take a machine with more memory"
    )


def shown(name: str, value: Any) -> str:
    """An option as on the command line."""
    return f"{name}={'[' + ', '.join(value) + ']' if isinstance(value, list) else value}"


def smaller(name: str, config: Mapping[str, Any], sizes: Sizes) -> Iterator[Any]:
    """Values of an option of this configuration that take less and less memory."""
    value: Any = config[name]
    least: Any = LEAST.get(name)
    if name == "modalities":
        if len(sizes.chosen(config)) > 1:
            yield [min(sizes.chosen(config), key=sizes.chosen(config).__getitem__)]
    elif name == "eval_batch_size":
        users = (value or 0) // sizes.n_items
        while users > least:
            users = max(least, users * 3 // 4)
            yield users * sizes.n_items
    elif isinstance(least, (bool, str)):
        if value is not None and value != least:
            yield least
    elif isinstance(value, (int, float)):
        number = int(value or (sizes.n_items if name == "ease_items" else 0))
        while number > least:
            number = max(least, number * 3 // 4)
            yield number


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still take on a device: of the machine, within its control groups."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([psutil.virtual_memory().available, *left_in_groups()])


CONTROL_GROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# Of versions 2 and 1: the folder, the limit, what is used, and the files' part of that, which can be dropped.
GROUP_FILES = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def left_in_groups() -> Iterator[int]:
    """What is left of the limits of this process's control groups and of those above them."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        kind = next((kind for kind in GROUP_FILES if kind in controllers.split(",")), None)
        if kind is None:
            continue
        folder, limit, used, dropped = GROUP_FILES[kind]
        top = CONTROL_GROUPS / folder
        inner = top / path.lstrip("/")
        for group in (inner, *inner.parents):
            if group != top and top not in group.parents:
                break
            try:
                most = int((group / limit).read_text(encoding="ascii"))
                present = int((group / used).read_text(encoding="ascii"))
                statistics = (group / "memory.stat").read_text(encoding="ascii").split()
            except (OSError, ValueError):  # no such file, or no limit ("max")
                continue
            files = dict(zip(statistics[::2], map(int, statistics[1::2]), strict=False)).get(dropped, 0)
            yield max(0, most - present + files)
