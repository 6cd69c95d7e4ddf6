"""Texts to vectors by static word vectors."""

from collections.abc import Sequence
from pathlib import Path

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Embed

BATCH = 64


def load(model: str, corpus: Sequence[str]) -> Embed:
    """Static word vectors of 256 columns; the weights come with the package, nothing is downloaded."""
    try:
        import wordllama
    except ImportError:
        raise DataError("This encoder needs the package wordllama; run pip install wordllama.") from None
    # its tokenizer is in the package too, but only a cache folder is searched for it under that name
    network = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    return lambda texts: network.embed(texts, norm=True, batch_size=BATCH)
