"""Scoring exported models needs no training framework, and reads graphs only where it has to."""

import subprocess
import sys

_PROGRAM = """
import sys
import numpy as np
import prune_kit_onnx as pko
assert not {"onnx", "pyarrow"} & set(sys.modules)
pko.score(sys.argv[1], (np.ones((3, 4), np.float32), np.arange(3)), scores=["el2n"], from_logits=True)
assert "onnx" not in sys.modules
pko.score(sys.argv[1], (np.ones((3, 4), np.float32), np.arange(3)), scores=["grand_last_layer"])
assert "onnx" in sys.modules
assert not {"torch", "tensorflow", "keras", "jax"} & set(sys.modules)
"""


def test_no_training_framework_is_loaded(linear, saved):
    words = [sys.executable, "-c", _PROGRAM, str(saved(linear()))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
