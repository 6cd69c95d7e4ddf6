"""The epoch without waiting, here on the CPU: it is RecBole's to the last bit."""

import copy

import pytest
import torch

from recbole_micro.errors import UserError
from recbole_micro.models import MICRO
from recbole_micro.options.config import Config
from recbole_micro.training.device import epoch
from recbole_micro.training.experiment import build


@pytest.mark.parametrize("model", ["MICRO", "BPR"])  # a tuple of losses, and one
@pytest.mark.parametrize("clip", [None, {"max_norm": 0.1}])
def test_an_epoch_equals_recboles(given, model, clip):
    config = Config(model, "tiny", config_dict={**given, "clip_grad_norm": clip})
    experiment = build(config)
    trainer, data = experiment.trainer, experiment.train_data
    batches = [copy.deepcopy(batch) for batch in data]
    start, found = copy.deepcopy(trainer.model.state_dict()), []
    for ours in (False, True):
        trainer.model.load_state_dict(copy.deepcopy(start))
        trainer.optimizer = trainer._build_optimizer()
        torch.manual_seed(1)
        if ours:
            trainer.epoch = 0
            getattr(trainer.model, "start_epoch", int)()
            loss = epoch.train_epoch(trainer, batches, trainer.model.calculate_loss, False)
        else:
            loss = trainer._train_epoch(batches, 0)
        found.append((loss, copy.deepcopy(trainer.model.state_dict())))
    (expected, weights), (loss, ours) = found
    assert loss == expected
    assert all(torch.equal(ours[name], weight) for name, weight in weights.items())


def test_a_loss_that_is_no_number_is_told_by_its_batch(given, monkeypatch):
    steps, loss = [], MICRO.calculate_loss

    def broken(self, batch):
        steps.append(1)
        ranking, *rest = loss(self, batch)
        return (ranking * float("nan") if len(steps) == 2 else ranking, *rest)

    monkeypatch.setattr(MICRO, "calculate_loss", broken)
    experiment = build(Config("MICRO", "tiny", config_dict={**given, "train_batch_size": 64}))
    trainer = experiment.trainer
    trainer.epoch = 4
    with pytest.raises(UserError, match="epoch 4, batch 2: softmax is nan.  Lower learning_rate"):
        epoch.train_epoch(trainer, experiment.train_data, trainer.model.calculate_loss, False)
