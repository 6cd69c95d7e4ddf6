"""The encoders of texts and images by name; each is imported only when it is asked for.

A new encoder is a file with a function `load`, and a line in TEXT or IMAGE here; `register_text_encoder` and
`register_image_encoder` add one from outside.  A name that ends in `/<model>` is followed by a model's name.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders import media
from dataset_tools.features.encoders.contract import Embed, Encoder, LoadImage, LoadText

HERE = "dataset_tools.features.encoders"
TEXT: dict[str, str | LoadText] = {  # the function, or the module that has it as `load`
    "tfidf": f"{HERE}.tfidf",
    "wordllama": f"{HERE}.wordllama",
    "sentence-transformers/<model>": f"{HERE}.sentence_transformers",
    "clip/<model>": f"{HERE}.paired_texts",
    "siglip/<model>": f"{HERE}.paired_texts",
}
IMAGE: dict[str, str | LoadImage] = {
    "clip/<model>": f"{HERE}.paired_images",
    "siglip/<model>": f"{HERE}.paired_images",
}
AUDIO: dict[str, str | LoadImage] = {
    "clap/<model>": f"{HERE}.clap",
}
PACKAGES = (
    "wordllama",
    "sentence-transformers",
    "transformers",
    "torch",
    "pillow",
    "av",
)  # whose versions count


def register_text_encoder(name: str, load: LoadText) -> None:
    """Add a text encoder: `load(model, corpus)` returns a function from texts to vectors [n, d].

    It is never given a blank text, and a row of zeros counts as nothing.
    """
    _add(TEXT, name, load)


def register_image_encoder(name: str, load: LoadImage) -> None:
    """Add an image encoder: `load(model)` returns a function from paths to (values [n, d], found [n])."""
    _add(IMAGE, name, load)


def text_encoder(spec: str, corpus: Sequence[str]) -> Encoder:
    """The text encoder that `spec` names; TF-IDF learns its words from `corpus`."""
    load, model = _find(TEXT, spec, "text")
    return _texts(load(model, corpus))


def image_encoder(spec: str) -> Encoder:
    """The image encoder that `spec` names; its inputs are paths of image files."""
    load, model = _find(IMAGE, spec, "image")
    return load(model)


def video_encoder(spec: str, frames: int) -> Encoder:
    """The image encoder that `spec` names, over `frames` frames of each video; its inputs are paths."""
    return media.mean_of_frames(lambda: image_encoder(spec), frames)


def audio_encoder(spec: str) -> Encoder:
    """The audio encoder that `spec` names; its inputs are paths of sound files."""
    load, model = _find(AUDIO, spec, "audio")
    return load(model)


def _add(encoders: dict[str, Any], name: str, load: LoadText | LoadImage) -> None:
    if name in encoders:
        raise DataError(f"There is an encoder {name!r} already; choose another name.")
    encoders[name] = load


def _find(encoders: dict[str, Any], spec: str, kind: str) -> tuple[Any, str]:
    """The function that loads the encoder, and the model's name in `spec`."""
    for name, load in encoders.items():
        model = _model(name, spec)
        if model is not None:
            return import_module(load).load if isinstance(load, str) else load, model
    raise DataError(f"There is no {kind} encoder {spec!r}; choose {', '.join(encoders)}.")


def _model(name: str, spec: str) -> str | None:
    """The model that `spec` asks of the encoder `name`, "" if it has none; None where another is meant."""
    start = name.removesuffix("<model>")
    if start == name:
        return "" if spec == name else None
    return spec.removeprefix(start) or None if spec.startswith(start) else None


def _texts(embed: Embed) -> Encoder:
    """An encoder that passes blank texts over and counts rows of zeros as nothing."""

    def encoder(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        filled = [number for number, text in enumerate(texts) if text.strip()]
        found = embed([texts[number] for number in filled] or [" "])
        values = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
        if filled:
            values[filled] = found
        return values, np.logical_or.reduce(values, axis=1)

    return encoder
