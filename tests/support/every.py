"""Small data sets with every column that a model may ask for, and the options to train any model on them."""

from pathlib import Path
from typing import Any

from recbole.utils import get_model

from recbole_micro import options
from tests.support.tiny import write_tiny

USERS, ITEMS = 12, 24
COLUMNS = ("label:float", "rating:float", "timestamp:float")
# Read by no model: options of one's own are for the columns that they name.
TABLES = {
    "item": (
        "item_id:token\tclass:token_seq\tprice:float\tvec:float_seq",
        [f"i{i}\tc{i % 3} c{i % 5}\t{i}\t{i} {i + 1}" for i in range(ITEMS)],
    ),
    "user": ("user_id:token\tage:token", [f"u{u}\t{20 + u % 4}" for u in range(USERS)]),
    "link": ("item_id:token\tentity_id:token", [f"i{i}\te{i}" for i in range(ITEMS)]),
    "kg": (
        "head_id:token\trelation_id:token\ttail_id:token",
        [f"e{i}\tr{i % 2}\te{(i + 1 + i % 3) % ITEMS}" for i in range(ITEMS)],
    ),
    "emb": ("iid:token\temb:float", [f"i{i}\t{i}" for i in range(ITEMS)]),
}
# What a model needs beside the defaults to train on these, by its kind in RecBole; None: nothing.
IDS = {"inter": ["user_id", "item_id"], "item": ["item_id"]}
LABELS = {
    "inter": ["user_id", "item_id", "label"],
    "item": ["item_id", "class", "price"],
    "user": ["user_id", "age"],
}
BY_KIND: dict[str, dict[str, Any]] = {
    "SEQUENTIAL": {
        "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]},
        "eval_args": {"order": "TO"},
    },
    "CONTEXT": {"load_col": LABELS, "eval_args": {"mode": "labeled"}},
    "DECISIONTREE": {"load_col": LABELS, "eval_args": {"mode": "labeled"}},
    "KNOWLEDGE": {
        "load_col": {
            **IDS,
            "kg": ["head_id", "relation_id", "tail_id"],
            "link": ["item_id", "entity_id"],
        }
    },
}
OF_MODEL: dict[str, dict[str, Any]] = {
    "ConvNCF": {"embedding_size": 64},
    "NCL": {"num_clusters": 5},
    "S3Rec": {"pretrain_epochs": 1},
    "DIN": {"eval_args": {"order": "TO", "mode": "labeled"}},
    "DIEN": {"eval_args": {"order": "TO", "mode": "labeled"}},
}
SMALL = {
    "embedding_size": 8,
    "epochs": 1,
    "train_batch_size": 64,
    "gpu_id": "",
    "state": "ERROR",
    "show_progress": False,
}


def write_every(folder: Path, name: str, parts: bool = False) -> Path:
    """Write a data set of `USERS` and `ITEMS`; `parts`: with a fixed split.  Returns `folder`."""
    write_tiny(folder, name, users=USERS, items=ITEMS, parts=parts)
    for file in (folder / name).glob("*.inter"):
        head, *rows = file.read_text().splitlines()
        more = [f"{row}\t{n % 2}\t{1 + n % 5}\t{1_500_000_000 + 7 * n}" for n, row in enumerate(rows)]
        file.write_text("\n".join(["\t".join((head, *COLUMNS)), *more]) + "\n")
    for kind, (head, rows) in TABLES.items():
        (folder / name / f"{name}.{kind}").write_text("\n".join([head, *rows]) + "\n")
    return folder


def needed(model: str) -> dict[str, Any]:
    """The options beside SMALL with which a model trains on what `write_every` writes without a split."""
    kind = get_model(model).type.name
    given = {**BY_KIND.get(kind, {}), **OF_MODEL.get(model, {})}
    loss = options.declared(model, "").get("loss_type")
    if kind == "SEQUENTIAL" and loss is not None and loss.default == "CE":
        given["train_neg_sample_args"] = None
    return given
