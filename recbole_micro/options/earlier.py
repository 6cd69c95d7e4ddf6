"""What checkpoints of earlier versions leave unsaid: options that came later, as they were before."""

from collections.abc import Mapping
from typing import Any

OF_MODEL = {
    "MICRO": {
        "ranking_loss": "bpr",
        "score": "dot",
        "score_tau": 1.0,
        "item_bias": False,
        "history_weight": 0.0,
        "history_power": 0.0,
        "support_power": 0.0,
        "contrast_items": 0,
        "walk_weight": 0.0,
    }
}


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint's options with those that its version did not have."""
    return {**OF_MODEL.get(values.get("model", ""), {}), **values}
