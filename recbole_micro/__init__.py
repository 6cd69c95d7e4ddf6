"""Multimodal recommendation for RecBole; importing it registers its models, options and defaults."""

from recbole_micro.plugin import register

__version__ = "0.1.0"
register()

from recbole_micro.config import Config  # noqa: E402
from recbole_micro.quick_start import load, objective, run  # noqa: E402

__all__ = ["Config", "__version__", "load", "objective", "run"]
