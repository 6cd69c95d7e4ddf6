"""`recbole-micro compare`: models x settings x seeds into one report."""

from pathlib import Path

from recbole_micro import options
from recbole_micro.commands.arguments import positive, split_arguments
from recbole_micro.commands.studies.arguments import ON_RAY, ON_RAY_HELP, engine, read_fixed, read_seeds
from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import with_beyond
from recbole_micro.options.values import parse_strings
from recbole_micro.studies import pool, report, runs
from recbole_micro.tuning import tuned

HELP = f"""\
usage: recbole-micro compare --models=NAME,NAME --dataset=NAME [--option=value ...]

Trains every model with every seed, each in a process of its own, and writes tables, plots and report.html.
The same call again goes on where an interrupted one stopped; of a finished study it redraws the report.

  --models=A,B       models of the plugin and of RecBole
  --seeds=N          N seeds from --seed (2020) on, or the seeds themselves: 1,2,3
  --vary=TEXT        settings: "knn_k=5,10; beta=0.01,0.1" runs every combination
  --tuned=DIR,DIR    folders of recbole-micro tune, whose best settings their models take; the report says how
                     many trials each model had
  --workers=N        processes at a time (default: one per core, one with a CUDA device); they share the cores
  --title=TEXT       the data set's name in captions
  --beyond           also ItemCoverage, GiniIndex, AveragePopularity and TailPercentage of the lists
  --out=DIR          folder of the study (default: results/compare-DATASET)
{ON_RAY_HELP}
Other options are those of recbole-micro train and hold for every run.

Example:
  recbole-micro compare --models=MICRO,LightGCN,BPR --dataset=ml-100k --seeds=2 --out=studies/ml"""


def main(argv: list[str]) -> int:
    """`recbole-micro compare`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    beyond, argv = "--beyond" in argv, [word for word in argv if word != "--beyond"]
    words = ("models", "seeds", "vary", "tuned", "workers", "title", "out", *ON_RAY)
    own, argv = split_arguments(argv, words)
    fixed = read_fixed(argv)
    if not own.get("models") or not fixed.get("dataset"):
        raise UserError("compare needs --models=NAME,NAME and --dataset=NAME.")
    if beyond:
        asked = options.declared("", "")["metrics"]
        fixed["metrics"] = with_beyond(asked.read(fixed.get("metrics", asked.default), "as metrics"))
    seeds = read_seeds(own, fixed)
    vary = runs.read_vary(own.get("vary", ""))
    models = parse_strings(own["models"])
    found = tuned.read_tuned(parse_strings(own.get("tuned", "")), models, fixed["dataset"])
    best = {model: one.options for model, one in found.items()}
    grid = runs.grid(models, seeds, vary, best, **fixed)
    out = Path(own.get("out") or f"results/compare-{fixed['dataset']}")
    runs.check_runs(grid)
    results = pool.run_all(grid, out, positive(own, "workers"), engine=engine(own))
    report.write_tuned(out, {model: (one.trials, one.folder) for model, one in found.items()})
    page = report.write(results, out, own.get("title") or fixed["dataset"])
    print((out / "table.md").read_text(encoding="utf-8"))
    print(f"Report: {page}")
    return 0 if (results["status"] == "finished").all() else 1
