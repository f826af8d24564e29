"""The notebook of ``examples`` runs, and says what its stored outputs say."""

import re
import warnings
from pathlib import Path
from typing import Any

import nbclient
import nbformat

FOLDER = Path(__file__).resolve().parent.parent / "examples"
# What is measured differs from run to run.
MEASURED = re.compile(r"^\d+\.\d+ s$|, of time \d+\.\d%", re.MULTILINE)


def said(notebook: Any) -> list[str]:
    """What the cells print and give, without what is measured."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            if output.get("name") == "stderr":
                continue
            text = output.text if output.output_type == "stream" else output.data.get("text/plain", "")
            texts.append(MEASURED.sub("", text).strip())
    return texts


def figures(notebook: Any) -> int:
    return sum("image/png" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))


def test_notebook_runs_and_says_what_it_said() -> None:
    stored = nbformat.read(FOLDER / "price_impact.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(stored)
    run = nbformat.from_dict(stored)  # type: ignore[no-untyped-call]
    for cell in run.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the kernel's client warns of is its own
        nbclient.NotebookClient(run, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    assert said(run) == said(stored)
    assert figures(run) == figures(stored) == 2
    assert "10000 success" in "".join(said(run))
