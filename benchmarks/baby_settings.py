"""What is trained on Baby: the settings tried of every model, the best of them, the rows of the table."""

import itertools
import json
import sys
from collections.abc import Sequence

import pandas as pd
from newer_settings import CONTENTKNN, EASEKNN, NEWER, OF_FOUR, UNIFORM, one_by_one
from support import RESULTS

TRIALS = RESULTS / "baby_trials.csv"

# MICRO by BPR, the settings that its trials began from.
CENTRE = {
    **{"preset": "bpr", "learning_rate": 2e-3, "weight_decay": 8e-6, "reg_weight": 0.0},
    **{"train_neg_sample_args": OF_FOUR, "edge_dropout": 0.0, "n_ui_layers": 2, "n_item_layers": 2},
    **{"lambda_coeff": 0.4, "beta": 0.03, "tau": 0.5},
}
PLAIN = {**CENTRE, "knn_k": 0, "beta": 0.0}
AS_LIGHTGCN = {"learning_rate": 4e-3, "weight_decay": 1e-5, "train_batch_size": 4096}  # RecBole's, tuned
FASTER = {"train_batch_size": 4096, "learning_rate": 4e-3}
ROWS = {
    **{model: (model, {}) for model in ("ItemKNN", "BPR", "NGCF", "LightGCN", "SGL")},
    **{model: (model, {}) for model in ("VBPR", "MMGCN", "GRCN", "BM3", "LATTICE", "FREEDOM", "MICRO")},
    **{model: (model, {}) for model in (*NEWER, "EASEKNN", "ContentKNN")},
    "MICRO, vectors alone": ("MICRO", {"walk_weight": 0.0}),
    "MICRO by BPR": ("MICRO", CENTRE),
    **{
        f"backbone, {adjacency}": ("MICRO", {**PLAIN, "adjacency": adjacency})
        for adjacency in ("symmetric", "mean", "mean_self_loop")
    },
    "MICRO, the best of its trials": ("MICRO", {**CENTRE, **FASTER, "n_item_layers": 4, "knn_k": 20}),
    "backbone, symmetric, edge_dropout": ("MICRO", {**PLAIN, "edge_dropout": 0.8}),
    "backbone, trained as LightGCN": ("MICRO", {**PLAIN, **AS_LIGHTGCN, "adjacency": "symmetric"}),
    "FREEDOM, as run from MMRec": (
        "FREEDOM",
        {"edge_dropout": 0.8, "learning_rate": 1e-3, "weight_decay": 0.0},
    ),
}
# They read raw vectors, which are reconstructed here.
NO_EVIDENCE = ("VBPR", "MMGCN", "GRCN", "BM3", "MGCN", "SMORE", "GUME", "PGL", "LGMRec", "STAIR")
NO_FEATURES = ("ItemKNN", "BPR", "NGCF", "LightGCN", "SGL", *(row for row in ROWS if "backbone" in row))
WHOLE_GRAPH = {"train_batch_size": 4096}  # every step goes through the whole graph, whatever the batch
SLOW = {**WHOLE_GRAPH, "stopping_step": 3}  # 10 s of CPU an epoch and more; their curves have no early bump
HALF_AS_MANY_STEPS = {**SLOW, "train_batch_size": 8192}


def grid(fixed: dict | None = None, **values) -> list[dict]:
    """Every combination of the values, each with the fixed ones."""
    return [
        {**dict(zip(values, chosen, strict=True)), **(fixed or {})}
        for chosen in itertools.product(*values.values())
    ]


def doubled(settings: list[dict]) -> list[dict]:
    """Each setting with plain uniform negatives, and with the highest-scoring of 4 (MICRO's default)."""
    return [*settings, *({**one, "train_neg_sample_args": OF_FOUR} for one in settings)]


RECBOLES_SGL = {**SLOW, "n_layers": 2, "ssl_tau": 0.2, "learning_rate": 4e-3}
LATTICES = {"learning_rate": 2e-3, "adjacency": "symmetric", "reg_weight": 0.0}
FREEDOMS = {
    **{"train_batch_size": 2048, "reg_weight": 1e-3, "edge_dropout": 0.0},
    **{"learning_rate": 2e-3, "weight_decay": 4e-6},
}
SETTINGS = {
    **NEWER,
    "EASEKNN": EASEKNN["baby"],
    "ContentKNN": CONTENTKNN["baby"],
    "ItemKNN": [
        *grid(k=[20, 50, 100, 200], shrink=[0.0, 20.0, 100.0, 500.0]),
        *grid(k=[200, 400], shrink=[1000.0, 2000.0]),
    ],
    "BPR": [
        *grid(learning_rate=[5e-4, 1e-3, 2e-3], weight_decay=[0.0, 1e-6, 1e-5, 1e-4]),
        *grid(
            {"train_neg_sample_args": OF_FOUR}, learning_rate=[1e-3, 2e-3], weight_decay=[1e-5, 2e-5, 4e-5]
        ),
    ],
    "NGCF": [
        *doubled(
            grid(
                {**HALF_AS_MANY_STEPS, "epochs": 45},
                learning_rate=[8e-3, 1.6e-2],
                weight_decay=[0.0, 4e-6, 1.2e-5],
            )
        ),
        *grid(
            {**SLOW, "train_neg_sample_args": OF_FOUR}, learning_rate=[2e-3, 4e-3], weight_decay=[0.0, 1e-6]
        ),
    ],
    "LightGCN": [
        *doubled(grid(WHOLE_GRAPH, learning_rate=[1e-3, 4e-3], weight_decay=[0.0, 1e-6, 1e-5])),
        *grid(
            {**WHOLE_GRAPH, "train_neg_sample_args": OF_FOUR},
            learning_rate=[2e-3, 4e-3],
            weight_decay=[2e-5, 4e-5],
        ),
    ],
    "SGL": [  # its loss is a sum over the batch: weight decay counts 4096 times less than elsewhere
        *grid(RECBOLES_SGL, ssl_weight=[0.02, 0.05], weight_decay=[0.0, 5e-3, 2e-2, 8e-2]),
        *grid(
            {**RECBOLES_SGL, "train_neg_sample_args": OF_FOUR},
            ssl_weight=[0.005, 0.02, 0.05],
            weight_decay=[1e-2, 2e-2],
        ),
        *grid(
            {**RECBOLES_SGL, "train_neg_sample_args": OF_FOUR},
            ssl_weight=[0.002, 0.005, 0.01, 0.02, 0.05],
            weight_decay=[4e-2],
        ),
        {**RECBOLES_SGL, "train_neg_sample_args": OF_FOUR, "ssl_weight": 0.005, "weight_decay": 6e-2},
    ],
    "VBPR": doubled(
        [
            *grid({"learning_rate": 1e-3}, weight_decay=[1e-6, 1e-5, 1e-4, 4e-6]),
            *grid(learning_rate=[5e-4, 2e-3], weight_decay=[1e-6, 1e-5]),
        ]
    ),
    "MMGCN": [
        *doubled(grid(SLOW, learning_rate=[5e-4, 1e-3], reg_weight=[1e-4, 1e-2], weight_decay=[0.0, 4e-6])),
        *grid({**SLOW, "train_neg_sample_args": OF_FOUR}, learning_rate=[1e-4, 2e-4], reg_weight=[1e-4]),
        {**SLOW, "learning_rate": 5e-4, "train_id": False},
    ],
    "GRCN": [
        *doubled(
            grid(
                HALF_AS_MANY_STEPS,
                learning_rate=[1e-3, 4e-3],
                reg_weight=[1e-3, 1e-1],
                weight_decay=[0.0, 4e-6],
            )
        ),
        *grid(HALF_AS_MANY_STEPS, learning_rate=[5e-4, 1e-3], reg_weight=[1e-4], weight_decay=[0.0]),
        *grid(HALF_AS_MANY_STEPS, learning_rate=[5e-4], reg_weight=[1e-3], weight_decay=[0.0, 1e-6]),
    ],
    "BM3": [
        *grid({"n_ui_layers": 1}, dropout=[0.3, 0.5], reg_weight=[1e-2, 1e-1], learning_rate=[1e-3, 4e-3]),
        *grid({"learning_rate": 1e-3}, n_ui_layers=[1, 2], dropout=[0.3, 0.5], reg_weight=[1e-3]),
        *grid({"learning_rate": 1e-3}, n_ui_layers=[2], dropout=[0.3, 0.5], reg_weight=[1e-2]),
        *grid({"n_ui_layers": 1, "dropout": 0.3, "learning_rate": 1e-3}, reg_weight=[1e-4, 3e-4]),
        *grid(
            {"n_ui_layers": 1, "dropout": 0.3, "learning_rate": 1e-3, "reg_weight": 0.0},
            weight_decay=[0.0, 1e-6, 4e-6, 1e-5],
        ),
    ],
    "LATTICE": [
        *grid(LATTICES, weight_decay=[4e-6], lambda_coeff=[0.4, 0.7], n_item_layers=[1, 2]),
        *grid(
            {**LATTICES, "train_neg_sample_args": OF_FOUR},
            weight_decay=[4e-6, 8e-6],
            lambda_coeff=[0.4, 0.7],
            n_item_layers=[1, 2],
        ),
        *grid(
            {**LATTICES, "train_neg_sample_args": OF_FOUR, "weight_decay": 8e-6, "lambda_coeff": 0.4},
            n_item_layers=[2, 3],
            knn_k=[20],
        ),
    ],
    "FREEDOM": [
        *doubled(
            grid(
                {"train_batch_size": 2048, "edge_dropout": 0.8, "reg_weight": 1e-3},
                learning_rate=[1e-3, 2e-3],
                weight_decay=[0.0, 2e-6, 4e-6],
            )
        ),
        *grid(
            {"train_batch_size": 2048, "reg_weight": 1e-3, "learning_rate": 2e-3},
            edge_dropout=[0.0, 0.8],
            weight_decay=[4e-6, 8e-6],
        ),
        *(
            {**FREEDOMS, **change}
            for change in one_by_one(learning_rate=[4e-3], n_item_layers=[2], knn_k=[20])
        ),
    ],
    "MICRO": [
        {**CENTRE, **change}
        for change in (
            {},
            {"n_item_layers": 3, "knn_k": 20},
            *grid({**FASTER, "knn_k": 20}, n_item_layers=[3, 4]),
            {**FASTER, "n_item_layers": 3, "knn_k": 20, "beta": 0.01},
            *one_by_one(
                learning_rate=[1e-3, 4e-3],
                weight_decay=[0.0, 2e-6],
                train_neg_sample_args=[UNIFORM],
                edge_dropout=[0.6, 0.9],
                n_ui_layers=[3],
                n_item_layers=[1, 3],
                lambda_coeff=[0.7, 1.0],
                beta=[0.01],
                modalities=[["textual"]],
            ),
        )
    ],
}


def best_settings(model: str) -> dict:
    """The best on validation among the trials of a model; for MICRO the shipped defaults."""
    if model == "MICRO":
        return {}
    tried = pd.read_csv(TRIALS).query("row == @model")
    if tried.empty:
        sys.exit(f"{model}: nothing is tried yet; run python benchmarks/baby_trials.py --models {model}")
    settings = json.loads(tried.loc[tried["valid R@20"].idxmax(), "settings"])
    if model not in NEWER:  # whose rows train as long as their trials
        settings.pop("epochs", None)  # where trials are cut short
    return settings


def untried() -> str:
    """A sentence on the models some of whose settings are not tried yet; empty where there are none."""
    counts = pd.read_csv(TRIALS).groupby("row").size()
    found = {model: (counts.get(model, 0), len(settings)) for model, settings in SETTINGS.items()}
    parts = [f"{model} {done} of {all_}" for model, (done, all_) in found.items() if done < all_]
    return f"Settings that are not all tried yet: {', '.join(parts)}." if parts else ""


def rows(asked: Sequence[str] = tuple(ROWS)) -> dict[str, tuple[str, dict]]:
    """Model and settings of the rows of the table."""
    chosen = {row: ROWS[row] for row in ROWS if row in asked}
    return {row: (model, {**best_settings(model), **fixed}) for row, (model, fixed) in chosen.items()}
