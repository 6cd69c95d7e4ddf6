"""How long a study will take: from its finished runs, and from measured epochs where there are none yet."""

import heapq
import math
from collections.abc import Iterable, Mapping
from statistics import mean

import numpy as np

TYPICAL_EPOCHS = 60  # of a training that stops by itself; weighs as much as PRIOR finished runs of the study
PRIOR = 3


class Forecast:
    """Seconds that runs will take.

    `timings`: label -> what `timing` measured, in seconds: prepare, epoch, evaluation; and counts: epochs,
    eval_step.
    """

    def __init__(self, timings: Mapping[str, Mapping] | None = None):
        self.timings = dict(timings or {})
        self.finished: list[tuple[str, str, float, int]] = []

    def add(self, run, result: Mapping) -> None:
        """Take a finished run's time into account."""
        if "seconds" in result:
            self.finished.append((run.label, run.model, result["seconds"], result["epochs"]))

    def seconds(self, run, longest: bool = False) -> float:
        """What the run will take, NaN where nothing is known; with `longest`, if it never stops early."""
        timing = self.timings.get(run.label)
        if longest:
            return of_epochs(timing, timing["epochs"]) if timing else math.nan
        same = [line[2] for line in self.finished if line[0] == run.label]
        alike = [line[2] for line in self.finished if line[1] == run.model]
        if same or not timing:
            found = same or alike or [line[2] for line in self.finished]
            return mean(found) if found else math.nan
        return of_epochs(timing, min(timing["epochs"], self.epochs()))

    def epochs(self) -> float:
        """Epochs of a training: the mean of what is typical and of the finished ones that had several."""
        return mean([TYPICAL_EPOCHS] * PRIOR + [line[3] for line in self.finished if line[3] > 1])

    def longest_first(self, runs: Iterable) -> list:
        """The runs in the order that keeps all workers busy to the end; unknown ones last."""
        return sorted(runs, key=lambda run: -np.nan_to_num(self.seconds(run)))

    def left(self, waiting: Iterable, active: Iterable[tuple], workers: int, longest: bool = False) -> float:
        """Seconds until all are done, NaN where nothing is known; `active`: (run, seconds since its start).

        Waiting runs start in their order, as soon as one of the `workers` is free.
        """
        free = [max(0.0, self.seconds(run, longest) - elapsed) for run, elapsed in active]
        free = [0.0] * (workers - len(free)) + free
        heapq.heapify(free)
        for run in waiting:
            heapq.heapreplace(free, free[0] + self.seconds(run, longest))
        return math.nan if any(map(math.isnan, free)) else max(free)


def of_epochs(timing: Mapping, epochs: float) -> float:
    """Seconds of a training of so many epochs; the test costs as much as a validation."""
    validations = epochs / timing["eval_step"] if timing["eval_step"] else 0
    return timing["prepare"] + epochs * timing["epoch"] + (validations + 1) * timing["evaluation"]


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `1 h 25 min`."""
    if math.isnan(seconds):
        return "an unknown time"
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
