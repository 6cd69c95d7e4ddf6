"""The trainer: lines that name the losses, epochs that the model knows of."""

import logging
import re

import pytest
import recbole.config
from recbole.data import create_dataset, data_preparation
from recbole.quick_start import run_recbole
from recbole.trainer import Trainer

from recbole_micro import run
from recbole_micro.models import MICRO
from recbole_micro.training.trainer import extended
from tests.support.logs import plain


def test_the_epoch_line_names_the_losses(given, caplog):
    with caplog.at_level(logging.INFO):
        run("MICRO", "tiny", config_dict={**given, "epochs": 1})
    line = r"epoch 0 training \[time: .*s, softmax: \d+\.\d+, contrast: .*\d, L2: \d"
    assert re.search(line, plain(caplog.text))


def test_names_and_losses_must_agree():
    class Model:
        loss_names = ("BPR", "L2")

    trained = object.__new__(extended(Trainer))
    trained.model, trained.config = Model(), {"loss_decimal_place": 4}
    line = trained._generate_train_loss_output
    assert "L2" in line(0, 0, 1, (1.0, 2.0))
    assert "train loss" in line(0, 0, 1, 1.0)
    with pytest.raises(ValueError, match="longer"):
        line(0, 0, 1, (1.0, 2.0, 3.0))
    Model.loss_names = ()
    assert "train_loss3" in line(0, 0, 1, (1.0, 2.0, 3.0))


@pytest.mark.parametrize("how", ["run", "run_recbole", "Trainer"])
def test_an_epoch_of_the_model_starts_once_before_its_first_batch(given, monkeypatch, how):
    """However a model is trained: RecBole also calls `train()` per batch, and on a copy before training."""
    calls = []
    start, loss = MICRO.start_epoch, MICRO.calculate_loss
    monkeypatch.setattr(MICRO, "start_epoch", lambda self: calls.append("epoch") or start(self))
    monkeypatch.setattr(
        MICRO, "calculate_loss", lambda self, batch: calls.append("step") or loss(self, batch)
    )
    given = {**given, "epochs": 3, "eval_step": 2}
    if how == "Trainer":
        config = recbole.config.Config("MICRO", "tiny", config_dict=given)
        train, valid, _ = data_preparation(config, create_dataset(config))
        Trainer(config, MICRO(config, train.dataset)).fit(train, valid, saved=False)
    else:
        {"run": run, "run_recbole": run_recbole}[how]("MICRO", "tiny", config_dict=given, saved=False)
    steps = calls.count("step") // 3
    assert steps > 1 and calls == ["epoch", *["step"] * steps] * 3
