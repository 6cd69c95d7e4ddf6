"""How high should items without interactions stand among the others?

    python benchmarks/cold_bias.py [--rows MICRO ...] [--epochs 6]    train what is not there yet
    python benchmarks/cold_bias.py --show                             the table of what is there

Prints validation Recall@20 in the rankings of a cold start (docs/evaluation.md), mean over seeds, of MICRO
with the bias of its cold items at several quantiles of the others' (`cold_bias`), from one training of
--epochs epochs for all of them, and of ContentKNN and EASEKNN.  The test set is not read.

Reads ../shared/data/baby, converts it once into --data-path and withholds a fifth of its items there; rows
are kept in benchmarks/results/cold_bias.csv.  It takes two minutes of one CPU
thread for six epochs and five quantiles, half a minute for ContentKNN and EASEKNN.
"""

from pathlib import Path

from baby_training import NAME, add_arguments, add_device, prepare
from support import RESULTS, call, finished, keep, kept, markdown, parser

ROWS = ("MICRO", "ContentKNN", "EASEKNN")
QUANTILES = (0.75, 0.9, 0.95, 0.99, 1.0)
RUNS = RESULTS / "cold_bias.csv"


def measure(model: str, dataset: str, options: dict) -> list[dict]:
    """Validation Recall@20 in every ranking after the last epoch, for each quantile where there is a bias."""
    from recbole_micro import Config
    from recbole_micro.evaluation.ranking import rankings
    from recbole_micro.training.experiment import build

    fixed = {"state": "ERROR", "show_progress": False, "save_last": False}
    made = build(Config(model, dataset, config_dict={**fixed, **options}))
    made.trainer.fit(made.train_data, saved=False, verbose=False)
    trained, rows = made.model.eval(), []
    for quantile in QUANTILES if hasattr(trained, "scoring") else (None,):
        if quantile is not None:
            trained.scoring.cold_bias, trained.cache = quantile, None
        found = rankings(made.valid_data).items()
        values = {name: made.trainer.measure(ranking)["recall@20"] for name, ranking in found}
        rows.append({"cold_bias": quantile} | values)
    return rows


def main() -> None:
    arguments = parser(__doc__)
    add_arguments(arguments)
    add_device(arguments)
    arguments.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW")
    arguments.add_argument("--seeds", nargs="+", type=int, default=[2020], metavar="SEED")
    arguments.add_argument("--epochs", type=int, default=6, help="of MICRO (default: %(default)s)")
    arguments.add_argument("--out", type=Path, default=RUNS, metavar="FILE")
    given = arguments.parse_args()
    if not given.show:
        from recbole_micro.studies.paper.figures import cold_split

        prepare(given.source, given.data_path)
        dataset = cold_split(NAME, given.data_path)
        for row in given.rows:
            epochs = given.epochs if row == "MICRO" else 1
            for seed in given.seeds:
                known = {"row": row, "epochs": epochs, "seed": seed}
                if finished(given.out, known):
                    continue
                print(f"{row}, seed {seed} ...", flush=True)
                options = {"data_path": str(given.data_path.resolve()), "gpu_id": given.gpu_id}
                for line in call(
                    measure, row, dataset, {**options, "epochs": epochs, "seed": seed}, threads=1
                ):
                    keep(given.out, known | line)
    show(given.out)


def show(file: Path) -> None:
    """Print the means over seeds."""
    from recbole_micro.evaluation.ranking import WHAT

    runs = kept(file)
    if runs.empty:
        return
    names = [name for name in WHAT if name in runs]
    groups = runs.astype(dict.fromkeys(names, float)).groupby(["row", "epochs", "cold_bias"], sort=False)
    means, seeds = groups[names].mean(), groups.size()
    lines = [
        (*key, seeds[key], *(f"{value:.4f}" for value in line))
        for key, line in zip(means.index, means.to_numpy(), strict=True)
    ]
    print(markdown(("model", "epochs", "cold_bias", "seeds", *(WHAT[name] for name in names)), lines))


if __name__ == "__main__":
    main()
