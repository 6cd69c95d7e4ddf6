"""Models with weights, by their name on the Hugging Face hub or a folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dataset_tools.errors import DataError

BATCH = 64  # inputs that a model encodes at once
Model = TypeVar("Model")


def device() -> str:
    """Where a model runs: the GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def named(model: str) -> tuple[str, str | None]:
    """The name and the revision (a commit, a tag) of `NAME@REVISION`; a folder has none."""
    name, at, revision = model.rpartition("@")
    return (name, revision) if at and name and not Path(model).is_dir() else (model, None)


def load_model(model: str, build: Callable[[], Model]) -> Model:
    """A model, or one sentence on why it is not there."""
    try:
        return build()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"The model {model!r} cannot be loaded ({reason}); check its name or folder."
        ) from None
