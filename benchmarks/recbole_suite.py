"""RecBole's own test suite with the plugin imported first: counts per folder, and what failed.

    git clone --branch v1.2.0 --depth 1 (RecBole's repository) recbole-1.2.0
    python benchmarks/recbole_suite.py --recbole recbole-1.2.0

`--without` runs it without the plugin (RecBole 1.2.0 needs NumPy < 1.24, pandas < 3 and
SciPy < 1.13 for that).  On one core `config` takes 4 minutes, `model` 15, and the pre-training of S3Rec
another 30, which `--quick` leaves out; the other folders take seconds.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from shutil import copytree

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("config", "metrics", "evaluation_setting", "data", "hyper_tuning", "model")
PACKAGES = ("xgboost", "lightgbm", "faiss", "torch_scatter", "dgl")  # optional: their models are not run
ABSENT = re.compile("|".join(f"No module named '{name}'|{name}" for name in PACKAGES))


def run_folder(checkout: Path, folder: str, plugin: bool, quick: bool) -> tuple[dict[str, int], list[str]]:
    """Counts by outcome (passed, failed, error, skipped), and a line for each test that did not pass."""
    with tempfile.TemporaryDirectory() as place:
        for part in ("tests", "dataset"):
            if (checkout / part).is_dir():
                copytree(checkout / part, Path(place) / part)
        if plugin:
            (Path(place) / "conftest.py").write_text("import recbole_micro  # noqa: F401\n")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", f"tests/{folder}", "-q", "--no-header", "-rfE"),
                *("--import-mode=importlib", "-p", "no:cacheprovider", "--tb=line", "-W", "ignore"),
                *(["-k", "not s3rec"] if quick else []),
            ],
            cwd=place,
            env={**os.environ, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join([str(ROOT), place])},
            capture_output=True,
            text=True,
        )
    counts = {
        kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)
    }
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return counts, lines


def main() -> int:
    """Print the counts per folder; the exit code is 1 where a test fails that needs no absent package."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recbole", required=True, type=Path, help="a checkout of RecBole at v1.2.0")
    parser.add_argument("--folders", nargs="+", default=FOLDERS, help="folders of its tests")
    parser.add_argument("--without", action="store_true", help="do not import the plugin")
    parser.add_argument("--quick", action="store_true", help="leave out the pre-training of S3Rec")
    given = parser.parse_args()
    if not (given.recbole / "tests").is_dir():
        parser.error(f"{given.recbole} has no folder tests: give a checkout of RecBole at v1.2.0")
    wrong = 0
    print(f"{'folder':20} passed failed absent package", flush=True)
    for folder in given.folders:
        counts, lines = run_folder(given.recbole, folder, not given.without, given.quick)
        absent = [line for line in lines if ABSENT.search(line)]
        failed = [line for line in lines if line not in absent]
        wrong += len(failed)
        print(f"{folder:20} {counts.get('passed', 0):6} {len(failed):6} {len(absent):14}", flush=True)
        for line in failed:
            print(f"    {line}")
        if not counts:
            print("    nothing was run", flush=True)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
