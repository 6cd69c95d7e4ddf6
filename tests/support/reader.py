"""What a reader of the docs has at hand: data sets and files under the names that the pages use, but tiny."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

import recbole_micro
from dataset_tools.features.feature_file import FeatureWriter, feature_path
from recbole_micro.inference.export.folder import export
from tests.support.processes import ROOT

USERS, ITEMS = range(180, 204), range(40, 60)  # with those that the pages ask about: 186, 196, 50
GENRES = ("Drama", "Comedy", "Film Noir")


def pairs() -> list[tuple[int, int, int]]:
    """(user, item, time): twelve items of each user."""
    draw = np.random.default_rng(5)
    chosen = [(user, item) for user in USERS for item in draw.choice(ITEMS, 12, replace=False)]
    return [(user, int(item), time) for time, (user, item) in enumerate(chosen)]


def make(folder: Path, commands: str) -> None:
    """Make in `folder` what these commands read and do not make themselves."""
    (folder / "run_recbole_micro.py").symlink_to(ROOT / "run_recbole_micro.py")
    for file in (ROOT / "docs" / "examples").glob("*.py"):
        shutil.copy(file, folder)
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (model,) = [
        block for block in re.findall("```python\n(.*?)```", page, re.DOTALL) if "class Blend" in block
    ]
    (folder / "blend.py").write_text(model)
    (folder / "pairs.txt").write_text("".join(f"{user} {item}\n" for user, item, _ in pairs()))
    write_table(folder)
    if "prepare ml-100k" not in commands:
        write_data_set(folder / "dataset", "ml-100k", ("textual", "genre"))
    if not re.search("convert .*--name baby", commands):
        write_data_set(folder / "dataset", "baby", ("textual", "visual"))
    if "studies/tune/best.yaml" in commands and "recbole-micro tune" not in commands:
        (folder / "studies" / "tune").mkdir(parents=True)
        (folder / "studies" / "tune" / "best.yaml").write_text("knn_k: 5\n")
    for name in ("path/to/baby", "data/baby"):
        write_published(folder / name)
    theirs = [(user, item, rank) for user in USERS for rank, item in enumerate(ITEMS)]
    pd.DataFrame(theirs, columns=["user_id", "item_id", "rank"]).to_csv(folder / "theirs.csv", index=False)
    if "....pth" in commands or "exported/" in commands:
        checkpoint = train(folder, "MICRO")
        (folder / "saved").mkdir(exist_ok=True)
        Path(checkpoint).rename(folder / "saved" / "MICRO-....pth")
    if "exported/" in commands and "--to=exported/micro" not in commands:
        export(folder / "saved" / "MICRO-....pth", folder / "exported" / "micro")
    if "exported/lightgcn" in commands:
        export(train(folder, "LightGCN"), folder / "exported" / "lightgcn")


def train(folder: Path, model: str) -> str:
    """The checkpoint of an epoch on ml-100k."""
    options = {"data_path": str(folder / "dataset"), "epochs": 1, "show_progress": False}
    return recbole_micro.run(model, "ml-100k", config_dict=options)["checkpoint"]


def write_data_set(folder: Path, name: str, modalities: tuple[str, ...]) -> None:
    """A data set with times, titles, genres and features."""
    home = folder / name
    home.mkdir(parents=True)
    rows = "".join(f"{user}\t{item}\t{time}\n" for user, item, time in pairs())
    (home / f"{name}.inter").write_text("user_id:token\titem_id:token\ttimestamp:float\n" + rows)
    titles = "".join(f"{item}\tTitle {item}\t{GENRES[item % 3]}\n" for item in ITEMS)
    (home / f"{name}.item").write_text("item_id:token\ttitle:token_seq\tgenre:token_seq\n" + titles)
    for number, modality in enumerate(modalities):
        values = features(number)
        with FeatureWriter(feature_path(home, name, modality), modality, values.shape[1]) as writer:
            writer.write([str(item) for item in ITEMS], values)


def features(number: int) -> np.ndarray:
    """Float32 [n_items, 5 or more]."""
    draw = np.random.default_rng(number)
    return draw.standard_normal((len(ITEMS), 5 + number)).astype(np.float32)


def write_published(folder: Path) -> None:
    """The files of MICRO's published code, and those of MMRec, in one folder."""
    (folder / "5-core").mkdir(parents=True)
    parts: dict[str, dict[str, list[int]]] = {"train": {}, "val": {}, "test": {}}
    lines = ["userID\titemID\trating\ttimestamp\tx_label"]
    for place, (user, item, time) in enumerate(pairs()):
        label = 0 if place % 12 < 8 else 1 if place % 12 < 10 else 2
        row = parts[list(parts)[label]].setdefault(str(user - USERS[0]), [])
        row.append(item - ITEMS[0])
        lines.append(f"{user - USERS[0]}\t{item - ITEMS[0]}\t5.0\t{time}\t{label}")
    for part, content in parts.items():
        (folder / "5-core" / f"{part}.json").write_text(json.dumps(content))
    (folder / "baby.inter").write_text("\n".join(lines) + "\n")
    for number, name in enumerate(("image_feat", "text_feat")):
        np.save(folder / f"{name}.npy", features(number))


def write_table(folder: Path) -> None:
    """ratings.csv and items.csv, with columns named as the page names them."""
    rows = [(user, item, 4, time) for user, item, time in pairs()]
    ratings = pd.DataFrame(rows, columns=["who", "what", "stars", "when"])
    ratings.to_csv(folder / "ratings.csv", index=False)
    items = pd.DataFrame({"what": ITEMS, "name": [f"Title {item}" for item in ITEMS]})
    items["about"] = [f"about {GENRES[item % 3]}" for item in ITEMS]
    items["picture"] = [f"{item}.jpg" for item in ITEMS]
    items.to_csv(folder / "items.csv", index=False)
