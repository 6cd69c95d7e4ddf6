"""What every test shares: one thread, a working directory outside the checkout, small data sets."""

import os
import shutil
import signal
import sys
from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it runs in the background:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests interrupt processes, which inherit it
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # also for the processes that tests start
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402
import torch  # noqa: E402

from recbole_micro import options  # noqa: E402  # before any module of RecBole, which it mends
from recbole_micro.models.registry import ALIAS_PACKAGE, MODELS  # noqa: E402
from recbole_micro.options import defaults, user_models  # noqa: E402
from tests.support import cold, tiny  # noqa: E402

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


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Folder with the tiny data set; a test that changes files writes a data set of its own."""
    return tiny.write_tiny(tmp_path_factory.mktemp("data"))


@pytest.fixture
def given(tiny_data, tmp_path):
    """Options of a quick training on it, whose checkpoints stay in the test's own folder."""
    return {**tiny.QUICK, "data_path": str(tiny_data), "checkpoint_dir": str(tmp_path / "saved")}


@pytest.fixture(scope="session")
def columns_data(tmp_path_factory):
    """Folder with the tiny data set of 30 users and 24 items, columns of every kind."""
    return tiny.write_tiny(tmp_path_factory.mktemp("data"), users=30, items=24, columns=True)


@pytest.fixture(scope="session")
def cold_world(tmp_path_factory):
    """The synthetic world, and beside it `world-cold`, a split that withholds a quarter of its items."""
    return cold.build(tmp_path_factory.mktemp("data"))


@pytest.fixture
def evaluated(monkeypatch):
    """The parts that trainers of the plugin evaluate on, as they do."""
    from recbole_micro.training.trainer import PluginTrainer

    evaluate, parts = PluginTrainer.evaluate, []

    def watch(self, data, *arguments, **more):
        parts.append(data._sampler.phase)
        return evaluate(self, data, *arguments, **more)

    monkeypatch.setattr(PluginTrainer, "evaluate", watch)
    return parts


@pytest.fixture
def places(tmp_path):
    """Two paths of one empty folder, for two processes: those of two machines with `SHARED_FOLDERS`.

    `SHARED_FOLDERS=/mnt/one:/mnt/two` names two mounts of one network folder; else both paths are the same.
    """
    mounts = os.environ.get("SHARED_FOLDERS")
    if not mounts:
        yield tmp_path, tmp_path
        return
    one, two = (Path(mount, tmp_path.name) for mount in mounts.split(":"))
    one.mkdir()
    yield one, two
    shutil.rmtree(one)


@pytest.fixture
def own_models():
    """Models of one's own, and defaults that are added, are forgotten after the test."""
    before = dict(MODELS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defaults, "_added", {})
        patch.setattr(user_models, "_loaded", {})
        yield
    for name in set(MODELS) - set(before):
        sys.modules.pop(f"{ALIAS_PACKAGE}.{name.lower()}", None)
        del MODELS[name]
    for cached in (options.plugin_defaults, options.model_names, options.known_names, options.declared):
        cached.cache_clear()
