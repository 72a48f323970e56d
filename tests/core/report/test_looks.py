"""What examples look like, and what is said of those that are not there or cannot be read."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from prune_kit.data import Examples
from prune_kit.errors import PruneKitError, StoreError
from prune_kit.report import thumbnails
from prune_kit.report.looks import looks_at

RNG = np.random.default_rng(0)


def png(value, size=(6, 4)):
    written = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(written, "PNG")
    return written.getvalue()


def test_images_of_a_parquet_file_in_the_order_of_the_ids(tmp_path):
    rows = [{"bytes": png(10 * i), "path": None} for i in range(5)]
    rows[1], rows[3] = None, {"bytes": b"broken", "path": None}
    table = pa.table({"image": rows, "label": [0, 1, 0, 1, 0]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    looks = looks_at(tmp_path / "a.parquet", np.array([4, 3, 1, 0, 9]))
    assert [look.kind for look in looks] == ["image", "unreadable", "missing", "image", "missing"]
    assert looks[0].image.shape == (4, 6, 3)
    assert looks[0].image[0, 0].tolist() == [40, 0, 0]
    assert "row 3" in looks[1].text
    assert looks[4].text == "the data has no example of this id"


def test_a_first_image_that_cannot_be_read_does_not_stop_the_others(tmp_path):
    table = pa.table({"image": [b"broken", png(7)], "label": [0, 1], "id": ["a", "b"]})
    pq.write_table(table, tmp_path / "a.parquet")
    looks = looks_at(tmp_path / "a.parquet", np.array(["b", "a"]))
    assert [look.kind for look in looks] == ["image", "unreadable"]


def test_texts_of_several_files_and_columns(tmp_path):
    for part, texts in enumerate((["one", None], ["three", "x" * 3000])):
        columns = {"premise": texts, "hypothesis": ["h"] * 2, "label": [0, 1], "input_ids": [[1], [2]]}
        pq.write_table(pa.table(columns), tmp_path / f"{part}.parquet")
    looks = looks_at(tmp_path, np.array([3, 0, 1]))
    assert {look.kind for look in looks} == {"text"}
    assert looks[0].text.endswith("x… (3,023 characters)")
    assert looks[1].text == "premise: one\nhypothesis: h"
    assert looks[2].text == "hypothesis: h"


def test_a_column_of_text_alone_is_shown_whatever_its_name(tmp_path):
    pq.write_table(pa.table({"words": ["a", None], "label": [0, 1]}), tmp_path / "a.parquet")
    looks = looks_at(tmp_path / "a.parquet", np.array([0, 1]))
    assert (looks[0].kind, looks[0].text) == ("text", "a")
    assert looks[1].kind == "missing"


def test_columns_of_numbers_are_rows_with_their_names(tmp_path):
    table = pa.table({"age": [31.0, 62.5], "height": [1.7, 1.8], "name": ["a", "b"], "label": [0, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    (look,) = looks_at(tmp_path / "a.parquet", np.array([1]))
    assert look.row == [("age", "62.5"), ("height", "1.8")]


def test_arrays_are_images_rows_or_lines_by_their_shape(tmp_path):
    for inputs, kind in (
        (RNG.integers(0, 255, (3, 8, 8, 3), dtype=np.uint8), "image"),
        (RNG.random((3, 8, 8, 1)).astype(np.float32), "image"),
        (RNG.random((3, 7)).astype(np.float32), "row"),
        (RNG.random((3, 500)).astype(np.float32), "lines"),
        (RNG.random((3, 20, 2)).astype(np.float32), "lines"),
    ):
        np.savez(tmp_path / "a.npz", x=inputs, y=np.zeros(3, np.int64), ids=np.array([5, 6, 7]))
        look, absent = looks_at(tmp_path / "a.npz", np.array([6, 99]))
        assert (look.kind, absent.kind) == (kind, "missing")
        if kind == "lines":
            series = inputs[1].reshape(len(inputs[1]), -1)
            assert len(look.lines) == series.shape[1]
            assert look.lines[0][0] == pytest.approx(series[0, 0], rel=1e-3)
            assert look.lines[0][-1] == pytest.approx(series[-1, 0], rel=1e-3)
            assert len(look.lines[0]) <= 200


def test_numbers_as_an_image_reach_from_black_to_white():
    values = np.array([[[-1.0], [0.0]], [[0.5], [1.0]]], np.float32)
    assert thumbnails.as_image(values)[..., 0].tolist() == [[0, 128], [191, 255]]
    assert thumbnails.as_image(np.zeros((2, 2, 1), np.float32)).max() == 0


def test_files_of_a_folder_are_found_by_path_and_none_outside_of_it(tmp_path):
    folder = tmp_path / "images"
    for name in ("cat/a.png", "dog/b.png", "cat/broken.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(9) if "broken" not in name else b"broken")
    (tmp_path / "secret.png").write_bytes(png(1))
    ids = np.array(["dog/b.png", "../secret.png", "cat/gone.png", "cat/broken.png"])
    looks = looks_at(folder, ids)
    assert [look.kind for look in looks] == ["image", "missing", "missing", "unreadable"]


def test_large_images_become_small_and_all_together_fit():
    examples = Examples(
        RNG.integers(0, 255, (2, 300, 150, 3), dtype=np.uint8),
        np.zeros(2, np.int64),
        np.arange(2),
        None,
        "noise",
    )
    images = [look.image for look in looks_at(examples, np.arange(2))]
    assert [image.shape for image in images] == [(96, 48, 3)] * 2
    uris = thumbnails.data_uris(images)
    assert all(uri.startswith("data:image/webp;base64,") for uri in uris)


def test_thumbnails_that_are_too_many_are_made_smaller(monkeypatch):
    images = [RNG.integers(0, 255, (90, 90, 3), dtype=np.uint8) for _ in range(8)]
    before = sum(map(len, thumbnails.data_uris(images)))
    monkeypatch.setattr(thumbnails, "MOST_BYTES", before // 4)
    assert sum(map(len, thumbnails.data_uris(images))) * 3 / 4 <= before // 4 + 400


def test_data_of_other_ids_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=RNG.random((3, 7)).astype(np.float32), y=np.zeros(3, np.int64))
    with pytest.raises(PruneKitError, match="a.npz has none of the examples that were scored"):
        looks_at(tmp_path / "a.npz", np.array([7, 8]))
    with pytest.raises(PruneKitError, match="are integers; got strings"):
        looks_at(tmp_path / "a.npz", np.array(["7", "8"]))
    with pytest.raises(StoreError, match="there is no file or folder"):
        looks_at(tmp_path / "b.npz", np.array([0]))
