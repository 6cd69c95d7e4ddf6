"""Search spaces: shapes of parameters and their values, checked against the options' declarations."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_micro import options
from recbole_micro.errors import UserError, hint
from recbole_micro.options.values import read_yaml

SHAPES: dict[str, int | None] = {  # shape -> how many numbers it has, None for any number of values
    "choice": None,
    "uniform": 2,
    "loguniform": 2,
    "quniform": 3,
}


def read_space(space: Mapping | str | Path) -> dict[str, dict[str, list]]:
    """A search space `{shape: {option: values}}`, from a dictionary or a YAML file, checked.

    Shapes: `choice` (a list of values), `uniform` [low, high], `quniform` [low, high, step] (whole numbers
    draw whole numbers), and `loguniform` [low, high] in the option's own units (RecBole and
    hyperopt want logarithms there).
    """
    content = dict(space) if isinstance(space, Mapping) else read_yaml(space)
    checked: dict[str, dict[str, list]] = {}
    for shape, parameters in content.items():
        if shape not in SHAPES or not isinstance(parameters, Mapping):
            raise UserError(
                f"The search space has {shape!r}: write `shape: {{option: values}}`, "
                f"where shape is one of {', '.join(SHAPES)}."
            )
        for name, values in parameters.items():
            if name not in options.known_names():
                raise UserError(
                    f"The search space names no option: {name!r}{hint(name, options.known_names())}"
                )
            check_values(shape, name, values)
            values = [math.log(value) for value in values] if shape == "loguniform" else list(values)
            checked.setdefault(shape, {})[name] = values
    if not checked:
        raise UserError("The search space is empty: name at least one option and its values.")
    return checked


def check_values(shape: str, name: str, values: Any) -> None:
    """Raise UserError where the values of the option `name` do not suit the shape."""
    length = SHAPES[shape]
    listed = isinstance(values, (list, tuple)) and len(values) > 0
    if length is None and listed:
        return
    numeric = listed and all(isinstance(value, (int, float)) for value in values)
    positive = shape != "loguniform" or numeric and min(values) > 0
    if not (numeric and positive and len(values) == length and values[0] < values[1]):
        wanted = {"choice": "a list of values", "quniform": "[low, high, step]"}.get(shape, "[low, high]")
        raise UserError(f"The search space has {name}: {values!r} under {shape}, which wants {wanted}.")


def check_space(space: Mapping, declared: Mapping[str, options.Option]) -> None:
    """Raise UserError where a value of `space`, as `read_space` gives it, is none that its option may have.

    Of ranges both ends count.
    """
    for shape, parameters in space.items():
        for name, values in parameters.items():
            ends = values if shape == "choice" else values[:2]
            for value in map(math.exp, ends) if shape == "loguniform" else ends:
                options.read_value(name, value, declared.get(name), "in the search space")
