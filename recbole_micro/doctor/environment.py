"""Packages, mends, devices, threads and disk space."""

import importlib.metadata as metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from packaging.requirements import Requirement

from recbole_micro.doctor.finding import ABSENT, BROKEN, OK, WARNING, Finding
from recbole_micro.errors import install_command
from recbole_micro.recbole_patches.mechanism import MARK, Patch
from recbole_micro.recbole_patches.table import KNOWN_VERSIONS, SECTIONS

NAME = "recbole_micro"
# What each optional package is for, by module.
OPTIONAL = {
    "ray": "parallel tuning: tune --engine=ray",
    "faiss": "neighbour graphs of very many items (knn_backend: faiss), export --faiss, RecBole's NCL",
    "wordllama": "quick text features: data encode --text wordllama",
    "sentence_transformers": "text features: data encode --text sentence-transformers/...",
    "transformers": "image features: data encode --image clip/...",
    "PIL": "reading pictures for their features",
    "av": "features of videos and sounds: data encode --video, --audio",
    "h5py": "feature files in HDF5",
    "safetensors": "feature files and exports in that format",
    "fastapi": "recbole-micro serve",
    "uvicorn": "recbole-micro serve",
    "mlflow": "trainings followed in MLflow: log_mlflow",
    "wandb": "trainings followed in Weights & Biases: log_wandb",
    "codecarbon": "the energy of each run in a report",
    "mcp": "recbole-micro serve --mcp",
    "onnx": "export --onnx",
    "onnxruntime": "the check of export --onnx",
}
LITTLE, VERY_LITTLE = 2 << 30, 100 << 20  # bytes of disk space


def packages() -> Iterator[Finding]:
    """Python, this package, and whatever it needs, beside the versions that it asks for."""
    yield Finding("versions", "Python", OK, platform.python_version())
    try:
        needs = metadata.requires(NAME) or []
        yield Finding("versions", NAME, OK, metadata.version(NAME))
    except metadata.PackageNotFoundError:
        yield Finding(
            "versions", NAME, WARNING, "not installed, but read from a folder", "pip install . there."
        )
        return
    for need in map(Requirement, needs):
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            yield requirement(need)


def requirement(need: Requirement) -> Finding:
    """Whether the environment has a package in a version that is asked for."""
    try:
        found = metadata.version(need.name)
    except metadata.PackageNotFoundError:
        return Finding("versions", need.name, BROKEN, "not installed", f"{install(need)}.")
    if not need.specifier.contains(found, prereleases=True):
        return Finding("versions", need.name, BROKEN, f"{found}, not {need.specifier}", f"{install(need)}.")
    return Finding("versions", need.name, OK, found)


def install(need: Requirement) -> str:
    """The command that installs what is needed."""
    return f'pip install "{need.name}{need.specifier}"'


def mends() -> Iterator[Finding]:
    """Per section of the table of mends: how many rows are active, and which should be and are not."""
    import recbole

    if recbole.__version__ not in KNOWN_VERSIONS:
        known = ", ".join(KNOWN_VERSIONS)
        yield Finding(
            "mends", "RecBole", WARNING, f"{recbole.__version__}: the mends were written for {known}",
            f"pip install recbole=={KNOWN_VERSIONS[0]} where results look wrong.",
        )  # fmt: skip
    for title, patches in SECTIONS.items():
        needed = [patch for patch in patches if patch.applies()]
        lost = [patch.key for patch in needed if not is_active(patch)]
        text = f"{len(needed) - len(lost)} of {len(needed)} active"
        text += f", {len(patches) - len(needed)} not needed here" if len(needed) < len(patches) else ""
        if lost:
            remedy = f"{', '.join(lost)} could not be mended: pip install recbole=={KNOWN_VERSIONS[0]}."
            yield Finding("mends", title, BROKEN, text, remedy)
        else:
            yield Finding("mends", title, OK, text)


def is_active(patch: Patch) -> bool:
    """Whether a row of the table is in place; `set` and `call` leave no mark, and cannot fail in silence."""
    if patch.how in ("set", "call"):
        return True
    return getattr(getattr(patch.target(), patch.name, None), MARK, None) == patch.key


def devices() -> Iterator[Finding]:
    """Graphics processors that PyTorch sees, or why it may see none."""
    for number in range(torch.cuda.device_count()):
        known = torch.cuda.get_device_properties(number)
        yield Finding("devices", f"cuda:{number}", OK, f"{known.name}, {known.total_memory / 2**30:.0f} GiB")
    if torch.cuda.device_count():
        return
    if shutil.which("nvidia-smi"):
        build = "a CPU build" if torch.version.cuda is None else f"built for CUDA {torch.version.cuda}"
        yield Finding(
            "devices", "cuda", WARNING,
            f"nvidia-smi is here, but PyTorch {torch.__version__} ({build}) finds no device",
            "install the CUDA build that PyTorch's page gives, or update the driver.",
        )  # fmt: skip
    else:
        yield Finding("devices", "cpu", OK, f"{platform.machine()}, no CUDA device")


def threads() -> Iterator[Finding]:
    """Threads of PyTorch beside the cores that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used = torch.get_num_threads()
    text = f"{used} of PyTorch, {cores} cores"
    if used > cores:
        yield Finding("threads", "threads", WARNING, text, f"set OMP_NUM_THREADS={cores}: more are slower.")
    else:
        yield Finding("threads", "threads", OK, text)


def disk(folders: Iterable[Path]) -> Iterator[Finding]:
    """Free space where data sets and checkpoints are written, once per disk."""
    seen: set[int] = set()
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        device = there.stat().st_dev
        if not os.access(there, os.W_OK):
            remedy = "run where you may write, or give data_path and checkpoint_dir."
            yield Finding("disk", str(folder), WARNING, f"{there} cannot be written", remedy)
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(there).free
        text = f"{free / 2**30:.1f} GiB free"
        if free < LITTLE:
            state = BROKEN if free < VERY_LITTLE else WARNING
            yield Finding("disk", str(folder), state, text, "free some space.")
        else:
            yield Finding("disk", str(folder), OK, text)


def optional() -> Iterator[Finding]:
    """Optional packages, and what each is for."""
    for module, purpose in OPTIONAL.items():
        if importlib.util.find_spec(module) is None:
            yield Finding("optional", module, ABSENT, purpose, f"{install_command(module)}.")
        else:
            yield Finding("optional", module, OK, f"{version_of(module)}: {purpose}")


def version_of(module: str) -> str:
    """The version of the distribution that brings a module."""
    names = metadata.packages_distributions().get(module, [module])
    try:
        return metadata.version(names[0])
    except metadata.PackageNotFoundError:
        return "version unknown"
