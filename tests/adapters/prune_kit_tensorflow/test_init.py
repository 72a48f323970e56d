import os
import subprocess
import sys

import pytest

import prune_kit_tensorflow
from prune_kit_tensorflow.quiet import without_notes


def test_everything_public_is_there():
    assert all(hasattr(prune_kit_tensorflow, name) for name in prune_kit_tensorflow.__all__)
    assert prune_kit_tensorflow.__all__ == sorted(prune_kit_tensorflow.__all__, key=_as_ruff_sorts)


def _as_ruff_sorts(name):
    """Constants, then classes, then functions."""
    return (not name.isupper(), not name[0].isupper(), name)


def test_keras_on_another_backend_is_told():
    done = subprocess.run(
        [sys.executable, "-c", "import prune_kit_tensorflow"],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "Keras must run on TensorFlow; its backend is numpy. Hint: set the environment variable" in last


def test_a_missing_extra_is_told():
    program = "import sys; sys.modules['tensorflow'] = None\nimport prune_kit_tensorflow"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "TensorFlow cannot be imported" in last
    assert 'pip install "prune-kit[tensorflow]"' in last


def test_importing_it_says_nothing():
    done = subprocess.run(
        [sys.executable, "-c", "import prune_kit_tensorflow"], capture_output=True, text=True, check=True
    )
    assert done.stdout == done.stderr == ""


def test_only_notes_are_held_back(capfd):
    with without_notes():
        os.write(2, b"port.cc:153] oneDNN custom operations are on. More.\nsomething else\n")
    os.write(2, b"after it\n")
    assert capfd.readouterr().err.splitlines() == ["something else", "after it"]


def fail_with(reason):
    with without_notes():
        os.write(2, reason)
        raise KeyError


def test_what_was_held_back_is_passed_on_after_an_error(capfd):
    with pytest.raises(KeyError):
        fail_with(b"the reason\n")
    assert capfd.readouterr().err == "the reason\n"
