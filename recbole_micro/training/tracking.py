"""Trainings followed in MLflow, beside RecBole's TensorBoard and Weights & Biases."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from recbole.config import Config as RecBoleConfig

from recbole_micro.checkpoint import plain_config
from recbole_micro.errors import UserError

AT_ONCE = 100  # values that MLflow takes in one request
LONGEST = 6000  # characters of a parameter


class MlflowLogger:
    """A run of MLflow for one training; does nothing without `log_mlflow`, or in any but the first process.

    Where it is kept says MLFLOW_TRACKING_URI, as for every program of MLflow.  Epochs count from 0, as in
    RecBole's other logs; a metric's `@`, which MLflow refuses, is written `_at_`.
    """

    def __init__(self, config: RecBoleConfig):
        self.config, self.run = config, ""
        self.client: Any = None
        first = config["single_spec"] or (config["local_rank"] or 0) + (config["offset"] or 0) == 0
        self.active = bool(config["log_mlflow"]) and first

    @contextmanager
    def training(self) -> Iterator[None]:
        """The run of a training, which ends with it; test metrics may still follow.

        Raises UserError where MLflow cannot keep it.
        """
        if not self.active:
            yield
            return
        self.start()
        state = "FAILED"
        try:
            yield
            state = "FINISHED"
        except KeyboardInterrupt:
            state = "KILLED"
            raise
        finally:
            self.client.set_terminated(self.run, state)

    def start(self) -> None:
        """Make the run, with the training's options as its parameters."""
        from mlflow import MlflowClient
        from mlflow.entities import Param
        from mlflow.exceptions import MlflowException

        name = self.config["mlflow_experiment"]
        options = {key: str(value)[:LONGEST] for key, value in plain_config(self.config).items()}
        try:
            self.client = MlflowClient()
            experiment = self.experiment(name)
            title = f"{self.config['model']} on {self.config['dataset']}"
            self.run = self.client.create_run(experiment, run_name=title).info.run_id
            params = [Param(key, value) for key, value in options.items()]
            for begin in range(0, len(params), AT_ONCE):
                self.client.log_batch(self.run, params=params[begin : begin + AT_ONCE])
        except MlflowException as error:
            reason = str(error).partition(". ")[0]
            raise UserError(
                f"MLflow cannot keep this training ({reason}): see MLFLOW_TRACKING_URI, or leave out "
                "log_mlflow."
            ) from error

    def experiment(self, name: str) -> str:
        """The id of the experiment of this name, which is made where there is none."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is None:
            try:
                return self.client.create_experiment(name)
            except MlflowException:  # another training made it in between
                found = self.client.get_experiment_by_name(name)
                if found is None:
                    raise
        return found.experiment_id

    def log(self, head: str, values: Mapping[str, Any], epoch: int = 0) -> None:
        """Keep metrics of an epoch as `head/name`; those that are no numbers are left out."""
        if self.client is None:
            return
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        known = {name: float(value) for name, value in values.items()}
        metrics = [
            Metric(f"{head}/{name.replace('@', '_at_')}", value, now, epoch)
            for name, value in known.items()
            if math.isfinite(value)
        ]
        self.client.log_batch(self.run, metrics=metrics)
