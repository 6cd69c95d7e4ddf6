"""A data set of a few users and items, written as atomic files and feature files."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent

# Options that keep a training of the tiny data set short and quiet.
QUICK = {
    "epochs": 2,
    "eval_step": 1,
    "train_batch_size": 64,
    "embedding_size": 8,
    "topk": [5],
    "valid_metric": "Recall@5",
    "metric_decimal_place": 10,
    "show_progress": False,
    "gpu_id": "",
}


def write_tiny(
    folder: Path, name: str = "tiny", users: int = 24, items: int = 16, parts: bool = False
) -> Path:
    """Write `folder/name/name.inter`, `.item` and two feature files; with `parts` three .inter files instead.

    The last item has no interaction.  Returns `folder`, which is what `data_path` wants.
    """
    from dataset_tools.features.feature_file import FeatureWriter, feature_path

    generator = np.random.default_rng(5)
    home = folder / name
    home.mkdir(parents=True)
    pairs = [
        (f"u{user}", f"i{item}")
        for user in range(users)
        for item in generator.choice(items - 1, 10, replace=False)
    ]
    pieces = {"train": pairs[::2], "valid": pairs[1::4], "test": pairs[3::4]} if parts else {None: pairs}
    for part, rows in pieces.items():
        file = home / (f"{name}.{part}.inter" if part else f"{name}.inter")
        lines = "".join(f"{user}\t{item}\n" for user, item in rows)
        file.write_text("user_id:token\titem_id:token\n" + lines)
    tokens = [f"i{item}" for item in range(items)]
    (home / f"{name}.item").write_text("item_id:token\n" + "".join(f"{token}\n" for token in tokens))
    for modality, width in (("textual", 6), ("visual", 5)):
        rows = generator.standard_normal((items, width)).astype(np.float32)
        with FeatureWriter(feature_path(home, name, modality), modality, width) as writer:
            writer.write(tokens, rows)
    return folder


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def python(code: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a script in a fresh interpreter that finds the checkout, with arguments as on a command line."""
    script = Path(cwd) / "script.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
