"""Run notebooks and keep their outputs, without the state of widgets: ``python -m tests.notebooks notebooks/NAME.ipynb ...``."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def run(path: Path) -> None:
    """Run a notebook where it is, and write it with its outputs."""
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=600, resources={"metadata": {"path": path.parent}}).execute()
    book.metadata.pop("widgets", None)
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # when it was run
    nbformat.write(book, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        run(Path(name))
