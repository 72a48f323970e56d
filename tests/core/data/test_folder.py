import numpy as np
import pytest
from PIL import Image

from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, StoreError


def save(path, value, size=(4, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path)


def test_classes_are_folders_and_ids_are_paths(tmp_path):
    save(tmp_path / "dogs" / "2.png", 2)
    save(tmp_path / "dogs" / "1.PNG", 1)
    save(tmp_path / "cats" / "more" / "9.bmp", 9)
    save(tmp_path / "cats" / "z.png", 3, mode="L")
    (tmp_path / "cats" / "notes.txt").write_text("not an image")
    (tmp_path / "cats" / "._z.png").write_text("what macOS leaves")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "README.md").touch()
    examples = load_examples(tmp_path)
    assert examples.class_names == ("cats", "dogs")
    assert examples.ids.tolist() == ["cats/more/9.bmp", "cats/z.png", "dogs/1.PNG", "dogs/2.png"]
    assert examples.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(examples.inputs[:, 0, 0], [[9] * 3, [3] * 3, [1] * 3, [2] * 3])
    assert examples.inputs.shape == (4, 4, 4, 3)


def test_sizes_must_agree_or_be_given(tmp_path):
    save(tmp_path / "a" / "1.png", 1, size=(4, 4))
    save(tmp_path / "b" / "2.png", 2, size=(6, 5))
    with pytest.raises(
        PruneKitError, match=r"4 x 4 \(.*1\.png\) and 5 x 6 \(.*2\.png\)\. Hint: give image_size"
    ):
        load_examples(tmp_path)
    assert load_examples(tmp_path, image_size=3).inputs.shape == (2, 3, 3, 3)


def test_an_unreadable_image_is_named(tmp_path):
    save(tmp_path / "a" / "1.png", 1)
    (tmp_path / "a" / "2.png").write_bytes((tmp_path / "a" / "1.png").read_bytes()[:40])
    with pytest.raises(StoreError, match=r"cannot read the image .*a/2\.png"):
        load_examples(tmp_path)


def test_a_class_without_images_is_named(tmp_path):
    save(tmp_path / "a" / "1.png", 1)
    (tmp_path / "b").mkdir()
    with pytest.raises(StoreError, match="without images: 'b'"):
        load_examples(tmp_path)


def test_splits_are_not_classes(tmp_path):
    save(tmp_path / "train" / "a" / "1.png", 1)
    save(tmp_path / "test" / "a" / "2.png", 1)
    with pytest.raises(StoreError, match=r"holds splits \(test, train\), not classes"):
        load_examples(tmp_path)
    assert load_examples(tmp_path / "train").class_names == ("a",)


def test_an_empty_folder(tmp_path):
    with pytest.raises(StoreError, match="neither Parquet files nor class folders"):
        load_examples(tmp_path)


def test_options_that_do_not_apply(tmp_path):
    save(tmp_path / "a" / "1.png", 1)
    with pytest.raises(PruneKitError, match="`label_column` does not apply"):
        load_examples(tmp_path, label_column="label")
