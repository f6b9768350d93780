"""What is done to images, on numbers small enough to follow."""

import pytest
import torch

from netwright.children.augment import center_crop, crop_and_flip, enlarge, whiten


def test_whitened_images_have_mean_zero_and_deviation_one_each():
    images = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    white = whiten(images)
    torch.testing.assert_close(white.mean((1, 2, 3)), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(white.std((1, 2, 3), correction=0), torch.ones(5))


def test_whitening_by_hand():
    # Mean 3, deviation 1.
    assert whiten(torch.tensor([[[[2, 4]]]], dtype=torch.uint8)).tolist() == [[[[-1.0, 1.0]]]]


def test_a_blank_image_stays_finite():
    assert (whiten(torch.full((1, 1, 4, 4), 255, dtype=torch.uint8)) == 0).all()
    almost = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    almost[0, 0, 0, 0] = 1
    # TensorFlow's floor of the deviation, 1 / sqrt(1024) = 1/32; the image's own is 0.0312.
    assert whiten(almost).max().item() == pytest.approx((1 - 1 / 1024) * 32, rel=1e-3)


def test_enlarging_keeps_what_is_large_enough():
    images = torch.randn(2, 3, 8, 8)
    assert enlarge(images, 8, 8) is images
    assert enlarge(images, 10, 12).shape == (2, 3, 10, 12)


def numbered(count=64, height=5, width=6):
    """Images whose pixels tell image, row and column."""
    image = torch.arange(count)[:, None, None, None] * 10_000
    row = torch.arange(height)[:, None] * 100
    return (image + row + torch.arange(width)).float()


def test_a_crop_is_a_window_of_the_same_image_and_every_window_occurs():
    crops = crop_and_flip(numbered(500), 4, 4, flip=False, generator=torch.Generator().manual_seed(0))
    corners = set()
    for number, crop in enumerate(crops[:, 0].int().tolist()):
        top, left = divmod(crop[0][0] - number * 10_000, 100)
        assert crop == [[number * 10_000 + (top + r) * 100 + left + c for c in range(4)] for r in range(4)]
        corners.add((top, left))
    assert corners == {(top, left) for top in range(2) for left in range(3)}


def test_half_of_the_images_are_mirrored_left_to_right():
    crops = crop_and_flip(numbered(1000), 5, 6, flip=True, generator=torch.Generator().manual_seed(0))
    mirrored = (crops[:, 0, 0, 0] > crops[:, 0, 0, -1]).float().mean().item()
    assert abs(mirrored - 0.5) < 5 * 0.5 / 1000**0.5
    restored = torch.where((crops[:, :, :1, :1] > crops[:, :, :1, -1:]), crops.flip(3), crops)
    assert torch.equal(restored, numbered(1000))


def test_all_channels_are_cropped_alike():
    images = numbered(20).repeat(1, 3, 1, 1)
    crops = crop_and_flip(images, 3, 3, flip=True, generator=torch.Generator().manual_seed(0))
    assert torch.equal(crops[:, 0], crops[:, 1])
    assert torch.equal(crops[:, 0], crops[:, 2])


def test_the_middle_crop():
    assert center_crop(numbered(1), 3, 2)[0, 0].tolist() == [[102, 103], [202, 203], [302, 303]]
