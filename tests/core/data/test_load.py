import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, StoreError

CIFAR10 = Path("/work/shared/data/cifar10/train.parquet")


@pytest.mark.parametrize("source", ["nowhere", "nowhere.parquet", "none/*.parquet"])
def test_what_is_not_there(tmp_path, source):
    with pytest.raises(StoreError, match=r"no file or folder .*Hint: give 'digits', a \.parquet"):
        load_examples(tmp_path / source)


def test_what_cannot_be_read(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(StoreError, match=r"x\.csv is not a kind of data that can be read"):
        load_examples(tmp_path / "x.csv")


def test_the_size_is_checked_first():
    with pytest.raises(PruneKitError, match="whole number of pixels, at least 1; got 0"):
        load_examples("digits", image_size=0)


def test_importing_it_is_light():
    program = (
        "import sys, prune_kit.data\n"
        "heavy = {'pyarrow', 'PIL', 'sklearn', 'pandas', 'torch'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR10.exists(), reason="CIFAR-10 is not on this machine")
def test_cifar10():
    examples = load_examples(CIFAR10)
    assert examples.inputs.shape == (50_000, 32, 32, 3)
    assert examples.class_names[:2] == ("airplane", "automobile")
    # Its README gives the channel means.
    np.testing.assert_allclose(
        examples.inputs.mean(axis=(0, 1, 2)) / 255, [0.4912, 0.4821, 0.4465], atol=1e-4
    )
