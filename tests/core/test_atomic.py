import errno
import os
import resource
import signal
import subprocess
import sys

import pytest

from prune_kit.atomic import atomic_path
from prune_kit.errors import StoreError


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_the_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "kept.npy"
    with atomic_path(target) as aside:
        assert aside.parent == tmp_path
        assert aside.name.startswith(".")
        assert aside.suffix == ".npy"
        aside.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["kept.npy"]


@pytest.mark.parametrize("failure", [RuntimeError("mine"), KeyboardInterrupt()])
def test_a_failure_passes_through_and_leaves_what_was_there(tmp_path, failure):
    target = tmp_path / "kept.txt"
    target.write_text("old")

    def write_half():
        with atomic_path(target) as aside:
            aside.write_text("half of the n")
            raise failure

    with pytest.raises(type(failure)):
        write_half()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["kept.txt"]


def test_a_full_disk_is_a_store_error_and_leaves_what_was_there(tmp_path):
    target = tmp_path / "kept.txt"
    target.write_text("old")
    with (
        pytest.raises(StoreError, match=r"cannot write .*kept\.txt.*No space left") as caught,
        atomic_path(target),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "Hint: check the free space" in str(caught.value)
    assert target.read_text() == "old"


def test_a_file_over_the_size_limit_is_a_store_error(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))
    try:
        with pytest.raises(StoreError, match="File too large"), atomic_path(tmp_path / "big") as aside:
            aside.write_bytes(bytes(4096))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert names(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(StoreError, match="nothing was written"), atomic_path(tmp_path / "kept.txt"):
        pass
    assert names(tmp_path) == []


def test_the_folder_must_be_there(tmp_path):
    with (
        pytest.raises(StoreError, match=r"there is no folder .*nowhere"),
        atomic_path(tmp_path / "nowhere" / "x"),
    ):
        pass


def test_a_folder_is_not_replaced(tmp_path):
    with pytest.raises(StoreError, match="it is a folder"), atomic_path(tmp_path):
        pass


def test_a_killed_writer_leaves_what_was_there(tmp_path):
    target = tmp_path / "kept.txt"
    target.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from prune_kit.atomic import atomic_path\n"
        "with atomic_path(sys.argv[1]) as aside:\n"
        "    aside.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


def test_new_files_have_the_usual_permissions(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    with atomic_path(tmp_path / "atomic") as aside:
        aside.touch()
    assert (tmp_path / "atomic").stat().st_mode == usual.stat().st_mode
