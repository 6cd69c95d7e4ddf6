"""`recbole-micro similar`: the nearest items in every space that a model has."""

import sys
from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import pandas as pd
import torch

from dataset_tools.progress import progress
from recbole_micro.commands.arguments import needed, out_file, positive, read_own
from recbole_micro.errors import UserError
from recbole_micro.inference.explain import internal_id
from recbole_micro.inference.item_columns import ItemColumns
from recbole_micro.inference.list_files import CSV, list_file
from recbole_micro.inference.similar import ITEMS_AT_ONCE, nearest_items, similar
from recbole_micro.options import user_models
from recbole_micro.training.loading import Loaded, load_data_and_model

HELP = """\
usage: recbole-micro similar --checkpoint=FILE --item=ID [--by=NAME] [--topk=N]
       recbole-micro similar --checkpoint=FILE --out=FILE [--by=NAME] [--topk=N]

The items nearest to one, or to every one, by cosine, with the data set's own ids and titles.

  --checkpoint=FILE  the .pth file that training wrote
  --item=ID          an id as in the .inter file; without it every item's neighbours go to --out
  --by=NAME          a modality such as visual: its features (the initial graph), and visual:learned, what was
                     learned from them (the learned graph); fused: all modalities together; collaborative: who
                     likes what; trained: the vectors that score.  Default: all that the model has
  --topk=N, -k N     neighbours of an item (default: 10)
  --out=FILE         a .csv or .parquet file (default for one item: the screen)
  --data_path=DIR    the folder that holds the data set's, if it has moved since the training
  --plugins=FILE     the Python file of a model of your own

Example:
  recbole-micro similar --checkpoint=saved/MICRO-....pth --item=50 --by=textual -k 5"""
NAMES = ("checkpoint", "item", "by", "topk", "out", "data_path", "plugins")


def main(argv: list[str]) -> int:
    """`recbole-micro similar`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    own = read_own("similar", argv, NAMES)
    checkpoint = needed("similar", own, "checkpoint", "a trained model: write --checkpoint=FILE")
    out, k = out_file(own, (".csv", ".parquet")), positive(own, "topk") or 10
    if out is None and "item" not in own:
        raise UserError("similar needs --item=ID, or --out=FILE for the neighbours of every item.")
    user_models.load(own.get("plugins"))
    source = load_data_and_model(checkpoint, own.get("data_path"), log=False)
    tables = neighbours(source, own.get("item"), own.get("by", ""), k)
    with list_file(out) if out else nullcontext(CSV(sys.stdout)) as file:
        for table in tables:
            file.add(table)
    return 0


def neighbours(source: Loaded, item: str | None, by: str, k: int) -> Iterator[pd.DataFrame]:
    """The `k` neighbours of an item, or of all, in portions: columns item_id, by, rank, neighbour, cosine.

    `title`, the neighbour's, where the data set has titles.
    """
    dataset = source.dataset
    found, titles = similar(source.model, dataset, by), ItemColumns(dataset).titles()
    tokens = np.asarray(dataset.field2id_token[dataset.iid_field], dtype=object)
    one = [] if item is None else [internal_id(dataset, "item", item)]
    asked = torch.tensor(one) if one else torch.arange(1, dataset.item_num)
    for name, space in found.items():
        portions = nearest_items(space, asked.to(space.values.device), k)
        blocks = -(-len(asked) // ITEMS_AT_ONCE)
        for items, others, cosine in progress(portions, name, blocks, f" x {ITEMS_AT_ONCE} items"):
            table = pd.DataFrame({"item_id": tokens[items.cpu().numpy()], "by": name})
            table["rank"] = table.groupby("item_id", sort=False).cumcount() + 1
            table["neighbour"] = tokens[others.cpu().numpy()]
            table["cosine"] = cosine.cpu().numpy()
            if titles:
                table["title"] = [titles.get(other, "") for other in table["neighbour"]]
            if item is not None and not len(table):
                print(f"{item} has no vector to compare it by {name}.", file=sys.stderr)
            yield table
