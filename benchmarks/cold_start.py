"""Figure 3 of the paper: who finds items that nobody has interacted with.

    python benchmarks/cold_start.py                         Baby, a fifth of its items cold, 3 seeds
    python benchmarks/cold_start.py --rows VBPR,MICRO       some models
    python benchmarks/cold_start.py --show                  the table of what is there

Splits the data set NAME once into NAME-cold.  Finished trainings are kept in the CSV file and not repeated.
"""

import argparse
from pathlib import Path

from dataset_tools.dataset import Dataset
from dataset_tools.splitting import split_dataset
from recbole_micro import figure3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="baby")
    parser.add_argument("--data-path", default="dataset")
    parser.add_argument("--cold", type=float, default=0.2, help="share of cold items")
    parser.add_argument("--split-seed", type=int, default=0)
    parser.add_argument("--keep-warm", action="store_true", help="no warm items in validation and test")
    parser.add_argument("--seeds", default="2020,2021,2022")
    parser.add_argument("--rows", default=",".join(figure3.ROWS))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("cold_start_runs.csv"))
    parser.add_argument("--plot", type=Path, help="a .png, .svg or .pdf file")
    parser.add_argument("--show", action="store_true", help="train nothing")
    given = parser.parse_args()
    name = f"{given.dataset}-cold"
    lines = figure3.read(given.out)
    if not given.show:
        if not (Path(given.data_path) / name).is_dir():
            source = Dataset(given.dataset, given.data_path)
            chosen = {"cold_share": given.cold, "keep_warm": given.keep_warm, "seed": given.split_seed}
            split_dataset(source, "cold", name=name, **chosen)
        options = {"data_path": given.data_path, "show_progress": False}
        if given.epochs is not None:
            options["epochs"] = given.epochs
        seeds = [int(seed) for seed in given.seeds.split(",")]
        lines = figure3.measure(name, given.out, given.rows.split(","), seeds, **options)
    lines = [line for line in lines if line["dataset"] == name]
    print(figure3.table(lines))
    if given.plot:
        figure3.plot(lines, given.plot)


if __name__ == "__main__":
    main()
