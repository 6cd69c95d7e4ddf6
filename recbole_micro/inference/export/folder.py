"""An exported folder: vectors, ids, titles, what users had, neighbours, reasons, and a manifest."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.data.dataset import Dataset

from dataset_tools.progress import progress
from recbole_micro.checkpoint import fingerprint, load_checkpoint, plain_config, versions
from recbole_micro.data.features import Modality
from recbole_micro.errors import UserError
from recbole_micro.files import whole_folder
from recbole_micro.inference.export.formats import FORMATS, Vectors, write_faiss
from recbole_micro.inference.export.items import item_table, write_pictures
from recbole_micro.inference.export.onnx_scorer import write_onnx
from recbole_micro.inference.export.reasons import parts_of, write_reasons
from recbole_micro.inference.export.vectors import score_vectors
from recbole_micro.inference.export.walk import write_walk
from recbole_micro.inference.similar import Similar, nearest_items, spaces
from recbole_micro.models.base import MultimodalRecommender, of_all
from recbole_micro.training.loading import Loaded, load_data_and_model
from recbole_micro_server import layout

NEIGHBOURS = 20
TRAINED, COLLABORATIVE = "trained", "collaborative"  # names in `spaces`


def export(
    checkpoint: str | Path,
    to: str | Path,
    formats: Sequence[str] = (),
    *,
    faiss: bool = False,
    onnx: bool = False,
    neighbours: int = NEIGHBOURS,
    images: str | Path | None = None,
    category: str | None = None,
    overwrite: bool = False,
    data_path: str | Path | None = None,
) -> Path:
    """Write what serves a trained model into the new folder `to`, whole or not at all; its path.

    `formats`: of `parquet`, `npz`, `safetensors`, beside the arrays that the server reads; `faiss` and `onnx`
    add an index and a scorer.  `neighbours`: how many are kept of each item by each kind of vectors.
    `images`: a folder of pictures, named as in the data set's column of images or by item id.  `category`:
    the column that colours the map.  `overwrite` replaces an earlier export, and nothing else.
    Raises UserError for models without vectors, absent packages and existing folders.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UserError(f"There is no format {unknown[0]!r}: choose of {', '.join(FORMATS)}.")
    with whole_folder(Path(to), is_export if overwrite else None) as part:
        source = load_data_and_model(checkpoint, data_path, log=False)
        user, item, difference = score_vectors(source.model, source.dataset)
        users, items = (
            [str(token) for token in source.dataset.field2id_token[field][1:]]
            for field in ids_of(source.dataset)
        )
        vectors = Vectors(users, items, user[1:], item[1:])
        write_vectors(vectors, part)
        write_seen(source, part)
        columns = item_table(source.dataset, vectors.items, category)
        write_pictures(columns, images, part / layout.IMAGES)
        write_json(part / layout.ITEMS, columns)
        kinds = write_neighbours(spaces_of(source, item), part, neighbours)
        walk = getattr(source.model, "walk", None)
        entry = write_walk(walk, part) if walk else None
        parts, why = parts_of(source.model)
        if parts is not None:
            write_reasons(parts, part / layout.REASONS)
        for name in formats:
            FORMATS[name](vectors, part)
        if faiss:
            write_faiss(vectors, part)
        if onnx:
            write_onnx(vectors, part, walk)
        manifest = describe(source, checkpoint, vectors)
        manifest |= {"largest_difference": difference, "neighbours": kinds, "neighbours_per_item": neighbours}
        manifest |= {"walk": entry} if entry else {}
        manifest |= {"modalities": list(parts.modalities) if parts else [], "why": why}
        write_json(part / layout.MANIFEST, manifest, indent=1)
    return Path(to)


def is_export(folder: Path) -> bool:
    """Whether a folder is an earlier export, which may be replaced."""
    return (folder / layout.MANIFEST).is_file() and (folder / layout.USER_VECTORS).is_file()


def ids_of(dataset: Dataset) -> tuple[str, str]:
    """The fields of users and items."""
    return dataset.uid_field, dataset.iid_field


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write JSON as UTF-8."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=indent), encoding="utf-8")


def write_vectors(vectors: Vectors, folder: Path) -> None:
    """Ids of users, both matrices, and the map."""
    write_json(folder / layout.USERS, vectors.users)
    np.save(folder / layout.USER_VECTORS, vectors.user)
    np.save(folder / layout.ITEM_VECTORS, vectors.item)
    np.save(folder / layout.MAP, plane(vectors.item))


def plane(vectors: np.ndarray) -> np.ndarray:
    """The two principal components of vectors [n, D], [n, 2] float32, each within -1 and 1.

    Signs are fixed so that the largest loading of a component is positive: the same map in every run.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, :2]
    strongest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[strongest, range(directions.shape[1])])
    points = np.zeros((len(vectors), 2), dtype=np.float32)
    points[:, : directions.shape[1]] = centred @ directions
    return points / max(float(np.abs(points).max()), 1e-12)


def write_seen(source: Loaded, folder: Path) -> None:
    """What every user had in training, validation and test: rows of items, each once.

    The newest come first where the data have times, else items in their own order.
    """
    dataset = source.dataset
    parts = [loader._dataset.inter_feat for loader in source[3:]]
    user, item = (np.concatenate([np.asarray(part[f]) for part in parts]) - 1 for f in ids_of(dataset))
    order = np.lexsort((item, user))
    if all(dataset.time_field in part.interaction for part in parts):
        time = np.concatenate([np.asarray(part[dataset.time_field]) for part in parts])
        order = np.lexsort((item, -time, user))
    user, item = user[order], item[order]
    _, first = np.unique(np.stack([user, item]), axis=1, return_index=True)
    user, item = user[np.sort(first)], item[np.sort(first)]
    counts = np.bincount(user, minlength=dataset.user_num - 1)
    np.save(folder / layout.SEEN_STARTS, np.concatenate([[0], np.cumsum(counts)]))
    np.save(folder / layout.SEEN_ITEMS, item.astype(np.int32))


def spaces_of(source: Loaded, item: np.ndarray) -> dict[str, Modality]:
    """The vectors that items are compared by; of RecBole's models `item` [n_items, D], from the scores."""
    if isinstance(source.model, MultimodalRecommender):
        return spaces(source.model, source.dataset)
    return {COLLABORATIVE: of_all(torch.from_numpy(item))}


def write_neighbours(found: Mapping[str, Modality], folder: Path, k: int) -> list[str]:
    """The `k` nearest items of every item by every kind of vectors; the kinds, the trained vectors first."""
    (folder / layout.NEIGHBOURS).mkdir()
    n_items = len(next(iter(found.values())).values) - 1
    kinds = sorted(found, key=lambda by: by != TRAINED)
    for by in kinds:
        space = found[by]
        items = np.full((n_items, k), -1, dtype=np.int32)
        cosines = np.zeros((n_items, k), dtype=np.float32)
        everything = torch.arange(1, n_items + 1, device=space.values.device)
        for near in progress(nearest_items(space, everything, k), f"neighbours by {by}"):
            put(near, items, cosines)
        for name, values in zip(layout.neighbour_files(by), (items, cosines), strict=True):
            np.save(folder / name, values)
    return kinds


def put(near: Similar, items: np.ndarray, cosines: np.ndarray) -> None:
    """Put pairs of items, sorted by item and nearest first, into the rows of both matrices [n_items, k]."""
    row, other, cosine = (part.cpu().numpy() for part in near)
    place = np.arange(len(row)) - np.searchsorted(row, row)
    items[row - 1, place], cosines[row - 1, place] = other - 1, cosine


def describe(source: Loaded, checkpoint: str | Path, vectors: Vectors) -> dict[str, Any]:
    """The manifest: what was exported, from what, with which versions."""
    state: Mapping[str, Any] = load_checkpoint(checkpoint)
    settings = plain_config(source.config)
    return {
        "format": layout.FORMAT,
        "model": source.config["model"],
        "dataset": source.dataset.dataset_name,
        "score": "dot product of a row of user_vectors.npy and a row of item_vectors.npy, and `walk`, if any",
        "users": len(vectors.users),
        "items": len(vectors.items),
        "width": vectors.user.shape[1],
        "interactions": source.dataset.inter_num,
        "ids_sha256": fingerprint(source.dataset),
        "checkpoint": Path(checkpoint).name,
        "epoch": int(state.get("epoch", -1)) + 1,
        "metrics": {f"valid {settings.get('valid_metric')}": state.get("best_valid_score")},
        "versions": versions(),
        "settings": settings,
    }
