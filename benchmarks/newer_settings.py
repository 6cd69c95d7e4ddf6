"""The settings tried of the models of 2023 to 2025 and of the closed forms, on Baby and other data sets."""

import itertools

UNIFORM = {"distribution": "uniform"}
OF_FOUR = {"distribution": "uniform", "dynamic": True, "candidate_num": 4}


def one_by_one(**values) -> list[dict]:
    """One change of the defaults at a time."""
    return [{name: value} for name, choices in values.items() for value in choices]


# Of the models of 2023 to 2025, from one centre.
FAST = {
    **{"learning_rate": 2e-3, "relative_weight_decay": 1.0, "train_batch_size": 2048},
    **{"train_neg_sample_args": OF_FOUR, "epochs": 60, "eval_step": 2, "stopping_step": 4},
}
# AdamW's decay does not depend on the data.
STAIRS = {**FAST, "relative_weight_decay": 0.0, "weight_decay": 0.3}
FEWER = {"relative_weight_decay": 0.3}
BOTH = one_by_one(train_neg_sample_args=[UNIFORM], relative_weight_decay=[0.3])
CHANGES = {
    "MGCN": [*BOTH, *one_by_one(side=["sum"], cl_weight=[0.01], knn_k=[20])],
    "SMORE": [*BOTH, *one_by_one(n_ui_layers=[4], cl_weight=[0.03], knn_k=[20])],
    "PGL": [*BOTH, *one_by_one(edge_dropout=[0.0, 0.5], cl_weight=[0.0])],
    "DAMRS": [*BOTH, *one_by_one(swap_weight=[0.0], kl_weight=[0.1], nd_weight=[0.0])],
    "GUME": [*BOTH, *one_by_one(n_item_layers=[2], user_weight=[0.1], align_weight=[0.01])],
    "LGMRec": [*BOTH, *one_by_one(n_hyperedges=[64], alpha=[0.6], cl_weight=[1e-5])],
    "STAIR": [
        *one_by_one(train_neg_sample_args=[UNIFORM]),
        *one_by_one(weight_decay=[0.1, 1.0], gamma=[0.4], n_item_layers=[1]),
    ],
}
NEWER = {
    model: [{**(STAIRS if model == "STAIR" else FAST), **change} for change in ({}, *changes)]
    for model, changes in CHANGES.items()
}
# Tried on the other data sets beside these, around the smaller weight decay, which is better on Last.fm.
MORE_CHANGES = {
    "SMORE": one_by_one(cl_weight=[1e-3, 1e-4, 0.0]),
    "GUME": [
        {"cl_weight": 1e-3, "user_weight": 1e-3},
        {"cl_weight": 1e-4, "user_weight": 1e-4},
        *one_by_one(cl_weight=[1e-3], user_weight=[1e-3]),
    ],
    "MGCN": one_by_one(relative_weight_decay=[0.1, 0.0], side=["sum"], cl_weight=[0.0, 1e-4]),
}
MORE = {
    model: [*settings, *({**settings[0], **FEWER, **one} for one in MORE_CHANGES.get(model, []))]
    for model, settings in NEWER.items()
}

MODALITIES = {
    "baby": ("textual", "visual"),
    "lfm2k": ("all-MiniLM-L6-v2", "vggish", "whisper"),
    "microlens": ("textual", "textual_wordllama256", "visual"),
    "ml-100k": ("textual", "genre"),
}
EASES = one_by_one(reg_weight=[100.0, 1000.0], knn_weight=[0.2, 0.7], knn_k=[50])


def weights(name: str, *values: float) -> dict:
    """A weight of its own for every modality of a set, in the order of `MODALITIES`."""
    return {"modality_weights": dict(zip(MODALITIES[name], values, strict=True))}


EASE = {"knn_weight": 0.0, "modality_weights": {}}
EASEKNN = {
    "baby": [
        *({}, *EASES, EASE, *one_by_one(reg_weight=[3000.0], knn_k=[10])),
        *({"reg_weight": 1000.0, **one} for one in one_by_one(knn_k=[10, 50], knn_weight=[0.3, 0.5])),
        *(
            {"reg_weight": 1000.0, **weights("baby", *one)}
            for one in ((0.4, 0.0), (0.4, 0.1), (0.4, 0.2), (0.5, 0.1))
        ),
        {"reg_weight": 1000.0, "knn_k": 50, **weights("baby", 0.5, 0.1)},
        *({"reg_weight": reg, "knn_weight": 0.5} for reg in (2000.0, 3000.0)),
    ],
    "lfm2k": [
        *({}, *EASES, EASE, *one_by_one(reg_weight=[30.0, 3000.0], knn_k=[10])),
        *(weights("lfm2k", *one) for one in ((0.4, 0.0, 0.0), (0.0, 0.4, 0.0), (0.0, 0.0, 0.4))),
        *(
            {"reg_weight": 100.0, **weights("lfm2k", *one)}
            for one in ((0.4, 0.0, 0.0), (0.7, 0.0, 0.0), (1.0, 0.0, 0.0), (0.4, 0.1, 0.1), (0.7, 0.1, 0.1))
        ),
        *({"reg_weight": 100.0, "knn_k": k, **weights("lfm2k", 0.7, 0.0, 0.0)} for k in (10, 50)),
    ],
    "microlens": [{}, *EASES],
    "ml-100k": [
        *({}, *EASES, EASE, *one_by_one(reg_weight=[30.0, 3000.0], knn_k=[10])),
        *(weights("ml-100k", *one) for one in ((0.4, 0.0), (0.0, 0.4))),
        *({"knn_weight": 0.2, "reg_weight": reg} for reg in (200.0, 500.0)),
        *({"knn_weight": 0.2, "knn_k": k} for k in (10, 50)),
        *(weights("ml-100k", *one) for one in ((0.0, 0.2), (0.1, 0.0), (0.05, 0.2), (0.05, 0.1))),
    ],
}


def content_knn(name: str, ks: list[int]) -> list[dict]:
    """Each number of neighbours with all modalities of a set, and with each alone."""
    chosen = [{}, *({"modalities": [modality]} for modality in MODALITIES[name])]
    return [{**one, "knn_k": k} for k, one in itertools.product(ks, chosen)]


CONTENTKNN = {
    "baby": content_knn("baby", [5, 10, 20, 30, 50, 100, 200])[:-1],
    "lfm2k": content_knn("lfm2k", [5, 10, 20, 50, 100]),
    "microlens": content_knn("microlens", [20, 50, 100])[:-2],
    "ml-100k": content_knn("ml-100k", [5, 10, 20, 50, 100, 200, 400])[:-1],
}
