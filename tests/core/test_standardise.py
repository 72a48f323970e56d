import numpy as np

from prune_kit.standardise import channel_moments, channel_moments_of


def test_the_moments_are_those_of_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
    mean, std = channel_moments(images)
    np.testing.assert_allclose(mean, images.astype(np.float64).mean((0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(std, images.astype(np.float64).std((0, 1, 2)), rtol=1e-13)


def test_a_channel_of_one_value_can_be_divided_by():
    mean, std = channel_moments(np.full((2, 3, 3, 1), 7, np.uint8))
    assert (mean, std) == (7, 1)


def test_batches_make_no_difference():
    images = np.random.default_rng(1).integers(0, 256, (20, 5, 4, 3), dtype=np.uint8)
    whole, cut = channel_moments(images), channel_moments_of(iter([images[:7], images[7:8], images[8:]]))
    for one, other in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(one, other)
