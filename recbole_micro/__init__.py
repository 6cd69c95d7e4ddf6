"""Multimodal recommendation for RecBole; importing it registers its models, options and defaults."""

from recbole_micro.recbole_patches.register import register

__version__ = "0.1.0"
register()

from recbole_micro.errors import UserError  # noqa: E402
from recbole_micro.evaluation.metrics import Metrics  # noqa: E402
from recbole_micro.inference.explain import explain  # noqa: E402
from recbole_micro.inference.recommend import recommend  # noqa: E402
from recbole_micro.models.base import MultimodalRecommender  # noqa: E402
from recbole_micro.models.new_items import encode_new_items  # noqa: E402
from recbole_micro.options.config import Config  # noqa: E402
from recbole_micro.training.loading import load  # noqa: E402
from recbole_micro.training.quick_start import objective, run  # noqa: E402

__all__ = [
    "Config",
    "Metrics",
    "MultimodalRecommender",
    "UserError",
    "__version__",
    "encode_new_items",
    "explain",
    "load",
    "objective",
    "recommend",
    "run",
]
