"""Does RecBole's own test suite still pass with the plugin imported first?

    git clone --branch v1.2.0 --depth 1 (RecBole's repository) recbole-1.2.0
    python benchmarks/recbole_suite.py --recbole recbole-1.2.0

Prints counts per folder of its tests, and what failed; the exit code is 1 where a test fails that needs no
absent package.

Reads the checkout, of which it runs a copy.  `--without` runs it without the plugin (RecBole 1.2.0 needs
NumPy < 1.24, pandas < 3 and SciPy < 1.13 for that).  On one core `config` takes 4 minutes, `model` 15, and
the pre-training of S3Rec another 30, which `--quick` leaves out; the other folders take seconds.
"""

import re
import sys
import tempfile
from pathlib import Path
from shutil import copytree

from support import parser, run_child

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
        command = [
            *(sys.executable, "-m", "pytest", f"tests/{folder}", "-q", "--no-header", "-rfE"),
            *("--import-mode=importlib", "-p", "no:cacheprovider", "--tb=line", "-W", "ignore"),
            *(["-k", "not s3rec"] if quick else []),
        ]
        output = run_child(command, place, variables={"COLUMNS": "200"}).output  # lines in full
    counts = {kind: int(count) for count, kind in re.findall(r"(\d+) (passed|failed|error|skipped)", output)}
    lines = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return counts, lines


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("--recbole", required=True, type=Path, help="a checkout of RecBole at v1.2.0")
    arguments.add_argument("--folders", nargs="+", default=FOLDERS, help="folders of its tests")
    arguments.add_argument("--without", action="store_true", help="do not import the plugin")
    arguments.add_argument("--quick", action="store_true", help="leave out the pre-training of S3Rec")
    given = arguments.parse_args()
    if not (given.recbole / "tests").is_dir():
        arguments.error(f"{given.recbole} has no folder tests: give a checkout of RecBole at v1.2.0")
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
