"""Exported models of the tests: the tiny data set with titles, some of which are hostile."""

from pathlib import Path

from dataset_tools.formats.atomic import quote
from recbole_micro import run
from recbole_micro.inference.export.folder import export
from tests.support.tiny import QUICK, write_tiny

SCRIPT = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
TITLES = {0: SCRIPT, 1: "Das Boot: “gut”", 2: "</script><b>bold</b>", 3: "x" * 500}
GENRES = ("Drama", "Comedy", "Film Noir")


def write_data(folder: Path) -> Path:
    """The tiny data set with titles and genres; returns `folder`."""
    write_tiny(folder)
    titles = [quote(TITLES.get(item, f"Title {item}")) for item in range(15)]
    rows = [f"i{item}\t{title}\t{GENRES[item % 3]}" for item, title in enumerate(titles)]
    text = "\n".join(["item_id:token\ttitle:token_seq\tgenre:token_seq", *rows, "i15\t\t"]) + "\n"
    (folder / "tiny" / "tiny.item").write_text(text, encoding="utf-8")
    return folder


def train(folder: Path, model: str, **options) -> str:
    """The checkpoint of a model after an epoch on the data set in `folder`."""
    given = {**QUICK, "data_path": str(folder), "checkpoint_dir": str(folder / "saved"), "epochs": 1}
    return run(model, "tiny", config_dict={**given, **options})["checkpoint"]


def exported(folder: Path, model: str, name: str, images: Path | None = None) -> Path:
    """An exported folder of a model trained on the data set in `folder`."""
    return export(train(folder, model), folder / name, images=images)
