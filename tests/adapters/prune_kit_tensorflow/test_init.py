import os
import subprocess
import sys

import prune_kit_tensorflow


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
