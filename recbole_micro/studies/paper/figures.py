"""The runs behind the paper's Figures 3 to 5: cold start, and what k, lambda, beta and L change."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataset_tools.dataset.reading import Dataset
from dataset_tools.errors import DataError
from dataset_tools.operations.splitting import splits
from dataset_tools.operations.splitting.resplit import split_dataset
from recbole_micro import options
from recbole_micro.data import missing
from recbole_micro.errors import UserError
from recbole_micro.studies.runs import Run

SWEEPS: dict[int, dict[str, list]] = {  # figure -> option -> values
    4: {
        "knn_k": [0, 5, 10, 15, 20],
        "lambda_coeff": [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 1.0],
        "beta": [0.0, 0.003, 0.01, 0.03, 0.1, 0.3],
    },
    5: {"n_item_layers": [0, 1, 2, 3, 4, 5]},
}
COLD_START = {"preset": "cold_start"}
NOTES = {
    3: "MICRO has the preset cold_start, unless --literal or --preset says otherwise.  ",
    4: "Features that are reconstructed from graphs of 10 neighbours, as Baby's may be, say nothing about "
    "knn_k above 10.  ",
}
COLD: dict[str, tuple[str, dict]] = {  # name in Figure 3 -> model, options
    "random": ("Random", {}),
    "popularity": ("Pop", {}),
    "MF": ("BPR", {}),
    "LightGCN": ("LightGCN", {}),
    "VBPR": ("VBPR", {}),
    "GRCN": ("GRCN", {}),
    "MICRO without contrast": ("MICRO", {"beta": 0.0}),
    "MICRO": ("MICRO", {}),
}


def runs_of(figure: int, seeds: Sequence[int], fixed: Mapping, base: Mapping) -> list[Run]:
    """The runs of Figure 3, 4 or 5; `base` are MICRO's settings, `fixed` options hold for all.

    Figures 4 and 5 change one option at a time.  Each run names the values of all options of its figure, so
    that the point where the lines cross is trained once.
    """
    if figure == 3:
        micro = base or ({} if "preset" in fixed else COLD_START)
        settings = [(model, {**(micro if model == "MICRO" else {}), **more}) for model, more in COLD.values()]
    elif figure in SWEEPS:
        centre = {name: usual(name, base, fixed) for name in SWEEPS[figure]}
        fixed = {name: value for name, value in fixed.items() if name not in centre}
        settings = [
            ("MICRO", {**base, **centre, name: value})
            for name, values in SWEEPS[figure].items()
            for value in sorted({*values, centre[name]})
        ]
    else:
        raise UserError(f"There is no figure {figure} to reproduce: choose 3, 4 or 5.")
    runs = [Run(model, seed, setting, fixed) for model, setting in settings for seed in seeds]
    return list({run.folder: run for run in runs}.values())


def cold_split(dataset: str, data_path: str | Path, share: float = splits.WITHHELD, **how: Any) -> str:
    """The name of a data set's cold-start split, made where it is missing; `how` as in `split_dataset`."""
    home = Path(data_path)
    if (home / dataset / f"{dataset}.cold.json").is_file():
        return dataset
    name = f"{dataset}-cold"
    if not (home / name).is_dir():
        if not any((home / dataset / f"{dataset}{part}.inter").is_file() for part in ("", ".train")):
            missing.provide(dataset, home / dataset)
        try:
            split_dataset(Dataset(dataset, home), "cold", name=name, cold_share=share, **how)
        except DataError as error:
            raise UserError(str(error)) from error
    return name


def usual(name: str, base: Mapping, fixed: Mapping) -> Any:
    """The value that MICRO's option has in this study where the figure does not change it."""
    option = options.declared("MICRO", "")[name]
    values = {name: option.default}
    for content in (*options.presets(base.get("preset") or fixed.get("preset")).values(), base, fixed):
        values.update({name: content[name]} if name in content else {})
    return option.read(values[name], "in this study")
