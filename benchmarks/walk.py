"""What is a step from the users' own items worth beside MICRO's vectors, by which graphs, at which weight?

    python benchmarks/walk.py [--sets microlens ...] [--epochs 8]    train what is not there yet
    python benchmarks/walk.py --show                                 the table of what is there

Trains MICRO's vectors once on each data set, with its shipped defaults for --epochs epochs, and prints the
validation Recall@20 and NDCG@20 of its lists with the step (`walk_weight`, docs/models.md) at several weights
and numbers of neighbours, and of each of its two graphs alone.  The test sets are not read.

Reads ../shared/data and converts it once into --data-path; rows are kept in benchmarks/results/walk.csv.
Takes eight minutes of one CPU thread, most of it for MicroLens and Baby.
"""

from support import RESULTS, call, finished, keep, kept, markdown, parser
from travel import SETS, add_arguments, prepare

RUNS = RESULTS / "walk.csv"
BOTH, USERS, FEATURES = "both", "users in common", "features"
# Graphs, weight, neighbours; the vectors alone have weight 0.
FORMS = (
    (BOTH, 0.0, 20), (BOTH, 2.0, 20), (BOTH, 4.0, 20), (BOTH, 8.0, 20), (BOTH, 4.0, 10), (BOTH, 4.0, 50),
    (USERS, 4.0, 20), (FEATURES, 4.0, 20),
)  # fmt: skip


def measure(dataset: str, options: dict) -> list[dict]:
    """The validation metrics of every form after one training."""
    from recbole_micro import Config
    from recbole_micro.nn.graph import histories
    from recbole_micro.nn.walk import COLLABORATIVE
    from recbole_micro.training.experiment import build

    fixed = {"state": "ERROR", "show_progress": False, "save_last": False, "walk_weight": 0.0}
    made = build(Config("MICRO", dataset, config_dict={**fixed, **options}))
    made.trainer.fit(made.train_data, saved=False, verbose=False)
    model, rows = made.model.eval(), []
    own = histories(model.train_user, model.train_item, model.n_users, model.n_items)
    for graphs, weight, k in FORMS:
        model.walk, asked = None, {**made.config.final_config_dict, "walk_weight": weight, "walk_k": k}
        if weight:
            model.walk = model.own_walk(asked, own)
            parts = model.walk.parts
            wanted = {USERS: [[COLLABORATIVE]], FEATURES: [p for p in parts if COLLABORATIVE not in p]}
            model.walk.parts = wanted.get(graphs, parts)
        found = made.trainer.evaluate(made.valid_data, load_best_model=False)
        key = {"graphs": graphs if weight else "", "weight": weight, "k": k if weight else ""}
        rows.append(key | {"R@20": found["recall@20"], "N@20": found["ndcg@20"]})
    return rows


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--epochs", type=int, default=8, help="of each training (default: %(default)s)")
    add_arguments(arguments, list(SETS))
    given = arguments.parse_args()
    for name in [] if given.show else given.sets:
        known = {"set": name, "epochs": given.epochs}
        if finished(RUNS, known):
            continue
        print(f"{name} ...", flush=True)
        options = {"data_path": str(given.data_path.resolve()), "gpu_id": given.gpu_id, "seed": 2020}
        folder = prepare(name, given.data_path)
        for row in call(measure, folder, {**options, "epochs": given.epochs}, threads=1):
            keep(RUNS, known | row)
    show()


def show() -> None:
    """Print Recall@20 / NDCG@20 of every form, a column for each data set."""
    runs = kept(RUNS)
    sets = [name for name in SETS if len(runs) and name in set(runs["set"])]
    lines = []
    for graphs, weight, k in FORMS:
        here = runs[runs["weight"].astype(float) == weight]
        if weight:
            here = here[(here["graphs"] == graphs) & (here["k"].astype(float) == k)]
        cells = [
            " / ".join(f"{float(row[name]):.4f}" for name in ("R@20", "N@20"))
            for _, row in here.set_index("set").loc[sets].iterrows()
        ]
        lines.append((graphs if weight else "vectors alone", weight or "", k if weight else "", *cells))
    print(markdown(("graphs", "walk_weight", "walk_k", *sets), lines))


if __name__ == "__main__":
    main()
