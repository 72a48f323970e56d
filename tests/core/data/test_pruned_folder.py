import errno
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from prune_kit.data import load_examples
from prune_kit.data.pruned import RECORD, write_pruned
from prune_kit.errors import PruneKitError, StoreError


@pytest.fixture
def folder(tmp_path):
    source = tmp_path / "photos"
    for i, name in enumerate(["cats/1.png", "cats/more/2.JPG", "dogs/3.png", "emus/4.png"]):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (i, i, i)).save(path, "JPEG" if "JPG" in name else "PNG")
        os.utime(path, ns=(10**18, 10**18 + i))
    (source / "cats" / "notes.txt").write_text("no image")
    (source / "README.md").write_text("no image")
    return source


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_images_are_copied_byte_for_byte_with_their_times(folder, tmp_path):
    kept = ["emus/4.png", "cats/more/2.JPG", "dogs/3.png"]
    written = write_pruned(folder, tmp_path / "out", kept)
    assert files(tmp_path / "out") == sorted([str(RECORD), *kept])
    for name in kept:
        copy, original = tmp_path / "out" / name, folder / name
        assert copy.read_bytes() == original.read_bytes()
        assert copy.stat().st_mtime_ns == original.stat().st_mtime_ns
        assert copy.stat().st_ino != original.stat().st_ino
    assert written == (3, 3, sum((folder / name).stat().st_size for name in kept), ())


def test_images_are_linked_where_asked_for(folder, tmp_path):
    (folder / "dogs" / "aside.png").symlink_to("3.png")
    write_pruned(folder, tmp_path / "out", ["dogs/3.png", "dogs/aside.png"], link=True)
    for name in ("3.png", "aside.png"):
        linked = tmp_path / "out" / "dogs" / name
        assert linked.stat().st_ino == (folder / "dogs" / "3.png").stat().st_ino
        assert not linked.is_symlink()
    assert (folder / "dogs" / "3.png").stat().st_nlink == 3


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_links_that_are_impossible_are_an_error_and_never_copies(folder, tmp_path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(
        StoreError, match=r"3\.png cannot have a hard link.*Hint: .*leave the links out to copy"
    ):
        write_pruned(folder, tmp_path / "out", ["dogs/3.png"], link=True)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_links_onto_another_file_system(folder):
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == folder.stat().st_dev:
        pytest.skip("there is no second file system")
    name = f"prune-kit-test-{os.getpid()}"
    with pytest.raises(StoreError, match="cannot have a hard link"):
        write_pruned(folder, elsewhere / name, ["dogs/3.png"], link=True)
    assert not list(elsewhere.glob(f"*{name}*"))


def test_a_class_of_which_nothing_is_kept_has_no_folder_and_is_told(folder, tmp_path):
    written = write_pruned(folder, tmp_path / "out", ["dogs/3.png", "emus/4.png"])
    assert written.vanished == ("cats",)
    assert not (tmp_path / "out" / "cats").exists()
    assert load_examples(folder).labels.tolist() == [0, 0, 1, 2]
    assert load_examples(tmp_path / "out").labels.tolist() == [0, 1]


def test_an_image_that_cannot_be_read_is_told_and_leaves_nothing(folder, tmp_path, monkeypatch):
    def broken_disk(path, _):
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(shutil, "copy2", broken_disk)
    with pytest.raises(StoreError, match=r"cannot write .*out: .*Input/output error: .*photos/emus/4\.png"):
        write_pruned(folder, tmp_path / "out", ["emus/4.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_what_load_examples_refuses_is_refused(folder, tmp_path):
    (folder / "foxes").mkdir()
    with pytest.raises(StoreError, match="class folders without images: 'foxes'"):
        write_pruned(folder, tmp_path / "out", ["emus/4.png"])
    with pytest.raises(PruneKitError, match="neither Parquet files nor class folders"):
        write_pruned(folder / "foxes", tmp_path / "out", ["emus/4.png"])
