"""RecBole's Config with the plugin's defaults, safe parsing, checked options, device and process group.

Its methods are replaced in place, so RecBole's own quick start and code that imported Config earlier
behave the same.
"""

import copy
import os
import re
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path

import torch
from recbole.config import Config
from recbole.evaluator import metric_types
from recbole.evaluator.base_metric import TopkMetric
from recbole.evaluator.register import metrics_dict
from recbole.utils import EvaluatorType, get_model, set_color

from recbole_micro import distributed, options, own_models
from recbole_micro.checkpoint import as_given, load_checkpoint, plain
from recbole_micro.errors import UserError, install_command
from recbole_micro.parsing import Loader, read_yaml
from recbole_micro.protocol import metrics_of

ARGUMENTS = "among the program's arguments"
OWN_NAMES = ("plugins", "preset", "resume")
DATA_OPTIONS = (
    *("benchmark_filename", "val_interval", "user_inter_num_interval", "item_inter_num_interval"),
    *("filter_inter_by_user_or_item", "rm_dup_inter", "threshold"),
)
SPLIT_OPTIONS = ("split", "order", "group_by")
SPLIT_PARTS = ["train", "valid", "test"]
LEAVE_OUT = ("valid_and_test", "valid_only", "test_only")

_own_command_line: dict[str, str] | None = None


@contextmanager
def own_command_line(values: dict[str, str]):
    """While this is open, these are the options of the command line, and Config leaves `sys.argv` alone."""
    global _own_command_line
    before, _own_command_line = _own_command_line, dict(values)
    try:
        yield
    finally:
        _own_command_line = before


def install() -> None:
    """Replace methods of RecBole's Config; idempotent."""
    for name, method in METHODS.items():
        if getattr(Config, name) is not method:
            setattr(Config, f"recbole{name}", getattr(Config, name))
            setattr(Config, name, method)


def _build_yaml_loader(self):
    return Loader


def _load_config_files(self, file_list):
    """The options of the user's files, later files first in rank; remembers which file said what."""
    self.origin = {}
    values = {}
    for file in [file_list] if isinstance(file_list, (str, os.PathLike)) else file_list or []:
        content = read_yaml(file)
        values.update(content)
        self.origin.update(dict.fromkeys(content, f"in {file}"))
    return values


def _load_variable_config_dict(self, config_dict):
    """A copy of the caller's dictionary; strings are read once the model tells which options there are."""
    if not isinstance(config_dict, Mapping | None):
        raise UserError(f"config_dict is a {type(config_dict).__name__}: pass a dictionary of options.")
    values = copy.deepcopy(dict(config_dict or {}))
    self.origin.update(dict.fromkeys(values, "in config_dict"))
    return values


def _load_cmd_line(self):
    values = command_line()
    where = ARGUMENTS if _own_command_line is None else "on the command line"
    self.origin.update(dict.fromkeys(values, where))
    return values


def command_line() -> dict[str, str]:
    """Our own command's options; in another program its `--key=value` arguments, as RecBole reads them.

    Arguments of other forms belong to that program, and so do `--preset` and `--resume`, which RecBole does
    not have; names that are no options may belong to it, hence only a warning.
    """
    if _own_command_line is not None:
        return dict(_own_command_line)
    values: dict[str, str] = {}
    for argument in [] if command_line_is_foreign() else sys.argv[1:]:
        name, equals, text = argument.removeprefix("--").partition("=")
        if not argument.startswith("--") or not equals or name in OWN_NAMES:
            continue
        if values.setdefault(name, text) != text:
            raise UserError(f"--{name} is given twice, as {values[name]!r} and {text!r}: keep one.")
    return values


def command_line_is_foreign() -> bool:
    """Whether `sys.argv` belongs to a test runner, a notebook or a Ray worker."""
    program = Path(sys.argv[0]).name if sys.argv else ""
    in_pytest = "_pytest" in sys.modules and "PYTEST_CURRENT_TEST" in os.environ
    return in_pytest or program in {"ipykernel_launcher.py", "default_worker.py"}


def _get_model_and_dataset(self, model, dataset):
    """(model name, model class, data set name); what was passed beats the options `model` and `dataset`."""
    external = self.external_config_dict
    if external.get("plugins"):
        external["plugins"] = own_models.load(external["plugins"])
    resumed = load_checkpoint(external["resume"])["config"] if external.get("resume") else {}
    model = model or external.get("model") or resumed.get("model")
    dataset = dataset or external.get("dataset") or resumed.get("dataset")
    for name, value in (("model", model), ("dataset", dataset)):
        if value is None or value == "":
            raise UserError(f"No {name} is chosen: pass --{name}=NAME, or set it in a file or a dictionary.")
        if resumed and getattr(value, "__name__", str(value)) != resumed[name]:
            raise UserError(
                f"The checkpoint {external['resume']} was trained with {name} {resumed[name]}, not {value}: "
                "leave the option out, or train anew."
            )
    self.resumed = resumed_options(resumed)
    if isinstance(model, type):
        return model.__name__, model, str(dataset)
    return str(model), find_model(str(model)), str(dataset)


def resumed_options(values: dict) -> dict:
    """A checkpoint's options as defaults for the run that continues it."""
    return as_given({name: value for name, value in values.items() if name in options.known_names()})


def find_model(name: str) -> type:
    """The class of a model of RecBole or the plugin; UserError with the nearest names where there is none."""
    known = options.model_names()
    try:
        return get_model(name)
    except ModuleNotFoundError as error:
        if name in known:
            raise UserError(
                f"{name} needs the package {error.name}: {install_command(error.name)}."
            ) from error
    except (ValueError, AttributeError):
        if name in known:
            raise
    otherwise = "; --help lists them, --plugins=FILE brings one of your own."
    raise UserError(f"There is no model {name!r}{options.hint(name, known, otherwise)}")


def _update_internal_config_dict(self, file):
    """Read one of RecBole's own files and remember it as a layer."""
    values = copy.deepcopy(options.read_defaults(os.path.realpath(file)))
    folder = os.path.realpath(options.RECBOLE_PROPERTIES)
    self.layers[os.path.relpath(os.path.realpath(file), folder)] = values
    self.internal_config_dict.update(values)
    return values


def _load_internal_config_dict(self, model, model_class, dataset):
    """Merge the defaults: RecBole chooses which of its files apply, ours follow those of the same name."""
    self.layers = {}
    self.recbole_load_internal_config_dict(model, model_class, dataset)
    merged = {"MODEL_TYPE": self.internal_config_dict["MODEL_TYPE"]}
    for file in ("overall.yaml", f"model/{model}.yaml", "dataset/sample.yaml", f"dataset/{dataset}.yaml"):
        merged.update(self.layers.pop(file, {}))
        merged.update(copy.deepcopy(options.plugin_defaults(file)))
    for values in self.layers.values():
        merged.update(values)
    merged.pop("models", None)
    merged.update(copy.deepcopy(options.data_defaults(model, dataset)))
    merged.update(self.resumed)
    self.notices = []
    family = {base.__name__ for base in model_class.__mro__}
    for name, values in copy.deepcopy(options.presets(self.external_config_dict.get("preset"))).items():
        meant = values.pop("models", None)
        if meant and not family.intersection(meant):
            self.notices.append(f"The preset {name} is for {', '.join(meant)}: {model} is as without it.")
            continue
        self.notices += values.pop("notice", None) or []
        merged.update(values)
    self.internal_config_dict = merged


def _get_final_config_dict(self):
    """Defaults and the user's options, each read and checked against its declaration."""
    declared = options.declared(self.model, self.dataset)
    strict = self.model_class.__module__.split(".")[0] in ("recbole", "recbole_micro")
    for name, value in self.external_config_dict.items():
        where = self.origin[name]
        if strict and name not in options.known_names():
            problem = f"There is no option {name!r} ({where}){options.hint(name, options.known_names())}"
            if where != ARGUMENTS:
                raise UserError(problem)
            getLogger().warning(problem)
        if strict and name not in declared and name in options.names_of_models():
            getLogger().warning(f"{self.model} has no option {name} ({where}): it changes nothing.")
        self.external_config_dict[name] = options.read_value(name, value, declared.get(name), where)
    return {**self.internal_config_dict, **self.external_config_dict}


def _set_default_parameters(self):
    """RecBole's derived parameters, and the checks that it leaves to a crash in the first validation."""
    final = self.final_config_dict
    check_metrics(final)
    if not final.get("benchmark_filename"):
        check_split(final["eval_args"])
    check_negatives(final["train_neg_sample_args"] or {})
    final["metrics"] = metrics_of(final)
    check_modes((final["eval_args"] or {}).get("mode", "full"), final["metrics"])
    data_path = os.path.join(final["data_path"] or "", self.dataset)
    with recbole_checks():
        self.recbole_set_default_parameters()
    final["data_path"] = data_path  # RecBole sends ml-100k into its own installation
    check_valid_metric(final)
    interactions = os.path.join(data_path, f"{self.dataset}.inter")
    parts = [os.path.join(data_path, f"{self.dataset}.{part}.inter") for part in SPLIT_PARTS]
    if (
        final.get("benchmark_filename") is None
        and not os.path.isfile(interactions)
        and all(map(os.path.isfile, parts))
    ):
        final["benchmark_filename"] = list(SPLIT_PARTS)
    if self.resumed:
        check_same_data(self.resumed, final)


def check_same_data(resumed: Mapping, final: Mapping) -> None:
    """Raise UserError where a run continues a checkpoint on another split: it would test what it has seen."""
    names = set(DATA_OPTIONS) | (set() if final["benchmark_filename"] else {"seed"})
    changed = {name for name in names if plain(final.get(name)) != resumed.get(name)}
    was, now = (values.get("eval_args") or {} for values in (resumed, final))
    changed |= {f"{part} in eval_args" for part in SPLIT_OPTIONS if plain(now.get(part)) != was.get(part)}
    if changed:
        raise UserError(
            f"The checkpoint was trained with another {', '.join(sorted(changed))}: the data would be split "
            "in another way, and the model tested on what it has seen.  Leave the option out, or train anew."
        )


@contextmanager
def recbole_checks():
    """Turn what RecBole says about an option's value into a UserError."""
    try:
        yield
    except (ValueError, TypeError, NotImplementedError, RuntimeError) as error:
        raise error if isinstance(error, UserError) else UserError(str(error)) from error


def _set_train_neg_sample_args(self):
    with recbole_checks():
        self.recbole_set_train_neg_sample_args()


def _set_eval_neg_sample_args(self, phase):
    with recbole_checks():
        self.recbole_set_eval_neg_sample_args(phase)


def check_metrics(final: dict) -> None:
    """Raise UserError where a metric is unknown."""
    metrics = final["metrics"]
    if not metrics:
        raise UserError("metrics is empty: name one at least, such as Recall.")
    for metric in [metrics] if isinstance(metrics, str) else metrics:
        if str(metric).lower() not in metric_types:
            names = [metric_class.__name__ for metric_class in metrics_dict.values()]
            raise UserError(f"There is no metric {metric!r}{options.hint(str(metric), names)}")


def check_split(eval_args) -> None:
    """Raise UserError where `split` is none that RecBole can make into training, validation and test."""
    split = eval_args.get("split", {}) if isinstance(eval_args, Mapping) else {}
    for how, parts in split.items() if isinstance(split, Mapping) else [(split, None)]:
        if how == "RS":
            numeric = isinstance(parts, list) and all(isinstance(part, (int, float)) for part in parts)
            right = numeric and len(parts) == 3 and parts[0] > 0 and min(parts) >= 0
        else:
            right = how == "LS" and parts in LEAVE_OUT
        if not right:
            raise UserError(
                f"eval_args has split {{{how}: {parts}}}; allowed: {{RS: [train, valid, test]}} with three "
                f"shares, or {{LS: {' or '.join(LEAVE_OUT)}}}."
            )


def check_modes(mode, metrics: list[str]) -> None:
    """Raise UserError where `mode` is no evaluation that RecBole knows, or knows for other metrics only."""
    for one in mode.values() if isinstance(mode, Mapping) else [mode]:
        if not re.fullmatch("full|labeled|(uni|pop)[1-9][0-9]*", str(one)):
            raise UserError(
                f"The mode {one!r} in eval_args is not supported: choose full, labeled, or uniN or popN with "
                "the number of sampled items."
            )
        ranking = [m for m in metrics if metric_types[m.lower()] == EvaluatorType.RANKING]
        if one == "labeled" and ranking:
            raise UserError(
                f"eval_args has mode: labeled, in which nothing is ranked, so {', '.join(ranking)} cannot be "
                "measured: choose metrics among AUC, LogLoss, MAE and RMSE, and valid_metric among them."
            )


def check_negatives(sampling: Mapping) -> None:
    """Raise UserError where dynamic sampling has no candidates to choose from."""
    if sampling.get("dynamic") and not sampling.get("candidate_num"):
        raise UserError(
            "train_neg_sample_args has dynamic: True without candidates: say how many each negative is the "
            "best of, such as candidate_num: 4."
        )


def check_valid_metric(final: dict) -> None:
    """Raise UserError where `valid_metric` is not among the metrics that are computed."""
    computed = []
    for metric in final["metrics"]:
        ranked = issubclass(metrics_dict[metric.lower()], TopkMetric)
        computed += [f"{metric}@{k}" for k in final["topk"]] if ranked else [metric]
    if str(final["valid_metric"]).lower() not in [name.lower() for name in computed]:
        raise UserError(
            f"valid_metric is {final['valid_metric']}, but `metrics` and `topk` give "
            f"{', '.join(computed)}: choose one of these, or change `metrics` or `topk`."
        )


def _init_device(self):
    """Choose the device, and join the process group where there is one.

    `gpu_id` counts the visible devices: CUDA_VISIBLE_DEVICES is read by CUDA and never changed here.
    """
    final = self.final_config_dict
    rank = final.setdefault("local_rank", None)
    if rank is not None and "gpu_id" not in self.external_config_dict:  # the default is one device
        final["gpu_id"] = list(range(torch.cuda.device_count()))
    devices = chosen_devices(final)
    final["single_spec"] = rank is None
    final["local_rank"] = rank = rank or 0
    if final["single_spec"]:
        final["device"] = torch.device("cuda", devices[0]) if devices else torch.device("cpu")
    else:
        final["device"] = distributed.own_device(final, devices)
        wait = final.get("join_timeout") or options.plugin_defaults("launch.yaml")["join_timeout"]
        distributed.join(final, final["device"], wait)
        if rank != 0:
            final.update(state="error", show_progress=False, verbose=False)
    if final["device"].type == "cuda":
        torch.cuda.set_device(final["device"])
    else:
        # RecBole asks `use_gpu` where it means "on a GPU".
        final.update(use_gpu=False, enable_scaler=False)


def chosen_devices(final: dict) -> list[int]:
    """Indices of the visible CUDA devices that `gpu_id` names; none means the CPU."""
    gpu_id = final["gpu_id"]
    if isinstance(gpu_id, (list, tuple)):
        gpu_id = ",".join(map(str, gpu_id))
    final["gpu_id"] = gpu_id = "" if gpu_id is None else str(gpu_id).strip("[] ").replace(" ", "")
    if gpu_id in ("", "-1"):
        return []
    chosen = gpu_id.split(",")
    if not all(index.isdigit() for index in chosen):
        raise UserError(f"gpu_id is {gpu_id}: name devices as 0 or 0,1, or pass an empty gpu_id for the CPU.")
    if not final["use_gpu"] or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    if not all(int(index) < count for index in chosen):
        raise UserError(
            f"gpu_id is {gpu_id}, but the visible CUDA devices are 0 to {count - 1}: "
            "name those, or pass an empty gpu_id for the CPU."
        )
    return [int(index) for index in chosen]


def __str__(self):
    notices = [set_color("Notice: ", "yellow") + notice for notice in getattr(self, "notices", [])]
    return self.recbole__str__() + "\n".join(notices)


METHODS = {
    method.__name__: method
    for method in (
        _build_yaml_loader,
        _load_config_files,
        _load_variable_config_dict,
        _load_cmd_line,
        _get_model_and_dataset,
        _update_internal_config_dict,
        _load_internal_config_dict,
        _get_final_config_dict,
        _set_default_parameters,
        _set_train_neg_sample_args,
        _set_eval_neg_sample_args,
        _init_device,
        __str__,
    )
}
