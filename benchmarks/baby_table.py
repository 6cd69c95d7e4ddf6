"""How good is each model at its best on Baby (reconstructed features)?

    python benchmarks/baby_table.py [--rows MICRO ...]    train what is not there yet, then the table
    python benchmarks/baby_table.py --show                the table of what is there

Prints the test metrics under both maskings, mean and 95 % interval over seeds, with the cost of an epoch as
baby_costs.py measured it.  "MICRO" has the shipped defaults, "MICRO by BPR" the preset bpr, every other
model the best settings of baby_trials.py.  RecBole's models run through the plugin as well: its negatives,
trainer and protocols.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path; --show reads only
benchmarks/results/, where trainings are kept in baby_runs.csv: several sittings add up.  A training takes
from seconds (ItemKNN) to an hour (SGL) of one CPU thread, all of them about ten hours; --show takes seconds.
"""

from collections.abc import Sequence

import pandas as pd
from baby_costs import COSTS
from baby_settings import NO_EVIDENCE, NO_FEATURES, ROWS, rows, untried
from baby_training import COST, Job, add_arguments, add_device, prepare, train_missing
from scipy.stats import t
from support import RESULTS, markdown, parser, text_of

RUNS = RESULTS / "baby_runs.csv"
KEY = ["row", "settings"]
TO_BEST = "to the best, CPU min"  # the best epoch times an epoch, without validations
BASE = "MICRO by BPR"  # the row that the others are set beside


def scores(metrics: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series]:
    """Mean of these columns, half of their 95 % intervals, and seeds, of the rows of today's table."""
    asked = pd.DataFrame([(row, text_of(settings)) for row, (_, settings) in rows().items()], columns=KEY)
    groups = asked.merge(pd.read_csv(RUNS)).groupby(KEY)
    seeds = groups.size()
    half = groups[list(metrics)].std().mul(t.ppf(0.975, seeds - 1) / seeds.pow(0.5), axis=0)
    return groups[list(metrics)].mean(), half, seeds


def table() -> tuple[str, str]:
    """(the table, a line that sets MICRO beside the best model that reads no features)."""
    metrics = [column for column in pd.read_csv(RUNS, nrows=0) if column.endswith("@20")]
    mean, half, seeds = scores([*metrics, "epochs", "best epoch"])
    mean = mean.join(pd.read_csv(COSTS).set_index(KEY)[list(COST)])
    mean = mean.sort_values("paper R@20", ascending=False)
    ratio = mean[COST[0]] / mean[COST[0]].get(BASE).iloc[0]
    lines = []
    for rank, row in enumerate(mean.index, start=1):
        line = mean.loc[row]
        spread = (f" ± {half.loc[row, metric]:.4f}" if seeds[row] > 1 else "" for metric in metrics)
        values = [f"{line[metric]:.4f}{part}" for metric, part in zip(metrics, spread, strict=True)]
        cost = (f"{line['epochs']:.0f}", "", "", "", "")
        if pd.notna(line[COST[0]]):
            best = line["best epoch"] * line[COST[0]] / 60
            seconds, memory = line[list(COST)]
            cost = (cost[0], f"{seconds:.1f}", f"{best:.1f}", f"{memory:.0f}", f"{ratio[row]:.2f}")
        mark = "*" if row[0] in NO_EVIDENCE else ""
        lines.append((rank, row[0] + mark, seeds[row], *values, *cost))
    head = ("rank", "model", "seeds", *metrics, "epochs", COST[0], TO_BEST, COST[1], f"x {BASE}")
    return markdown(head, lines), beside_no_features(mean["paper R@20"])


def beside_no_features(recall: pd.Series) -> str:
    """The ratio of `BASE` to the best model without features; empty where one of the two is not there."""
    micro, others = (recall[recall.index.isin(names, level="row")] for names in ([BASE], NO_FEATURES))
    if micro.empty or others.empty:
        return ""
    ratio, best = micro.max() / others.max(), others.idxmax()[0]
    return f"{BASE} is {ratio:.3f} x the best model without features, {best} (paper R@20)."


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    arguments.add_argument("--seeds", type=int, default=3)
    add_arguments(arguments)
    add_device(arguments)
    given = arguments.parse_args()
    if not given.show:
        prepare(given.source, given.data_path)
        chosen = rows(given.rows).items()
        jobs = [Job(row, *what, seed) for seed in range(1, given.seeds + 1) for row, what in chosen]
        train_missing(RUNS, jobs, given.data_path, given.gpu_id, test=True)
    shown, ratio = table()
    print(
        "Baby, reconstructed features: test set, selection on validation Recall@20, mean ± 95 % interval "
        "over seeds.\nMasked at test: training and validation items (recbole), training items (paper).\n"
    )
    print(shown)
    print(
        "\n* reads raw feature vectors, which are reconstructed here: no evidence about the model.\n" + ratio
    )
    print(untried())


if __name__ == "__main__":
    main()
