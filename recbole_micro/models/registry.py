"""The plugin's models by name: a new model is one line here, one module and one YAML file."""

MODELS = {
    "MICRO": "recbole_micro.models.micro",
    "LATTICE": "recbole_micro.models.lattice",
    "VBPR": "recbole_micro.models.vbpr",
    "MMGCN": "recbole_micro.models.mmgcn",
    "GRCN": "recbole_micro.models.grcn",
    "FREEDOM": "recbole_micro.models.freedom",
    "PGL": "recbole_micro.models.pgl",
    "DAMRS": "recbole_micro.models.damrs",
    "LGMRec": "recbole_micro.models.lgmrec",
    "STAIR": "recbole_micro.models.stair",
    "BM3": "recbole_micro.models.bm3",
    "MGCN": "recbole_micro.models.mgcn",
    "SMORE": "recbole_micro.models.smore",
    "GUME": "recbole_micro.models.gume",
    "ContentKNN": "recbole_micro.models.contentknn",
    "EASEKNN": "recbole_micro.models.easeknn",
}

ALIAS_PACKAGE = "recbole.model.general_recommender"  # where RecBole's `get_model` looks for them
