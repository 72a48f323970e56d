import torch

from prune_kit_torch.augmentation import augment

SIDE, PAD = 16, 2


def windows(image):
    """All crops of the padded image, and their mirror images, as (crop, is_mirrored)."""
    padded = torch.nn.functional.pad(image, (PAD,) * 4)
    for top in range(2 * PAD + 1):
        for left in range(2 * PAD + 1):
            crop = padded[:, top : top + SIDE, left : left + SIDE]
            yield crop, False
            yield crop.flip(2), True


def kinds(images, augmented):
    found = []
    for image, result in zip(images, augmented, strict=True):
        matches = {mirrored for crop, mirrored in windows(image) if torch.equal(crop, result)}
        assert len(matches) == 1
        found.append(matches.pop())
    return found


def test_each_image_is_a_crop_of_itself_and_half_are_mirrored():
    torch.manual_seed(0)
    images = torch.rand(60, 3, SIDE, SIDE) + 0.5
    mirrored = kinds(images, augment(images, "crop-flip"))
    assert 15 < sum(mirrored) < 45


def test_crop_alone_mirrors_none():
    torch.manual_seed(0)
    images = torch.rand(20, 1, SIDE, SIDE) + 0.5
    assert not any(kinds(images, augment(images, "crop")))


def test_none_changes_nothing():
    images = torch.rand(2, 1, SIDE, SIDE)
    assert augment(images, "none") is images


def test_the_same_seed_gives_the_same_crops():
    images = torch.rand(8, 3, SIDE, SIDE)
    torch.manual_seed(5)
    first = augment(images, "crop-flip")
    torch.manual_seed(5)
    assert torch.equal(augment(images, "crop-flip"), first)
