"""Runs and trials on Ray: a cluster that is there, or a Ray of our own on this machine.

A run is the same program in a folder as on this machine (`pool`).  Where the machine of the cluster sees the
run's folder, as on a shared file system, it works there; else in a folder of its own, whose files come back.
"""

import logging
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dataset_tools.files import replacing, write_text
from recbole_micro.errors import UserError
from recbole_micro.studies.pool import ROOT, Engine, available_cores, fresh_folder, start_in
from recbole_micro.studies.runs import Run
from recbole_micro.studies.worker import LOG, OPTIONS, RESULT

REQUIREMENT = "ray[tune]>=2.50"
MARK = ".mark"  # a file by which a machine knows the run's folder
ENVIRONMENT = {  # Ray reads these when it is imported or started
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_memory_monitor_refresh_ms": "0",  # it kills trials for the memory that other programs take
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a trial that failed has no score
}


def require() -> None:
    """Raise UserError where Ray Tune is not installed."""
    try:
        present = find_spec("ray.tune") is not None
    except ImportError:
        present = False
    if not present:
        raise UserError(f'The engine ray needs Ray Tune: pip install "{REQUIREMENT}".')


@contextmanager
def session(address: str | None) -> Iterator[Any]:
    """The module `ray`, connected: to a Ray of our own on this machine, or to a running cluster.

    What a Ray of our own writes is removed at the end.  UserError where no cluster answers.
    """
    if (address or "").startswith("ray://"):
        raise UserError(f"--address={address} is Ray's client: start this on a machine of the cluster.")
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    import ray

    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    quiet["runtime_env"] = {"env_vars": {"PYTHONPATH": paths}}
    # The names of sockets have 107 characters at most; the folder in it is a new one of ours.
    short = "/tmp" if os.path.isdir("/tmp") else None  # nosec B108 # see above
    with tempfile.TemporaryDirectory(prefix="tune-", dir=short, ignore_cleanup_errors=True) as folder:
        try:
            if address:
                ray.init(address=address, **quiet)
            else:
                cores = available_cores()
                local: dict[str, Any] = {"num_cpus": cores, "object_store_memory": 10**8}
                local["include_dashboard"] = False
                ray.init(address="local", _temp_dir=folder, **local, **quiet)
            yield ray
        except ConnectionError as error:
            reason = " ".join(str(error).split())
            remedy = "check --address and Ray's token"
            raise UserError(f"No Ray cluster answers at {address} ({reason}): {remedy}.") from error
        finally:
            ray.shutdown()
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def shares(
    cluster: Mapping, gpu_id: Any, address: str | None, workers: int | None, threads: int | None
) -> tuple[dict[str, int], int]:
    """What a training gets, `{"cpu": threads, "gpu": 0 or 1}`, and how many run at a time.

    `cluster`: Ray's `cluster_resources()`.  By default the cores of this machine are shared out among the
    `workers`; on a cluster (`address`) each training has one.
    """
    cores, devices = int(cluster.get("CPU", 1)), int(cluster.get("GPU", 0))
    gpu = 1 if devices and gpu_id not in ("", "-1") else 0
    if workers is None:
        workers = devices if gpu else cores // (threads or 1)
    workers = max(1, workers)
    threads = threads or (1 if address else max(1, cores // workers))
    if threads > cores:
        raise UserError(f"--threads is {threads}, but Ray has {cores} cores: ask for fewer.")
    return {"cpu": threads, "gpu": gpu}, workers


class Cluster(Engine):
    """The runs of a study as tasks of Ray's; `address` and `threads` as in `session` and `shares`."""

    def __init__(self, address: str | None = None, threads: int | None = None):
        require()
        self.address, self.threads = address, threads
        self.opened, self.depth = ExitStack(), 0

    def __enter__(self) -> "Cluster":
        if not self.depth:
            self.ray = self.opened.enter_context(session(self.address))
        self.depth += 1
        return self

    def __exit__(self, kind, error, trace):
        self.depth -= 1
        if not self.depth:
            return self.opened.__exit__(kind, error, trace)
        return None

    def shares(self, workers: int | None, runs: Sequence[Run]) -> tuple[int, int]:
        cluster = self.ray.cluster_resources()
        asked = {str(run.options.get("gpu_id", "0")) for run in runs}
        most = workers if workers is None else min(workers, len(runs))
        share, workers = shares(cluster, "0" if asked - {"", "-1"} else "", self.address, most, self.threads)
        self.gpu = share["gpu"]
        return min(workers, max(len(runs), 1)), share["cpu"]

    def start(self, run: Run, out: Path, command: Sequence[str], threads: int) -> "Task":
        folder = fresh_folder(run, out)
        mark = uuid.uuid4().hex
        write_text(folder / MARK, mark)
        words = ["" if word == sys.executable else word for word in command]  # each machine has its own
        task = self.ray.remote(num_cpus=threads, num_gpus=self.gpu, max_retries=0)(run_there)
        return Task(self.ray, task.remote(str(folder), mark, run.text, words, threads, self.gpu), folder)


class Task:
    """A run on the cluster (a `pool.Process`)."""

    def __init__(self, ray: Any, reference: Any, folder: Path):
        self.ray, self.reference, self.folder = ray, reference, folder
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, None while it runs; at its end its files are in the folder."""
        if self.returncode is None and self.ray.wait([self.reference], timeout=0)[0]:
            try:
                self.returncode, files = self.ray.get(self.reference)
            except self.ray.exceptions.RayError as error:
                reason = " ".join(str(error).split())[:500]
                with open(self.folder / LOG, "a", encoding="utf-8") as log:
                    log.write(f"\nerror: its process on the cluster ended: {reason}\n")
                self.returncode, files = 1, {}
            for name in sorted(files, key=lambda name: name == RESULT):  # the result is what others wait for
                with replacing(self.folder / name) as part:
                    part.write_bytes(files[name])
        return self.returncode

    def close(self) -> None:
        """Kill it if it still runs."""
        if self.poll() is None:
            self.ray.cancel(self.reference, force=True)
            self.returncode = -9
        (self.folder / MARK).unlink(missing_ok=True)


def run_there(
    folder: str, mark: str, text: str, command: Sequence[str], threads: int, gpu: int
) -> tuple[int, dict[str, bytes]]:
    """Run `command FOLDER` on this machine of the cluster: the exit code, and files that have to travel.

    `folder` with the `mark` in it is the run's own; where this machine does not see it, one is made with the
    options (`text`).  Ray shows the process the CUDA devices that are the run's own.  Empty words of the
    command are this Python.
    """
    words = [word or sys.executable for word in command]
    devices = {} if gpu else {"CUDA_VISIBLE_DEVICES": ""}
    try:
        seen = (Path(folder) / MARK).read_text(encoding="utf-8") == mark
    except OSError:
        seen = False
    if seen:
        (Path(folder) / MARK).unlink()
        return finished(Path(folder), words, threads, devices), {}
    with tempfile.TemporaryDirectory(prefix="run-") as own:
        write_text(Path(own) / OPTIONS, text)
        code = finished(Path(own), words, threads, devices)
        files = [path for path in Path(own).iterdir() if path.is_file() and path.name != OPTIONS]
        return code, {path.name: path.read_bytes() for path in files}


def finished(folder: Path, command: Sequence[str], threads: int, devices: Mapping[str, str]) -> int:
    """The exit code of the command in the folder; it ends with this process."""
    process = start_in(folder, command, threads, **devices)
    try:
        return process.wait()
    finally:
        process.close()
