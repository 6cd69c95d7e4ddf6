"""Images to vectors by the image side of a model of images and texts: CLIP, SigLIP."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Encoder
from dataset_tools.features.encoders.hub import BATCH, device, load_model, named, network, pooled, running


def load(model: str) -> Encoder:
    """The image side of such a model, by its name on the hub (`NAME@REVISION`) or a folder."""
    try:
        import torch  # noqa: F401
        from PIL import Image
        from transformers import AutoConfig, AutoImageProcessor, AutoModel, CLIPVisionModelWithProjection
    except ImportError:
        raise DataError(
            "This encoder needs transformers and pillow; run pip install 'recbole_micro[encoders]'."
        ) from None
    where = device()
    name, revision = named(model)
    kind = load_model(model, lambda: AutoConfig.from_pretrained(name, revision=revision).model_type)
    of_clip = kind in ("clip", "clip_vision_model")  # whose image side alone loads less
    build = CLIPVisionModelWithProjection if of_clip else AutoModel
    images_side = network(model, build)
    processor = load_model(model, lambda: AutoImageProcessor.from_pretrained(name, revision=revision))
    look = getattr(images_side, "get_image_features", images_side)

    def encode(images: list[Any]) -> np.ndarray:
        pixels = processor(images=images, return_tensors="pt").to(where)
        with running():
            return pooled(look(**pixels))

    width = encode([Image.new("RGB", (64, 64))]).shape[1]

    def encoder(paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        values = np.zeros((len(paths), width), dtype=np.float32)
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
                values[list(images)], ok[list(images)] = encode(list(images.values())), True
        return values, ok

    return encoder
