"""RecBole's Config with the plugin's defaults, safe parsing, checked options, device and process group."""

import copy
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from recbole.config import Config as RecBoleConfig
from recbole.utils import get_model, set_color

from recbole_micro import distributed
from recbole_micro.checkpoint import as_given, load_checkpoint, newest_last
from recbole_micro.errors import UserError, hint, install_command
from recbole_micro.evaluation.protocol import metrics_of
from recbole_micro.options import checks, defaults, effects, schema, user_models
from recbole_micro.options.decay import overlay
from recbole_micro.options.earlier import completed
from recbole_micro.options.values import Loader, read_yaml

ARGUMENTS = "among the program's arguments"  # where an option stands, for messages
OWN_NAMES = (
    "plugins",
    "preset",
    "resume",
    "init_from",
    "download",
)  # RecBole lacks them, so another program may mean something else
SPLIT_PARTS = ["train", "valid", "test"]
PACKAGES = ("recbole", "recbole_micro")  # whose models have no options that their YAML files do not name

_own_command_line: dict[str, str] | None = None


@contextmanager
def own_command_line(values: dict[str, str]) -> Iterator[None]:
    """While this is open, these are the options of the command line, and Config leaves `sys.argv` alone."""
    global _own_command_line
    before, _own_command_line = _own_command_line, dict(values)
    try:
        yield
    finally:
        _own_command_line = before


def by_own_command() -> bool:
    """Whether a command of ours has started what runs, so that it may ask on the terminal."""
    return _own_command_line is not None


def command_line() -> dict[str, str]:
    """Our own command's options; in another program its `--key=value` arguments, as RecBole reads them.

    Arguments of other forms belong to that program, and so do those of `OWN_NAMES`, which RecBole does not
    have; names that are no options may belong to it, hence only a warning.
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


class Config(RecBoleConfig):
    """The configuration of a run: defaults of RecBole and of the plugin, then what the user gives.

    Arguments are those of RecBole's `Config`.  Values are read as YAML 1.2, never evaluated; an option that
    nobody knows, or a value that is not allowed, is a UserError that says where it stands.  RecBole's own
    `Config` becomes this class where the model is one of the plugin's.
    """

    origin: dict[str, str] = {}  # option -> where the user gave it
    layers: dict[str, dict]  # RecBole's own files of defaults by name, while they are merged
    given: dict[str, Any] = {}  # the user's options
    resumed: dict  # the options of the checkpoint that the run continues
    inherited: dict  # those, or of the checkpoint that it starts from
    notices: list[str]  # sentences about the settings that the log shows at the end

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
        """A copy of the caller's dictionary; strings are read once the model says which options there are."""
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

    def _get_model_and_dataset(self, model, dataset):
        """(model name, model class, data set name); arguments go before the options `model` and `dataset`."""
        external, launch = self.external_config_dict, defaults.declared("", "")
        for name in (name for name in OWN_NAMES if name in external):  # they say which others there are
            external[name] = launch[name].read(external[name], self.origin[name])
        if external.get("plugins"):
            external["plugins"] = user_models.load(external["plugins"])
        if external.get("resume") == "last":
            asked = model or external.get("model"), dataset or external.get("dataset")
            names = (getattr(name, "__name__", name) for name in asked)
            external["resume"] = newest_last(external.get("checkpoint_dir") or "saved", *names)
        resumed = load_checkpoint(external["resume"])["config"] if external.get("resume") else {}
        started = self._started_from()
        stored = resumed or started
        model = model or external.get("model") or stored.get("model")
        dataset = dataset or external.get("dataset") or stored.get("dataset")
        for name, value in (("model", model), ("dataset", dataset)):
            if value is None or value == "":
                raise UserError(
                    f"No {name} is chosen: pass --{name}=NAME, or set it in a file or a dictionary."
                )
            differs = bool(stored) and getattr(value, "__name__", str(value)) != stored[name]
            if differs and (resumed or name == "model"):
                file = external.get("resume") or external["init_from"]
                raise UserError(
                    f"The checkpoint {file} was trained with {name} {stored[name]}, not {value}: leave the "
                    "option out, or train anew."
                )
        self.resumed = resumed_options(resumed)
        self.inherited = self.resumed or resumed_options(stored)
        if stored and not resumed and str(dataset) != stored["dataset"]:
            of_data = (*checks.DATA_OPTIONS, "eval_args")
            self.inherited = {name: self.inherited[name] for name in self.inherited if name not in of_data}
        check_dataset_name(str(dataset))
        if isinstance(model, type):
            return model.__name__, model, str(dataset)
        return str(model), find_model(str(model)), str(dataset)

    def _started_from(self) -> dict[str, Any]:
        """The stored options of the checkpoint that `init_from` names."""
        external = self.external_config_dict
        if not external.get("init_from"):
            return {}
        if external.get("resume"):
            raise UserError(
                "resume continues a training, init_from starts one from its weights: give one of the two."
            )
        return load_checkpoint(external["init_from"])["config"]

    def _update_internal_config_dict(self, file):
        """Read one of RecBole's own files and remember it as a layer."""
        values = copy.deepcopy(defaults.read_defaults(os.path.realpath(file)))
        folder = os.path.realpath(defaults.RECBOLE_PROPERTIES)
        self.layers[os.path.relpath(os.path.realpath(file), folder)] = values
        self.internal_config_dict.update(values)
        return values

    def _load_internal_config_dict(self, model, model_class, dataset):
        """Merge the defaults: RecBole chooses which of its files apply, ours follow those of equal names."""
        self.layers = {}
        super()._load_internal_config_dict(model, model_class, dataset)
        merged = {"MODEL_TYPE": self.internal_config_dict["MODEL_TYPE"]}
        for file in ("overall.yaml", f"model/{model}.yaml", "dataset/sample.yaml", f"dataset/{dataset}.yaml"):
            overlay(merged, self.layers.pop(file, {}))
            overlay(merged, copy.deepcopy(defaults.plugin_defaults(file)))
        for values in self.layers.values():
            overlay(merged, values)
        merged.pop("models", None)
        overlay(merged, copy.deepcopy(defaults.data_defaults(model, dataset)))
        overlay(merged, self.inherited)
        self.notices = []
        family = {base.__name__ for base in model_class.__mro__}
        for name, values in copy.deepcopy(defaults.presets(self.external_config_dict.get("preset"))).items():
            meant = values.pop("models", None)
            if meant and not family.intersection(meant):
                self.notices.append(f"The preset {name} is for {', '.join(meant)}: {model} is as without it.")
                continue
            self.notices += values.pop("notice", None) or []
            overlay(merged, values)
        self.internal_config_dict = merged

    def _get_final_config_dict(self):
        """Defaults and the user's options, each read and checked against its declaration."""
        declared = defaults.declared(self.model, self.dataset)
        self.given = self.external_config_dict
        checks.check_pickles(self.external_config_dict)
        strict = self.model_class.__module__.split(".")[0] in PACKAGES
        for name, value in self.external_config_dict.items():
            where = self.origin[name]
            if strict and name not in defaults.known_names():
                otherwise = effects.instead(name) or hint(name, defaults.known_names())
                problem = f"There is no option {name!r} ({where}){otherwise}"
                if where != ARGUMENTS:
                    raise UserError(problem)
                getLogger().warning(problem)
            if strict and name not in declared and name in effects.INSIDE:
                raise UserError(f"{self.model} has no option {name} ({where}){effects.instead(name)}")
            if strict and name not in declared and name in defaults.names_of_models():
                getLogger().warning(f"{self.model} has no option {name} ({where}): it changes nothing.")
            self.external_config_dict[name] = schema.read_value(name, value, declared.get(name), where)
        final = dict(self.internal_config_dict)
        overlay(final, self.external_config_dict)
        return final

    def _set_default_parameters(self):
        """RecBole's derived parameters, and the checks that it leaves to a crash in the first validation."""
        final = self.final_config_dict
        checks.check_metrics(final)
        if not final.get("benchmark_filename"):
            checks.check_split(final["eval_args"])
        if effects.draws_its_own(final, self.model_class) and "train_neg_sample_args" not in self.given:
            final["train_neg_sample_args"] = None
        checks.check_paths(final)
        checks.check_state(final["state"])
        checks.check_clipping(final["clip_grad_norm"])
        checks.check_negatives(final["train_neg_sample_args"] or {})
        final["metrics"] = metrics_of(final)
        checks.check_modes((final["eval_args"] or {}).get("mode", "full"), final["metrics"])
        data_path = os.path.join(final["data_path"] or "", self.dataset)
        self.follow_metrics(final)
        with checks.recbole_checks():
            super()._set_default_parameters()
        final["data_path"] = data_path  # RecBole sends ml-100k into its own installation
        checks.check_valid_metric(final)
        interactions = os.path.join(data_path, f"{self.dataset}.inter")
        parts = [os.path.join(data_path, f"{self.dataset}.{part}.inter") for part in SPLIT_PARTS]
        if (
            final.get("benchmark_filename") is None
            and not os.path.isfile(interactions)
            and all(map(os.path.isfile, parts))
        ):
            final["benchmark_filename"] = list(SPLIT_PARTS)
        if self.resumed:
            checks.check_same_data(self.resumed, final)
        effects.check_launch(self.origin, final)
        effects.check_effects(self.given, final, self.model_class)
        self.notices += effects.notices(self.given, final, self.model_class)

    def follow_metrics(self, final: dict[str, Any]) -> None:
        """Where the user gives `topk` or `metrics` alone, `valid_metric` is one of what they compute.

        It keeps its name where that is among `metrics`, at the first length of `topk`; else it is the first.
        """
        given = self.external_config_dict
        if "valid_metric" in given or not {"topk", "metrics"} & given.keys():
            return
        topk = final["topk"] if isinstance(final["topk"], list) else [final["topk"]]
        computed = checks.computed_metrics({**final, "topk": topk})
        known = [name.lower() for name in computed]
        usual = str(final["valid_metric"]).lower()
        if usual not in known:
            name = usual.partition("@")[0]
            same = [metric for metric in computed if metric.lower().partition("@")[0] == name]
            final["valid_metric"] = (same or computed)[0]
            self.notices.append(f"valid_metric follows metrics and topk: {final['valid_metric']}.")

    def _set_train_neg_sample_args(self):
        with checks.recbole_checks():
            super()._set_train_neg_sample_args()

    def _set_eval_neg_sample_args(self, phase):
        with checks.recbole_checks():
            super()._set_eval_neg_sample_args(phase)

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
            wait = final.get("join_timeout") or defaults.plugin_defaults("launch.yaml")["join_timeout"]
            distributed.join(final, final["device"], wait)
            if rank != 0:
                final.update(state="error", show_progress=False, verbose=False)
        if final["device"].type == "cuda":
            torch.cuda.set_device(final["device"])
        else:
            # RecBole asks `use_gpu` where it means "on a GPU".
            final.update(use_gpu=False, enable_scaler=False)

    def __str__(self):
        notices = [set_color("Notice: ", "yellow") + notice for notice in self.notices]
        return super().__str__() + "\n".join(notices)


def resumed_options(values: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint's options as defaults for the run that continues it."""
    if not values:
        return {}
    known = {name: value for name, value in values.items() if name in defaults.known_names()}
    return as_given(completed(known))


def check_dataset_name(name: str) -> None:
    """Raise UserError for a path in place of a data set's name."""
    folder, last = os.path.split(os.path.normpath(name))
    if folder:
        raise UserError(
            f"dataset is {name}, a path: name its last part, and the folder above with data_path "
            f"(--data_path={folder} --dataset={last})."
        )


def find_model(name: str) -> type:
    """The class of a model of RecBole or the plugin; UserError with the nearest names where there is none."""
    known = defaults.model_names()
    try:
        return get_model(name)
    except ModuleNotFoundError as error:
        if name in known and error.name is not None:
            raise UserError(
                f"{name} needs the package {error.name}: {install_command(error.name)}."
            ) from error
        if name in known:
            raise
    except (ValueError, AttributeError):
        if name in known:
            raise
    otherwise = "; --help lists them, --plugins=FILE brings one of your own."
    raise UserError(f"There is no model {name!r}{hint(name, known, otherwise)}")


def chosen_devices(final: dict[str, Any]) -> list[int]:
    """Indices of the visible CUDA devices that `gpu_id` names; none means the CPU.

    Rewrites `gpu_id` in `final` as a string.
    """
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
