"""Which of RecBole's general models train and evaluate through run_recbole_micro.py?

    python benchmarks/general_models.py [--limit SECONDS] [--out FILE] [MODEL ...]

Prints a Markdown table: each model for one epoch on ml-100k, its CPU seconds and test Recall@20, or the last
line that a failure wrote.  The exit code is 1 where a model fails that must work.

Reads ml-100k, which RecBole brings along.  One process at a time, with a limit of CPU time, which does not
depend on what else the machine does.  Takes half an hour of one CPU thread; most models take under half
a minute, NAIS and ConvNCF six.  Rows are kept in FILE as soon as they are there, and a later call judges only
the models that FILE lacks, or that ran into a lower limit.
"""

import inspect
import re
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from support import ROOT, keep, kept, markdown, parser, run_child

COLUMNS = ("model", "one epoch", "CPU seconds", "test Recall@20", "reason")
EXTRA = {"NCL": ["--num_clusters=100"]}  # RecBole's 1,000 clusters are more than ml-100k has users
MUST_WORK = {
    "ADMMSLIM", "BPR", "CDAE", "DGCF", "DMF", "DiffRec", "EASE", "ENMF", "FISM", "GCMC", "ItemKNN",
    "LDiffRec", "LINE", "LightGCN", "MacridVAE", "MultiDAE", "MultiVAE", "NCEPLRec", "NGCF", "NeuMF", "Pop",
    "RaCT", "Random", "RecVAE", "SGL", "SLIMElastic", "SimpleX", "SpectralCF",
}  # fmt: skip
if find_spec("faiss"):
    MUST_WORK.add("NCL")


def model_names() -> list[str]:
    """RecBole's general models, in alphabetical order."""
    from recbole.model import general_recommender
    from recbole.model.abstract_recommender import AbstractRecommender

    classes = inspect.getmembers(general_recommender, inspect.isclass)
    return sorted(name for name, kind in classes if issubclass(kind, AbstractRecommender))


def train(model: str, folder: str, limit: int) -> dict[str, str]:
    """Train a model for one epoch in `folder`: a row of the table."""
    command = [sys.executable, str(ROOT / "run_recbole_micro.py"), f"--model={model}", "--dataset=ml-100k"]
    options = ["--epochs=1", "--eval_step=1", "--show_progress=False", *EXTRA.get(model, [])]
    done = run_child([*command, *options], folder, threads=1, cpu_limit=limit)
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.output + done.errors)
    recall = re.search(r"test result.*?recall@20\W+([0-9.]+)", output)
    lines = [line for line in done.errors.splitlines() if line.strip()]
    if done.signal in ("SIGXCPU", "SIGKILL") and done.cpu >= limit - 1:
        state, score, reason = "too slow", "", f"longer than {limit} s"
    elif done.code == 0 and recall:
        state, score, reason = "ok", f"{float(recall[1]):.4f}", ""
    elif done.signal:  # the kernel kills what needs more memory than there is
        state, score, reason = "failed", "", f"ended by {done.signal}"
    else:
        state, score, reason = "failed", "", (lines or ["no test result in the output"])[-1][:160]
    return dict(zip(COLUMNS, (model, state, f"{done.cpu:.1f}", score, reason), strict=True))


def kept_rows(file: Path | None, limit: int) -> dict[str, dict[str, str]]:
    """The rows of an earlier call by model, less those that more time could change."""
    rows = [] if file is None else kept(file).to_dict("records")
    return {
        row["model"]: {name: str(value) for name, value in row.items()}
        for row in rows
        if row["one epoch"] != "too slow" or float(row["CPU seconds"]) >= limit - 1
    }


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("models", nargs="*", metavar="MODEL", help="which models (default: all)")
    arguments.add_argument("--limit", type=int, default=3600, help="CPU seconds per model (default: 3600)")
    arguments.add_argument("--out", type=Path, metavar="FILE", help="CSV that keeps the rows, to go on from")
    given = arguments.parse_args()
    names = given.models or model_names()
    known = kept_rows(given.out, given.limit)
    print(markdown(COLUMNS, []), flush=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            row = known.get(name)
            if row is None:
                row = train(name, folder, given.limit)
                if given.out is not None:
                    keep(given.out, row)
            print(f"| {' | '.join(row.values())} |", flush=True)
            failed += [name] if row["one epoch"] != "ok" else []
    works = f"{len(names) - len(failed)} of {len(names)} work"
    print(f"\n{works}; default options, protocol recbole, one thread, seed 2020.")
    broken = sorted(MUST_WORK & set(failed))
    if broken:
        print(f"Should work but failed: {', '.join(broken)}.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
