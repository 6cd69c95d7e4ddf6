"""Every general model of RecBole for one epoch on ml-100k through run_recbole_micro.py, as a Markdown table.

    python benchmarks/general_models.py [--limit SECONDS] [--out FILE] [MODEL ...]

One process at a time, with a limit of CPU time, which does not depend on what else the machine does.
A failure shows the last line that the process wrote.  Rows are kept in FILE as soon as they are there, and a
later call judges only the models that FILE lacks, or that ran into a lower limit.
"""

import argparse
import csv
import inspect
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
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
    start = cpu_of_children()
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit)),
    )  # fmt: skip
    seconds = cpu_of_children() - start
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    recall = re.search(r"test result.*?recall@20\W+([0-9.]+)", output)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL) and seconds >= limit - 1:
        cells = "too slow", f"{seconds:.1f}", "", f"longer than {limit} s"
    elif done.returncode == 0 and recall:
        cells = "ok", f"{seconds:.1f}", f"{float(recall[1]):.4f}", ""
    elif done.returncode < 0:  # the kernel kills what needs more memory than there is
        cells = "failed", f"{seconds:.1f}", "", f"ended by {signal.Signals(-done.returncode).name}"
    else:
        cells = "failed", f"{seconds:.1f}", "", (lines or ["no test result in the output"])[-1][:160]
    return dict(zip(COLUMNS, (model, *cells), strict=True))


def kept_rows(file: Path | None, limit: int) -> dict[str, dict[str, str]]:
    """The rows of an earlier call by model, less those that more time could change."""
    if file is None or not file.exists():
        return {}
    with file.open(encoding="utf-8", newline="") as lines:
        rows = {row["model"]: row for row in csv.DictReader(lines)}
    return {
        name: row
        for name, row in rows.items()
        if row["one epoch"] != "too slow" or float(row["CPU seconds"]) >= limit - 1
    }


def keep(file: Path | None, row: dict[str, str]) -> None:
    """Append a row to the file."""
    if file is None:
        return
    new = not file.exists()
    with file.open("a", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def cpu_of_children() -> float:
    """CPU seconds of the processes that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Print the table; the exit code is 1 where a model fails that must work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="which models (default: all)")
    parser.add_argument("--limit", type=int, default=3600, help="CPU seconds per model (default: 3600)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV that keeps the rows, to go on from")
    arguments = parser.parse_args()
    names = arguments.models or model_names()
    kept = kept_rows(arguments.out, arguments.limit)
    print(f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|", flush=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            row = kept.get(name)
            if row is None:
                row = train(name, folder, arguments.limit)
                keep(arguments.out, row)
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
