"""How long do an epoch and an evaluation take on a CUDA device, beside plain RecBole's LightGCN, on Baby?

    python benchmarks/gpu.py [--gpu-id 0] [--epochs 5] [--data-path dataset]    what is not measured yet
    python benchmarks/gpu.py --show                                            the table of what is there

A row trains in a process of its own, and its first epoch is not counted.  "one by one": no step is replayed
from a CUDA graph; "RecBole's loader": interactions are shuffled and negatives drawn on the CPU as well.
LightGCN by RecBole's own configuration runs without the plugin's classes, for 3 epochs at most.

Prints seconds of an epoch and of an evaluation, medians.  Reads ../shared/data/baby (or --from DIR) and
converts it once into --data-path; keeps its rows in benchmarks/results/gpu_runs.csv.  Takes under four
minutes.
"""

import statistics

from baby_training import add_arguments, add_device, prepare
from speed import measure
from support import RESULTS, call, finished, keep, kept, markdown, parser

RUNS = RESULTS / "gpu_runs.csv"
SHIPPED = {"train_batch_size": 4096}
ROWS = {  # model, options, whether by RecBole's own configuration
    "MICRO": ("MICRO", SHIPPED, False),
    "LightGCN by RecBole, batch 1024": ("LightGCN", {}, True),
    "MICRO, one by one": ("MICRO", {**SHIPPED, "replay_steps": False}, False),
    "MICRO, one by one, RecBole's loader": (
        "MICRO",
        {**SHIPPED, "replay_steps": False, "device_batches": False},
        False,
    ),
    "MICRO, batch 1024": ("MICRO", {}, False),
    "FREEDOM, batch 1024": ("FREEDOM", {}, False),
    "LATTICE, batch 1024": ("LATTICE", {}, False),
    "LightGCN, batch 1024": ("LightGCN", {}, False),
}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=5, help="counted (default: 5)")
    add_arguments(arguments)
    add_device(arguments)
    arguments.set_defaults(gpu_id="0")
    given = arguments.parse_args()
    if not given.show:
        prepare(given.source, given.data_path)
        where = {"data_path": str(given.data_path.resolve()), "gpu_id": given.gpu_id}
        for row, (model, options, plain) in ROWS.items():
            if finished(RUNS, {"row": row}):
                continue
            epochs = min(given.epochs, 3) if plain else given.epochs
            found = call(measure, model, {**where, **options}, plain, epochs, threads=1)
            epoch, evaluation = (statistics.median(times) for times in zip(*found["times"], strict=True))
            measured = {"epoch, s": round(epoch, 3), "evaluation, s": round(evaluation, 3)}
            keep(RUNS, {"row": row, **measured, "epochs": epochs, "device": found["device"]})
            print(row, measured, flush=True)
    runs = kept(RUNS)
    if len(runs):
        print(markdown(tuple(runs.columns), runs.to_numpy().tolist()))


if __name__ == "__main__":
    main()
