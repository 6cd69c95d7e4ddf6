"""Programs that stand for trainings, and a finished study."""

import functools
import json

import numpy as np
import pandas as pd
import pytest
import yaml

from recbole_micro.studies import pool
from recbole_micro.studies.details import EPOCHS, ITEMS, USERS
from recbole_micro.studies.paper import tables
from recbole_micro.studies.worker import CONFIG, RESULT
from tests.support import processes
from tests.support.tiny import QUICK

# A program that stands for a training: its result follows from its options; some calls die on the way.
STAND_IN = """
import json, os, sys
from pathlib import Path
folder = Path(sys.argv[1])
text = (folder / "options.yaml").read_text()
calls = Path(os.environ["CALLS"])
with open(calls, "a") as file:
    file.write(folder.name + "\\n")
die = os.environ.get("DIE", "")
if os.environ.get("ONLY", "") in folder.name:
    if die == "start":
        os._exit(9)
    (folder / "epochs.csv").write_text("epoch,train_loss\\n1,0.5\\n")
    if die == "middle":
        (folder / "result.json.part").write_text('{"valid": {')
        os._exit(9)
    if die == "wait":
        (folder / "waiting").write_text("")
        sys.stdin.read()  # to the end of the parent
        os._exit(3)
    if die == "late":
        (folder / "users.parquet").write_bytes(b"half")
        os._exit(9)
value = sum(map(ord, text)) % 97 / 97
(folder / "epochs.csv").write_text("epoch,train_loss,recall@5\\n1,0.5,0.25\\n2,0.4,0.5\\n")
result = {"epochs": 2, "protocol": "recbole", "valid_metric": "Recall@5"}
result |= {"valid": {"recall@5": value}, "test": {"recall@5": value / 2}}
(folder / "result.json.part").write_text(json.dumps(result))
os.replace(folder / "result.json.part", folder / "result.json")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """The command of the stand-in, and the file that counts its calls."""
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return processes.stand_in(tmp_path, STAND_IN), tmp_path / "calls"


# A program that stands for the trainings and the timings of a reproduction; ItemKNN fails.
REPRODUCED = """
import json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
if "timing" in folder.parts:
    timing = {"prepare": 2, "epoch": 10, "evaluation": 4, "epochs": 30, "eval_step": 5}
    (folder / "result.json").write_text(json.dumps(timing))
    sys.exit()
if "ItemKNN" in folder.name:
    sys.exit("error: no neighbours")
text = (folder / "options.yaml").read_text()
assert "protocol: paper" in text and "ndcg_ideal: hits" in text
(folder / "epochs.csv").write_text("epoch,train_loss\\n1,0.5\\n")
metrics = {"recall@20": len(folder.name) / 100, "ndcg@20": 0.02, "ndcg_hits@20": 0.03, "precision@20": 0.001}
metrics = {name: value + int(folder.name[-1]) / 1000 for name, value in metrics.items()}
result = {"epochs": 1, "protocol": "paper", "valid_metric": "Recall@20", "valid": metrics, "test": metrics}
(folder / "result.json.part").write_text(json.dumps(result))
(folder / "result.json.part").rename(folder / "result.json")
"""


@pytest.fixture
def reproduced(tmp_path, monkeypatch):
    """Let the stand-in train and time whatever is reproduced."""
    command = processes.stand_in(tmp_path, REPRODUCED)
    monkeypatch.setattr(tables, "run_all", functools.partial(pool.run_all, command=command))
    monkeypatch.setattr(tables.epoch_cost, "WORKER", command)


ABOUT = {
    "versions": {"recbole_micro": "0.1.0", "torch": "2.6.0"},
    "device": "CPU (x86_64)",
    "threads": 1,
    "data": {"name": "tiny", "users": 30, "items": 10, "train": 240, "test": 40, "fingerprint": "ab" * 32},
}
VALUES = {"BPR": 0.10, "MICRO (knn_k=5)": 0.20, "MICRO (knn_k=10)": 0.16}


@pytest.fixture
def study(tmp_path):
    """A finished study of three labels and two seeds, one more run failed; (results, folder)."""
    rng = np.random.default_rng(1)
    easy, rows = 0.1 * rng.random(30), []
    for label, value in VALUES.items():
        k = int(label[-3:-1].strip("=")) if "=" in label else np.nan
        for seed in (1, 2):
            folder = tmp_path / "runs" / f"{len(rows)}"
            folder.mkdir(parents=True)
            users = value + easy + 0.01 * rng.random(30) + 0.01 * seed
            columns = {"user": [f"u{u}" for u in range(30)], "train": [u // 2 + 1 for u in range(30)]}
            pd.DataFrame(columns | {"recall@5": users, "ndcg@5": 1 - users}).to_parquet(folder / USERS)
            columns = {"item": [f"i{i}" for i in range(10)], "train": range(10), "test": [4] * 10}
            hits = {"hits@5": [round(20 * value) * (i > 7) for i in range(10)]}
            pd.DataFrame(columns | hits).to_parquet(folder / ITEMS)
            options = {"learning_rate": 0.001 * (2 - (label == "BPR")), "topk": [5], "seed": seed}
            options |= {"n_ui_layers": 2, "knn_k": k} if label != "BPR" else {}
            (folder / CONFIG).write_text(yaml.safe_dump(options))
            (folder / RESULT).write_text(json.dumps({"valid_metric": "Recall@5", "about": ABOUT}))
            lines = [f"{e},{1 / e},{value * e / 3 if e % 2 else ''}" for e in range(1, 6)]
            (folder / EPOCHS).write_text("\n".join(["epoch,train_loss,recall@5", *lines]) + "\n")
            row = {
                "label": label,
                "model": label.split(" ")[0],
                "knn_k": k,
                "seed": seed,
                "status": "finished",
            }
            row |= {"folder": f"runs/{len(rows)}", "error": "", "protocol": "paper", "valid recall@5": value}
            row |= {"trained epochs": 5, "cost epoch s": 2.5, "cost best epoch": 3, "cost to best s": 8.25}
            row |= {"cost memory MiB": 700.0 + 100 * seed, "cost energy Wh": 0.125}
            rows.append(row | {"test recall@5": users.mean(), "test ndcg@5": (1 - users).mean()})
    failed = {"label": "VBPR", "model": "VBPR", "seed": 1, "status": "failed", "error": "no <features>"}
    return pd.DataFrame([*rows, failed | {"folder": "runs/9"}]), tmp_path


@pytest.fixture
def tiny(tiny_data):
    """Options of a quick run of a study."""
    return {**QUICK, "dataset": "tiny", "data_path": str(tiny_data)}
