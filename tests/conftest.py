"""What every test shares: one thread, a random state of its own, a working directory outside the checkout."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # also for the processes that tests start
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def scratch_directory(tmp_path_factory, monkeypatch):
    """Run each test in an empty folder: RecBole writes ./log, ./log_tensorboard and ./saved."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(autouse=True)
def bare_command_line(monkeypatch):
    """Hide pytest's own arguments: RecBole's Config reads `sys.argv`."""
    monkeypatch.setattr("sys.argv", ["pytest"])


@pytest.fixture(autouse=True)
def no_anomaly_detection():
    """RecBole's SINE switches it on for the whole process when it is imported."""
    torch.autograd.set_detect_anomaly(False)
