"""Hyper-parameter search with RecBole's HyperTuning (hyperopt)."""

import math
import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from hyperopt.pyll import scope
from recbole.trainer import hyper_tuning as recbole_tuning
from recbole.trainer.hyper_tuning import HyperTuning

from recbole_micro import options, own_models
from recbole_micro.errors import UserError
from recbole_micro.parsing import read_yaml

SEED_VARIABLE = "HYPEROPT_FMIN_SEED"
ALGORITHMS = ("exhaustive", "random", "bayes")
SHAPES = {"choice": None, "uniform": 2, "loguniform": 2, "quniform": 3}


def install() -> None:
    """Mend RecBole's search; idempotent.

    Exhaustive search gets the random generator of hyperopt 0.2.7 and later; a best score of 0.0 counts.
    """
    if recbole_tuning.np is np:
        random = SimpleNamespace(RandomState=np.random.default_rng)
        recbole_tuning.np = SimpleNamespace(**{**vars(np), "random": random})
        HyperTuning.trial = best_score_zero(HyperTuning.trial)


def best_score_zero(original):
    """RecBole takes a best score of 0.0 for none, so that any later trial replaced it."""

    @wraps(original)
    def trial(self, params):
        score, best = self.best_score, self.best_params
        outcome = original(self, params)
        if score == 0 and outcome["loss"] >= 0:  # the loss of the best is 0 as well
            self.best_score, self.best_params = score, best
        return outcome

    return trial


def read_space(space: Mapping | str | Path) -> dict:
    """A search space `{shape: {option: values}}`, from a dictionary or a YAML file, checked.

    Shapes: `choice` (a list of values), `uniform` [low, high], `quniform` [low, high, step] (whole numbers
    draw whole numbers), and `loguniform` [low, high] in the option's own units (RecBole and
    hyperopt want logarithms there).
    """
    content = dict(space) if isinstance(space, Mapping) else read_yaml(space)
    checked: dict = {}
    for shape, parameters in content.items():
        if shape not in SHAPES or not isinstance(parameters, Mapping):
            raise UserError(
                f"The search space has {shape!r}: write `shape: {{option: values}}`, "
                f"where shape is one of {', '.join(SHAPES)}."
            )
        for name, values in parameters.items():
            if name not in options.known_names():
                raise UserError(
                    f"The search space names no option: {name!r}{options.hint(name, options.known_names())}"
                )
            check_values(shape, name, values)
            values = [math.log(value) for value in values] if shape == "loguniform" else list(values)
            checked.setdefault(shape, {})[name] = values
    if not checked:
        raise UserError("The search space is empty: name at least one option and its values.")
    return checked


def check_values(shape: str, name: str, values) -> None:
    """Raise UserError where the values do not suit the shape."""
    length = SHAPES[shape]
    listed = isinstance(values, (list, tuple)) and len(values) > 0
    if length is None and listed:
        return
    numeric = listed and all(isinstance(value, (int, float)) for value in values)
    positive = shape != "loguniform" or numeric and min(values) > 0
    if not (numeric and positive and len(values) == length and values[0] < values[1]):
        wanted = {"choice": "a list of values", "quniform": "[low, high, step]"}.get(shape, "[low, high]")
        raise UserError(f"The search space has {name}: {values!r} under {shape}, which wants {wanted}.")


def check_options(space: Mapping, declared: Mapping[str, options.Option]) -> None:
    """Raise UserError where a value, or an end of a range, is none that its option may have."""
    for shape, parameters in space.items():
        for name, values in parameters.items():
            ends = values if shape == "choice" else values[:2]
            for value in map(math.exp, ends) if shape == "loguniform" else ends:
                options.read_value(name, value, declared.get(name), "in the search space")


def algorithm(name: str) -> str:
    """RecBole's name of a search (`tpe` is bayes); UserError where there is none."""
    name = "bayes" if name == "tpe" else name
    if name not in ALGORITHMS:
        raise UserError(f"There is no search {name!r}: choose one of {', '.join(ALGORITHMS)}.")
    return name


def hyper_tuning(
    space: Mapping | str | Path,
    algo: str = "bayes",
    max_evals: int = 100,
    config_dict: dict | None = None,
    config_file_list: list[str] | None = None,
    objective: Callable | None = None,
    early_stop: int | None = None,
    seed: int | None = None,
) -> HyperTuning:
    """Search the space for the best validation score; no test set is read.

    `space` as in `read_space`; `algo` exhaustive (every combination of choices, `max_evals` does not count),
    random or bayes (tpe).  `config_dict` and `config_file_list` hold the fixed options, model and data set
    among them; `early_stop` ends a search after that many trials without gain.  With `seed` the same scores
    lead to the same trials.
    Returns RecBole's HyperTuning after the search: `best_params`, `best_score`, `params2result`.
    """
    from recbole_micro import quick_start

    for options_given in (*map(read_yaml, config_file_list or []), config_dict or {}):
        own_models.load(options_given.get("plugins"))
    evaluate = objective or quick_start.objective

    def trial(params: dict, files: list[str] | None) -> dict:
        return evaluate({**(config_dict or {}), **params}, files)

    search = prepared(space, algo, max_evals, trial, config_file_list, early_stop)
    with drawn_from(seed):
        search.run()
    return search


def prepared(
    space: Mapping | str | Path,
    algo: str,
    max_evals: int,
    trial: Callable | None = None,
    config_file_list: list[str] | None = None,
    early_stop: int | None = None,
) -> HyperTuning:
    """RecBole's HyperTuning before the search: hyperopt's `space`, `algo` and `max_evals`.

    Raises UserError where the search is unknown or cannot be exhaustive.
    """
    algo, space = algorithm(algo), read_space(space)
    if algo == "exhaustive" and set(space) != {"choice"}:
        names = ", ".join(name for shape in space if shape != "choice" for name in space[shape])
        raise UserError(f"An exhaustive search takes choices alone: list values of {names} under choice.")
    search = HyperTuning(
        trial,
        params_dict=space,
        fixed_config_file_list=config_file_list,
        algo=algo,
        max_evals=max_evals,
        early_stop=early_stop or max_evals,
    )
    for name, values in space.get("quniform", {}).items():
        if all(isinstance(value, int) for value in values):  # hyperopt draws 16.0, no width of an embedding
            search.space[name] = scope.int(search.space[name])
    if early_stop is None:  # RecBole always stops early, exhaustive searches too
        search.early_stop_fn = None
    if algo == "exhaustive":  # it draws until it finds a new combination; 1,000 draws may miss one of many
        draws = 50 * int(search.max_evals)
        search.algo = partial(recbole_tuning.exhaustive_search, nbMaxSucessiveFailures=draws)
    search.max_evals = int(search.max_evals)
    return search


@contextmanager
def drawn_from(seed: int | None):
    """While this is open, hyperopt draws from this seed: RecBole does not hand it one."""
    before = os.environ.get(SEED_VARIABLE)
    if seed is not None:
        os.environ[SEED_VARIABLE] = str(seed)
    try:
        yield
    finally:
        os.environ.pop(SEED_VARIABLE, None)
        if before is not None:
            os.environ[SEED_VARIABLE] = before
