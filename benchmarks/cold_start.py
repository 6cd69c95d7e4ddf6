"""Figure 3 of the paper: who finds items that nobody has interacted with.

    python benchmarks/cold_start.py                                    Baby, a fifth of its items cold
    python benchmarks/cold_start.py --rows MICRO,VBPR --seeds 2020     some models, one seed
    python benchmarks/cold_start.py --rows MICRO --set preset=cold_start   options, the same for all rows
    python benchmarks/cold_start.py --show                             the table of what is there

MICRO at a learning rate of 2e-3 ranks cold items below all others: on Baby's validation Recall@20 among all
items is 0.0030 after 3 epochs and 0.0000 from epoch 12 on, since a cold item has the unit vector h / |h|
alone and the ID part of warm items outgrows it.  Looks on validation (seed 2020): learning rate 1e-4 0.0211
(epoch 15), MF as backbone with 3e-4 0.0172 (epoch 8), reg_weight 0.1 0.0056 (epoch 3).  So cold start wants
`--set preset=cold_start`; the published code takes 1e-5.  lambda_coeff and graph_learning were not varied.

Splits the data set NAME once into NAME-cold.  Finished trainings are kept in the CSV file and not repeated.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
from kept import finished, keep

from recbole_micro import run
from recbole_micro.evaluation import ranking as ranking_module
from recbole_micro.options.values import parse
from recbole_micro.studies.paper_figures import COLD, cold_split

ROWS = {**COLD, **{model: (model, {}) for model in ("LATTICE", "FREEDOM")}}
METRICS = ("recall@20", "ndcg@20", "precision@20")
COLUMNS = [front + metric for front in ("", "cold:", "warm:") for metric in METRICS]
KEY = ["dataset", "row", "seed", "options"]


def measure(row: str, dataset: str, options: dict) -> dict:
    """One training's metrics in the three rankings; those of cold items are absent where a model has none."""
    model, own = ROWS[row]
    result = run(model, dataset, config_dict={**own, **options})
    test = result["test_result"]
    line = {"protocol": test.protocol, "valid score": result["best_valid_score"]}
    return line | {name: test.get(name) for name in COLUMNS}


def show(file: Path) -> None:
    """Means over the seeds: Recall / NDCG / Precision of the three rankings."""
    runs = pd.read_csv(file)
    print("Means over seeds: Recall / NDCG / Precision@20, protocol recbole\n")
    print(f"| data set | options | model | seeds | {' | '.join(ranking_module.RANKINGS.values())} |")
    print("|---|---|---|---:|" + "---|" * len(ranking_module.RANKINGS))
    for (dataset, options), group in runs.groupby(["dataset", "options"], sort=False):
        for row in (row for row in ROWS if row in set(group.row)):
            part = group[group.row == row]
            means = [part[[front + metric for metric in METRICS]].mean() for front in ("", "cold:", "warm:")]
            cells = [
                "not ranked" if ranking.isna().any() else " / ".join(f"{value:.4f}" for value in ranking)
                for ranking in means
            ]
            print(f"| {dataset} | {options} | {row} | {len(part)} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="baby")
    parser.add_argument("--data-path", default="dataset")
    parser.add_argument("--cold", type=float, default=0.2, help="share of cold items")
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--keep-warm", action="store_true", help="no warm items in validation and test")
    parser.add_argument("--seeds", default="2020,2021,2022")
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE", help="for every model")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("cold_start_runs.csv"))
    parser.add_argument("--show", action="store_true", help="train nothing")
    given = parser.parse_args()
    rows = given.rows.split(",")
    if unknown := set(rows) - set(ROWS):
        parser.error(f"no row {', '.join(unknown)}: choose {', '.join(ROWS)}")
    if not given.show:
        how = {"keep_warm": given.keep_warm, "seed": given.split_seed}
        name = cold_split(given.dataset, given.data_path, given.cold, **how)
        chosen = {option: parse(value) for option, _, value in (text.partition("=") for text in given.set)}
        options = json.dumps(chosen, sort_keys=True)
        for seed, row in ((int(seed), row) for seed in given.seeds.split(",") for row in rows):
            key = dict(zip(KEY, (name, row, seed, options), strict=True))
            if not finished(given.out, key):
                more = {"data_path": given.data_path, "show_progress": False, "seed": seed}
                keep(given.out, key | measure(row, name, {**more, **chosen}))
    show(given.out)


if __name__ == "__main__":
    main()
