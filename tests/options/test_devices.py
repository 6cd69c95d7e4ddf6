"""Which device a configuration trains on, alone and among several processes."""

import os

import pytest
import torch

from recbole_micro.errors import UserError
from tests.options.shared import make


def cuda(monkeypatch, count):
    """Pretend that `count` CUDA devices are visible; the list of devices that were made current."""
    current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    return current


@pytest.mark.parametrize(
    ("count", "given", "device"),
    [
        (2, {}, "cuda:0"),
        (2, {"gpu_id": 1}, "cuda:1"),
        (4, {"gpu_id": "[2, 3]"}, "cuda:2"),
        (4, {"gpu_id": (3, 1)}, "cuda:3"),
        (2, {"gpu_id": ""}, "cpu"),
        (2, {"gpu_id": "-1"}, "cpu"),
        (2, {"use_gpu": False}, "cpu"),
        (0, {}, "cpu"),
        (0, {"gpu_id": "3"}, "cpu"),
    ],
)
def test_device(monkeypatch, count, given, device):
    current = cuda(monkeypatch, count)
    made = make(**given)
    assert made["device"] == torch.device(device)
    assert bool(made["use_gpu"]) == device.startswith("cuda")
    assert current == ([made["device"]] if device.startswith("cuda") else [])


def test_a_device_that_is_not_there(monkeypatch):
    cuda(monkeypatch, 2)
    with pytest.raises(UserError, match="gpu_id is 2, but the visible CUDA devices are 0 to 1"):
        make(gpu_id=2)


@pytest.mark.parametrize("visible", ["2,3", "", None])
def test_cuda_visible_devices_is_left_alone(monkeypatch, visible):
    cuda(monkeypatch, 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert make(gpu_id=1)["device"] == torch.device("cuda", 1)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == visible


GROUP = {"nproc": 2, "world_size": 2, "ip": "localhost", "port": 5678}


@pytest.mark.parametrize(
    ("count", "given", "devices"), [(2, {"gpu_id": 0}, 1), (1, {}, 1), (3, {"nproc": 4}, 3)]
)
def test_too_few_devices_for_the_processes(monkeypatch, count, given, devices):
    cuda(monkeypatch, count)
    processes = given.get("nproc", 2)
    with pytest.raises(UserError, match=rf"{processes} processes .*, but {devices} CUDA device\(s\)"):
        make(**{**GROUP, "local_rank": 0, **given})


@pytest.mark.parametrize(
    "given, device", [({}, "cuda:1"), ({"gpu_id": "2,0"}, "cuda:0"), ({"gpu_id": ""}, "cpu")]
)
def test_each_process_has_a_device_of_its_own(monkeypatch, given, device):
    """Without `gpu_id` they take the visible devices in order."""
    cuda(monkeypatch, 3)
    joined = []
    monkeypatch.setattr("recbole_micro.distributed.join", lambda final, device, wait: joined.append(device))
    made = make(**GROUP, local_rank=1, **given)
    assert [made["device"]] == joined == [torch.device(device)]
    assert not made["single_spec"]
