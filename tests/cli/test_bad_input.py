"""Whatever is wrong with what `score` is given: one clear line, exit code 1 or 2, nothing lost."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from prune_kit.store import Run
from prune_kit.table import ScoreTable

ARRAYS = ("score", "--framework", "arrays", "--logits", "seed*.npy", "--labels", "labels.npy", "--out", "run")
TORCH = ("score", "--framework", "torch", "--seeds", "1", "--epochs", "1", "--out", "run")
TINY = (*TORCH, "--data", "tiny.npz")


def error(result):
    """The one line that was said."""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


def npy(array, allow_pickle=False):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=allow_pickle)
    return buffer.getvalue()


def with_value(value):
    logits = np.zeros((60, 4), np.float32)
    logits[7, 1] = value
    return logits


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("seed1.npy", npy(with_value(np.nan)), "seed1.npy: `logits` must be finite; got NaN in row 7"),
        (
            "seed1.npy",
            npy(with_value(np.inf)),
            "seed1.npy: `logits` must be finite; got an infinity in row 7",
        ),
        (
            "seed1.npy",
            npy(with_value(np.inf).astype(np.float16)),
            "Hint: float16 overflows above 65504: compute and save `logits` in float32",
        ),
        (
            "labels.npy",
            npy(np.arange(60) % 5),
            "`labels` must lie in 0 ... 3, the columns of `logits`; got 4",
        ),
        ("labels.npy", npy(np.arange(59) % 4), "seed0.npy has 60 rows of logits, labels.npy has 59 labels"),
        ("seed2.npy", npy(np.zeros((59, 4))), "seed2.npy has 59 rows of logits, labels.npy has 60 labels"),
        ("seed1.npy", npy(with_value(0))[:-100], "seed1.npy is not a readable NumPy file"),
        ("seed1.npy", npy(np.array([{}]), True), "are never unpickled"),
        ("ids.npy", npy(np.arange(60) // 2), "`ids` must name each example once; 0, 1, 2, 3, 4 and 25 more"),
        ("ids.npy", npy(np.arange(59)), "`ids` must have shape (60,), one per example; got (59,)"),
    ],
)
def test_bad_arrays(prunekit, logits, file, content, said):
    ids = ("--ids", "ids.npy") if file == "ids.npy" else ()
    before = Path(file).read_bytes() if Path(file).exists() else npy(np.arange(60))
    Path(file).write_bytes(content)
    assert said in error(prunekit(*ARRAYS, *ids, code=1))
    # Mended, the same command goes on with the same directory.
    Path(file).write_bytes(before)
    prunekit(*ARRAYS, *ids)
    assert Run.open("run").parts() == [(0, 0), (1, 0), (2, 0)]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((*TORCH, "--score", "el3n"), 1, "`scores` must be among el2n, "),
        ((*TORCH, "--score", ""), 1, "`scores` must be among"),
        ((*TORCH, "--seeds", "0"), 2, "must be 1 or more"),
        ((*TORCH, "--seeds", "two"), 2, "'two' must be whole numbers such as"),
        ((*TORCH, "--seeds", "3-1"), 2, "3-1 ends before it begins"),
        ((*TORCH, "--seeds", "1,1"), 1, "`seeds` must name each seed once"),
        ((*TORCH, "--epochs", "-1"), 2, "-1 is not in the range x>=0"),
        ((*TORCH, "--at-epochs", "2"), 1, "from 0 (initialisation) to `epochs`, 1; got [2]"),
        ((*TORCH, "--at-epochs", "x"), 2, "'x' must be whole numbers"),
        ((*TORCH, "--batch-size", "0"), 2, "0 is not in the range x>=1"),
        ((*TORCH, "--learning-rate", "0"), 2, "is not in the range x>0"),
        ((*TORCH, "--learning-rate", "fast"), 2, "'fast' is not a valid float"),
        ((*TORCH, "--learning-rate", "nan"), 1, "`learning_rate` must be a finite number"),
        ((*TORCH, "--weight-decay", "-1"), 2, "is not in the range x>=0"),
        ((*TORCH, "--augmentation", "flip"), 2, "'flip' is not one of"),
        ((*TORCH, "--precision", "float8"), 2, "'float8' is not one of"),
        ((*TORCH, "--device", "gpu"), 1, "`device` must be cpu, cuda or cuda:N; got 'gpu'"),
        ((*TORCH, "--device", "cuda:99"), 1, "cannot be had: PyTorch sees"),
        ((*TORCH, "--data", "none.npz"), 1, "there is no file or folder none.npz"),
        ((*TORCH, "--data", "digits:some"), 1, "the digits have the parts train, test and all"),
        ((*TORCH, "--label-column", "y"), 1, "does not apply to digits"),
        (
            (*TORCH, "--model", "resnet19"),
            1,
            "there is no built-in model 'resnet19'; the models are small-cnn",
        ),
        (
            (*TORCH, "--logits", "a.npy"),
            2,
            "--logits: only with --framework arrays",
        ),
        (
            (*TORCH, "--checkpoint", "none*.pt"),
            2,
            "--seeds, --epochs: not with --checkpoint: nothing is trained",
        ),
        (
            ("score", "--framework", "torch", "--checkpoint", "none*.pt"),
            1,
            "none*.pt: no file has such a name",
        ),
        (
            ("score", "--framework", "torch", "--checkpoint", "none.pt", "--at-epochs", "1"),
            1,
            "no checkpoint none",
        ),
        (
            ("score", "--framework", "torch", "--checkpoint", "x.pt", "--at-epochs", "1,2"),
            2,
            "the one epoch that",
        ),
        (("score", "--framework", "arrays"), 2, "--framework arrays needs --logits"),
        ((*ARRAYS, "--model", "mlp"), 2, "--model: not with --framework arrays, whose logits exist"),
        ((*ARRAYS, "--at-epochs", "1,2"), 2, "--at-epochs must be the one epoch that the logits are from"),
        ((*ARRAYS, "--logits", "none*.npy"), 1, "--logits none*.npy: no file has such a name"),
        (("score", "--framework", "arrays", "--logits", "seed0.npy"), 1, "labels must be given"),
        ((*ARRAYS[:-1], "labels.npy"), 2, "'labels.npy' is a file"),
        ((*ARRAYS[:-1], "labels.npy/run"), 1, "cannot be made: Not a directory"),
        ((*ARRAYS[:-1], "."), 1, "exists and is not a run directory; nothing in it was touched"),
        ((*ARRAYS, "--score", "grand_last_layer"), 1, "must have `features`"),
    ],
)
def test_bad_options(prunekit, logits, words, code, said):
    result = prunekit(*words, code=code)
    assert said in result.stderr
    if code == 1:
        error(result)
    assert not list(Path().rglob("*.parquet"))


MODULES = {
    "syntax": "def (",
    "raises": "raise KeyError('what I need')",
    "leaves": "import sys\nsys.exit(0)",
    "depends": "import a_package_that_is_not_there",
    "cyclic": "from cyclic import later",
    "things": (
        "import torch\n"
        "from torch import nn\n"
        "number = 3\n"
        "def few(): return nn.Linear(8, 2)\n"
        "def wide(): return nn.Linear(9, 3)\n"
        "def flat(): return nn.Sequential(nn.Linear(8, 1), nn.Flatten(0))\n"
        "def short():\n"
        "    class Short(nn.Linear):\n"
        "        def forward(self, x): return super().forward(x)[1:]\n"
        "    return Short(8, 3)\n"
        "def needs(size): return nn.Linear(size, 3)\n"
        "def fails(): raise ValueError('my own mistake')\n"
        "def text(): return 'a model'\n"
        "def empty(): return nn.Flatten()\n"
    ),
}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("nowhere:make", "--model nowhere:make: the module nowhere cannot be found"),
        ("nowhere.deep:make", "--model nowhere.deep:make: the module nowhere cannot be found"),
        ("depends:make", "the module a_package_that_is_not_there cannot be found"),
        ("syntax:make", "the module does not import: SyntaxError: invalid syntax (syntax.py, line 1)"),
        ("raises:make", "the module does not import: KeyError: 'what I need' ("),
        ("leaves:make", "the module does not import: SystemExit: 0 ("),
        ("cyclic:make", "the module does not import: ImportError: cannot import name 'later'"),
        ("things:make", "there is no make; there are: torch, nn, number, few"),
        ("things:number", "must be a class or function that makes a model; got int"),
        ("things:text", "must return a torch.nn.Module; got str"),
        ("things:needs", "calling it fails: TypeError: needs() missing 1 required positional argument"),
        ("things:fails", "things.py, line 12)"),
        ("things:empty", "the model must have parameters; Flatten has none"),
        ("things:few", "the model gives 2 classes, so that labels must lie in 0 ... 1; got 2"),
        (
            "things:wide",
            "the model cannot take the data, float32 of shape (2, 8): RuntimeError: mat1 and mat2",
        ),
        ("things:flat", "the model must give logits of shape (batch, classes); got shape (2,)"),
        ("things:short", "the model gave 1 rows of logits for 2 labels"),
    ],
)
@pytest.mark.parametrize("epochs", ["0", "1"])
def test_models_that_cannot_be_used(prunekit, tiny, tmp_path, model, said, epochs):
    """Whether they are found out by scoring or by training."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    result = prunekit(
        *TINY[:5], "--epochs", epochs, "--at-epochs", epochs, *TINY[7:], "--model", model, code=1
    )
    assert said in error(result)
    assert not list(Path().rglob("*.parquet"))
    # Nothing stands in the way of the right one.
    prunekit(*TINY[:5], "--epochs", epochs, "--at-epochs", epochs, *TINY[7:], "--model", "mlp")


def test_data_of_the_users_that_fails(prunekit, tmp_path):
    (tmp_path / "source.py").write_text("def load():\n    raise OSError('no such bucket')\nnumber = 3\n")
    line = error(prunekit(*TORCH, "--data", "source:load", code=1))
    assert "--data source:load: calling it fails: OSError: no such bucket (" in line
    assert line.endswith("source.py, line 2).")
    assert "`data` must be a Dataset with a length" in error(
        prunekit(*TORCH, "--data", "source:number", code=1)
    )


def test_training_that_diverges_names_the_seed_and_the_epoch(prunekit, tiny):
    words = ("score", "--framework", "torch", "--data", "tiny.npz", "--batch-size", "16", "--out", "run")
    words = (*words, "--seeds", "3-4", "--epochs", "3", "--at-epochs", "0,3")
    line = error(prunekit(*words, "--learning-rate", "1e6", code=1))
    assert "seed 3, epoch 3" in line
    assert "must be finite" in line
    assert Run.open("run").parts() == [(3, 0)]


def test_a_damaged_part_is_named_and_others_stay(prunekit, logits):
    prunekit(*ARRAYS)
    part = Path("run/scores/seed=1/epoch=0/part-0.parquet")
    whole = part.read_bytes()
    part.write_bytes(whole[:-50])
    for words in (("aggregate", "run", "--out", "s.parquet"), ("info", "run"), ARRAYS):
        line = error(prunekit(*words, code=1))
        assert "run/scores/seed=1/epoch=0/part-0.parquet is not a readable Parquet file" in line
    assert not Path("s.parquet").exists()
    part.unlink()
    prunekit(*ARRAYS)
    assert part.read_bytes() == whole


def test_ids_that_differ_between_parts(prunekit, logits):
    prunekit(*ARRAYS)
    run = Run.open("run")
    part = run.read_part(1, 0)
    run.write_part(1, 0, part.take(np.arange(58)))
    line = error(prunekit("aggregate", "run", "--out", "s.parquet", code=1))
    assert "every seed must score the same ids; 2 are missing from run, seed 1, epoch 0: 58, 59" in line
    run.write_part(1, 0, ScoreTable(part.ids, part.labels[::-1], part.columns))
    assert "labels differ" in error(prunekit("aggregate", "run", "--out", "s.parquet", code=1))


def test_a_part_with_an_id_twice(prunekit, logits):
    import pyarrow as pa
    import pyarrow.parquet as pq

    prunekit(*ARRAYS)
    path = Run.open("run").part_path(1, 0)
    table = pq.ParquetFile(path).read()
    pq.write_table(pa.concat_tables([table, table.slice(3, 1)]), path)
    line = error(prunekit("aggregate", "run", "--out", "s.parquet", code=1))
    assert "seed=1/epoch=0/part-0.parquet: `ids` must name each example once; 3 occur" in line


def test_a_damaged_run_json(prunekit, logits):
    prunekit(*ARRAYS)
    for content in ("{", "[]", '{"format": 9}', '{"format": 1}'):
        Path("run/run.json").write_text(content)
        for words in (("aggregate", "run", "--out", "s.parquet"), ("info", "run"), ARRAYS):
            assert "run/run.json" in error(prunekit(*words, code=1))
    assert len(list(Path("run").rglob("*.parquet"))) == 3


def test_a_damaged_resume_file_says_what_to_do(prunekit, tiny):
    prunekit(*TINY)
    Path("run/resume").mkdir(exist_ok=True)
    Path("run/resume/seed=0.pt").write_bytes(b"half a file")
    shutil.rmtree("run/scores/seed=0")
    assert "Hint: delete it: the seed is then trained from its beginning" in error(prunekit(*TINY, code=1))


def test_checkpoints_that_do_not_fit(prunekit, tiny, tmp_path):
    import torch

    words = ("score", "--framework", "torch", "--data", "tiny.npz", "--out", "run", "--at-epochs", "1")
    torch.save({"0.weight": torch.zeros(3, 3)}, tmp_path / "other.pt")
    assert "other.pt does not fit the model: " in error(prunekit(*words, "--checkpoint", "other.pt", code=1))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    line = error(prunekit(*words, "--checkpoint", "whole.pt", code=1))
    assert "holds more than tensors and plain values; it is not unpickled" in line
    for name, said in (
        ("cut.pt", "is damaged, or holds"),
        ("cut.safetensors", "is not a readable checkpoint"),
    ):
        (tmp_path / name).write_bytes(b"\x10\0\0\0\0\0\0\0{")
        assert f"{name} {said}" in error(prunekit(*words, "--checkpoint", name, code=1))
