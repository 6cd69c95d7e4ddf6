"""The options that several layouts have: fields, and the dataclasses that recipes inherit them from."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_tools.converters.declaration import option
from dataset_tools.features.encoders import registry
from dataset_tools.formats.names import from_system
from dataset_tools.operations.splitting import splits


def commas(text: str) -> list[str]:
    """The names in `a,b,c`."""
    return from_system(text).split(",") if text else []


def column(text: str) -> str:
    """A column's name."""
    return from_system(text)


def _count(text: str) -> int:
    """A whole number >= 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number >= 0")
    return value


def half() -> Any:
    return option(False, "store features as float16")


def skip_bad() -> Any:
    return option(False, "leave out and count broken records")


def seed(what: str = "of the split (default: %(default)s)") -> Any:
    return option(0, what, type=int)


def split(default: str = "paper") -> Any:
    what = "80/10/10 per user, a fifth of the items, or left to RecBole (default: %(default)s)"
    return option(default, what, choices=splits.NAMES)


def encoder(flag: str = "") -> Any:
    """The encoder of the items' texts."""

    def what() -> str:
        return f"of the items' texts: {', '.join(registry.TEXT)} (default: %(default)s)"

    return option("tfidf", what, flag=flag, metavar="ENCODER")


def k_core(default: int) -> Any:
    what = "least interactions per user and item, 0 keeps all (default: %(default)s)"
    return option(default, what, flag="--k-core", recorded="k_core", type=_count, metavar="K")


def min_rating() -> Any:
    return option(None, "leave out lower ratings", type=float)


def items(what: str) -> Any:
    return option(None, what, recorded=False, metavar="F")


def title(recorded: bool = True) -> Any:
    return option(None, "column of titles", recorded=recorded, type=column, metavar="C")


def texts(recorded: bool = True) -> Any:
    what = "columns that make the items' text"
    return option((), what, flag="--text", recorded=recorded, type=commas, metavar="C,C")


def image(recorded: bool = True) -> Any:
    return option(None, "column of image names or addresses", recorded=recorded, type=column, metavar="C")


def encoded(what: str) -> Any:
    """The encoder of a recipe that makes features of texts only where it is asked to."""
    return option(None, f"encode {what} with this encoder", flag="--text", metavar="ENCODER")


@dataclass(frozen=True, kw_only=True)
class FolderOptions:
    """Options of every recipe that reads a folder."""

    source: str | Path = option(help="folder of the files", source=True, flag="--from", metavar="DIR")
    skip_bad: bool = skip_bad()
    half: bool = half()


@dataclass(frozen=True, kw_only=True)
class RecipeOptions(FolderOptions):
    """Options of a recipe that reads the interactions from a table."""

    core: int = k_core(0)
    split: str = split("none")
    seed: int = seed()

    def passed_on(self) -> dict[str, Any]:
        """Those that mean the same for `convert table`."""
        return {name: getattr(self, name) for name in ("core", "split", "seed", "skip_bad", "half")}


@dataclass(frozen=True, kw_only=True)
class TextRecipeOptions(RecipeOptions):
    """The same with texts of the items, which are encoded where `text` names an encoder."""

    text: str | None = encoded("the items' texts")

    def passed_on(self) -> dict[str, Any]:
        return {**super().passed_on(), "text_encoder": self.text or "tfidf"}
