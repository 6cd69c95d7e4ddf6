"""Every general model of RecBole for one epoch on ml-100k through run_recbole_micro.py, as a Markdown table.

    python benchmarks/general_models.py [--limit SECONDS] [MODEL ...]

One process at a time, with a limit of CPU time, which does not depend on what else the machine does.
A failure shows the last line that the process wrote.
"""

import argparse
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


def train(model: str, folder: str, limit: int) -> dict:
    """Train a model for one epoch in `folder`: its state, CPU seconds, test Recall@20, why it failed."""
    command = [sys.executable, str(ROOT / "run_recbole_micro.py"), f"--model={model}", "--dataset=ml-100k"]
    options = ["--epochs=1", "--eval_step=1", "--show_progress=False", *EXTRA.get(model, [])]
    start = cpu_of_children()
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit)),
    )  # fmt: skip
    seconds = cpu_of_children() - start
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL) and seconds >= limit - 1:
        return {"state": "failed", "seconds": seconds, "recall": "", "reason": f"longer than {limit} s"}
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    recall = re.search(r"test result.*?recall@20\W+([0-9.]+)", output)
    worked = done.returncode == 0 and recall is not None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return {
        "state": "ok" if worked else "failed",
        "seconds": seconds,
        "recall": f"{float(recall[1]):.4f}" if worked else "",
        "reason": "" if worked else (lines or ["no test result in the output"])[-1][:160],
    }


def cpu_of_children() -> float:
    """CPU seconds of the processes that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> int:
    """Print the table; the exit code is 1 where a model fails that must work."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", help="which models (default: all)")
    parser.add_argument("--limit", type=int, default=120, help="CPU seconds per model (default: 120)")
    arguments = parser.parse_args()
    names = arguments.models or model_names()
    print("| model | one epoch | CPU seconds | test Recall@20 | reason |\n|---|---|---|---|---|", flush=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            row = train(name, folder, arguments.limit)
            cells = [name, row["state"], f"{row['seconds']:.1f}", row["recall"], row["reason"]]
            print(f"| {' | '.join(cells)} |", flush=True)
            failed += [name] if row["state"] == "failed" else []
    works = f"{len(names) - len(failed)} of {len(names)} work"
    print(f"\n{works}; default options, protocol recbole, one thread, seed 2020.")
    broken = sorted(MUST_WORK & set(failed))
    if broken:
        print(f"Should work but failed: {', '.join(broken)}.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
