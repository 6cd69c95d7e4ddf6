"""Weight decay in two units, of which a run has one.

`weight_decay` w pulls on every parameter in every step: the gradient of a batch's mean loss plus w x.  A row
with n of the N training interactions gets, on average over an epoch, n / N of a mean gradient g in a step, so
what matters is w N / n: on data twice as large the same w pulls twice as hard.  `relative_weight_decay` c is
that unit, w = c / N (docs/models.md).
"""

from collections.abc import Mapping
from typing import Any

from recbole_micro.errors import UserError

UNITS = ("weight_decay", "relative_weight_decay")


def overlay(options: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Let `values` win over `options`, in place; a decay in one unit ends one in the other.

    Raises UserError where both units are given at once.
    """
    if all(values.get(unit) for unit in UNITS):
        raise UserError(
            f"weight_decay ({values[UNITS[0]]}) and relative_weight_decay ({values[UNITS[1]]}) are the same "
            "thing in two units: give one of them."
        )
    for unit, other in (UNITS, UNITS[::-1]):
        if unit in values and other in options and other not in values:
            options[other] = 0.0
    options.update(values)


def per_step(options: Mapping[str, Any], interactions: int) -> float:
    """The weight decay of the optimiser, for a training of so many interactions."""
    relative = options["relative_weight_decay"]
    return relative / interactions if relative else options["weight_decay"] or 0.0
