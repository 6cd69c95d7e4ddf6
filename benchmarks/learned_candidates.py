"""What does it cost in Recall@20 on Baby to learn the graph among each item's C nearest raw neighbours?

    python benchmarks/learned_candidates.py [--models MICRO,LATTICE] [--candidates 0,50,20] [--epochs 15]
    python benchmarks/learned_candidates.py --show    the table of what is there

Prints, per model and `learned_candidates` (0: all items), test Recall@20 after so many epochs at most, its
epoch, and the CPU seconds of the median epoch, the search of the learned graph among them.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path; trainings are kept in
benchmarks/results/learned_candidates.csv, and --show reads only those.  A training takes about 4 s of CPU an
epoch (MICRO) and 13 s (LATTICE), one after the other, with one thread.
"""

from baby_training import Job, add_arguments, add_device, columns_of, prepare, run_job
from support import RESULTS, finished, keep, kept, markdown, parser, text_of

FILE = RESULTS / "learned_candidates.csv"


def main() -> None:
    arguments = parser(__doc__)
    add_arguments(arguments)
    add_device(arguments)
    arguments.add_argument("--models", default="MICRO,LATTICE")
    arguments.add_argument("--candidates", default="0,50,20")
    arguments.add_argument("--epochs", type=int, default=15)
    given = arguments.parse_args()
    if not given.show:
        prepare(given.source, given.data_path)
        for model in given.models.split(","):
            for count in map(int, given.candidates.split(",")):
                job = Job(f"{model}, {count}", model, {"learned_candidates": count, "epochs": given.epochs})
                if not finished(FILE, {"row": job.row, "settings": text_of(job.settings), "seed": job.seed}):
                    scores, costs = run_job(job, given.data_path, given.gpu_id, test=True)
                    keep(FILE, columns_of(job) | scores | costs)
    columns = ["model", "settings", "recbole R@20", "best epoch", "epoch, CPU s"]
    print("Test Recall@20 under protocol recbole, one seed.\n")
    print(markdown(columns, kept(FILE)[columns].values.tolist()))


if __name__ == "__main__":
    main()
