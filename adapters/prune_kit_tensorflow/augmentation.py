"""Random crops and mirror images of a batch, on its device."""

from __future__ import annotations

import tensorflow as tf

from prune_kit.training import Augmentation


def augment(images: tf.Tensor, kind: Augmentation, *, seed: tf.Tensor) -> tf.Tensor:
    """Crop (and flip) each image of a batch at random, as in the paper's recipe.

    Parameters
    ----------
    images
        Shape (b, height, width, channels), standardised: the padding is zeros.
    kind
        "none"; "crop": pad each side by an eighth (4 of 32 pixels) and cut the size out at a random
        place; "crop-flip": and mirror half of the images left to right.
    seed
        Shape (2,), int64. What is drawn depends on it alone, eagerly and inside a tf.function alike.

    Returns
    -------
    tf.Tensor
        Shape and dtype of `images`.
    """
    if kind == "none":
        return images
    b, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    pad_y, pad_x = max(1, height // 8), max(1, width // 8)
    padded = tf.pad(images, [(0, 0), (pad_y, pad_y), (pad_x, pad_x), (0, 0)])
    of_rows, of_columns, of_mirrors = tf.unstack(tf.random.split(seed, 3))
    top = tf.random.stateless_uniform((b, 1), of_rows, maxval=2 * pad_y + 1, dtype=tf.int32)
    left = tf.random.stateless_uniform((b, 1), of_columns, maxval=2 * pad_x + 1, dtype=tf.int32)
    rows, columns = top + tf.range(height), left + tf.range(width)
    if kind == "crop-flip":
        is_mirrored = tf.random.stateless_uniform((b, 1), of_mirrors) < 0.5
        columns = tf.where(is_mirrored, tf.reverse(columns, [1]), columns)
    cropped = tf.gather(padded, rows, axis=1, batch_dims=1)
    # Columns become the second axis for the gather, whose batch axes must come first.
    turned = tf.gather(tf.transpose(cropped, (0, 2, 1, 3)), columns, axis=1, batch_dims=1)
    return tf.ensure_shape(tf.transpose(turned, (0, 2, 1, 3)), images.shape)
