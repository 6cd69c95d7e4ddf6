"""Texts to vectors by a sentence-transformers model."""

from collections.abc import Sequence

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Embed
from dataset_tools.features.encoders.hub import BATCH, device, load_model, named, running


def load(model: str, corpus: Sequence[str]) -> Embed:
    """A sentence-transformers model, by its name on the hub (`NAME@REVISION`) or a folder."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise DataError(
            "This encoder needs the package sentence-transformers; run pip install 'recbole_micro[encoders]'."
        ) from None
    name, revision = named(model)
    network = load_model(model, lambda: SentenceTransformer(name, revision=revision, device=device()))

    def embed(texts: list[str]) -> np.ndarray:
        with running():
            return network.encode(texts, batch_size=BATCH, show_progress_bar=False)

    return embed
