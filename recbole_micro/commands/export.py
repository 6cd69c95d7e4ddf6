"""`recbole-micro export`: a checkpoint as a folder that serves."""

import sys

from recbole_micro.commands.arguments import needed, positive, read_own
from recbole_micro.inference.export.folder import NEIGHBOURS, export
from recbole_micro.options import user_models
from recbole_micro.options.values import parse_strings
from recbole_micro_server.layout import read_manifest

VALUES = ("checkpoint", "to", "format", "neighbours", "images", "category", "data_path", "plugins")
FLAGS = ("faiss", "onnx", "overwrite")
HELP = f"""\
usage: recbole-micro export --checkpoint=FILE --to=DIR [--format=parquet,npz,safetensors] [--faiss] [--onnx]

Writes what serves a trained model without PyTorch and RecBole: vectors of users and items with their ids,
what every user had, titles, neighbours, what explanations are made of, and manifest.json.  For models whose
score is the dot product of two vectors (MICRO: and a walk beside it), which is checked; others are refused.

  --checkpoint=FILE  the .pth file that training wrote
  --to=DIR           the new folder; it appears whole or not at all
  --format=A,B       also the vectors as parquet, npz or safetensors
  --faiss            also a FAISS index of the items; like these formats without what walk_weight adds
  --onnx             also the scorer as an ONNX graph, checked with onnxruntime
  --neighbours=N     neighbours kept of each item, by each kind of vectors (default: {NEIGHBOURS})
  --images=DIR       copy the items' pictures, named as in the data set's column or by item id
  --category=COLUMN  the items' column that colours the map (default: category, genre or class)
  --overwrite        replace an earlier export
  --data_path=DIR    the folder that holds the data set's, if it has moved since the training
  --plugins=FILE     the Python file of a model of your own

Example:
  recbole-micro export --checkpoint=saved/MICRO-....pth --to=exported/micro --format=parquet
  recbole-micro serve exported/micro"""


def main(argv: list[str]) -> int:
    """The exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    own = read_own("export", argv, VALUES, FLAGS)
    checkpoint = needed("export", own, "checkpoint", "a trained model: write --checkpoint=FILE")
    to = needed("export", own, "to", "a folder to make: write --to=DIR")
    user_models.load(own.get("plugins"))
    folder = export(
        checkpoint,
        to,
        parse_strings(own.get("format", "")),
        faiss="faiss" in own,
        onnx="onnx" in own,
        neighbours=positive(own, "neighbours") or NEIGHBOURS,
        images=own.get("images"),
        category=own.get("category"),
        overwrite="overwrite" in own,
        data_path=own.get("data_path"),
    )
    if {"format", "faiss"} & set(own) and "walk" in read_manifest(folder):
        print(
            "The scores have a part beside the products of these vectors (walk_weight): it is in walk_*.npy.",
            file=sys.stderr,
        )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 2**20:.1f} MiB.  Serve it with: recbole-micro serve {folder}")
    return 0
