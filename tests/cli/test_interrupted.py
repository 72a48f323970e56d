"""Killed at any moment, the same command goes on, and its scores are those of the uninterrupted one."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from prune_kit.store import Run

SCRIPT = Path(__file__).with_name("kill_repeatedly.py")
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
MODEL = """
import time, torch

class Slow(torch.nn.Sequential):
    '''With dropout and BatchNorm, whose random numbers and buffers must survive too.'''

    def __init__(self):
        super().__init__(
            torch.nn.Linear(8, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(),
            torch.nn.Dropout(0.2), torch.nn.Linear(32, 3)
        )

    def forward(self, x):
        time.sleep(0.002)
        return super().forward(x)
"""


@pytest.fixture
def slow(tmp_path, tiny, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text(MODEL)
    return "slow:Slow"


def command(model, out):
    words = ["score", "--framework", "torch", "--data", "tiny.npz", "--model", model, "--batch-size", "8"]
    words += ["--seeds", "3", "--epochs", "6", "--at-epochs", "0,2,4,6", "--save-checkpoints"]
    return [*words, "--score", "el2n,margin", "--out", out]


def prunekit(words, **options):
    program = [sys.executable, "-c", "from prune_kit_cli.main import cli; cli()", *words]
    return subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ONE_THREAD, **options
    )


def parts(path):
    run = Run.open(path)
    found = {}
    for place in run.parts():
        table = run.read_part(*place)
        found[place] = [(name, table[name].dtype, table[name].tobytes()) for name in table]
        found[place] += [table.ids.tobytes(), table.labels.tobytes()]
    return found


def checkpoints(path):
    return {file.relative_to(path): file.read_bytes() for file in sorted(Path(path).rglob("*.safetensors"))}


@pytest.mark.parametrize(
    ("save_seconds", "share"),
    [("0", "0.4"), ("1000", "0.55")],
    ids=["state saved at each epoch", "never saved"],
)
def test_killed_again_and_again_the_result_is_the_same_bit_for_bit(slow, save_seconds, share):
    killed = subprocess.run(
        [sys.executable, SCRIPT, share, save_seconds, *command(slow, "killed")],
        capture_output=True,
        text=True,
        env=ONE_THREAD,
        timeout=120,
        check=False,
    )
    assert killed.returncode == 0, killed.stderr
    kills, in_a_seed = map(int, killed.stdout.splitlines()[-1].split())
    assert kills >= 3
    if save_seconds == "0":
        assert in_a_seed >= 1
    assert parts("killed") == parts("whole")
    assert sorted(parts("killed")) == [(seed, epoch) for seed in range(3) for epoch in (0, 2, 4, 6)]
    assert checkpoints("killed") == checkpoints("whole")
    left = [file.name for file in Path("killed").rglob("*") if file.is_file()]
    assert sorted(set(left)) == [
        ".lock",
        *(f"epoch={epoch}.safetensors" for epoch in (0, 2, 4, 6)),
        "part-0.parquet",
        "run.json",
    ]


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_second_command_on_the_same_run_is_refused_and_the_first_finishes(slow):
    first = prunekit(command(slow, "run"))
    wait_for(Path("run/run.json").exists, first)
    first.send_signal(signal.SIGSTOP)  # so that it cannot finish meanwhile
    second = prunekit(command(slow, "run"))
    out, errors = second.communicate(timeout=60)
    assert second.returncode == 1
    assert errors == (
        "Error: another command is writing to run. Hint: wait until it ends, or give another --out\n"
    )
    assert out == "run directory: run\n"
    first.send_signal(signal.SIGCONT)
    out, errors = first.communicate(timeout=60)
    assert first.returncode == 0, errors
    assert len(Run.open("run").parts()) == 12


def test_an_interrupt_says_how_to_go_on(slow):
    words = command(slow, "run")
    words[words.index("--epochs") + 1] = "600"
    words[words.index("--at-epochs") + 1] = "0,600"
    process = prunekit(words)
    wait_for(lambda: any(Path("run").rglob("*.parquet")), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.strip() == "Error: interrupted; the same command goes on where this one stopped."
    assert not list(Path("run").rglob(".tmp-*"))


def test_off_a_terminal_there_is_no_progress_bar(slow):
    process = prunekit(command(slow, "run"))
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert all(line.startswith("Warning: ") for line in errors.splitlines())
    assert "\r" not in out + errors


def test_at_a_terminal_there_is_one(slow):
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-c", "from prune_kit_cli.main import cli; cli()", *command(slow, "run"), "--json"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=ONE_THREAD,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    text = shown.decode()
    assert process.returncode == 0, text
    assert out.count(b"\n") == 1
    frames = re.split(r"[\r\n]+", text)
    assert any("seed 1 of 3, epoch 1 of 6" in frame for frame in frames)
    assert any("100%" in frame and "seed 3 of 3, epoch 6 of 6" in frame for frame in frames)
    assert "Traceback" not in text


def test_a_part_is_what_the_seed_alone_makes_it(slow, tmp_path):
    """Whichever other seeds and epochs are asked for."""
    words = command(slow, "alone")
    words[words.index("--seeds") + 1] = "2,"
    words[words.index("--at-epochs") + 1] = "4"
    for each in (command(slow, "run"), words):
        process = prunekit(each)
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert parts("alone") == {(2, 4): parts("run")[2, 4]}
    assert np.isfinite(Run.open("alone").read_part(2, 4)["el2n"]).all()
