"""Models x settings x seeds: the runs of a study, from the command line's texts."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from recbole_micro.checkpoint import plain
from recbole_micro.data import missing
from recbole_micro.errors import UserError
from recbole_micro.options import declared, hint, known_names, user_models
from recbole_micro.options.config import Config, own_command_line
from recbole_micro.options.values import load_yaml, parse, parse_strings, read_yaml

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Run:
    """One training; `setting` holds the options in which it differs from the model's other runs."""

    model: str
    seed: int
    setting: Mapping
    options: Mapping

    @property
    def label(self) -> str:
        """The model and its setting, for people."""
        changes = ", ".join(f"{name}={value}" for name, value in self.setting.items())
        return f"{self.model} ({changes})" if changes else self.model

    @property
    def folder(self) -> str:
        """The name of the run's folder."""
        text = "-".join([self.model, *(f"{name}={value}" for name, value in self.setting.items())])
        return "".join(c if c.isalnum() or c in "-=._" else "_" for c in text) + f"-seed{self.seed}"

    @property
    def text(self) -> str:
        """All options, as the run's process reads them."""
        return yaml.safe_dump(plain({**self.options, **self.setting, "model": self.model, "seed": self.seed}))


def grid(
    models: Sequence[str],
    seeds: Iterable[int],
    vary: Mapping[str, Sequence] | None = None,
    tuned: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> list[Run]:
    """Every model with every combination of the values in `vary` (option: values) and every seed.

    A model that does not have an option of `vary` runs without it.  `options` are the same for all runs, and
    stand above those that `tuned` has for single models.
    """
    runs: dict[str, Run] = {}
    everywhere = [declared(model, str(options.get("dataset", ""))) for model in models]
    for name in vary or {}:
        if not any(name in known for known in everywhere):
            raise UserError(f"None of {', '.join(models)} has the option {name} that --vary names.")
    for model, known in zip(models, everywhere, strict=True):
        names = [name for name in vary or {} if name in known]
        for values in product(*((vary or {})[name] for name in names)):
            for seed in seeds:
                mine = {**(tuned or {}).get(model, {}), **options}
                run = Run(model, seed, dict(zip(names, values, strict=True)), mine)
                runs[run.folder] = run
    return list(runs.values())


def read_seeds(text: str, first: int = 2020) -> list[int]:
    """`5`: that many seeds from `first` on; `1,2,3`: these seeds."""
    values = [parse(item) for item in parse_strings(text)]
    if not values or not all(type(value) is int and value >= 0 for value in values) or values == [0]:
        raise UserError(f"--seeds is {text!r}: write how many, or the seeds between commas.")
    if len(values) > 1 or "," in text:
        return values
    if values[0] > MOST_SEEDS:
        raise UserError(
            f"--seeds asks for {values[0]} runs; write {MOST_SEEDS} at most, or {text}, for that seed."
        )
    return list(range(first, first + values[0]))


def read_vary(text: str) -> dict[str, list]:
    """`knn_k=5,10; beta=0.01,0.1` as `{option: values}`."""
    found: dict[str, list] = {}
    for part in filter(str.strip, text.split(";")):
        name, equals, values = part.partition("=")
        name = name.strip()
        if not equals:
            raise UserError(f"--vary has {part!r}: write option=value,value; option=value,value.")
        if name not in known_names():
            raise UserError(f"There is no option {name!r} (--vary){hint(name, known_names())}")
        if name in ("model", "dataset", "seed"):
            raise UserError(f"--vary has {name}: a study has one data set; use --models and --seeds.")
        if name in found:
            raise UserError(f"--vary has {name} twice: write its values in one list.")
        found[name] = [parse(value) for value in parse_strings(values)]
        if not found[name]:
            raise UserError(f"--vary has no value for {name}: write {name}=value,value.")
    return found


def read_options(files: Sequence[str], given: Mapping) -> dict:
    """The options of the files and the command line as one dictionary that is good in any folder.

    Loads the files of `plugins`, whose options may be varied.
    """
    values: dict = {"data_path": "dataset"}
    for file in files:
        values.update(read_yaml(file))
    values.update(given)
    for name in ("resume", "init_from"):
        if values.get(name):
            raise UserError(f"{name} belongs to one training: give it to recbole-micro train.")
    if isinstance(values.get("data_path"), str):
        values["data_path"] = os.path.abspath(values["data_path"])
    if values.get("plugins"):
        values["plugins"] = user_models.load(values["plugins"])
    return values


def check_runs(runs: Iterable[Run]) -> None:
    """Raise UserError for options that cannot work, before anything runs.

    Makes a known data set where it is missing, so that the runs do not all do so.
    """
    checked = {(run.model, run.label): run for run in runs}
    with own_command_line({}):
        for run in checked.values():
            config = Config(config_dict=load_yaml(run.text))
            if missing.missing_files(config):
                missing.provide(config["dataset"], Path(config["data_path"]), bool(config["download"]))
