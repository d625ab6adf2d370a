"""The notebooks run in Jupyter's kernel, and are what the chapters say. `make test-notebooks`."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

ROOT = Path(__file__).parents[2]
SOLUTIONS = ROOT / "tests" / "tour" / "solutions"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(path, folder):
    """(source, what it printed) of each code cell; at the end once more the exercise, solved."""
    notebook = nbformat.read(path, as_version=4)
    (stub,) = (cell for cell in notebook.cells if cell.source.startswith("%%writefile"))
    (check,) = (cell for cell in notebook.cells if "sys.executable" in cell.source)
    solution = (SOLUTIONS / path.with_suffix(".py").name).read_text()
    solved = stub.source.partition("\n")[0] + "\n" + solution
    notebook.cells += [new_code_cell(solved), new_code_cell(check.source)]
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()
    return [
        (cell.source, "".join(output.get("text", "") for output in cell.outputs))
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(autouse=True)
def _the_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_notebooks_are_those_of_the_chapters():
    command = [sys.executable, ROOT / "notebooks" / "make.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert len(NOTEBOOKS) >= 3


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_exercise_is_solved(path, tmp_path):
    cells = run(path, tmp_path)
    opened, solved = (out for source, out in cells if "sys.executable" in source)
    assert "not done yet" in opened
    assert ": solved" in solved
    examples = [(source, out) for source, out in cells if "print(" in source and "  # " in source]
    assert examples
    for source, out in examples[:1]:
        for line in source.splitlines():
            if line.startswith("print("):
                assert line.partition("  # ")[2] in out
