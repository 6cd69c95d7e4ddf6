"""How long a study will take: from its finished runs, and from measured epochs where there are none yet."""

import heapq
import math
from collections.abc import Iterable, Mapping
from statistics import mean
from typing import Any, NamedTuple

import numpy as np

from recbole_micro.studies.runs import Run

TYPICAL_EPOCHS = 60  # of a training that stops by itself; weighs as much as PRIOR finished runs of the study
PRIOR = 3


class FinishedRun(NamedTuple):
    """What a finished run took."""

    label: str
    model: str
    seconds: float
    epochs: int


class Forecast:
    """Seconds that runs will take.

    `timings`: label -> what `epoch_cost` measured, in seconds: prepare (all before the first epoch), epoch,
    evaluation; and counts: epochs, eval_step.
    """

    def __init__(self, timings: Mapping[str, Mapping[str, float]] | None = None):
        self.timings = dict(timings or {})
        self.finished: list[FinishedRun] = []

    def add(self, run: Run, result: Mapping[str, Any]) -> None:
        """Take a finished run's time into account; `result` is that of its `result.json`."""
        if "seconds" in result:
            self.finished.append(FinishedRun(run.label, run.model, result["seconds"], result["epochs"]))

    def seconds(self, run: Run, longest: bool = False) -> float:
        """What the run will take, NaN where nothing is known; with `longest`, if it never stops early."""
        timing = self.timings.get(run.label)
        if longest:
            return of_epochs(timing, timing["epochs"]) if timing else math.nan
        same = [done.seconds for done in self.finished if done.label == run.label]
        alike = [done.seconds for done in self.finished if done.model == run.model]
        if same or not timing:
            seconds = same or alike or [done.seconds for done in self.finished]
            return mean(seconds) if seconds else math.nan
        return of_epochs(timing, min(timing["epochs"], self.epochs()))

    def epochs(self) -> float:
        """Epochs of a training: the mean of what is typical and of the finished ones that had several."""
        return mean([TYPICAL_EPOCHS] * PRIOR + [done.epochs for done in self.finished if done.epochs > 1])

    def longest_first(self, runs: Iterable[Run]) -> list[Run]:
        """The runs in the order that keeps all workers busy to the end; unknown ones last."""
        return sorted(runs, key=lambda run: -np.nan_to_num(self.seconds(run)))

    def left(
        self,
        waiting: Iterable[Run],
        active: Iterable[tuple[Run, float]],
        workers: int,
        longest: bool = False,
    ) -> float:
        """Seconds until all are done, NaN where nothing is known; `active`: (run, seconds since its start).

        Waiting runs start in their order, as soon as one of the `workers` is free.
        """
        free = [max(0.0, self.seconds(run, longest) - elapsed) for run, elapsed in active]
        free = [0.0] * (workers - len(free)) + free
        heapq.heapify(free)
        for run in waiting:
            heapq.heapreplace(free, free[0] + self.seconds(run, longest))
        return math.nan if any(map(math.isnan, free)) else max(free)


def of_epochs(timing: Mapping[str, float], epochs: float) -> float:
    """Seconds of a training of so many epochs; the test costs as much as a validation."""
    validations = epochs / timing["eval_step"] if timing["eval_step"] else 0
    return timing["prepare"] + epochs * timing["epoch"] + (validations + 1) * timing["evaluation"]


def duration(seconds: float) -> str:
    """Seconds as text for people: `40 s`, `12 min`, `1 h 25 min`."""
    if math.isnan(seconds):
        return "an unknown time"
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
