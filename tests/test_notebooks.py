"""What is committed of the notebooks. That they run, and what they show, is compared by nbval."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_small_and_holds_its_outputs_but_no_widgets(path: Path) -> None:
    assert path.stat().st_size < 100_000
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    assert "widgets" not in book.metadata
    run = [cell for cell in book.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in run] == list(range(1, len(run) + 1))


def test_there_are_notebooks() -> None:
    assert len(NOTEBOOKS) > 5
