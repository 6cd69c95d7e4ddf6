"""Texts to vectors by the text side of a model of images and texts, in the same space as its images."""

from collections.abc import Sequence

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Embed
from dataset_tools.features.encoders.hub import BATCH, device, load_model, named, network, pooled, running


def load(model: str, corpus: Sequence[str]) -> Embed:
    """The text side of a CLIP or SigLIP model, by its name on the hub (`NAME@REVISION`) or a folder.

    Longer texts are cut off at what the model takes.
    """
    try:
        from transformers import AutoModel, AutoTokenizer
    except ImportError:
        raise DataError(
            "This encoder needs transformers; run pip install 'recbole_micro[encoders]'."
        ) from None
    where = device()
    name, revision = named(model)
    both = network(model, AutoModel)
    words = load_model(model, lambda: AutoTokenizer.from_pretrained(name, revision=revision))
    if not hasattr(both, "get_text_features"):
        raise DataError(f"The model {model!r} has no side of texts; name one of images and texts.")
    longest = both.config.text_config.max_position_embeddings
    # SigLIP was trained on texts that are filled up
    padding = "max_length" if both.config.model_type.startswith("siglip") else "longest"

    def embed(texts: list[str]) -> np.ndarray:
        parts = []
        for start in range(0, len(texts), BATCH):
            tokens = words(
                texts[start : start + BATCH],
                padding=padding,
                truncation=True,
                max_length=longest,
                return_tensors="pt",
            ).to(where)
            with running():
                parts.append(pooled(both.get_text_features(**tokens)))
        return np.concatenate(parts)

    return embed
