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
start, end = np.load(folder / "seen_starts.npy", mmap_mode="r")[row : row + 2]
scores[np.load(folder / "seen_items.npy", mmap_mode="r")[start:end]] = -np.inf
for place in np.argsort(-scores, kind="stable")[:k]:
    if scores[place] > -np.inf:
        title = items.get("title", items["id"])[place]
        print(items["id"][place], f"{scores[place]:.6f}", title, sep="\t")
