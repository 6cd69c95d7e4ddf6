"""How long do an epoch and an evaluation take beside plain RecBole, MMRec's models and the official MICRO?

    python benchmarks/peers.py --mmrec DIR --micro DIR [--threads 1,2] [--rows ROW,ROW]
    python benchmarks/peers.py --show    the table of what is there

Prints seconds of an epoch and of an evaluation of Baby's test users here and there, and their ratios.
"there" is RecBole's own configuration, for which the plugin leaves its classes alone; a model of MMRec, with
the same batch, width, layers and neighbours as ours; or MICRO's published code at its defaults.  Here stand
MICRO as shipped, but with RecBole's batch of 1,024, and with the preset that repeats the published code.

DIR are checkouts of github.com/enoche/MMRec and github.com/CRIPAC-DIG/MICRO, which run on this machine's
PyTorch as they come (peer_code.py says how); MMGCN and GRCN of MMRec need torch_geometric.  Everything is
measured in processes of their own, after an epoch (there: some steps) to warm up.  Where an epoch there takes
longer than --seconds, or is the official MICRO's, its first steps and users are measured and the rest is
extrapolated: the columns "steps" and "users" say from how many.

Reads ../shared/data/baby (or --from DIR), converts it once into --data-path, and for the others into a
temporary folder; keeps its rows in benchmarks/results/peers.csv.  Takes twenty minutes on two cores, on which
nothing else should run.
"""

import statistics
import tempfile
from itertools import product
from pathlib import Path
from typing import NamedTuple

from baby_training import add_arguments, prepare
from peer_code import mmrec, official_micro, write_for_micro, write_for_mmrec
from speed import BATCH, measure
from support import RESULTS, call, finished, keep, kept, markdown, parser

FILE = RESULTS / "peers.csv"
HERE, RECBOLE, MMREC, MICRO = "here", "RecBole", "MMRec", "the published code"
SIDES = HERE, RECBOLE, MMREC, MICRO
MMREC_BATCH = {"train_batch_size": 2048}
SAME = {**MMREC_BATCH, "embedding_size": 64}
PLAIN = {"train_neg_sample_args": {"distribution": "uniform"}}
TRAINED = {**SAME, **PLAIN, "freeze_features": False}  # MMRec trains the features of these


class Row(NamedTuple):
    """What is measured: a model of one of the four sides, with these options."""

    side: str
    row: str
    model: str
    options: dict
    users: int = 0  # that the evaluation is measured with; 0: all


ROWS = (
    Row(HERE, "MICRO", "MICRO", {"train_batch_size": BATCH}),
    Row(HERE, "MICRO, preset official", "MICRO", {"preset": "official"}),
    Row(HERE, "LightGCN", "LightGCN", {"train_batch_size": BATCH}),
    Row(HERE, "BPR", "BPR", {"train_batch_size": BATCH}),
    Row(HERE, "FREEDOM", "FREEDOM", {**TRAINED, "edge_dropout": 0.8, "n_ui_layers": 2, "knn_k": 10}),
    Row(
        HERE,
        "LATTICE",
        "LATTICE",
        {**TRAINED, "lambda_coeff": 0.9, "n_ui_layers": 2, "n_item_layers": 1, "knn_k": 10},
    ),
    Row(HERE, "BM3", "BM3", {**SAME, "freeze_features": False, "n_ui_layers": 1}),
    Row(HERE, "VBPR", "VBPR", {**SAME, **PLAIN, "use_bias": False}),
    Row(HERE, "MMGCN", "MMGCN", {**SAME, **PLAIN, "train_id": False}),
    Row(HERE, "GRCN", "GRCN", {**SAME, **PLAIN}),
    Row(RECBOLE, "LightGCN", "LightGCN", {"train_batch_size": BATCH}),
    Row(RECBOLE, "BPR", "BPR", {"train_batch_size": BATCH}),
    Row(MMREC, "FREEDOM", "FREEDOM", {"dropout": 0.8, "reg_weight": 1e-3, "n_ui_layers": 2, "knn_k": 10}),
    Row(MMREC, "LATTICE", "LATTICE", {"reg_weight": 1e-4, "learning_rate": 1e-3, "knn_k": 10}, 4096),
    Row(MMREC, "BM3", "BM3", {"n_layers": 1, "dropout": 0.3, "reg_weight": 0.1}),
    Row(MMREC, "VBPR", "VBPR", {"reg_weight": 1e-5}),
    Row(MMREC, "MMGCN", "MMGCN", {"reg_weight": 1e-3, "learning_rate": 1e-3}),
    Row(MMREC, "GRCN", "GRCN", {"reg_weight": 1e-3, "learning_rate": 1e-3}),
    Row(MICRO, "MICRO", "MICRO", {}, 512),
)
PAIRS = (  # the row here, and the side and the row there
    ("MICRO", RECBOLE, "LightGCN"),
    ("MICRO", MICRO, "MICRO"),
    ("MICRO, preset official", MICRO, "MICRO"),
    ("LightGCN", RECBOLE, "LightGCN"),
    ("BPR", RECBOLE, "BPR"),
    *((row.row, MMREC, row.row) for row in ROWS if row.side == MMREC),
)
STEPS = 10  # of the official MICRO
WHAT, PARTS = ("epoch, s", "evaluation, s"), ("steps", "users")
HEAD = ("here", "beside", "threads", "batch")
COLUMNS = (*HEAD, *(f"{what} {side}" for what in WHAT for side in (HERE, "there", "ratio")), *PARTS)


def measured(row: Row, threads: int, folder: Path, given) -> dict | None:
    """Seconds of an epoch and of an evaluation; None where the code was not given."""
    if row.side in (HERE, RECBOLE):
        options = {"data_path": str(given.data_path.resolve()), "gpu_id": "", **row.options}
        found = call(measure, row.model, options, row.side == RECBOLE, given.epochs, threads=threads)
        medians = (statistics.median(times) for times in zip(*found["times"], strict=True))
        return dict(zip(WHAT, medians, strict=True)) | {"steps": "all", "users": "all"}
    code = given.mmrec if row.side == MMREC else given.micro
    if code is None:
        return None
    if row.side == MICRO:
        where = str(code.resolve()), str(folder / MICRO)
        return call(official_micro, *where, STEPS, row.users, threads=threads)
    where, options = (str(code.resolve()), str(folder / MMREC)), {**MMREC_BATCH, **row.options}
    return call(mmrec, *where, row.model, options, row.users, given.seconds, threads=threads)


def batch_of(row: Row) -> int:
    """Interactions in a training batch."""
    if row.side == MMREC:
        return MMREC_BATCH["train_batch_size"]
    return row.options.get("train_batch_size", BATCH)


def measure_missing(given) -> None:
    """Keep what the file lacks, for every number of threads."""
    prepare(given.source, given.data_path)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_for_mmrec(given.source, folder / MMREC)
        write_for_micro(given.source, folder / MICRO)
        for threads, row in product(map(int, given.threads.split(",")), ROWS):
            key = {"side": row.side, "row": row.row, "threads": threads}
            named = not given.rows or row.row in given.rows.split(";")
            if not named or given.sides and row.side not in given.sides.split(",") or finished(FILE, key):
                continue
            found = measured(row, threads, folder, given)
            if found is not None:
                found = {what: round(found[what], 3) for what in WHAT} | {name: found[name] for name in PARTS}
                keep(FILE, key | {"batch": batch_of(row)} | found)
                print(key, found, flush=True)


def table() -> list[list]:
    """A row per pair and number of threads of what is there."""
    runs, rows = kept(FILE), []
    if runs.empty:
        return rows
    for ours, side, theirs in PAIRS:
        for threads in sorted(set(runs["threads"])):
            pair = [
                runs[(runs["side"] == who) & (runs["row"] == row) & (runs["threads"] == threads)]
                for who, row in ((HERE, ours), (side, theirs))
            ]
            if any(part.empty for part in pair):
                continue
            here, there = (part.iloc[-1] for part in pair)
            cells = [ours, f"{side}'s {theirs}" if side != MICRO else MICRO, threads, here["batch"]]
            for what in WHAT:
                cells += [f"{here[what]:.2f}", f"{there[what]:.2f}", f"{here[what] / there[what]:.2f}"]
            rows.append([*cells, there["steps"], there["users"]])
    return rows


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--mmrec", type=Path, metavar="DIR", help="a checkout of MMRec; else without it")
    arguments.add_argument(
        "--micro", type=Path, metavar="DIR", help="one of the official MICRO; else without it"
    )
    arguments.add_argument("--threads", default="1,2", metavar="N,N")
    arguments.add_argument(
        "--sides", default="", metavar="SIDE,SIDE", help=f"of {', '.join(SIDES)}; else all"
    )
    arguments.add_argument("--rows", default="", metavar="ROW;ROW", help="measure no others")
    arguments.add_argument("--epochs", type=int, default=1, help="here and in RecBole (default: 1)")
    arguments.add_argument(
        "--seconds",
        type=float,
        default=60,
        help="of an epoch of MMRec's at most (default: 60)",
    )
    add_arguments(arguments)
    given = arguments.parse_args()
    if not given.show:
        measure_missing(given)
    print(markdown(COLUMNS, table()))


if __name__ == "__main__":
    main()
