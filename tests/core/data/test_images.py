import builtins
import io

import numpy as np
import pytest
from PIL import Image

from prune_kit.data.images import (
    check_image_size,
    decode_images,
    decoding_threads,
    resize_images,
    stack_images,
)
from prune_kit.errors import MissingExtraError, PruneKitError, StoreError

RGB = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)


def encode(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(image, kind="PNG", image_size=None, **options):
    (decoded,) = decode_images([encode(image, kind, **options)], ["x"], image_size)
    return decoded


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_pixels_are_those_that_were_saved(kind):
    np.testing.assert_array_equal(decode(Image.fromarray(RGB), kind), RGB)
    grey = RGB[..., 0]
    np.testing.assert_array_equal(decode(Image.fromarray(grey), kind), grey[..., None])


def test_transparency_and_palettes_become_rgb():
    rgba = np.dstack([RGB, np.full((8, 6), 9, dtype=np.uint8)])
    np.testing.assert_array_equal(decode(Image.fromarray(rgba)), RGB)
    np.testing.assert_array_equal(decode(Image.fromarray(rgba[..., 2:]).convert("LA")), RGB[..., 2:])
    palette = Image.fromarray(RGB).quantize(64)
    np.testing.assert_array_equal(decode(palette), np.asarray(palette.convert("RGB")))


def test_black_and_white_is_grey():
    bits = RGB[..., 0] > 128
    np.testing.assert_array_equal(decode(Image.fromarray(bits)), np.where(bits, 255, 0)[..., None])


def test_photos_are_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    turned = decode(Image.fromarray(RGB), exif=exif.tobytes())
    np.testing.assert_array_equal(turned, np.rot90(RGB, -1))


def test_grey_among_rgb_becomes_rgb():
    images = [RGB, RGB[..., :1]]
    stacked = stack_images(images, ["a", "b"], "here")
    assert stacked.shape == (2, 8, 6, 3)
    np.testing.assert_array_equal(stacked[1], np.repeat(RGB[..., :1], 3, axis=2))
    assert stack_images([RGB[..., :1]], ["b"], "here").shape == (1, 8, 6, 1)


def test_the_centre_is_cut_out():
    wide = np.zeros((4, 12, 3), dtype=np.uint8)
    wide[:, 4:8] = 200
    assert (decode(Image.fromarray(wide), image_size=4) == 200).all()
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    halved = decode(Image.fromarray(tall), image_size=2)
    assert halved.shape == (2, 2, 3)
    assert (halved > 150).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_are_resized_as_files_are(channels):
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 6, channels), dtype=np.uint8)
    resized = resize_images(images, 4)
    assert resized.shape == (3, 4, 4, channels)
    if channels < 4:
        for image, small in zip(images, resized, strict=True):
            pillow = Image.fromarray(image[..., 0] if channels == 1 else image)
            np.testing.assert_array_equal(small, decode(pillow, image_size=4))


def test_only_large_images_are_worth_threads(tmp_path, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    noise = np.random.default_rng(2).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    large, small = encode(Image.fromarray(noise)), encode(Image.new("RGB", (40, 40)))
    assert len(small) < 3000 < len(large)
    assert decoding_threads([large, large]) == 6
    assert decoding_threads([small, small]) == 1
    (tmp_path / "large.png").write_bytes(large)
    assert decoding_threads([tmp_path / "large.png"]) == 6


def test_images_are_decoded_in_order():
    noise = np.random.default_rng(2).integers(0, 256, (150, 40, 40, 3), dtype=np.uint8)
    encoded = [encode(Image.fromarray(pixels)) for pixels in noise]
    np.testing.assert_array_equal(decode_images(encoded, [str(i) for i in range(150)], None), noise)
    encoded[149] = encoded[149][:2000]
    with pytest.raises(StoreError, match=r"cannot read the image 149: .*Hint: is the file complete"):
        decode_images(encoded, [str(i) for i in range(150)], None)


def test_paths_are_read(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    np.testing.assert_array_equal(decode_images([path], ["a"], None)[0], RGB)


def test_deep_images_are_refused():
    deep = Image.fromarray(np.arange(48, dtype=np.uint16).reshape(8, 6) * 1000)
    with pytest.raises(StoreError, match="image x has more than 8 bits per channel"):
        decode(deep)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken", b"P6 4 x 255 "])
def test_what_is_no_image_is_named(content):
    with pytest.raises(StoreError, match="cannot read the image mine: "):
        decode_images([content], ["mine"], None)


def test_images_damaged_at_random_are_read_or_named():
    rng = np.random.default_rng(3)
    failures = 0
    for kind in ("PNG", "JPEG", "GIF", "PPM"):
        whole = encode(Image.fromarray(RGB), kind)
        for _ in range(100):
            content = np.frombuffer(whole, dtype=np.uint8)[: rng.integers(1, len(whole) + 1)].copy()
            content[rng.integers(len(content), size=3)] = rng.integers(256, size=3)
            try:
                decode_images([content.tobytes()], ["x"], None)
            except StoreError:
                failures += 1
    assert failures > 100


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "32"])
def test_the_size_must_be_positive(size):
    with pytest.raises(PruneKitError, match="whole number of pixels"):
        check_image_size(size)


def test_without_pillow_the_error_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.split(".")[0] == "PIL":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'Hint: pip install "prune-kit\[data\]"'):
        decode_images([b""], ["x"], None)
