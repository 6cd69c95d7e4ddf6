"""Images to vectors by the image side of a CLIP model."""

from collections.abc import Sequence

import numpy as np

from dataset_tools.errors import DataError
from dataset_tools.features.encoders.contract import Encoder
from dataset_tools.features.encoders.hub import BATCH, device, load_model, named


def load(model: str) -> Encoder:
    """The image side of a CLIP model, by its name on the hub (`NAME@REVISION`) or a folder."""
    try:
        import torch
        from PIL import Image
        from transformers import AutoImageProcessor, CLIPVisionModelWithProjection
    except ImportError:
        raise DataError(
            "This encoder needs transformers and pillow; run pip install 'recbole_micro[encoders]'."
        ) from None
    where = device()
    name, revision = named(model)
    network = load_model(
        model,
        lambda: CLIPVisionModelWithProjection.from_pretrained(name, revision=revision).to(where).eval(),
    )
    processor = load_model(model, lambda: AutoImageProcessor.from_pretrained(name, revision=revision))

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
                pixels = processor(images=list(images.values()), return_tensors="pt").to(where)
                with torch.inference_mode():
                    rows = network(**pixels).image_embeds.float().cpu().numpy()
                values[list(images)], ok[list(images)] = rows, True
        return values, ok

    return encoder
