"""What does it cost to keep the last state of a training after every epoch?

    python benchmarks/last_state.py [--models MICRO FREEDOM LightGCN] [--epochs 3]

Prints, per model, the seconds of an epoch without its evaluation, those of writing the last state (temporary
file, fsync, rename), and their ratio: medians over the epochs but the first.

Reads Baby as downloaded (--from) and converts it once below --data-path.  Takes about a minute a model.
"""

import statistics
import tempfile
from pathlib import Path

from baby_training import NAME, add_data_arguments, prepare
from support import call, clocked, parser


def main() -> None:
    arguments = parser(__doc__)
    add_data_arguments(arguments)
    arguments.add_argument("--models", nargs="+", default=["MICRO", "FREEDOM", "LightGCN"], metavar="NAME")
    arguments.add_argument("--epochs", type=int, default=3, metavar="N", help="at least 2 (default: 3)")
    given = arguments.parse_args()
    prepare(given.source, given.data_path)
    for model in given.models:
        epoch, write, size = call(measure, model, str(given.data_path), given.epochs)
        print(
            f"{model}: epoch {epoch:.2f} s, last state of {size / 1e6:.0f} MB written in {write:.3f} s, "
            f"{write / epoch:.1%} of the epoch",
            flush=True,
        )


def measure(model: str, data_path: str, epochs: int) -> tuple[float, float, int]:
    """Seconds of an epoch and of writing the state after it (medians), and the size of the file in bytes."""
    from recbole_micro import Config
    from recbole_micro.checkpoint import last_file
    from recbole_micro.training.experiment import build
    from recbole_micro.training.last_state import write_last

    with tempfile.TemporaryDirectory() as folder:
        given = {"data_path": data_path, "checkpoint_dir": folder, "gpu_id": "", "state": "ERROR"}
        built = build(Config(model, NAME, config_dict=given))
        trainer, train_data = built.trainer, built.train_data
        if built.config["train_neg_sample_args"]["dynamic"]:
            train_data.get_model(trainer.model)
        seconds = []
        for epoch in range(epochs):
            training = clocked(lambda epoch=epoch: trainer._train_epoch(train_data, epoch))
            writing = clocked(lambda: write_last(trainer, train_data))
            seconds.append((training.seconds, writing.seconds))
        size = Path(last_file(trainer.saved_model_file)).stat().st_size
    epoch, write = (statistics.median(column) for column in zip(*seconds[1:], strict=True))
    return epoch, write, size


if __name__ == "__main__":
    main()
