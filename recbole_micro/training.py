"""What RecBole's loaders and trainer learn from the plugin: the evaluation batch, names of losses."""

import functools

from recbole.data.dataloader import FullSortEvalDataLoader, NegSampleEvalDataLoader
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.trainer import Trainer
from recbole.utils import get_model, set_color

RECBOLE_EVAL_BATCH = 4096
EVAL_USERS = 256
EVAL_SCORES = 2**26  # 256 MB of float32, and RecBole holds a few copies


def install() -> None:
    """Wrap methods of RecBole's loaders and Trainer in place; idempotent."""
    for owner, name, wrap in (
        (FullSortEvalDataLoader, "_init_batch_size_and_step", chosen_eval_batch),
        (NegSampleEvalDataLoader, "_init_batch_size_and_step", chosen_eval_batch),
        (Trainer, "_generate_train_loss_output", named_losses),
    ):
        original = getattr(owner, name)
        if getattr(original, "wrapped_by", None) is not wrap:
            wrapper = wrap(original)
            wrapper.wrapped_by = wrap
            setattr(owner, name, wrapper)


def chosen_eval_batch(original):
    """Fill an unset `eval_batch_size` as soon as a loader knows the number of items."""

    @functools.wraps(original)
    def _init_batch_size_and_step(self):
        if self.config["eval_batch_size"] is None:
            self.config["eval_batch_size"] = eval_batch_size(self.config, self._dataset.item_num)
        original(self)

    return _init_batch_size_and_step


def eval_batch_size(config, n_items: int) -> int:
    """Scores to compute at a time: those of 256 users, or of fewer where memory asks for it.

    RecBole's 4096 means one user at a time, a twelfth of the speed.  It stays for sampled evaluation and
    for models that score pair by pair, whose activations for all items of many users would not fit.
    """
    scores_all = get_model(config["model"]).full_sort_predict is not AbstractRecommender.full_sort_predict
    if not scores_all or set(config["eval_args"]["mode"].values()) != {"full"} or config["repeatable"]:
        return RECBOLE_EVAL_BATCH
    return n_items * max(1, min(EVAL_USERS, EVAL_SCORES // n_items))


def named_losses(original):
    """The epoch line with the model's `loss_names` in place of train_loss1, train_loss2, ..."""

    @functools.wraps(original)
    def _generate_train_loss_output(self, epoch_idx, s_time, e_time, losses):
        line = original(self, epoch_idx, s_time, e_time, losses)
        names = getattr(self.model, "loss_names", None)
        if names is None or not isinstance(losses, tuple):
            return line
        for number, (name, _) in enumerate(zip(names, losses, strict=True), start=1):
            line = line.replace(set_color(f"train_loss{number}", "blue"), set_color(name, "blue"))
        return line

    return _generate_train_loss_output
