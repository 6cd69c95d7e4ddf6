"""The best settings of finished searches, for a comparison of tuned models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recbole_micro.errors import UserError
from recbole_micro.options.values import read_yaml
from recbole_micro.tuning.study import BEST, STUDY, TRIALS
from recbole_micro.tuning.trials import Journal

OF_A_RUN = ("model", "dataset", "data_path", "seed")  # not of a setting


class Tuned(NamedTuple):
    """The options that a search found best, how many trials it had, and its folder."""

    options: Mapping[str, Any]
    trials: int
    folder: str


def read_tuned(folders: Sequence[str], models: Sequence[str], dataset: str) -> dict[str, Tuned]:
    """The winner of each folder of `tune`, by model.

    Raises UserError for a folder without one, of another data set, or of a model that is not compared.
    """
    found: dict[str, Tuned] = {}
    for name in folders:
        folder = Path(name)
        if not (folder / BEST).is_file() or not (folder / STUDY).is_file():
            raise UserError(f"{folder} has no {BEST}: name folders in which recbole-micro tune has finished.")
        best = read_yaml(folder / BEST)
        model = best["model"]
        if best["dataset"] != dataset:
            raise UserError(
                f"{folder} was tuned on {best['dataset']}, not on {dataset}: leave it out of --tuned."
            )
        if model not in models:
            raise UserError(f"{folder} has tuned {model}, which is not compared: add it to --models.")
        if model in found:
            raise UserError(f"{folder} and {found[model].folder} have both tuned {model}: name one of them.")
        options = {option: value for option, value in best.items() if option not in OF_A_RUN}
        found[model] = Tuned(options, len(Journal(folder / TRIALS).trials), name)
    return found
