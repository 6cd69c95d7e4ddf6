"""`recbole-micro tune`: search on the validation set, test the winner."""

from pathlib import Path
from typing import Any

from recbole_micro import options
from recbole_micro.commands.arguments import positive, split_arguments
from recbole_micro.commands.studies.arguments import read_fixed
from recbole_micro.errors import UserError
from recbole_micro.studies import runs
from recbole_micro.tuning import study

RAY_ONLY = ("workers", "threads", "grace", "address")

HELP = """\
usage: recbole-micro tune --model=NAME --dataset=NAME [--option=value ...]

Searches for the options with the best validation score, and tests the winner once.
Writes trials.csv, study.png and best.yaml (for --config_files).  The same call again goes on where an
interrupted one stopped; with more --trials it continues a finished study.

  --space=FILE       YAML file {shape: {option: values}} (default: the model's own search space)
  --algo=NAME        bayes (or tpe), random, exhaustive (default: bayes)
  --trials=N         trials at most (default: 20); an exhaustive search tries every combination
  --engine=NAME      hyperopt: one trial after the other; ray: trials in parallel, and those behind are pruned
                     (ASHA keeps the best third at each rung) (default: hyperopt)
  --out=DIR          folder of the study (default: results/tune-MODEL-DATASET)

With --engine=ray:
  --workers=N        trials at a time (default: as many as the cores or CUDA devices allow)
  --threads=N        threads of a trial (default: the cores shared out; 1 on a cluster)
  --grace=N          epochs before a trial may be pruned (default: 10, or a quarter of --epochs)
  --address=HOST:N   a running cluster, or auto (default: Ray on this machine alone)

Other options are those of recbole-micro train and hold for every trial.

Example:
  recbole-micro tune --model=MICRO --dataset=ml-100k --trials=20 --out=studies/tune"""


def main(argv: list[str]) -> int:
    """`recbole-micro tune`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    own, argv = split_arguments(argv, ("space", "algo", "trials", "out", "engine", *RAY_ONLY))
    fixed = read_fixed(argv)
    if not fixed.get("model") or not fixed.get("dataset"):
        raise UserError("tune needs --model=NAME and --dataset=NAME.")
    model = fixed["model"]
    out = own.get("out") or f"results/tune-{model}-{fixed['dataset']}"
    space = own.get("space") or options.plugin_defaults(f"space/{model}.yaml")
    runs.check_runs(runs.grid([model], [0], **fixed))
    if not space:
        raise UserError(
            f"There is no search space for {model}: write {{shape: {{option: values}}}} into a YAML file and "
            "name it with --space=FILE."
        )
    trials = positive(own, "trials") or 20
    engine = own.get("engine", "hyperopt")
    more: dict[str, Any] = {
        name: positive(own, name) for name in RAY_ONLY if name in own and name != "address"
    }
    more |= {"address": own["address"]} if "address" in own else {}
    if more and engine != "ray":
        raise UserError(f"--{next(iter(more))} belongs to the engine ray: add --engine=ray.")
    winner = study.tune(space, fixed, out, own.get("algo", "bayes"), trials, engine=engine, **more)
    print((Path(out) / study.BEST).read_text(encoding="utf-8"))
    for name in (name for name in winner.columns if name.startswith("test ")):
        print(f"{name}: {winner[name].iloc[0]:.4f} [protocol: {winner['protocol'].iloc[0]}]")
    return 0 if (winner["status"] == "finished").all() else 1
