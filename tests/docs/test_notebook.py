"""The example notebook runs as it stands, in the interpreter of the tests, and shows what it says."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "digits.ipynb"
# In a process of its own: the client leaves sockets to the garbage collector.
EXECUTE = """
import sys
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
# Without folders to look in, the kernel is this interpreter's, whatever else is installed.
kernel = AsyncKernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
assert kernel.kernel_spec.argv[0] == sys.executable
NotebookClient(notebook, km=kernel, timeout=300).execute()
nbformat.write(notebook, sys.argv[2])
"""


def outputs(notebook, kind):
    return [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type in ("execute_result", "display_data") and kind in output.data
    ]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook with its outputs."""
    folder = tmp_path_factory.mktemp("notebook")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK), str(folder / "executed.ipynb")],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / "executed.ipynb", as_version=4)


def test_it_is_stored_without_outputs():
    """They would change with every run, and say nothing that running it does not."""
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert len(cells) >= 5
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


def test_it_runs_without_a_word_on_stderr(executed):
    said = [output for cell in executed.cells for output in cell.get("outputs", ())]
    assert [output for output in said if output.get("name") == "stderr"] == []


def test_it_shows_figures_tables_and_flags(executed):
    assert len(outputs(executed, "image/png")) == 3
    html = outputs(executed, "text/html")
    assert [re.search(r"<b>(\w+)</b>", each)[1] for each in html] == [
        "ScoreTable",
        "ScoreTable",
        "NoiseFlags",
    ]
    assert all("<script" not in each for each in html)


def test_the_changed_labels_are_found(executed):
    (told,) = [each for each in outputs(executed, "text/plain") if "of the 10 changed" in each]
    assert int(re.match(r"'(\d+)", told)[1]) >= 8
