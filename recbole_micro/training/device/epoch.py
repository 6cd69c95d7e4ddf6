"""An epoch on a CUDA device in which nothing waits for the device until the last batch is on its way."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from recbole.data.interaction import Interaction
from recbole.utils import get_gpu_usage, set_color
from torch import Tensor, amp
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, Optimizer
from tqdm import tqdm

from recbole_micro.nn.losses import total

Losses = Tensor | tuple[Tensor, ...]


class Steps:
    """RecBole's training step for one process, with the losses left on the device.

    `several`: whether the last step's loss had parts.
    """

    def __init__(self, trainer: Any, loss_func: Callable[[Interaction], Losses]):
        self.trainer, self.loss_func, self.several = trainer, loss_func, False
        self.scaler = amp.GradScaler(enabled=trainer.enable_scaler)

    def __call__(self, interaction: Interaction) -> Tensor:
        """One step; the parts of its loss, [n_parts] in float64."""
        trainer = self.trainer
        trainer.optimizer.zero_grad()
        with torch.autocast(device_type=trainer.device.type, enabled=trainer.enable_amp):
            losses = self.loss_func(interaction.to(trainer.device))
        self.several = isinstance(losses, tuple)
        parts = losses if isinstance(losses, tuple) else (losses,)
        self.scaler.scale(total(parts)).backward()
        if trainer.clip_grad_norm:
            clip_grad_norm_(trainer.model.parameters(), **trainer.clip_grad_norm)
        self.scaler.step(trainer.optimizer)
        self.scaler.update()
        return torch.stack([part.detach().double().sum() for part in parts])


class CapturedStep:
    """A step recorded once as a CUDA graph and replayed for batches of the same size: one launch for all.

    What it reads lies at the same addresses each time: the batch is copied to where the recorded one was.
    """

    def __init__(self, step: Steps, interaction: Interaction):
        self.batch = Interaction({name: column.clone() for name, column in interaction.interaction.items()})
        self.graph = torch.cuda.CUDAGraph()
        optimizer = step.trainer.optimizer
        optimizer.zero_grad()  # gradients of the replays live in the graph's own memory
        with capturable(optimizer):
            self.graph.capture_begin()
            self.losses = step(self.batch)
            self.graph.capture_end()

    def __call__(self, interaction: Interaction) -> Tensor:
        for name, column in interaction.interaction.items():
            self.batch[name].copy_(column)
        self.graph.replay()
        return self.losses.clone()


@contextmanager
def capturable(optimizer: Optimizer) -> Iterator[None]:
    """While this is open, a step of Adam may be recorded; outside of it PyTorch would warn of the setting."""
    for group in optimizer.param_groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in optimizer.param_groups:
            group["capturable"] = False


@contextmanager
def side_stream(device: torch.device) -> Iterator[None]:
    """A stream of its own on a CUDA device: nothing can be recorded on the default one."""
    if device.type != "cuda":
        yield
        return
    default, stream = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    stream.wait_stream(default)
    with torch.cuda.stream(stream):
        yield
    default.wait_stream(stream)


def train_epoch(
    trainer: Any,
    batches: Iterable[Interaction],
    loss_func: Callable[[Interaction], Losses],
    show_progress: bool,
) -> float | tuple[float, ...]:
    """RecBole's `Trainer._train_epoch`: the sums of the parts of the loss over the batches.

    Where the model says that its steps repeat (`repeats_steps`), those after the first are replayed from a
    CUDA graph (`replay_steps`).  Raises the trainer's `not_finite` after the epoch, for the first batch in
    which a loss is no number.
    """
    trainer.model.train()
    title = set_color(f"Train {trainer.epoch:>5}", "pink")
    progress = tqdm(batches, ncols=100, desc=title) if show_progress else None
    step, kept = Steps(trainer, loss_func), []
    captured: CapturedStep | None = None
    fused = type(trainer.optimizer) is Adam and trainer.device.type == "cuda"
    may_capture = fused and not trainer.enable_scaler
    repeats = (
        may_capture and trainer.config["replay_steps"] and getattr(trainer.model, "repeats_steps", False)
    )
    with side_stream(trainer.device):
        for number, interaction in enumerate(batches if progress is None else progress):
            if repeats and number == 1:
                captured = CapturedStep(step, interaction)
            same = captured is not None and len(interaction) == len(captured.batch)
            kept.append(captured(interaction) if captured is not None and same else step(interaction))
            if progress is not None:
                progress.set_postfix_str(set_color("GPU RAM: " + get_gpu_usage(trainer.device), "yellow"))
        found = torch.stack(kept)
        sums = tuple(found.sum(0).tolist())  # waits
    trainer.optimizer.zero_grad()
    wrong = (~found.isfinite()).any(1).nonzero()
    if len(wrong):
        trainer.step = int(wrong[0]) + 1
        raise trainer.not_finite(found[wrong[0, 0]])
    return sums if step.several else sums[0]
