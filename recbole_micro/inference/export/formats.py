"""Exported vectors in the formats that other programs read: Parquet, npz, safetensors, FAISS."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recbole_micro.errors import UserError, install_command
from recbole_micro_server.layout import USERS


class Vectors(NamedTuple):
    """Ids and float32 vectors of users [n_users, D] and items [n_items, D], without the padding row."""

    users: Sequence[str]
    items: Sequence[str]
    user: np.ndarray
    item: np.ndarray


def write_parquet(vectors: Vectors, folder: Path) -> None:
    """`users.parquet` and `items.parquet`: columns `id` and `vector` (fixed-size list of float32)."""
    for name, ids, values in (
        ("users", vectors.users, vectors.user),
        ("items", vectors.items, vectors.item),
    ):
        rows = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        table = pa.table({"id": pa.array(ids, pa.string()), "vector": rows})
        pq.write_table(table, folder / f"{name}.parquet", compression="none", use_dictionary=False)


def write_npz(vectors: Vectors, folder: Path) -> None:
    """`vectors.npz`: arrays `user_ids`, `users`, `item_ids`, `items`; it opens without pickle."""
    np.savez(
        folder / "vectors.npz",
        users=vectors.user,
        items=vectors.item,
        user_ids=np.array(vectors.users, dtype=str),
        item_ids=np.array(vectors.items, dtype=str),
    )


def write_safetensors(vectors: Vectors, folder: Path) -> None:
    """`vectors.safetensors`: tensors `users`, `items`; ids as JSON lists in its metadata."""
    try:
        from safetensors.numpy import save_file
    except ModuleNotFoundError:
        raise absent("safetensors", "the format safetensors") from None
    ids = {"user_ids": json.dumps(list(vectors.users)), "item_ids": json.dumps(list(vectors.items))}
    tensors = {"users": vectors.user, "items": vectors.item}
    file = folder / "vectors.safetensors"
    save_file(tensors, file, metadata=ids)
    file.chmod((folder / USERS).stat().st_mode)  # it makes files that only their owner may read


def write_faiss(vectors: Vectors, folder: Path) -> None:
    """`items.faiss`: an exact inner-product index; its labels are the rows of the items."""
    try:
        import faiss
    except ModuleNotFoundError:
        raise absent("faiss", "--faiss") from None
    index = faiss.IndexFlatIP(vectors.item.shape[1])
    index.add(vectors.item)
    faiss.write_index(index, str(folder / "items.faiss"))


def absent(module: str, what: str) -> UserError:
    """The error about a package that an output needs."""
    return UserError(f"{what} needs the package {module}: {install_command(module)}.")


FORMATS: dict[str, Callable[[Vectors, Path], None]] = {
    "parquet": write_parquet,
    "npz": write_npz,
    "safetensors": write_safetensors,
}
