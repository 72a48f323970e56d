import re

import numpy as np
import pytest

from prune_kit import plot
from prune_kit.data import Examples
from prune_kit.errors import PruneKitError
from prune_kit.table import ScoreTable

N = 40
LABELS = np.arange(N) % 2
SCORES = np.random.default_rng(0).permutation(N).astype(float)
IDS = np.arange(N) + 100
TABLE = ScoreTable(IDS, LABELS, {"score": SCORES}, {"score": "el2n"})


def images(channels=3, order=slice(None), labels=LABELS):
    """Each image is of one value, its place: so the picture says which examples it shows."""
    pixels = np.broadcast_to(np.arange(N, dtype=np.uint8)[:, None, None, None], (N, 4, 5, channels)).copy()
    return Examples(pixels[order], labels[order], IDS[order], ("cat", "dog"), "pictures")


def shown(axis, count):
    """The value in the corner of every cell, row by row; 255 where there is none."""
    canvas = np.asarray(axis.images[0].get_array())
    canvas = canvas if canvas.ndim == 2 else canvas[..., 0]
    return canvas[::5, ::6][:, :count].tolist()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_lowest_and_the_highest_of_each_class_in_order(channels):
    left, right = plot.gallery(TABLE, images(channels), count=3).axes
    for axis, of in ((left, slice(None, 3)), (right, slice(-3, None))):
        expected = [
            sorted((i for i in range(N) if LABELS[i] == label), key=lambda i: SCORES[i])[of]
            for label in (0, 1)
        ]
        assert shown(axis, 3) == expected
    assert left.get_title(loc="left") == "lowest el2n"
    assert right.get_title(loc="left") == "highest el2n"
    assert [label.get_text() for label in left.get_yticklabels()] == ["cat", "dog"]


def test_images_are_matched_by_id_not_by_place():
    shuffled = images(order=np.random.default_rng(1).permutation(N))
    for one, other in zip(
        plot.gallery(TABLE, images()).axes, plot.gallery(TABLE, shuffled).axes, strict=True
    ):
        assert shown(one, 5) == shown(other, 5)


def test_chosen_classes_in_their_order():
    left, _ = plot.gallery(TABLE, images(), classes=[1]).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["dog"]
    assert {LABELS[place] for row in shown(left, 5) for place in row} == {1}


def test_a_small_class_shows_no_example_twice():
    few = TABLE.take([0, 2, 4, 1, 3, 5, 7, 9, 11, 13])  # three of class 0
    left, right = plot.gallery(few, images(), count=5).axes
    first = [*shown(left, 5)[0], *shown(right, 5)[0]]
    assert sorted(place for place in first if place != 255) == [0, 2, 4]


@pytest.mark.parametrize(
    ("table", "examples", "options", "said"),
    [
        (TABLE, images(labels=1 - LABELS), {}, "pictures has other labels than the scores"),
        (TABLE, images(), {"classes": [7]}, "there is no example of class 7; the classes are 0, 1"),
        (TABLE, images(), {"count": 0}, "`count` must be 1 or more; got 0"),
        (TABLE, images(), {"column": "grand"}, "there is no column 'grand'"),
        (
            ScoreTable(IDS + 1000, LABELS, {"score": SCORES}),
            images(),
            {},
            "pictures has no example with the ids",
        ),
        (ScoreTable([1, 2], np.eye(2), {"score": np.ones(2)}), images(), {}, "the labels are soft"),
        (
            TABLE,
            Examples(np.zeros((2, 3), np.float32), np.arange(2), np.arange(2), None, "features"),
            {},
            "a gallery shows images; features has features",
        ),
    ],
)
def test_what_cannot_be_shown(table, examples, options, said):
    with pytest.raises(PruneKitError, match=re.escape(said)):
        plot.gallery(table, examples, **options)
