"""`recbole-micro reproduce`: a table or figure of the paper, its numbers beside ours."""

from pathlib import Path
from typing import cast

from recbole_micro.commands.arguments import positive, split_arguments
from recbole_micro.commands.studies.arguments import ON_RAY, ON_RAY_HELP, engine, read_fixed, read_seeds
from recbole_micro.errors import UserError
from recbole_micro.studies.paper import tables

HELP = f"""\
usage: recbole-micro reproduce --table=4|5|6 --dataset=NAME [--quick] [--option=value ...]
       recbole-micro reproduce --figure=3|4|5 --dataset=NAME [--quick] [--option=value ...]

Trains every row of a table of MICRO's paper and shows the paper's numbers beside ours (paper.md, paper.html),
or every point of a figure, whose numbers the paper does not print.  Says first how long it will take.
The same call again goes on where an interrupted one stopped; of a finished study it redraws the report.

  --table=N          4 (models), 5 (backbones and features) or 6 (modalities)
  --figure=N         3 (cold start, on NAME-cold), 4 (k, lambda, beta) or 5 (layers on the item graphs)
  --literal          MICRO with the preset paper, which is slow, instead of its shipped defaults
  --quick            at most 30 epochs: an impression, not the paper's setting
  --seeds=N          N seeds from --seed (2020) on, or the seeds themselves: 1,2,3 (default: 1)
  --workers=N        processes at a time (default: one per core, one with a CUDA device)
  --title=TEXT       the data set's name in captions
  --out=DIR          folder of the study (default: results/tableN-DATASET)
{ON_RAY_HELP}
Other options are those of recbole-micro train and hold for every run.

Example:
  recbole-micro reproduce --table=4 --dataset=baby --out=studies/table4"""


def main(argv: list[str]) -> int:
    """`recbole-micro reproduce`; the exit code."""
    if {"-h", "--help"} & set(argv):
        print(HELP)
        return 0
    flags = {"--quick", "--literal"} & set(argv)
    argv = [argument for argument in argv if argument not in flags]
    own, argv = split_arguments(argv, ("table", "figure", "seeds", "workers", "title", "out", *ON_RAY))
    fixed = read_fixed(argv)
    kinds = [name for name in ("table", "figure") if name in own]
    if len(kinds) != 1 or not fixed.get("dataset"):
        raise UserError("reproduce needs --table=4, 5 or 6 or --figure=3, 4 or 5, and --dataset=NAME.")
    kind, number = kinds[0], cast(int, positive(own, kinds[0]))
    seeds = read_seeds(own, fixed)
    marks = "".join(flag[1:] for flag in sorted(flags))
    out = Path(own.get("out") or f"results/{kind}{number}-{fixed['dataset']}{marks}")
    fixed = {**(tables.QUICK if "--quick" in flags else {}), **fixed}
    reproduced = {"table": tables.reproduce_table, "figure": tables.reproduce_figure}[kind]
    results = reproduced(
        number,
        fixed,
        seeds,
        out,
        literal="--literal" in flags,
        title=own.get("title"),
        workers=positive(own, "workers"),
        engine=engine(own),
    )
    print((out / "paper.md").read_text(encoding="utf-8"))
    print(f"Report: {out / 'report.html'}")
    return 0 if (results["status"] == "finished").all() else 1
