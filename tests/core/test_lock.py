import signal
import subprocess
import sys

import pytest

from prune_kit.errors import RunConflictError, StoreError
from prune_kit.lock import exclusive_lock

HOLD = """
import sys, time
from pathlib import Path
from prune_kit.lock import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    path = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunConflictError, match="another command is writing to") as caught:
            exclusive_lock(path).__enter__()
        assert str(tmp_path) in str(caught.value)
        assert "Hint: wait until it ends" in str(caught.value)
        assert holder.poll() is None
        holder.send_signal(signal.SIGKILL)
        assert holder.wait() == -signal.SIGKILL
    with exclusive_lock(path):
        pass


def test_it_is_given_back_when_the_block_ends(tmp_path):
    for _ in range(2):
        with exclusive_lock(tmp_path / ".lock"), pytest.raises(RunConflictError):
            exclusive_lock(tmp_path / ".lock").__enter__()


def test_it_is_given_back_when_the_block_fails(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), exclusive_lock(tmp_path / ".lock"):
        raise RuntimeError("mine")
    with exclusive_lock(tmp_path / ".lock"):
        pass


def test_a_file_that_cannot_be_made_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match=r"none/\.lock cannot be made: No such file or directory"):
        exclusive_lock(tmp_path / "none" / ".lock").__enter__()
