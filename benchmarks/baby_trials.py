"""Which settings of each model are best on Baby's validation set (reconstructed features)?

    python benchmarks/baby_trials.py [--models BPR ...]    try what is not tried yet, then the table
    python benchmarks/baby_trials.py --show                the table of what is there

Prints how many settings of each model were tried, the best validation Recall@20 (seed 1), and what as many
trials as FREEDOM had, drawn at random, would have found on average.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path; --show reads only
benchmarks/results/baby_trials.csv, where every trial is kept as soon as it is finished: several sittings add
up.  The settings are in benchmarks/baby_settings.py.  A trial takes from seconds (ItemKNN) to half an
hour (SGL, MICRO) of one CPU thread, all of them more than a day; --show takes seconds.
"""

import math

import pandas as pd
from baby_settings import SETTINGS, TRIALS
from baby_training import Job, add_arguments, add_device, prepare, train_missing
from support import markdown, parser


def best_of(n: int, scores: list[float]) -> float:
    """Mean of the largest over all choices of n of the ascending scores, without replacement."""
    choices = [math.comb(below, n - 1) for below in range(len(scores))]
    return sum(c * score for c, score in zip(choices, scores, strict=True)) / math.comb(len(scores), n)


def table() -> str:
    """Settings tried and the best on validation, best model first."""
    scores = {row: sorted(tried["valid R@20"]) for row, tried in pd.read_csv(TRIALS).groupby("row")}
    fair = len(scores["FREEDOM"])
    lines = []
    for row in sorted(scores, key=lambda row: -scores[row][-1]):
        expected = f"{best_of(fair, scores[row]):.4f}" if len(scores[row]) >= fair else ""
        lines.append((row, len(scores[row]), f"{scores[row][-1]:.4f}", expected))
    return markdown(("model", "settings", "best", f"expected best of {fair}"), lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument(
        "--models", nargs="+", choices=list(SETTINGS), default=list(SETTINGS), metavar="MODEL"
    )
    add_arguments(arguments)
    add_device(arguments)
    given = arguments.parse_args()
    if not given.show:
        prepare(given.source, given.data_path)
        jobs = [Job(model, model, settings) for model in given.models for settings in SETTINGS[model]]
        train_missing(TRIALS, jobs, given.data_path, given.gpu_id)
    print("Settings tried (validation Recall@20, one seed), expected best of as many as FREEDOM had.\n")
    print(table())


if __name__ == "__main__":
    main()
