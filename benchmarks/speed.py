"""How long do an epoch and an evaluation of MICRO take beside plain RecBole's LightGCN, on Baby?

    python benchmarks/speed.py [--epochs 2] [--rounds 2] [--threads 2] [--gpu-id 0] [--data-path dataset]

Prints the medians of both and their ratios, at the same batch size and as many users to a batch of the
evaluation.  MICRO has its shipped defaults, and its evaluation includes rebuilding its graphs.  LightGCN has
RecBole's: its configuration is RecBole's own, for which the plugin leaves RecBole's data set, loaders and
trainer as they are, mends of faults excepted.

Reads ../shared/data/baby (or --from DIR) and converts it once into --data-path.  Each model runs in processes
of its own, in turn, after an epoch to warm up.  Takes three minutes on two cores, on which nothing else
should run.
"""

import statistics

from baby_training import NAME, add_data_arguments, add_device, prepare
from support import call, clocked, parser

MODELS = ("MICRO", "LightGCN")
BATCH = 1024
USERS_AT_ONCE, ITEMS = 256, 7051  # MICRO's default, and Baby's items with the padding one
# What RecBole's own configuration has to be told for the same evaluation on the same split.
AS_OURS = {
    "benchmark_filename": ["train", "valid", "test"],
    "metrics": ["Recall", "NDCG", "Precision"],
    "topk": [20],
    "valid_metric": "Recall@20",
    "eval_batch_size": USERS_AT_ONCE * ITEMS,
}


def measure(model: str, given: dict, plain: bool, epochs: int) -> dict:
    """Seconds of each epoch and of the evaluation after it, and the device; `given`: options.

    `plain`: by RecBole's own configuration, for which the plugin leaves RecBole's classes alone.
    """
    import recbole.config
    import torch

    import recbole_micro
    from recbole_micro.training.experiment import build

    options = {"state": "ERROR", "train_batch_size": BATCH, **given}
    if plain:  # the plugin is imported for its mends: RecBole 1.2.0 does not run with today's NumPy
        config = recbole.config.Config(model, NAME, config_dict={**options, **AS_OURS})
    else:
        config = recbole_micro.Config(model, NAME, config_dict=options)
    experiment = build(config)
    trainer, train_data, test_data = experiment.trainer, experiment.train_data, experiment.test_data
    if (config["train_neg_sample_args"] or {}).get("dynamic"):
        train_data.get_model(experiment.model)  # as Trainer.fit does
    trainer.eval_collector.data_collect(train_data)
    on_cuda = config["device"].type == "cuda"

    def seconds(action) -> float:
        def whole():
            action()
            if on_cuda:
                torch.cuda.synchronize()

        return clocked(whole).seconds

    times = [
        (
            seconds(lambda number=number: trainer._train_epoch(train_data, number)),
            seconds(lambda: trainer.evaluate(test_data, load_best_model=False)),
        )
        for number in range(epochs + 1)
    ]
    device = torch.cuda.get_device_name() if on_cuda else f"CPU, {torch.get_num_threads()} thread(s)"
    return {"times": times[1:], "device": device}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=2, help="in a process (default: 2)")
    arguments.add_argument("--rounds", type=int, default=2, help="processes of each model (default: 2)")
    arguments.add_argument("--threads", type=int, default=2)
    add_data_arguments(arguments)
    add_device(arguments)
    given = arguments.parse_args()
    prepare(given.source, given.data_path)
    where = {"data_path": str(given.data_path.resolve()), "gpu_id": given.gpu_id}
    times: dict[str, list] = {model: [] for model in MODELS}
    for _ in range(given.rounds):
        for model in MODELS:
            found = call(measure, model, where, model != "MICRO", given.epochs, threads=given.threads)
            times[model] += found["times"]
    count = given.epochs * given.rounds
    print(f"{found['device']}, batch {BATCH}, medians of {count}, seconds")
    for place, name in enumerate(("epoch", "evaluation")):
        ours, theirs = (statistics.median(pair[place] for pair in times[model]) for model in MODELS)
        print(f"{name:12} MICRO {ours:6.2f}   LightGCN {theirs:6.2f}   ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
