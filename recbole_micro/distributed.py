"""Processes that train together: who started them, how they meet, what they share."""

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist

from recbole_micro.errors import UserError

# What torchrun sets in the environment of every process.
TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")

# Numbers the groups that this process joins: each has keys of its own in the store.
_groups = itertools.count()
Value = TypeVar("Value")


class PeerEnded(UserError):
    """This process cannot go on because another one of its group is gone."""


def torchrun() -> dict[str, Any] | None:
    """The launch options that torchrun's environment stands for; None for a single process."""
    if not all(os.environ.get(name) for name in TORCHRUN) or os.environ["WORLD_SIZE"] == "1":
        return None
    rank, local_rank, world_size = (int(os.environ[name]) for name in TORCHRUN[:3])
    return {
        "nproc": int(os.environ.get("LOCAL_WORLD_SIZE", local_rank + 1)),
        "world_size": world_size,
        "ip": os.environ["MASTER_ADDR"],
        "port": int(os.environ["MASTER_PORT"]),
        "offset": rank - local_rank,
        "local_rank": local_rank,
    }


def own_device(final: dict[str, Any], devices: list[int]) -> torch.device:
    """The device of this process among the chosen CUDA `devices` (indices); the CPU without any."""
    if devices and len(devices) < final["nproc"]:
        raise UserError(
            f"{final['nproc']} processes on this machine (nproc), but {len(devices)} CUDA device(s) (gpu_id "
            f"{final['gpu_id']}): start one process per device, or pass an empty gpu_id for the CPU."
        )
    return torch.device("cuda", devices[final["local_rank"]]) if devices else torch.device("cpu")


def join(final: dict[str, Any], device: torch.device, wait: int) -> None:
    """Join the process group that the options `final` name: nccl (CUDA) or gloo (CPU).

    Raises UserError where the port is taken, or where not all processes come within `wait` seconds.
    """
    local, size = final["local_rank"], final["world_size"]
    rank = local + (final.get("offset") or 0)
    address = f"tcp://{final['ip']}:{final['port']}"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        # torchrun keeps the store itself, at an address of which only its environment tells all.
        where = ("env://",) if torchrun() else (address, rank, size)
        store, _, _ = next(dist.rendezvous(*where, timeout=timedelta(seconds=wait)))
        dist.init_process_group(
            backend="nccl" if device.type == "cuda" else "gloo",
            store=dist.PrefixStore(f"recbole_micro/{next(_groups)}", store),
            rank=rank,
            world_size=size,
        )
    except (dist.DistNetworkError, dist.DistStoreError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"The processes cannot meet at {address} ({reason}): {remedy(reason)}") from error


def remedy(reason: str) -> str:
    """What to do where the processes cannot meet, from PyTorch's reason."""
    reason = reason.lower()
    if "address already in use" in reason or "eaddrinuse" in reason:
        return "choose another --port."
    if "waiting for clients" in reason:
        return (
            "start the missing ones with the same --ip, --port and --world_size, or give them more time with "
            "--join_timeout."
        )
    return "check that the first machine has started, --ip is its address and --port is open."


@contextmanager
def together() -> Iterator[None]:
    """While this is open, PeerEnded instead of PyTorch's error where another process of the group is gone."""
    try:
        yield
    except RuntimeError as error:
        if not dist.is_initialized() or not (isinstance(error, dist.DistError) or "gloo/" in str(error)):
            raise
        reason = re.sub(r"^\[\S*\] ", "", " ".join(str(error).split())).split(". ")[0]
        raise PeerEnded(
            f"Another process of this training has ended or cannot be reached, see its messages ({reason})."
        ) from error


def from_first(value: Value) -> Value:
    """The first process's value, in every process."""
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


@contextmanager
def same_draws(device: torch.device) -> Iterator[None]:
    """While this is open, PyTorch and NumPy draw the same in all processes: what the first one draws.

    Afterwards every process goes on with its own random states.  Without a process group this does nothing.
    """
    if not (dist.is_available() and dist.is_initialized()):
        yield
        return
    own = random_states(device)
    set_random_states(from_first(own), device)
    try:
        yield
    finally:
        if dist.get_rank() != 0:
            set_random_states(own, device)


class RandomStates(NamedTuple):
    """The states of the generators of NumPy, of PyTorch on the CPU, and on the CUDA device (None without)."""

    numpy: Any
    cpu: torch.Tensor
    cuda: torch.Tensor | None


def random_states(device: torch.device) -> RandomStates:
    """The states of this process's generators."""
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return RandomStates(np.random.get_state(), torch.get_rng_state(), cuda)


def set_random_states(states: RandomStates, device: torch.device) -> None:
    """The inverse of `random_states`."""
    np.random.set_state(states.numpy)
    torch.set_rng_state(states.cpu)
    if states.cuda is not None:
        torch.cuda.set_rng_state(states.cuda, device)
