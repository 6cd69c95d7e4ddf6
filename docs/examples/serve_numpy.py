"""The best items of a user, from an exported folder and NumPy alone: python serve_numpy.py DIR USER [K]."""

import json
import sys
from pathlib import Path

import numpy as np

folder, user, k = Path(sys.argv[1]), sys.argv[2], int((sys.argv[3:] or ["20"])[0])
users = json.loads((folder / "users.json").read_text(encoding="utf-8"))
items = json.loads((folder / "items.json").read_text(encoding="utf-8"))
row = users.index(user)
scores = np.load(folder / "item_vectors.npy") @ np.load(folder / "user_vectors.npy", mmap_mode="r")[row]
if walk := json.loads((folder / "manifest.json").read_text(encoding="utf-8")).get("walk"):
    own, items_of, starts, near, handed = (
        np.load(folder / f"{name}.npy", mmap_mode="r")
        for name in ("own_starts", "own_items", "walk_starts", "walk_items", "walk_values")
    )
    mine, shape = items_of[own[row] : own[row + 1]], (len(walk["graphs"]), len(scores))
    places = np.concatenate([np.arange(0), *(np.arange(starts[j], starts[j + 1]) for j in mine)])
    found = np.bincount(near[places], handed[places], shape[0] * shape[1]).reshape(shape) / max(1, len(mine))
    scores = scores + walk["weight"] * (np.sqrt(found[0]) + np.sqrt(found[1:].sum(0)))
start, end = np.load(folder / "seen_starts.npy", mmap_mode="r")[row : row + 2]
scores[np.load(folder / "seen_items.npy", mmap_mode="r")[start:end]] = -np.inf
for place in np.argsort(-scores, kind="stable")[:k]:
    if scores[place] > -np.inf:
        title = items.get("title", items["id"])[place]
        print(items["id"][place], f"{scores[place]:.6f}", title, sep="\t")
