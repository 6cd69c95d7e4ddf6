"""What does an epoch of each row of the table cost on Baby (reconstructed features)?

    python benchmarks/baby_costs.py [--rows MICRO ...]    measure what is not measured yet, then the table
    python benchmarks/baby_costs.py --show                the table of what is there

Prints the CPU seconds of an epoch (median of three) and the peak memory of a process that trains three epochs
and evaluates once, on one CPU thread: let nothing else run.  baby_table.py shows them beside the scores.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path; --show reads only
benchmarks/results/, where rows are kept in baby_costs.csv.  A row takes from half a minute to three minutes
(SGL); --show takes seconds.
"""

import pandas as pd
from baby_settings import ROWS, rows
from baby_training import COST, Job, add_arguments, columns_of, prepare, run_job
from support import RESULTS, finished, keep, markdown, parser, text_of

COSTS = RESULTS / "baby_costs.csv"


def measure(row: str, model: str, settings: dict, data_path) -> None:
    """Train three epochs, unless the row is there."""
    job = Job(row, model, settings)
    if not finished(COSTS, {"row": row, "settings": text_of(settings)}):
        short = job._replace(settings={**settings, "epochs": 3, "eval_step": 3})
        keep(COSTS, columns_of(job) | run_job(short, data_path)[1])


def table() -> str:
    """Seconds and memory of the rows of today's table, the cheapest first."""
    asked = pd.DataFrame([(row, text_of(settings)) for row, (_, settings) in rows().items()])
    found = asked.set_axis(["row", "settings"], axis=1).merge(pd.read_csv(COSTS)).sort_values(COST[0])
    lines = [
        (row, f"{seconds:.1f}", f"{memory:.0f}")
        for row, seconds, memory in found[["row", *COST]].itertuples(index=False)
    ]
    return markdown(("model", *COST), lines)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    add_arguments(arguments)
    given = arguments.parse_args()
    if not given.show:
        prepare(given.source, given.data_path)
        for row, (model, settings) in rows(given.rows).items():
            measure(row, model, settings, given.data_path)
    print(f"Baby, reconstructed features: three epochs and one evaluation, one CPU thread.\n\n{table()}")


if __name__ == "__main__":
    main()
