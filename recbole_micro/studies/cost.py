"""What a run costs: seconds, memory, and energy where CodeCarbon is installed; and what it ran on."""

import platform
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import psutil
import torch

from recbole_micro.checkpoint import fingerprint, versions
from recbole_micro.training.experiment import Experiment

MIB = 1 << 20


class Meter:
    """Measures a run from now on."""

    def __init__(self) -> None:
        self.tracker = energy_tracker()
        if self.tracker is not None:
            self.tracker.start()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def energy(self) -> float | None:
        """Watt-hours so far, CodeCarbon's estimate for this process; None without it.  Ends measuring."""
        if self.tracker is None:
            return None
        self.tracker.stop()
        return 1000 * float(self.tracker.final_emissions_data.energy_consumed)


def energy_tracker() -> Any:
    """CodeCarbon's tracker without the network; None where the package is absent.

    The country that it asks for changes emissions, which are not kept.
    """
    if find_spec("codecarbon") is None:
        return None
    from codecarbon import OfflineEmissionsTracker

    return OfflineEmissionsTracker(
        country_iso_code="FRA",
        tracking_mode="process",
        save_to_file=False,
        allow_multiple_runs=True,
        log_level="critical",
    )


def peak_memory() -> float:
    """The largest resident size of this process so far, MiB."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / MIB
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, on macOS bytes
    return peak / MIB if sys.platform == "darwin" else peak / 1024


def cost(trainer: Any, meter: Meter) -> dict[str, float | int | None]:
    """What a training took.

    Seconds of an epoch (the mean, without validation), the best epoch (from 1), seconds of all epochs and
    validations up to it, peak memory of the process and of the device (MiB), energy of everything (Wh).
    """
    best = best_epoch(trainer.validations, trainer.valid_metric, trainer.valid_metric_bigger)
    best = max(trainer.train_loss_dict, default=0) if best is None else best
    seconds = epoch_seconds(trainer)
    trained = list(trainer.train_seconds.values())
    on_cuda = trainer.device.type == "cuda"
    return {
        "epoch s": sum(trained) / len(trained) if trained else None,
        "best epoch": best + 1,
        "to best s": sum(spent for epoch, spent in seconds.items() if epoch <= best),
        "memory MiB": round(peak_memory(), 1),
        "device memory MiB": round(torch.cuda.max_memory_allocated() / MIB, 1) if on_cuda else None,
        "energy Wh": meter.energy(),
    }


def epoch_seconds(trainer: Any) -> dict[int, float]:
    """The seconds of each epoch (from 0) with its validation."""
    return {
        epoch: spent + trainer.valid_seconds.get(epoch, 0.0) for epoch, spent in trainer.train_seconds.items()
    }


def best_epoch(validations: Mapping[int, Mapping[str, float]], metric: str, bigger: bool) -> int | None:
    """The epoch (from 0) that is selected: the last one of the best, as in RecBole; None without any."""
    sign = 1 if bigger else -1
    known = [(sign * values[metric], epoch) for epoch, values in validations.items() if metric in values]
    return max(known)[1] if known else None


def about(experiment: Experiment) -> dict[str, Any]:
    """Versions, device, and the data: numbers and the fingerprint of the ids."""
    device = experiment.config["device"]
    on_cuda = device.type == "cuda"
    dataset = experiment.train_data._dataset
    parts = {"train": experiment.train_data, "valid": experiment.valid_data, "test": experiment.test_data}
    numbers = {name: len(data._dataset.inter_feat) for name, data in parts.items() if data}
    return {
        "versions": versions(),
        "device": torch.cuda.get_device_name(device) if on_cuda else f"CPU ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "data": {
            "name": experiment.config["dataset"],
            "users": dataset.user_num - 1,
            "items": dataset.item_num - 1,
            **numbers,
            "fingerprint": fingerprint(dataset),
        },
    }
