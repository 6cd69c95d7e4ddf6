"""Models with weights, by their name on the Hugging Face hub or a folder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dataset_tools.errors import DataError

BATCH = 64  # inputs that a model encodes at once
Model = TypeVar("Model")


def device() -> str:
    """Where a model runs: the GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def running() -> Iterator[None]:
    """A model runs without gradients here, on a GPU in mixed precision."""
    import torch

    mixed: Any = nullcontext()
    if torch.cuda.is_available():
        mixed = torch.autocast("cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16)
    with torch.inference_mode(), mixed:
        yield


def pooled(found: Any) -> np.ndarray:
    """The vectors float32 [n, d] in what a model of transformers returns, which differs between versions."""
    for name in ("image_embeds", "pooler_output"):
        found = getattr(found, name, found)
    return found.float().cpu().numpy()


def named(model: str) -> tuple[str, str | None]:
    """The name and the revision (a commit, a tag) of `NAME@REVISION`; a folder has none."""
    name, at, revision = model.rpartition("@")
    return (name, revision) if at and name and not Path(model).is_dir() else (model, None)


def network(model: str, build: Any) -> Any:
    """The model that a class of transformers makes, where it runs; DataError where it lacks some weights.

    What else a model has (CLIP's text side beside the image side) is passed over.
    """
    from transformers.utils import logging

    name, revision = named(model)
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # its list of what was passed over
    try:
        found, about = load_model(
            model, lambda: build.from_pretrained(name, revision=revision, output_loading_info=True)
        )
    finally:
        logging.set_verbosity(before)
    absent = sorted({*about["missing_keys"]} & {name for name, _ in found.named_parameters()})
    if absent:
        raise DataError(
            f"The model {model!r} lacks {len(absent):,} weights of a {build.__name__}, which would be random "
            f"numbers (first {absent[0]}); choose another."
        )
    return found.to(device()).eval()


def load_model(model: str, build: Callable[[], Model]) -> Model:
    """A model, or one sentence on why it is not there."""
    try:
        return build()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"The model {model!r} cannot be loaded ({reason}); check its name or folder."
        ) from None
