"""Runs the notebook docs/tutorial.ipynb and writes it down as the page docs/tutorial.md.

    python docs/tutorial.py

Run it after a change of the notebook; it takes a minute.  A test runs the notebook, another one fails where
the page is not what the notebook holds.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbconvert.preprocessors import CoalesceStreamsPreprocessor
from nbformat import NotebookNode

HERE = Path(__file__).resolve().parent
NOTEBOOK, PAGE = HERE / "tutorial.ipynb", HERE / "tutorial.md"
PATIENCE = 600  # seconds for a cell on a busy machine


def read() -> NotebookNode:
    """The notebook as it is kept."""
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run all cells in `folder`, with this Python and its commands; nbclient's CellExecutionError where one
    fails."""
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
        cell.get("outputs", [])[:] = [one for one in cell.get("outputs", []) if one.get("name") != "stderr"]
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = output["text"].replace("\r\n", "\n")  # a command's, of a terminal
    CoalesceStreamsPreprocessor().preprocess(notebook, {})  # what was printed in pieces


def page(notebook: NotebookNode) -> str:
    """The notebook as Markdown: cells, and what they printed below them."""
    text = MarkdownExporter().from_notebook_node(notebook)[0]
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


if __name__ == "__main__":
    kept = read()
    with tempfile.TemporaryDirectory() as folder:
        execute(kept, Path(folder))
    nbformat.write(kept, NOTEBOOK)
    PAGE.write_text(page(kept), encoding="utf-8")
    print(PAGE)
