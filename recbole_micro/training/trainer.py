"""RecBole's trainers as the plugin runs them: epochs, evaluation, optimiser, checkpoints, log lines."""

import os
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from logging import LoggerAdapter, getLogger
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import AbstractDataLoader, FullSortEvalDataLoader
from recbole.data.interaction import Interaction
from recbole.trainer import TraditionalTrainer
from recbole.trainer import Trainer as RecBoleTrainer
from recbole.trainer.trainer import AbstractTrainer, PretrainTrainer
from recbole.utils import EvaluatorType, set_color
from torch import Tensor
from torch.nn import SyncBatchNorm
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam
from tqdm import tqdm

from recbole_micro import mixing
from recbole_micro.checkpoint import fingerprint, load_checkpoint, restore, tokens
from recbole_micro.distributed import from_first, same_draws
from recbole_micro.errors import UserError
from recbole_micro.evaluation.collector import Collector
from recbole_micro.evaluation.metrics import Metrics, NDCGOnArrays
from recbole_micro.evaluation.multiprocess import OwnBatches, of_all_users
from recbole_micro.evaluation.ranking import Ranking, joined, rankings, selecting
from recbole_micro.options.decay import per_step
from recbole_micro.training.device import epoch
from recbole_micro.training.device.batches import DeviceBatches, on_device
from recbole_micro.training.graph_products import GraphProducts, fast_products
from recbole_micro.training.last_state import restore_random, write_last
from recbole_micro.training.memory import keep_freed_memory
from recbole_micro.training.tracking import MlflowLogger


class MetricLines(LoggerAdapter):
    """RecBole's epoch lines with the protocol where they show a metric."""

    extra: dict[str, str]

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        if isinstance(msg, str) and ("valid_score" in msg or "valid result" in msg):
            msg = f"{msg} [protocol: {self.extra['protocol']}]"
        return msg, kwargs


class AnyProcessGroup(AbstractTrainer):
    """Distributed training on the CPU as well, and on the CUDA device that Config chose for this process."""

    def __init__(self, config, model):
        if config["single_spec"]:
            super().__init__(config, model)
            return
        self.config = config
        on_cuda = config["device"].type == "cuda"
        self.model = SyncBatchNorm.convert_sync_batchnorm(model) if on_cuda else model
        devices = [config["device"]] if on_cuda else None
        self.distributed_model = DistributedDataParallel(self.model, device_ids=devices)


class PluginTrainer(RecBoleTrainer):
    """What the plugin adds to RecBole's `Trainer` and to those that inherit from it (mix-in).

    `extended` puts it before RecBole's class, and `AnyProcessGroup` behind that.
    """

    # RecBole's
    saved_model_file: str
    item_tensor: Interaction | None

    def set_up(self) -> None:
        """Called after RecBole's `__init__`: what the plugin keeps beside it."""
        config = self.config
        self.logger = MetricLines(getLogger(), {"protocol": config["protocol"] or "recbole"})
        self.mlflow = MlflowLogger(config)
        self.ids: str | None = None  # which users and items the rows of the model stand for
        self.tokens: dict[str, list[str]] | None = None  # their names
        self.eval_collector = Collector(config)
        if "ndcg" in self.evaluator.metric_class:
            self.evaluator.metric_class["ndcg"] = NDCGOnArrays(config)
        self.products = GraphProducts(self.model)
        self.validations: dict[int, Metrics] = {}  # per epoch, from 0
        self.warned_rankings: set[str] = set()
        self.train_seconds: dict[int, float] = {}  # likewise
        self.valid_seconds: dict[int, float] = {}
        self.epoch, self.step = 0, 0
        self.batches_of: AbstractDataLoader | None = None
        self.batches: DeviceBatches | None = None  # of that loader
        self.keeps_last = False
        self.resumed: Mapping[str, Any] | None = None  # what a resumed training restores with its first epoch
        # RecBole names it by the second: runs that start together, on whatever machines, would share it.
        stem, suffix = os.path.splitext(self.saved_model_file)
        self.saved_model_file = f"{stem}-{uuid.uuid4().int % 10**8:08}{suffix}"
        if isinstance(self, TraditionalTrainer):  # validated, and so saved, after its only epoch
            self.eval_step = min(self.eval_step, 1)
        if config["device"].type == "cpu":
            keep_freed_memory(max((part.nbytes for part in self.model.parameters()), default=0))

    def _build_optimizer(self, **kwargs):
        """Adam in one pass over its tensors: the same steps up to rounding, a sixth of the time on a CPU."""
        optimizer = super()._build_optimizer(**kwargs)
        if type(optimizer) is Adam:
            for group in optimizer.param_groups:
                group["fused"] = True
        prepare = getattr(self.model, "prepare_optimizer", None)
        if prepare is not None:
            prepare(optimizer)
        return optimizer

    def fit(
        self, train_data: AbstractDataLoader, *arguments: Any, **named: Any
    ) -> tuple[float, Metrics | None]:
        """RecBole's `fit`; checkpoints say which users and items the model's rows stand for.

        Where the best state is saved, so is the last one (`save_last`), by which a training goes on.
        """
        self.ids, self.tokens = fingerprint(train_data._dataset), tokens(train_data._dataset)
        if self.config["relative_weight_decay"]:
            for group in self.optimizer.param_groups:
                group["weight_decay"] = per_step(self.config, train_data._dataset.inter_num)
        saved = named.get("saved", arguments[2] if len(arguments) > 2 else True)
        several = not self.config["single_spec"] or isinstance(self, PretrainTrainer)
        self.keeps_last = bool(saved and self.config["save_last"] and self.epochs > 1 and not several)
        with self.mlflow.training():
            result = super().fit(train_data, *arguments, **named)
        if self.keeps_last and self.train_loss_dict:
            write_last(self, train_data)
        return result

    def _train_epoch(self, train_data, epoch_idx, loss_func=None, show_progress=False):
        """An epoch begins here: the model draws, or forgets, what holds for one epoch."""
        if self.keeps_last and self.train_loss_dict and self.resumed is None:
            write_last(self, train_data)
        if self.resumed is not None:
            restore_random(self.resumed, train_data, self.device)
            self.resumed = None
        begin = getattr(self.model, "start_epoch", None)
        if begin is not None:
            with same_draws(self.device):
                begin()
        self.epoch, self.step = epoch_idx, 0
        start = time.perf_counter()
        losses = self.epoch_losses(train_data, loss_func or self.model.calculate_loss, show_progress)
        self.train_seconds[epoch_idx] = time.perf_counter() - start
        total = sum(losses) if isinstance(losses, tuple) else losses
        self.mlflow.log("train", {"loss": total, "seconds": self.train_seconds[epoch_idx]}, epoch_idx)
        return losses

    def epoch_losses(
        self, train_data: AbstractDataLoader, loss_func: Callable, show_progress: bool
    ) -> float | tuple[float, ...]:
        """The epoch by RecBole's loop or, on a CUDA device, by one that does not wait for it."""
        recboles = getattr(super()._train_epoch, "__func__", None) is RecBoleTrainer._train_epoch
        with fast_products(self.products):
            if self.device.type == "cuda" and self.config["single_spec"] and recboles:
                batches = self.device_batches(train_data) or train_data
                return epoch.train_epoch(self, batches, loss_func, show_progress)
            return super()._train_epoch(train_data, self.epoch, self.checked(loss_func), show_progress)

    def device_batches(self, train_data: AbstractDataLoader) -> DeviceBatches | None:
        """The batches of this loader on the device, where they can be and `device_batches` is set."""
        if self.config["device_batches"] and self.batches_of is not train_data:
            self.batches_of, self.batches = train_data, on_device(train_data, self.device)
        return self.batches

    def checked(self, loss_func: Callable) -> Callable:
        """A loss function that says what is wrong where a loss is no number."""

        def calculate_loss(*arguments, **named):
            losses = loss_func(*arguments, **named)
            self.step += 1
            parts = losses if isinstance(losses, tuple) else (losses,)
            if not all(bool(torch.isfinite(part).all()) for part in parts):
                raise self.not_finite(parts)
            return losses

        return calculate_loss

    def not_finite(self, losses: Sequence[Tensor]) -> UserError:
        """What to raise where losses are no numbers: where, which, the likely cause, what is left."""
        names = getattr(self.model, "loss_names", ()) or [f"loss {n + 1}" for n in range(len(losses))]
        parts = dict(zip(names, losses, strict=False))
        wrong = ", ".join(
            f"{name} is {part.sum().item()}" for name, part in parts.items() if not part.isfinite().all()
        )
        tau = " raise tau," if self.config["tau"] else ""
        good = self.saved_model_file if os.path.isfile(self.saved_model_file) else None
        kept = f"the best state so far is in {good}" if good else "no state was saved yet"
        return UserError(
            f"Training ended in epoch {self.epoch}, batch {self.step}: {wrong}.  Lower learning_rate (now "
            f"{self.learning_rate}),{tau} or look for huge values in the features; {kept}."
        )

    def _valid_epoch(self, valid_data, show_progress=False):
        start = time.perf_counter()
        score, result = super()._valid_epoch(valid_data, show_progress)
        self.valid_seconds[self.epoch] = time.perf_counter() - start
        self.validations[self.epoch] = result
        self.mlflow.log("valid", result, self.epoch)
        return score, result

    def _generate_train_loss_output(self, epoch_idx, s_time, e_time, losses):
        """The epoch line with the model's `loss_names` in place of train_loss1, train_loss2, ..."""
        line = super()._generate_train_loss_output(epoch_idx, s_time, e_time, losses)
        names = getattr(self.model, "loss_names", None)
        if not names or not isinstance(losses, tuple):
            return line
        for number, (name, _) in enumerate(zip(names, losses, strict=True), start=1):
            line = line.replace(set_color(f"train_loss{number}", "blue"), set_color(name, "blue"))
        return line

    @torch.no_grad()
    def evaluate(
        self,
        eval_data: AbstractDataLoader | None,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> Metrics | None:
        """The `Metrics` of a loader: of the ranking that selects, or at test of every ranking.

        As RecBole's method otherwise.  Several processes share the batches out.
        """
        if not eval_data:
            return None
        if load_best_model:
            file = model_file or self.saved_model_file
            restore(self.model, load_checkpoint(file, map_location=self.device))
            self.logger.info(f"Loading model structure and parameters from {file}")
        self.model.eval()
        with same_draws(self.device):
            if getattr(eval_data._sampler, "phase", "test") == "test":
                asked = rankings(eval_data)
                results = {name: self.measure(ranking, show_progress) for name, ranking in asked.items()}
                result = joined(self.model, results)
                self.mlflow.log("test", result, self.epoch)
                return result
            ranking = selecting(eval_data, self.model, self.warned_rankings)
            result = self.measure(ranking, show_progress)
            self.logger.extra["protocol"] = result.label
            return result

    def measure(self, ranking: Ranking, show_progress: bool = False) -> Metrics:
        """The metrics of one ranking, by RecBole's collector and evaluator."""
        loader, several = ranking.loader, not self.config["single_spec"]
        scores_of = self._neg_sample_batch_eval
        if isinstance(loader, FullSortEvalDataLoader):
            scores_of = self._full_sort_batch_eval
            if self.item_tensor is None:
                self.item_tensor = loader._dataset.get_item_feature().to(self.device)
        if self.config["eval_type"] == EvaluatorType.RANKING:
            self.tot_item_num = loader._dataset.item_num
        batches = OwnBatches(loader) if several else loader
        if show_progress:
            batches = tqdm(batches, ncols=100, desc=set_color("Evaluate   ", "pink"))
        for batch in batches:
            interaction, scores, positive_u, positive_i = scores_of(batch)
            if ranking.candidates is not None:
                scores[:, ~ranking.candidates] = -np.inf
            self.eval_collector.eval_batch_collect(scores, interaction, positive_u, positive_i)
        self.eval_collector.model_collect(self.model)
        struct = self.eval_collector.get_data_struct()
        result = self.evaluator.evaluate(of_all_users(struct) if several else struct)
        if several:  # last digits that differ must not let one process stop alone
            result = from_first(result)
        self.wandblogger.log_eval_metrics(result, head="eval")
        values = OrderedDict((name, float(value)) for name, value in result.items())
        return Metrics(values, ranking.protocol, ranking.note)


def extended(base: type) -> type:
    """RecBole's trainer class with `PluginTrainer` in front of it."""
    return mixing.extended(base, PluginTrainer, AnyProcessGroup)
