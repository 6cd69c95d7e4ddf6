"""What TensorBoard, MLflow and Weights & Biases have kept of a training, read back."""

import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import recbole_micro
from recbole_micro.errors import UserError
from recbole_micro.training.tracking import MlflowLogger
from tests.support.tiny import QUICK


def train(tiny_data, **options):
    return recbole_micro.run("MICRO", "tiny", config_dict={**QUICK, "data_path": str(tiny_data), **options})


def test_tensorboard_has_losses_and_validations(tiny_data):
    result = train(tiny_data)
    (folder,) = Path("log_tensorboard").iterdir()
    kept = EventAccumulator(str(folder))
    kept.Reload()
    assert {"Vaild_score", "Loss/Train0"} <= set(kept.Tags()["scalars"])  # RecBole's spelling
    scores = [event.value for event in kept.Scalars("Vaild_score")]
    assert len(scores) == 2 and max(scores) == pytest.approx(result["best_valid_score"])


@pytest.fixture
def mlflow_files(tmp_path, monkeypatch):
    """MLflow's client on files of the test."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "kept").as_uri())
    return mlflow.MlflowClient()


def test_mlflow_has_options_losses_validations_and_the_test(tiny_data, mlflow_files):
    result = train(tiny_data, log_mlflow=True, mlflow_experiment="of a test", knn_k=3)
    experiment = mlflow_files.get_experiment_by_name("of a test")
    (run,) = mlflow_files.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == "MICRO on tiny"
    assert run.data.params["knn_k"] == "3" and run.data.params["dataset"] == "tiny"

    def history(name):
        return {one.step: one.value for one in mlflow_files.get_metric_history(run.info.run_id, name)}

    losses = history("train/loss")
    assert list(losses) == [0, 1] and all(map(math.isfinite, losses.values()))
    assert max(history("valid/recall_at_5").values()) == pytest.approx(result["best_valid_score"])
    for name, value in result["test_result"].items():
        assert run.data.metrics[f"test/{name.replace('@', '_at_')}"] == pytest.approx(value)


def test_a_training_that_fails_is_marked_and_one_that_cannot_be_kept_is_refused(
    tiny_data, mlflow_files, monkeypatch
):
    with pytest.raises(UserError, match="Training ended in epoch 0"):
        train(tiny_data, log_mlflow=True, learning_rate=1e30, epochs=8, eval_step=0)
    experiment = mlflow_files.get_experiment_by_name("recbole_micro")
    (run,) = mlflow_files.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://x")
    with pytest.raises(UserError, match="MLflow cannot keep this training .*MLFLOW_TRACKING_URI"):
        train(tiny_data, log_mlflow=True)


def test_two_trainings_that_begin_together_share_an_experiment(mlflow_files, monkeypatch):
    logger = MlflowLogger({"single_spec": True, "log_mlflow": True})
    logger.client, find, asked = mlflow_files, mlflow_files.get_experiment_by_name, []

    def late(name):  # the other training makes it after this one has looked
        asked.append(name)
        return find(name) if len(asked) > 1 else None

    made = mlflow_files.create_experiment("of both")
    monkeypatch.setattr(mlflow_files, "get_experiment_by_name", late)
    assert logger.experiment("of both") == made and len(asked) == 2


@pytest.mark.slow
def test_weights_and_biases_has_the_training(tiny_data, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    result = train(tiny_data, log_wandb=True, wandb_project="of-a-test")
    summary = dict(wandb.run.summary)
    wandb.finish()
    assert summary["eval/recall@5"] == pytest.approx(result["test_result"]["recall@5"])
    assert math.isfinite(summary["valid/recall@5"]) and list(tmp_path.glob("wandb/offline-run-*"))
