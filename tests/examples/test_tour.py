"""The notebook of the examples runs from its first cell to its last, and is kept with what its cells show."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "tour.ipynb"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(200)
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_the_tour_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="needs the extra [notebook]")
    nbclient = pytest.importorskip("nbclient", reason="needs the extra [notebook]")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=150, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = {cell["id"]: str(cell["outputs"]) for cell in notebook.cells if cell["cell_type"] == "code"}
    assert "8 trials" in shown["cell-1"]
    assert "accuracy on the test part" in shown["cell-7"]
    assert shown["cell-9"].count("is taken for a") == 5
    assert (tmp_path / "runs" / "tour-network" / "model.py").exists()
    assert "arches" in shown["cell-13"]


def test_it_is_kept_with_its_output_and_without_a_trace_of_who_ran_it():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] for cell in code)
    assert not any(cell["metadata"] for cell in cells)
    assert "/tmp/" not in json.dumps(cells)
