import numpy as np
import tensorflow as tf

from prune_kit_tensorflow.augmentation import augment

SIDE, PAD = 16, 2
SEED = tf.constant([5, 1], tf.int64)


def images(n, channels):
    return np.random.default_rng(0).random((n, SIDE, SIDE, channels)).astype(np.float32) + 0.5


def windows(image):
    """All crops of the padded image, and their mirror images, as (crop, is_mirrored)."""
    padded = np.pad(image, [(PAD, PAD), (PAD, PAD), (0, 0)])
    for top in range(2 * PAD + 1):
        for left in range(2 * PAD + 1):
            crop = padded[top : top + SIDE, left : left + SIDE]
            yield crop, False
            yield crop[:, ::-1], True


def kinds(given, augmented):
    found = []
    for image, result in zip(given, augmented.numpy(), strict=True):
        matches = {mirrored for crop, mirrored in windows(image) if np.array_equal(crop, result)}
        assert len(matches) == 1
        found.append(matches.pop())
    return found


def test_each_image_is_a_crop_of_itself_and_half_are_mirrored():
    given = images(60, 3)
    assert 15 < sum(kinds(given, augment(tf.constant(given), "crop-flip", seed=SEED))) < 45


def test_crop_alone_mirrors_none():
    given = images(20, 1)
    augmented = augment(tf.constant(given), "crop", seed=SEED)
    assert not any(kinds(given, augmented))
    assert len({each.tobytes() for each in augmented.numpy() - given}) > 10  # not one crop for all


def test_none_changes_nothing():
    given = tf.constant(images(2, 1))
    assert augment(given, "none", seed=SEED) is given


def test_what_is_drawn_depends_on_the_seed_alone_in_a_graph_too():
    given = tf.constant(images(8, 3))
    first = augment(given, "crop-flip", seed=SEED).numpy()
    signature = (tf.TensorSpec([None, SIDE, SIDE, 3]), tf.TensorSpec([2], tf.int64))
    compiled = tf.function(lambda x, seed: augment(x, "crop-flip", seed=seed), input_signature=signature)
    assert np.array_equal(compiled(given, SEED), first)
    assert not np.array_equal(compiled(given, SEED + 1), first)
