"""Small data sets, written as atomic files and feature files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dataset_tools.features.feature_file import FeatureWriter, feature_path

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
WIDTHS = {"textual": 6, "visual": 5}  # of the tiny data set's features


def write_dataset(
    folder: Path,
    name: str,
    parts: Mapping[str | None, Sequence[tuple[int, int]]],
    items: int,
    features: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write a data set of users u0, u1, .. and items i0, i1, ..; returns its own folder.

    `parts`: (user, item) pairs by the part of a fixed split, or all of them under None.
    `features`: a matrix [items, width] by modality; a row with NaN is left out.
    """
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    for part, pairs in parts.items():
        file = home / (f"{name}.{part}.inter" if part else f"{name}.inter")
        lines = "".join(f"u{user}\ti{item}\n" for user, item in pairs)
        file.write_text("user_id:token\titem_id:token\n" + lines)
    tokens = [f"i{item}" for item in range(items)]
    (home / f"{name}.item").write_text("item_id:token\n" + "".join(f"{token}\n" for token in tokens))
    for modality, values in (features or {}).items():
        there = np.flatnonzero(~np.isnan(values).any(axis=1))
        with FeatureWriter(feature_path(home, name, modality), modality, values.shape[1]) as writer:
            writer.write([tokens[item] for item in there], values[there].astype(np.float32))
    return home


def write_tiny(
    folder: Path,
    name: str = "tiny",
    users: int = 24,
    items: int = 16,
    parts: bool = False,
    features: bool = True,
    columns: bool = False,
) -> Path:
    """Write a data set of random pairs, ten a user; returns `folder`, which is what `data_path` wants.

    The last item has no interaction.  `parts`: as a fixed split.  `features`: with textual and visual ones.
    `columns`: with columns of every kind.
    """
    generator = np.random.default_rng(5)
    pairs = [(user, item) for user in range(users) for item in generator.choice(items - 1, 10, replace=False)]
    split = {"train": pairs[::2], "valid": pairs[1::4], "test": pairs[3::4]} if parts else {None: pairs}
    matrices = {m: generator.standard_normal((items, width)) for m, width in WIDTHS.items()}
    home = write_dataset(folder, name, split, items, matrices if features else None)
    if columns:
        write_columns(home, pairs, users, items)
    return folder


def write_columns(home: Path, pairs: Sequence[tuple[int, int]], users: int, items: int) -> None:
    """Labels, and columns of items and users: tokens, floats, sequences of both; no cell of the last item."""
    tables = {
        "inter": ["user_id:token\titem_id:token\tlabel:float", *(f"u{u}\ti{i}\t{i % 2}" for u, i in pairs)],
        "item": [
            "item_id:token\tclass:token_seq\tprice:float\tvec:float_seq",
            *(f"i{i}\tc{i % 3} c{i % 5}\t{i}\t{i} {i + 1}" for i in range(items - 1)),
            f"i{items - 1}\t\t\t",
        ],
        "user": ["user_id:token\tage:token", *(f"u{u}\t{20 + u % 4}" for u in range(users))],
    }
    for kind, lines in tables.items():
        (home / f"{home.name}.{kind}").write_text("\n".join(lines) + "\n")
