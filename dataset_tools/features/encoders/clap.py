"""Sounds to vectors by the audio side of a CLAP model."""

from collections.abc import Sequence

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders import media
from dataset_tools.features.encoders.contract import Encoder
from dataset_tools.features.encoders.hub import device, load_model, named, network, pooled, running

STRETCH = 10  # seconds that the model hears at once
STRETCHES = 6  # of one sound, spread evenly; their mean counts


def load(model: str) -> Encoder:
    """The audio side of a CLAP model, by its name on the hub (`NAME@REVISION`) or a folder."""
    try:
        from transformers import AutoFeatureExtractor, ClapModel
    except ImportError:
        raise DataError(
            "This encoder needs transformers; run pip install 'recbole_micro[encoders]'."
        ) from None
    media.check()
    where = device()
    name, revision = named(model)
    clap = network(model, ClapModel)
    extractor = load_model(model, lambda: AutoFeatureExtractor.from_pretrained(name, revision=revision))
    rate = extractor.sampling_rate

    def encoder(paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        values = np.zeros((len(paths), clap.config.projection_dim), dtype=np.float32)
        ok = np.zeros(len(paths), dtype=bool)
        for number, path in enumerate(paths):
            heard = _stretches(media.samples(path, rate), rate * STRETCH)
            if heard:
                inputs = extractor(heard, sampling_rate=rate, return_tensors="pt").to(where)
                with running():
                    values[number] = pooled(clap.get_audio_features(**inputs)).mean(axis=0)
                ok[number] = True
        return values, ok

    return encoder


def _stretches(samples: np.ndarray, length: int) -> list[np.ndarray]:
    """Stretches of a sound [n] of at most this length, spread evenly; none of silence."""
    if not samples.any():
        return []
    count = min(STRETCHES, max(1, len(samples) // length))
    starts = np.linspace(0, max(0, len(samples) - length), count).astype(int)
    return [samples[start : start + length] for start in starts]
