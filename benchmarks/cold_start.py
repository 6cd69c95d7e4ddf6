"""Figure 3 of the paper: who finds items that nobody has interacted with?

    python benchmarks/cold_start.py                                    Baby, a fifth of its items cold
    python benchmarks/cold_start.py --rows MICRO,VBPR --seeds 2020     some models, one seed
    python benchmarks/cold_start.py --rows MICRO --set preset=cold_start   options, the same for all rows
    python benchmarks/cold_start.py --show                             the table of what is there

Prints test Recall, NDCG and Precision@20, means over seeds, in the four rankings of a cold-start run; rows of
earlier versions have no warm items among all.

Reads the data set NAME below --data-path and splits it once into NAME-cold; --show reads only the CSV file,
where finished trainings are kept and not repeated.  A training takes from seconds (random, popularity) to a
quarter of an hour, all of them about four hours; --show takes seconds.

MICRO by BPR at a learning rate of 2e-3 ranks cold items below all others: on Baby's validation Recall@20
among all items is 0.0030 after 3 epochs and 0.0000 from epoch 12 on, since a cold item has the unit vector
h / |h| alone and the ID part of warm items outgrows it.  Looks on validation (seed 2020): learning rate 1e-4
0.0211 (epoch 15), MF as backbone with 3e-4 0.0172 (epoch 8), reg_weight 0.1 0.0056 (epoch 3): the preset
cold_start_bpr; the published code takes 1e-5.  The shipped ranking compares by cosines and needs none of it;
what its bias of cold items changes is in docs/results.md.
"""

from pathlib import Path

import pandas as pd
from support import add_run_arguments, call, markdown, parser, run_missing

from recbole_micro import run
from recbole_micro.evaluation.ranking import WHAT
from recbole_micro.studies.paper.figures import COLD, cold_split

ROWS = {**COLD, **{model: (model, {}) for model in ("LATTICE", "FREEDOM", "ContentKNN", "EASEKNN")}}
METRICS = ("recall@20", "ndcg@20", "precision@20")
ABSENT = dict.fromkeys(("cold_all", "cold"), "not ranked")
RANKINGS = ("cold_all", "cold", "warm_all", "warm")


def measure(row: str, dataset: str, options: dict) -> dict:
    """One training's metrics in the four rankings; those of cold items are absent where a model has none."""
    model, own = ROWS[row]
    result = run(model, dataset, config_dict={**own, **options})
    test = result["test_result"]
    line = {"protocol": test.protocol, "valid score": result["best_valid_score"]}
    return line | {
        f"{name}:{metric}": test.get(f"{name}:{metric}") for name in RANKINGS for metric in METRICS
    }


def table(file: Path) -> str:
    """Means over the seeds: Recall / NDCG / Precision of the four rankings."""
    lines, columns = [], [[f"{name}:{metric}" for metric in METRICS] for name in RANKINGS]
    for (dataset, options), group in pd.read_csv(file).groupby(["dataset", "options"], sort=False):
        for row in (row for row in ROWS if row in set(group.row)):
            part = group[group.row == row]
            means = [part.reindex(columns=names).mean() for names in columns]
            cells = [
                ABSENT.get(name, "")
                if ranking.isna().any()
                else " / ".join(f"{value:.4f}" for value in ranking)
                for name, ranking in zip(RANKINGS, means, strict=True)
            ]
            lines.append((dataset, options, row, len(part), *cells))
    return markdown(("data set", "options", "model", "seeds", *(WHAT[name] for name in RANKINGS)), lines)


def main() -> None:
    arguments = parser(__doc__)
    add_run_arguments(arguments, "cold_start_runs.csv", seeds="2020,2021,2022")
    arguments.add_argument("--cold", type=float, default=0.2, help="share of cold items")
    arguments.add_argument("--keep-warm", action="store_true", help="no warm items in validation and test")
    arguments.add_argument("--rows", default=",".join(ROWS))
    given = arguments.parse_args()
    rows = given.rows.split(",")
    if unknown := set(rows) - set(ROWS):
        arguments.error(f"no row {', '.join(unknown)}: choose {', '.join(ROWS)}")
    if not given.show:
        how = {"keep_warm": given.keep_warm, "seed": given.split_seed}
        name = cold_split(given.dataset, given.data_path, given.cold, **how)
        run_missing(given, name, rows, lambda row, options: call(measure, row, name, options))
    print(f"Means over seeds: Recall / NDCG / Precision@20, protocol recbole\n\n{table(given.out)}")


if __name__ == "__main__":
    main()
