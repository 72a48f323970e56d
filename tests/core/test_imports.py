"""What `import prune_kit` loads: NumPy, and nothing that a user of the core might not want or have."""

import json
import subprocess
import sys

import pytest

HEAVY = (
    "PIL",
    "click",
    "cupy",
    "dask",
    "jax",
    "keras",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "pandas",
    "prune_kit_cli",
    "prune_kit_onnx",
    "prune_kit_tensorflow",
    "prune_kit_torch",
    "pyarrow",
    "safetensors",
    "scipy",
    "sklearn",
    "tensorflow",
    "torch",
    "tqdm",
)


def loaded_by(statement):
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_list_is_of_things_that_can_be_seen():
    """A misspelt name would never be found."""
    assert {"click", "pyarrow"} <= loaded_by("import click, pyarrow")


@pytest.mark.parametrize(
    "statement",
    [
        "import prune_kit",
        "import prune_kit.saved_logits",
        "import prune_kit.data",
        "import numpy, prune_kit; prune_kit.el2n(numpy.eye(3), numpy.arange(3))",
        "import numpy, prune_kit; prune_kit.keep_hardest(numpy.arange(9.0), fraction=0.5)",
        "import numpy, prune_kit; prune_kit.ScoreTable([1], [0], {'el2n': numpy.ones(1)})",
    ],
)
def test_the_core_loads_no_framework(statement):
    assert loaded_by(statement) & set(HEAVY) == set()


def test_the_command_loads_a_framework_only_when_it_is_used():
    loaded = loaded_by("from prune_kit_cli.main import cli")
    assert "click" in loaded
    assert loaded & {"torch", "tensorflow", "jax", "onnxruntime", "sklearn", "pandas", "scipy"} == set()


def test_help_loads_no_framework():
    loaded = loaded_by(
        "from prune_kit_cli.main import cli\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    cli(['score', '--help'], standalone_mode=False)"
    )
    assert loaded & {"torch", "tensorflow", "jax", "onnxruntime"} == set()


@pytest.mark.parametrize("adapter", ["torch", "tensorflow", "onnx"])
def test_the_adapter_of_one_framework_loads_no_other(adapter):
    packages = {"torch": {"torch"}, "tensorflow": {"tensorflow", "keras"}, "onnx": {"onnxruntime", "onnx"}}
    others = set().union(*(names for name, names in packages.items() if name != adapter))
    assert loaded_by(f"import prune_kit_{adapter}") & {*others, "click"} == set()
