"""The published layouts by name; a converter is imported only when it is asked for.

A new one is a file with a `convert` (see `declaration`) and a line here; `register_converter` adds one from
outside.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from dataset_tools.converters.declaration import Converter
from dataset_tools.errors import DataError

HERE = "dataset_tools.converters"
LAYOUTS: dict[str, str | Converter[Any]] = {  # the converter, or the module that has it as `convert`
    "micro": f"{HERE}.micro_layout",
    "mmrec": f"{HERE}.mmrec_layout",
    "amazon2014": f"{HERE}.amazon.amazon2014",
    "amazon2023": f"{HERE}.amazon.amazon2023",
    "amazon2023-benchmark": f"{HERE}.amazon.benchmark2023",
    "microlens": f"{HERE}.recipes.microlens",
    "mmctr": f"{HERE}.recipes.mmctr",
    "pixelrec": f"{HERE}.recipes.pixelrec",
    "ninerec": f"{HERE}.recipes.ninerec",
    "yambda": f"{HERE}.recipes.yambda",
    "vk-lsvd": f"{HERE}.recipes.vk_lsvd",
    "hm": f"{HERE}.recipes.hm",
    "movielens": f"{HERE}.recipes.grouplens",
    "mmssl": f"{HERE}.recipes.numbered.mmssl",
    "llmrec": f"{HERE}.recipes.numbered.llmrec",
    "recsys25": f"{HERE}.recipes.numbered.recsys25",
    "mmgcn": f"{HERE}.recipes.numbered.mmgcn",
    "diffmm": f"{HERE}.recipes.numbered.diffmm",
    "dgmrec": f"{HERE}.recipes.numbered.dgmrec",
    "table": f"{HERE}.plain_tables",
}


def register_converter(layout: str, converter: Converter[Any]) -> None:
    """Add a converter, for `convert` here and on the command line."""
    if layout in LAYOUTS:
        raise DataError(f"There is a layout {layout!r} already; choose another name.")
    LAYOUTS[layout] = converter


def find(layout: str) -> Converter[Any]:
    """The converter of a layout; DataError for one that nobody registered."""
    if layout not in LAYOUTS:
        raise DataError(f"There is no layout {layout!r}; choose {', '.join(LAYOUTS)}.")
    found = LAYOUTS[layout]
    return import_module(found).convert if isinstance(found, str) else found


def convert(layout: str, *sources: Any, **options: Any) -> Path:
    """`convert(layout, *sources, name, data_path="dataset", force=False, **options)`; the data set's folder.

    The sources and options are those that `python -m dataset_tools convert LAYOUT --help` lists.
    """
    return find(layout)(*sources, **options)
