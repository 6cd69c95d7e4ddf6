"""Models and metrics of the user's own: `plugins` names Python files that bring them."""

import importlib.util
import inspect
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import yaml
from recbole.evaluator.base_metric import AbstractMetric
from recbole.evaluator.register import metrics_dict

from recbole_micro.errors import UserError
from recbole_micro.evaluation.metrics import register_metric
from recbole_micro.models.registry import ALIAS_PACKAGE, MODELS
from recbole_micro.options import defaults, schema
from recbole_micro.options.values import load_yaml, parse_strings

KINDS = {bool: "bool", int: "int or float", float: "float"}
_loaded: dict[Path, tuple[str, tuple[str, ...]]] = {}  # file -> (digest of its text, its models)


def load(files: str | list[str] | None) -> list[str]:
    """Run the files that `plugins` names and register their models and metrics; the files' absolute paths.

    A metric is a class, defined in the file, that inherits from RecBole's AbstractMetric (TopkMetric does);
    `metrics` names it by the class's name.  A model is one that inherits from RecBole's GeneralRecommender
    (MultimodalRecommender does).  Its default options are those of the known model that it inherits from, if
    any, then the sibling file `<Model>.yaml` or its class attribute `defaults`.  A file that is loaded
    already and has not changed is not run again.  Raises UserError for a file that is missing, has neither,
    or takes the name of another model or metric.
    """
    names = parse_strings(files) if isinstance(files, str) else files or []
    paths = [Path(name).expanduser().resolve() for name in names]
    for path in paths:
        if not path.is_file():
            raise UserError(
                f"There is no file {path} (plugins): name a Python file with a model or a metric."
            )
        digest = sha256(path.read_bytes()).hexdigest()
        if _loaded.get(path, ("",))[0] != digest:
            _loaded[path] = digest, _register(path)
    return [str(path) for path in paths]


def refuse_unknown(values: dict) -> None:
    """Raise UserError where a checkpoint's model or metric comes from files that nobody has loaded.

    `values`: its options.  A checkpoint holds no code, and must not choose code to run.
    """
    files, names = values.get("plugins"), []
    if values["model"] not in defaults.model_names():
        names.append(f"model {values['model']}")
    names += [f"metric {name}" for name in values["metrics"] if str(name).lower() not in metrics_dict]
    if files and names:
        raise UserError(
            f"The checkpoint's {' and '.join(names)} comes from {', '.join(files)}: if you trust that file, "
            "pass plugins=PATH to recbole_micro.load, --plugins=PATH to recbole-micro."
        )


def _register(path: Path) -> tuple[str, ...]:
    """Run a file and make its models and metrics known; the names of the models."""
    from recbole.model.abstract_recommender import GeneralRecommender

    module = _run(path)
    classes = {name: value for name, value in vars(module).items() if inspect.isclass(value)}
    classes = {name: value for name, value in classes.items() if value.__module__ == module.__name__}
    models = {name: value for name, value in classes.items() if issubclass(value, GeneralRecommender)}
    metrics = {name: value for name, value in classes.items() if issubclass(value, AbstractMetric)}
    if not models and not metrics:
        raise UserError(
            f"{path} (plugins) defines no model and no metric: write a class that inherits from "
            "recbole_micro.models.base.MultimodalRecommender or RecBole's GeneralRecommender or TopkMetric."
        )
    for name in metrics:
        before = metrics_dict.get(name.lower())
        if before is not None and before.__module__ != module.__name__:
            raise UserError(f"{path} (plugins) defines {name}, but there is a metric {name}: rename yours.")
    own = _loaded.get(path, ("", ()))[1]
    taken = {known.lower(): known for known in defaults.model_names() if known not in own}
    for name in models:
        if name.lower() in taken:
            other = taken[name.lower()]
            raise UserError(f"{path} (plugins) defines {name}, but there is a model {other}: rename yours.")
    for name, metric in metrics.items():
        register_metric(name, metric)
    texts = {name: _defaults(path, name, model) for name, model in models.items()}
    for name in models:
        MODELS[name] = module.__name__
        sys.modules[f"{ALIAS_PACKAGE}.{name.lower()}"] = module
        defaults.add_text(f"model/{name}.yaml", texts[name])
    return tuple(models)


def _run(path: Path) -> ModuleType:
    name = f"recbole_micro_plugin_{sha256(bytes(path)).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} (plugins) is not a Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        raise
    return module


def _defaults(path: Path, name: str, model: type) -> str:
    """The text of a model's default options, checked; empty where it has none."""
    file = path.with_name(f"{name}.yaml")
    if not file.is_file():
        return _inherited(model) + _declared(dict(getattr(model, "defaults", {})))
    text = file.read_text(encoding="utf-8")
    try:
        if not isinstance(load_yaml(text) or {}, dict):
            raise ValueError("it is no list of `option: value`")
        schema.parse_declarations(text, str(file))
    except (ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        remedy = "write `option: default  # (kind) help`"
        raise UserError(f"{file} cannot be read ({reason}): {remedy}.") from None
    return _inherited(model) + text


def _inherited(model: type) -> str:
    """The text of the default options of the nearest base class that is a model; later lines go before."""
    known = defaults.model_names()
    base = next((base.__name__ for base in model.__mro__[1:] if base.__name__ in known), None)
    if base is None:
        return ""
    recbole = defaults.RECBOLE_PROPERTIES / "model" / f"{base}.yaml"
    text = _dump(defaults.read_defaults(str(recbole))) if recbole.is_file() else ""
    return text + defaults.plugin_text(f"model/{base}.yaml").rstrip() + "\n"


def _declared(defaults: dict) -> str:
    """Default options as lines of a YAML file, each with the kind of its value where that is plain."""
    lines = []
    for name, value in defaults.items():
        kind = KINDS.get(type(value))
        if kind:
            lines.append(_dump({name: value}).rstrip("\n") + f"  # ({kind})\n")
        else:
            lines.append(_dump({name: value}))
    return "".join(lines)


def _dump(values: dict) -> str:
    return yaml.safe_dump(values, sort_keys=False) if values else ""
