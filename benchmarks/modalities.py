"""What do several modalities know together that the best one alone does not know?

    python benchmarks/modalities.py [--sets baby ...]    measure what is not there yet
    python benchmarks/modalities.py --show               the table of what is there

Mixes the cosines of the best modality with those of the others, weight by weight, and looks at each item's
20 nearest by the mix.  Prints how many of these pairs some user has both of in training, and the validation
Recall@20 of lists that rank by the similarity to the user's own items (ContentKNN).  Nothing is trained, so
this is what any model of item graphs gets to work with.  The test sets are not read.

Reads ../shared/data and converts it once into --data-path; rows are kept in
benchmarks/results/modalities.csv.  Takes five minutes of one CPU thread, most of it for MicroLens.
"""

from newer_settings import MODALITIES
from support import RESULTS, call, finished, keep, kept, markdown, parser
from travel import SETS, add_arguments, prepare

RUNS = RESULTS / "modalities.csv"
WEIGHTS = (0.05, 0.1, 0.2, 0.3, 0.5)
K = 20


def mixes(best: str, others: list[str]) -> list[dict[str, float]]:
    """Weights by modality: of the best with each of the others, and with all of them together."""
    together = [[name] for name in others] + ([others] if len(others) > 1 else [])
    return [
        {best: 1 - weight} | dict.fromkeys(some, weight / len(some))
        for some in together
        for weight in WEIGHTS
    ]


def measure(dataset: str, options: dict, modalities: list[str]) -> list[dict]:
    """The share of supported pairs and the validation Recall@20 of every mix."""
    import torch

    from recbole_micro import Config
    from recbole_micro.data.features import Modality
    from recbole_micro.nn.dense_ops import normalize
    from recbole_micro.nn.item_graph import supported_share
    from recbole_micro.nn.knn import other_items
    from recbole_micro.training.experiment import build

    fixed = {"state": "ERROR", "show_progress": False, "modalities": modalities, "knn_k": 1}
    made = build(Config("ContentKNN", dataset, config_dict={**fixed, **options}))
    model = made.model.eval()
    made.trainer.eval_collector.data_collect(made.train_data)
    unit = {name: normalize(modality.values) for name, modality in model.modalities.items()}

    def row(weights: dict[str, float]) -> dict:
        values = torch.cat([weight**0.5 * unit[name] for name, weight in weights.items()], 1)
        mask = torch.stack([model.modalities[name].mask for name in weights]).all(0)
        model.similarity = other_items(Modality(values, mask), K)
        found = made.trainer.evaluate(made.valid_data, load_best_model=False)
        share = supported_share(model.similarity, model.histories)
        mix = " + ".join(f"{weight:g} {name}" for name, weight in weights.items())
        return {"mix": mix, "modalities": len(weights), "supported": share, "R@20": found["recall@20"]}

    alone = {name: row({name: 1.0}) for name in modalities}
    best, *others = sorted(modalities, key=lambda name: -alone[name]["R@20"])
    return [*alone.values(), *(row(weights) for weights in mixes(best, others))]


def main() -> None:
    arguments = parser(__doc__)
    add_arguments(arguments, list(SETS))
    given = arguments.parse_args()
    for name in [] if given.show else given.sets:
        if finished(RUNS, {"set": name}):
            continue
        print(f"{name} ...", flush=True)
        options = {"data_path": str(given.data_path.resolve()), "gpu_id": given.gpu_id, "seed": 2020}
        for row in call(measure, prepare(name, given.data_path), options, MODALITIES[name], threads=1):
            keep(RUNS, {"set": name} | row)
    show()


def show() -> None:
    """Print every modality alone and, of each data set's mixes, the best two by Recall@20."""
    lines = []
    runs = kept(RUNS)
    for name in [name for name in SETS if len(runs) and name in set(runs["set"])]:
        here = runs[runs["set"] == name]
        alone = here[here["modalities"] == 1]
        mixed = here[here["modalities"] > 1].sort_values("R@20", ascending=False).head(2)
        for _, row in [*alone.iterrows(), *mixed.iterrows()]:
            gain = row["R@20"] / alone["R@20"].max() - 1
            lines.append((name, row["mix"], f"{row['supported']:.4f}", f"{row['R@20']:.4f}", f"{gain:+.1%}"))
    head = ("data set", "cosine", "pairs that some user has", "valid R@20", "beside the best alone")
    print(markdown(head, lines))


if __name__ == "__main__":
    main()
