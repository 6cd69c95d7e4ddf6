"""RecBole data sets with modality features: from published layouts to files, and what is done to them.

    dataset_tools.convert("table", "ratings.csv", "mine", user="who", item="what")
    dataset_tools.add_features(dataset_tools.Dataset("mine"), "visual", "images.npy", row_order=True)

Every name is imported when it is first used, so that importing this package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataset_tools.commands.command_line import main as main
    from dataset_tools.converters.declaration import Converter as Converter
    from dataset_tools.converters.declaration import converter as converter
    from dataset_tools.converters.declaration import option as option
    from dataset_tools.converters.declaration import recorded as recorded
    from dataset_tools.converters.mmrec_export import export_mmrec as export_mmrec
    from dataset_tools.converters.registry import convert as convert
    from dataset_tools.converters.registry import register_converter as register_converter
    from dataset_tools.dataset.catalog import prepare as prepare
    from dataset_tools.dataset.folder import DatasetFolder as DatasetFolder
    from dataset_tools.dataset.interactions import Builder as Builder
    from dataset_tools.dataset.interactions import Interactions as Interactions
    from dataset_tools.dataset.reading import Dataset as Dataset
    from dataset_tools.errors import DataError as DataError
    from dataset_tools.features.encoders.registry import register_image_encoder as register_image_encoder
    from dataset_tools.features.encoders.registry import register_text_encoder as register_text_encoder
    from dataset_tools.features.feature_file import FeatureFile as FeatureFile
    from dataset_tools.features.feature_file import FeatureWriter as FeatureWriter
    from dataset_tools.inspection.dataset_plots import save_plot as save_plot
    from dataset_tools.inspection.dataset_report import report as report
    from dataset_tools.operations.encode.encoding import encode_media as encode_media
    from dataset_tools.operations.encode.encoding import encode_texts as encode_texts
    from dataset_tools.operations.joining import add_features as add_features
    from dataset_tools.operations.joining import export_text as export_text
    from dataset_tools.operations.splitting.missing import remove_features as remove_features
    from dataset_tools.operations.splitting.resplit import split_dataset as split_dataset

_HOMES = {  # the module of each name above
    "Builder": "dataset_tools.dataset.interactions",
    "Converter": "dataset_tools.converters.declaration",
    "DataError": "dataset_tools.errors",
    "Dataset": "dataset_tools.dataset.reading",
    "DatasetFolder": "dataset_tools.dataset.folder",
    "FeatureFile": "dataset_tools.features.feature_file",
    "FeatureWriter": "dataset_tools.features.feature_file",
    "Interactions": "dataset_tools.dataset.interactions",
    "add_features": "dataset_tools.operations.joining",
    "convert": "dataset_tools.converters.registry",
    "converter": "dataset_tools.converters.declaration",
    "encode_media": "dataset_tools.operations.encode.encoding",
    "encode_texts": "dataset_tools.operations.encode.encoding",
    "export_mmrec": "dataset_tools.converters.mmrec_export",
    "export_text": "dataset_tools.operations.joining",
    "main": "dataset_tools.commands.command_line",
    "option": "dataset_tools.converters.declaration",
    "prepare": "dataset_tools.dataset.catalog",
    "recorded": "dataset_tools.converters.declaration",
    "register_converter": "dataset_tools.converters.registry",
    "register_image_encoder": "dataset_tools.features.encoders.registry",
    "register_text_encoder": "dataset_tools.features.encoders.registry",
    "remove_features": "dataset_tools.operations.splitting.missing",
    "report": "dataset_tools.inspection.dataset_report",
    "save_plot": "dataset_tools.inspection.dataset_plots",
    "split_dataset": "dataset_tools.operations.splitting.resplit",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
