"""Where do the seconds of a training step and of an evaluation of a model go, on Baby?

    python benchmarks/step_parts.py [--model MICRO] [--batch 1024] [--threads 2] [--steps 60]

Prints the milliseconds of a step by part: the batch, the forward pass by method of the model, the backward
pass by operation, the optimiser; what lies inside another part is indented.  Then those of one evaluation of
all test users, graphs rebuilt.  PyTorch's profiler takes them, which makes small operations slower than they
are: `speed.py` says how long all takes.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path.  Takes half a minute.
"""

import functools
from typing import Any

from baby_training import NAME, add_data_arguments, prepare
from support import call, markdown, parser

FORWARD = {  # part -> the object of the model that has it, and its method
    "backbone": ("backbone", "for_users"),
    "modality views": ("", "modality_views"),
    "fusion": ("", "fuse"),
    "contrast": ("", "contrast"),
    "ranking loss": ("", "ranking_loss"),
}
ENGINE = "autograd::engine::evaluate_function: "
LEAST = 0.005  # share of all below which an operation of the backward pass is not printed


def wrap(owner: Any, method: str, name: str) -> None:
    """Let the profiler see calls of a method by a name of ours."""
    from torch.profiler import record_function

    inner = getattr(owner, method)

    @functools.wraps(inner)
    def seen(*arguments, **named):
        with record_function(name):
            return inner(*arguments, **named)

    object.__setattr__(owner, method, seen)


def profile(model: str, options: dict, steps: int) -> dict[str, list[tuple[str, float]]]:
    """(part, milliseconds) of a step and of an evaluation."""
    import itertools

    from torch.profiler import ProfilerActivity, record_function
    from torch.profiler import profile as profiler

    import recbole_micro
    from recbole_micro.training.experiment import build

    one = build(recbole_micro.Config(model, NAME, config_dict={"state": "ERROR", "gpu_id": "", **options}))
    trainer, network, train = one.trainer, one.model, one.train_data
    trainer.eval_collector.data_collect(train)
    trainer._train_epoch(train, 0)
    trainer.evaluate(one.test_data, load_best_model=False)  # finds the neighbours that the next step reads
    for name, (place, method) in FORWARD.items():
        owner = getattr(network, place, None) if place else network
        if hasattr(owner, method):
            wrap(owner, method, f"  {name}")
    wrap(network, "calculate_loss", "forward pass")
    wrap(trainer, "_full_sort_batch_eval", "scores and masks")
    wrap(network, "forward", "  vectors of all, graphs rebuilt")
    wrap(trainer.eval_collector, "eval_batch_collect", "top 20 and hits")
    wrap(trainer.evaluator, "evaluate", "metrics")

    class First:
        """The first batches, each made within a range of the profiler's."""

        _dataset, _sampler = train._dataset, train._sampler

        def __iter__(self):
            batches = iter(train)
            for _ in range(steps):
                with record_function("batch"):
                    batch = next(batches)
                yield batch

        def __len__(self):
            return steps

    def taken(action, count: int, names: tuple[str, ...]) -> list[tuple[str, float]]:
        with profiler(activities=[ProfilerActivity.CPU]) as found, record_function("all"):
            action()
        times = {event.key: event.cpu_time_total / 1000 / count for event in found.key_averages()}
        backward = {f"  {key.removeprefix(ENGINE)}": t for key, t in times.items() if key.startswith(ENGINE)}
        rows = [(name, times[name]) for name in names if name in times]
        if backward:
            rows.append(("backward pass", sum(backward.values())))
            shown = sorted(backward.items(), key=lambda pair: -pair[1])
            rows += [pair for pair in shown if pair[1] > LEAST * times["all"]]
        rows += [("optimiser", t) for key, t in times.items() if key.startswith("Optimizer.step#")]
        return [*rows, ("all", times["all"])]

    parts = itertools.chain(["batch", "forward pass"], (f"  {name}" for name in FORWARD))
    step = taken(lambda: trainer._train_epoch(First(), 1), steps, tuple(parts))
    names = "scores and masks", "  vectors of all, graphs rebuilt", "top 20 and hits", "metrics"
    return {
        "a step": step,
        "an evaluation": taken(lambda: trainer.evaluate(one.test_data, load_best_model=False), 1, names),
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--model", default="MICRO")
    arguments.add_argument("--batch", type=int, default=1024)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--steps", type=int, default=60, help="of an epoch after the first (default: 60)")
    add_data_arguments(arguments)
    given = arguments.parse_args()
    prepare(given.source, given.data_path)
    options = {"data_path": str(given.data_path.resolve()), "train_batch_size": given.batch}
    for what, rows in call(profile, given.model, options, given.steps, threads=given.threads).items():
        cells = [[name.replace("  ", "&nbsp;&nbsp;"), f"{milliseconds:.2f}"] for name, milliseconds in rows]
        print(markdown((f"{what} of {given.model}, {given.threads} thread(s)", "ms"), cells) + "\n")


if __name__ == "__main__":
    main()
