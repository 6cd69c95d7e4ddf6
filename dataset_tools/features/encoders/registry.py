"""Texts and images to vectors: the encoders by name, each imported only when it is asked for.

An encoder takes a list of inputs and returns (values float32 [n, d], ok [n]); where `ok` is false the input
gave nothing (an empty text, a broken image) and the item has no features.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from dataset_tools.errors import DataError

Encoder = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]

TFIDF_WIDTH = 128
BATCH = 64
TEXT_ENCODERS = ("tfidf", "wordllama", "sentence-transformers/<model>")
IMAGE_ENCODERS = ("clip/<model>",)


def text_encoder(spec: str, corpus: Sequence[str]) -> Encoder:
    """The text encoder `spec`, one of TEXT_ENCODERS; TF-IDF learns its words from `corpus`."""
    kind, _, model = spec.partition("/")
    if spec == "tfidf":
        return _texts(_tfidf(corpus))
    if spec == "wordllama":
        return _texts(_wordllama())
    if kind == "sentence-transformers" and model:
        return _texts(_sentence_transformers(model))
    raise DataError(f"There is no text encoder {spec!r}; choose {', '.join(TEXT_ENCODERS)}.")


def image_encoder(spec: str) -> Encoder:
    """The image encoder `spec`, one of IMAGE_ENCODERS; its inputs are paths of image files."""
    kind, _, model = spec.partition("/")
    if kind == "clip" and model:
        return _clip(model)
    raise DataError(f"There is no image encoder {spec!r}; choose {', '.join(IMAGE_ENCODERS)}.")


def _texts(encode: Callable[[list[str]], np.ndarray]) -> Encoder:
    """An encoder that passes blank texts over and counts rows of zeros as nothing."""

    def encoder(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        filled = [number for number, text in enumerate(texts) if text.strip()]
        found = encode([texts[number] for number in filled] or [" "])
        values = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
        if filled:
            values[filled] = found
        return values, values.any(axis=1)

    return encoder


def _tfidf(corpus: Sequence[str], width: int = TFIDF_WIDTH) -> Callable[[list[str]], np.ndarray]:
    """TF-IDF of words reduced by truncated SVD to at most `width` columns."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, min_df=2 if len(corpus) > 100 else 1, token_pattern=r"\b\w+\b")
    try:
        matrix = words.fit_transform(corpus)
    except ValueError:
        raise DataError("The items have no texts that TF-IDF could learn words from.") from None
    if min(matrix.shape) < 2:  # nothing to reduce
        return lambda texts: words.transform(texts).toarray()
    svd = TruncatedSVD(max(1, min(width, min(matrix.shape) - 1)), random_state=0).fit(matrix)
    return lambda texts: svd.transform(words.transform(texts))


def _wordllama() -> Callable[[list[str]], np.ndarray]:
    """Static word vectors of 256 columns; the weights come with the package, nothing is downloaded."""
    try:
        import wordllama
    except ImportError:
        raise DataError("This encoder needs the package wordllama; run pip install wordllama.") from None
    # its tokenizer is in the package too, but only a cache folder is searched for it under that name
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    return lambda texts: model.embed(texts, norm=True, batch_size=BATCH)


def _sentence_transformers(model: str) -> Callable[[list[str]], np.ndarray]:
    """A sentence-transformers model, by its name on the hub or a folder."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise DataError(
            "This encoder needs the package sentence-transformers; run pip install 'recbole_micro[encoders]'."
        ) from None
    network = _load(model, lambda: SentenceTransformer(model, device=_device()))
    return lambda texts: network.encode(texts, batch_size=BATCH, show_progress_bar=False)


def _clip(model: str) -> Encoder:
    """The image side of a CLIP model, by its name on the hub or a folder."""
    try:
        import torch
        from PIL import Image
        from transformers import AutoImageProcessor, CLIPVisionModelWithProjection
    except ImportError:
        raise DataError(
            "This encoder needs transformers and pillow; run pip install 'recbole_micro[encoders]'."
        ) from None
    device = _device()
    network = _load(model, lambda: CLIPVisionModelWithProjection.from_pretrained(model).to(device).eval())
    processor = _load(model, lambda: AutoImageProcessor.from_pretrained(model))

    def encoder(paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        values = np.zeros((len(paths), network.config.projection_dim), dtype=np.float32)
        ok = np.zeros(len(paths), dtype=bool)
        for start in range(0, len(paths), BATCH):
            images = {}
            for number, path in enumerate(paths[start : start + BATCH], start):
                try:
                    with Image.open(path) as image:
                        images[number] = image.convert("RGB")
                except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
                    continue
            if images:
                pixels = processor(images=list(images.values()), return_tensors="pt").to(device)
                with torch.inference_mode():
                    rows = network(**pixels).image_embeds.float().cpu().numpy()
                values[list(images)], ok[list(images)] = rows, True
        return values, ok

    return encoder


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _load(model: str, build: Callable):
    """A model, or one sentence on why it is not there."""
    try:
        return build()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"The model {model!r} cannot be loaded ({reason}); check its name or folder."
        ) from None
