import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prune_kit.atomic_folder import atomic_folder
from prune_kit.errors import StoreError


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_the_folder_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "pruned"
    with atomic_folder(target) as aside:
        assert aside.parent == tmp_path
        assert aside.name.startswith(".")
        (aside / "a").mkdir()
        (aside / "a" / "x").write_bytes(b"new")
        assert not target.exists()
    assert (target / "a" / "x").read_bytes() == b"new"
    assert names(tmp_path) == ["pruned"]


def test_an_empty_folder_is_taken_and_a_link_to_one_stays_a_link(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    with atomic_folder(tmp_path / "link") as aside:
        (aside / "x").touch()
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "empty") == ["x"]
    assert names(tmp_path) == ["empty", "link"]


@pytest.mark.parametrize("failure", [RuntimeError("mine"), KeyboardInterrupt()])
def test_a_failure_passes_through_and_leaves_nothing(tmp_path, failure):
    def write_half():
        with atomic_folder(tmp_path / "pruned") as aside:
            (aside / "half").touch()
            raise failure

    with pytest.raises(type(failure)):
        write_half()
    assert names(tmp_path) == []


def test_a_full_disk_is_a_store_error_and_leaves_nothing(tmp_path):
    def write_half():
        with atomic_folder(tmp_path / "pruned") as aside:
            (aside / "half").touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(
        StoreError, match=r"cannot write .*pruned: .*No space left.*Hint: check the free space"
    ):
        write_half()
    assert names(tmp_path) == []


def test_every_file_and_folder_is_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync

    def record(handle):
        synced.append((os.path.realpath(f"/proc/self/fd/{handle}"), (tmp_path / "pruned").exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", record)
    with atomic_folder(tmp_path / "pruned") as aside:
        (aside / "a").mkdir()
        (aside / "a" / "x").touch()
    before = [path for path, there in synced if not there]
    assert sorted(before) == sorted(map(str, (aside, aside / "a", aside / "a" / "x")))
    assert [path for path, there in synced if there] == [str(tmp_path)]


def test_what_is_there_is_refused_and_untouched(tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "x").write_text("old")
    (tmp_path / "file").write_text("old")
    for path, message in [
        (taken, "the folder is there and not empty"),
        (tmp_path / "file", "it is a file"),
        (tmp_path / "none" / "pruned", "there is no folder .*none"),
    ]:
        with pytest.raises(StoreError, match=message), atomic_folder(path):
            pass
    assert (taken / "x").read_text() == (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file", "taken"]


def test_a_mount_point_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    (tmp_path / "mounted").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "mounted")
    with pytest.raises(StoreError, match=r"a file system is mounted.*such as .*mounted/pruned"):
        atomic_folder(tmp_path / "mounted").__enter__()
    assert names(tmp_path) == ["mounted"]


def test_who_comes_second_is_refused(tmp_path):
    with (
        pytest.raises(StoreError, match="cannot write .*pruned: .*not empty"),
        atomic_folder(tmp_path / "pruned"),
        atomic_folder(tmp_path / "pruned") as first,
    ):
        (first / "x").write_text("first")
    assert (tmp_path / "pruned" / "x").read_text() == "first"
    assert names(tmp_path) == ["pruned"]


def test_a_killed_writer_leaves_no_folder_of_that_name(tmp_path):
    program = (
        "import os, signal, sys\n"
        "from prune_kit.atomic_folder import atomic_folder\n"
        "with atomic_folder(sys.argv[1]) as aside:\n"
        "    (aside / 'half').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "pruned")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "pruned").exists()
