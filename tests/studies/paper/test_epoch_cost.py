"""What is measured of a run before it is trained."""

import json

import pytest
import yaml
from torch.utils.data import DataLoader

from recbole_micro.studies.paper import epoch_cost


def test_an_epoch_is_its_first_batch_and_others_that_are_alike():
    assert epoch_cost.epoch_seconds([0.0, 5.0, 6.0, 8.0], batches=11) == pytest.approx(5 + 10 * 1.5)
    assert epoch_cost.epoch_seconds([2.0, 5.0], batches=4) == 12


def test_a_watched_loader_stops_when_it_has_run_long_enough(monkeypatch):
    loader, whole = DataLoader(range(20)), DataLoader(range(20))
    monkeypatch.setattr(epoch_cost, "SECONDS", 1e9)
    moments = epoch_cost.watch(whole)
    assert len(list(whole)) == 20 and len(moments) == 21  # the whole epoch takes less than that
    monkeypatch.setattr(epoch_cost, "SECONDS", -1.0)
    moments = epoch_cost.watch(loader)
    assert len(list(loader)) == epoch_cost.BATCHES and len(moments) == epoch_cost.BATCHES + 1
    assert moments == sorted(moments) and isinstance(loader, DataLoader) and len(loader) == 20


@pytest.mark.parametrize("model", ["MICRO", "Pop"])
def test_a_run_is_timed_in_its_folder(model, tiny, tmp_path):
    options = {**tiny, "model": model, "epochs": 7, "eval_step": 3}
    (tmp_path / epoch_cost.OPTIONS).write_text(yaml.safe_dump(options))
    measured = epoch_cost.time_in(tmp_path)
    assert json.loads((tmp_path / epoch_cost.RESULT).read_text()) == measured
    assert (measured["epochs"], measured["eval_step"]) == ((1, 1) if model == "Pop" else (7, 3))
    assert measured["prepare"] > 0 and measured["evaluation"] > 0 and measured["epoch"] >= 0
    assert not list(tmp_path.glob("*.pth"))
