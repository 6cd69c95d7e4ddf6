"""`recbole-micro recommend`: top-k lists from a checkpoint."""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dataset_tools.files import write_text
from dataset_tools.progress import progress
from recbole_micro import options
from recbole_micro.commands.arguments import needed, out_file, positive, read_own
from recbole_micro.errors import UserError
from recbole_micro.inference.allowed_items import allowed, read_ids
from recbole_micro.inference.item_columns import ItemColumns
from recbole_micro.inference.list_files import CSV, KINDS, list_file, with_titles
from recbole_micro.inference.recommend import PARTS, USERS_AT_ONCE, Ranker, known_users, read_new_items
from recbole_micro.inference.rerank import MMR, Calibrated, Rerank, price
from recbole_micro.options import user_models
from recbole_micro.options.values import parse_strings
from recbole_micro.training.loading import Loaded, load_data_and_model

HELP = """\
usage: recbole-micro recommend --checkpoint=FILE [--users=ID,ID|all] [--topk=N] [--out=FILE]

The best items of each user that the user has no interaction with, with the data set's own ids, and titles
where the data set has them.

  --checkpoint=FILE  the .pth file that training wrote
  --users=A,B        ids as in the .inter file, or all (the default)
  --users_file=FILE  ids, one a line
  --strict           end where a user is unknown; otherwise FILE.unknown.txt lists them, beside --out=FILE
  --topk=N, -k N     length of a list (default: 20)
  --out=FILE         a .csv, .json, .jsonl or .parquet file (default: CSV on the screen)
  --seen             keep items that the user has interactions with
  --hide=PARTS       leave out the items of these interactions alone: train, valid, test (default: all three);
                     lists to be measured with recbole-micro evaluate need --hide=train,valid
  --items=FILE       list only these items, ids one a line
  --without=FILE     never list these items, ids one a line
  --filter=TEXT      a condition on the columns of the .item file; = also means: is one of the words
  --rerank=NAME      mmr: items unlike those before them; calibrated: categories in the shares of what the
                     user chose; says what it costs on the test set
  --diversity=W      how much of that, from 0 (the score alone) to 1 (default: 0.3)
  --categories=NAME  column of the .item file for calibrated (default: genre or the like, else groups of
                     items with similar features)
  --new_items=DIR    also rank new items, those of the feature files DIR/*.<modality>.parquet (MICRO)
  --data_path=DIR    the folder that holds the data set's, if it has moved since the training
  --plugins=FILE     the Python file of a model of your own

Example:
  recbole-micro recommend --checkpoint=saved/MICRO-....pth --filter='genre == "Drama"' --out=lists.csv"""
NAMES = (
    "checkpoint", "users", "users_file", "topk", "out", "items", "without", "filter", "new_items", "hide",
    "rerank", "diversity", "categories", "data_path", "plugins",
)  # fmt: skip


def main(argv: list[str]) -> int:
    """`recbole-micro recommend`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    own = read_own("recommend", argv, NAMES, flags=("seen", "strict"))
    checkpoint = needed("recommend", own, "checkpoint", "a trained model: write --checkpoint=FILE")
    out, k = out_file(own, KINDS), positive(own, "topk") or 20
    if "users" in own and "users_file" in own:
        raise UserError("--users and --users_file both name users: keep one.")
    asked = read_ids(own["users_file"]) if "users_file" in own else own.get("users", "all")
    user_models.load(own.get("plugins"))
    source = load_data_and_model(checkpoint, own.get("data_path"), log=False)
    users = known(asked, source.dataset, out, "strict" in own)
    new = read_new_items(own["new_items"], source.dataset) if "new_items" in own else None
    rerank = reranking(own, source)
    ranker = Ranker(source, hidden_parts(own), new, rerank)
    chosen, remarks = allowed(
        source.dataset, ranker.tokens, own.get("items"), own.get("without"), own.get("filter")
    )
    ranker.only(chosen)
    for remark in remarks:
        print(remark, file=sys.stderr)
    if rerank is not None:
        print(price_line(source, rerank, k), file=sys.stderr)
    write(ranker, users, k, out)
    return 0


def reranking(own: Mapping[str, str], source: Loaded) -> Rerank | None:
    """What `--rerank` asks for; UserError where it cannot be had."""
    if "rerank" not in own:
        for name in ("diversity", "categories"):
            if name in own:
                raise UserError(f"--{name} belongs to --rerank=mmr or --rerank=calibrated: add one of these.")
        return None
    if own["rerank"] not in ("mmr", "calibrated"):
        raise UserError(f"--rerank is {own['rerank']!r}: choose mmr or calibrated.")
    if "new_items" in own:
        raise UserError("--rerank knows nothing of new items: leave out --new_items, or --rerank.")
    kind = options.parse_kind("float 0..1")
    share = options.Option("diversity", (kind,)).read(own.get("diversity", "0.3"), "on the command line")
    if own["rerank"] == "calibrated":
        return Calibrated(source, share, own.get("categories"))
    if "categories" in own:
        raise UserError("--categories belongs to --rerank=calibrated: leave it out.")
    return MMR(source, share)


def price_line(source: Loaded, rerank: Rerank, k: int) -> str:
    """What reranking costs and brings on the test set, in one line."""
    found = price(source, rerank, k)
    if found is None:
        return f"{rerank.name}: the data set has no test interactions, so its price is unknown."
    before, after = found
    parts = [
        f"Recall@{k} {change(before.recall, after.recall)}",
        f"NDCG@{k} {change(before.ndcg, after.ndcg)}",
        f"items in any list {before.coverage:.1%} to {after.coverage:.1%}",
        f"similarity within a list {before.similarity:.3f} to {after.similarity:.3f}",
    ]
    return f"{rerank.name} on the test set: {', '.join(parts)}."


def change(before: float, after: float) -> str:
    """Two values, and their difference in per cent."""
    share = f" ({after / before - 1:+.1%})" if before else ""
    return f"{before:.4f} to {after:.4f}{share}"


def hidden_parts(own: Mapping[str, str]) -> list[str]:
    """The parts of the data whose interactions hide items; UserError where `--hide` names something else."""
    if "seen" in own and "hide" in own:
        raise UserError("--seen hides nothing and --hide says what is hidden: keep one.")
    parts = [] if "seen" in own else parse_strings(own.get("hide", ",".join(PARTS)))
    if not set(parts) <= set(PARTS) or (not parts and "hide" in own):
        raise UserError(f"--hide is {own['hide']!r}: name some of {', '.join(PARTS)}, between commas.")
    return parts


def known(asked: str | list[str], dataset, out: Path | None, strict: bool) -> np.ndarray:
    """Internal ids of the users that the data set has.

    The others are counted on the screen and listed beside `out`; with `strict`, or where no user is left,
    they are an error.
    """
    ids, unknown = known_users(
        dataset, parse_strings(asked) if isinstance(asked, str) and asked != "all" else asked
    )
    first = ", ".join(unknown[:3])
    if not len(ids) or (unknown and strict):
        raise UserError(
            f"The data set {dataset.dataset_name} has no user {first or '(none asked for)'}: "
            "give ids as in its .inter file, or `all`."
        )
    beside = Path(f"{out}.unknown.txt") if out else None
    if unknown:
        where = f"{beside} lists them" if beside else f"first: {first}"
        print(
            f"{len(unknown):,} of {len(ids) + len(unknown):,} users are unknown ({where}).", file=sys.stderr
        )
        if beside:
            write_text(beside, "".join(f"{user}\n" for user in unknown))
    elif beside:
        beside.unlink(missing_ok=True)  # of an earlier call
    return ids


def write(ranker: Ranker, users: np.ndarray, k: int, out: Path | None) -> None:
    """The lists of these users, with titles, into the file `out` or on the screen."""
    titles = ItemColumns(ranker.dataset).titles()
    blocks = -(-len(users) // USERS_AT_ONCE)
    portions = progress(ranker.lists(users, k), "recommend", blocks, f" x {USERS_AT_ONCE} users")
    if out is None:
        screen = CSV(sys.stdout)
        for lists in portions:
            screen.add(with_titles(lists, titles))
        return
    with list_file(out) as file:
        for lists in portions:
            file.add(with_titles(lists, titles))
