"""Models with weights, by their name on the Hugging Face hub or a folder."""

from collections.abc import Callable
from typing import TypeVar

from dataset_tools.errors import DataError

BATCH = 64  # inputs that a model encodes at once
Model = TypeVar("Model")


def device() -> str:
    """Where a model runs: the GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_model(model: str, build: Callable[[], Model]) -> Model:
    """A model, or one sentence on why it is not there."""
    try:
        return build()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"The model {model!r} cannot be loaded ({reason}); check its name or folder."
        ) from None
