"""Hyper-parameter search with RecBole's HyperTuning (hyperopt)."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from hyperopt.pyll import scope
from recbole.trainer import hyper_tuning as recbole_tuning
from recbole.trainer.hyper_tuning import HyperTuning
from recbole.utils import dict2str

from recbole_micro.errors import UserError
from recbole_micro.options import user_models
from recbole_micro.options.values import read_yaml
from recbole_micro.training import quick_start
from recbole_micro.tuning.space import read_space

SEED_VARIABLE = "HYPEROPT_FMIN_SEED"  # of the environment, which hyperopt reads
ALGORITHMS = ("exhaustive", "random", "bayes")


class Search(HyperTuning):
    """RecBole's search, whose results show under which protocol they were measured."""

    @staticmethod
    def _print_result(result_dict: dict) -> None:
        """A line about the best trial so far; RecBole's leaves the protocol out and wants a test result."""
        valid, score = result_dict["best_valid_result"], result_dict["best_valid_score"]
        tested = f", test {result_dict['test_result']}" if result_dict["test_result"] else ""
        label = getattr(valid, "label", "recbole")
        print(f"best so far: score {score:.4f} [protocol: {label}], validation {valid}{tested}")

    def export_result(self, output_file: str | Path) -> None:
        """Every trial's options and results as text, one block each."""
        blocks = []
        for params, result in self.params2result.items():
            lines = [params]
            for title, part in (("Valid", "best_valid_result"), ("Test", "test_result")):
                if result[part]:
                    label = getattr(result[part], "label", "recbole")
                    lines += [f"{title} result:", f"{dict2str(result[part])}    protocol : {label}"]
            blocks.append("\n".join(lines) + "\n\n")
        Path(output_file).write_text("".join(blocks), encoding="utf-8")


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
) -> Search:
    """Search the space for the best validation score; no test set is read.

    `space` as in `read_space`; `algo` exhaustive (every combination of choices, `max_evals` does not count),
    random or bayes (tpe).  `config_dict` and `config_file_list` hold the fixed options, model and data set
    among them; `early_stop` ends a search after that many trials without gain.  With `seed` the same scores
    lead to the same trials.
    Returns RecBole's HyperTuning (`Search`) after the search: `best_params`, `best_score`, `params2result`.
    """
    for options_given in (*map(read_yaml, config_file_list or []), config_dict or {}):
        user_models.load(options_given.get("plugins"))
    evaluate = objective or quick_start.objective

    def trial(params: dict, files: list[str] | None) -> dict:
        return evaluate({**(config_dict or {}), **params}, files)

    search = build_search(space, algo, max_evals, trial, config_file_list, early_stop)
    with drawn_from(seed):
        search.run()
    return search


def build_search(
    space: Mapping | str | Path,
    algo: str,
    max_evals: int,
    trial: Callable | None = None,
    config_file_list: list[str] | None = None,
    early_stop: int | None = None,
) -> Search:
    """RecBole's HyperTuning before the search: hyperopt's `space`, `algo` and `max_evals`.

    Arguments as of `hyper_tuning`; `trial(params, config_file_list)` returns RecBole's result keys.
    Raises UserError where the search is unknown or cannot be exhaustive.
    """
    algo, space = algorithm(algo), read_space(space)
    if algo == "exhaustive" and set(space) != {"choice"}:
        names = ", ".join(name for shape in space if shape != "choice" for name in space[shape])
        raise UserError(f"An exhaustive search takes choices alone: list values of {names} under choice.")
    search = Search(
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
def drawn_from(seed: int | None) -> Iterator[None]:
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
