"""The best items of a user, from an exported folder and NumPy alone: python serve_numpy.py DIR USER [K]."""

import json
import sys
from pathlib import Path

import numpy as np

folder, user, k = Path(sys.argv[1]), sys.argv[2], int((sys.argv[3:] or ["20"])[0])
names = "users", "items", "manifest"
users, items, manifest = (json.loads((folder / f"{name}.json").read_text("utf-8")) for name in names)
array = {file.stem: np.load(file, mmap_mode="r") for file in folder.glob("*.npy")}
row = users.index(user)
scores = array["item_vectors"] @ array["user_vectors"][row]
if walk := manifest.get("walk"):  # one step from the user's own items to the items near them
    own = array["own_items"][slice(*array["own_starts"][row : row + 2])]
    near = np.hstack([np.arange(0), *(np.arange(*array["walk_starts"][j : j + 2]) for j in own)])
    size, values = len(walk["graphs"]) * len(scores), array["walk_values"][near] / max(1, len(own))
    found = np.bincount(array["walk_items"][near], values, size).reshape(-1, len(scores))
    scores = scores + walk["weight"] * (np.sqrt(found[0]) + np.sqrt(found[1:].sum(0)))
scores[array["seen_items"][slice(*array["seen_starts"][row : row + 2])]] = -np.inf
for place in np.argsort(-scores, kind="stable")[:k]:
    if scores[place] > -np.inf:
        print(items["id"][place], f"{scores[place]:.6f}", items.get("title", items["id"])[place], sep="\t")
