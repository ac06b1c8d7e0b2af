"""Windows, resizing and colour noise: each against what its paper says or torch computes by other means."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from harness import images
from torch import Tensor

from archdsl.recipe import Recipe
from archdsl.recipe.records import Crop, MeanStd, PcaColour, ResizedCrop, Scale, TenCrop
from archdsl.train.augment import Batch, Epoch, augment
from archdsl.train.data.images import InMemory
from archdsl.train.evaluate import scores
from archdsl.train.normalize import Normalization, Standardised, fit, principal_colours, to_float
from archdsl.train.trouble import Misfit
from archdsl.train.view import check_window, judged, resized, window


def numbered(count: int, height: int, width: int) -> Tensor:
    """Images whose pixels say where they are: channel 0 the row, channel 1 the column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns]).float().expand(count, 2, height, width).contiguous()


def after(record: Crop | ResizedCrop | PcaColour, pixels: Tensor, epoch: int = 0, **more: Tensor) -> Tensor:
    batch = Batch(pixels, torch.zeros(len(pixels), dtype=torch.long))
    chance = Epoch(5, epoch, len(pixels)).chance(torch.arange(len(pixels)), 0)
    return augment([record], batch, chance, 0.0, **more).images


def test_a_crop_is_a_window_at_any_place():
    cut = after(Crop(size=4), numbered(2000, 7, 9))
    assert cut.shape == (2000, 2, 4, 4)
    corners = cut[:, :, 0, 0]
    assert torch.equal(cut, corners[:, :, None, None] + numbered(1, 4, 4))  # pixels stay where they were to each other
    assert sorted(set(corners[:, 0].tolist())) == list(range(4))
    assert sorted(set(corners[:, 1].tolist())) == list(range(6))
    assert (corners[:, 1].long().bincount() / 2000 - 1 / 6).abs().max() < 0.03
    assert torch.equal(cut, after(Crop(size=4), numbered(2000, 7, 9)))
    assert not torch.equal(cut, after(Crop(size=4), numbered(2000, 7, 9), epoch=1))


def test_a_resized_crop_covers_the_shares_and_shapes_it_says():
    """GoogLeNet: 8 to 100 % of the area, evenly; sides of 3/4 to 4/3."""
    record = ResizedCrop(size=16, area=(0.08, 0.5))
    cut = after(record, numbered(4000, 64, 64))
    tall, wide = cut[:, 0, -1, 0] - cut[:, 0, 0, 0], cut[:, 1, 0, -1] - cut[:, 1, 0, 0]
    tall, wide = tall * 16 / 15, wide * 16 / 15  # from centre to centre of the outermost pixels
    share, ratio = tall * wide / 64**2, wide / tall
    assert share.min() > 0.079
    assert share.max() < 0.51
    assert abs(share.mean() - 0.29) < 0.01
    assert abs(share.std() - 0.42 / 12**0.5) < 0.01  # of an even distribution
    assert ratio.min() > 0.74
    assert ratio.max() < 1.34
    assert cut.min() >= 0
    assert cut.max() <= 63


def test_a_resized_crop_of_everything_is_the_image():
    pixels = torch.rand(3, 3, 8, 8)
    record = ResizedCrop(size=8, area=(1.0, 1.0), ratio=(1.0, 1.0))
    assert torch.allclose(after(record, pixels), pixels, atol=1e-5)


def test_colours_move_along_their_principal_components():
    """AlexNet: one normal number an image and component, 0.1 strong, the same at every pixel."""
    split = images(500).train
    pixels = to_float(split.pixels)
    components = principal_colours(split, [])
    flat = pixels.permute(1, 0, 2, 3).flatten(1).double()
    assert torch.allclose(components.T @ components, torch.cov(flat).float(), atol=1e-5)
    shift = after(PcaColour(std=0.1), torch.zeros(20_000, 3, 2, 2), colours=components)
    assert torch.equal(shift, shift[:, :, :1, :1].expand_as(shift))
    assert torch.allclose(torch.cov(shift[:, :, 0, 0].T), 0.01 * components.T @ components, rtol=0.05, atol=1e-5)


def test_mean_and_deviation_are_those_of_all_pixels_also_of_nearly_none():
    """In one pass: sums of squares in double precision, of which little may be left when the mean's square is gone."""
    noise = images(1500).train.pixels
    for pixels in (noise, noise // 200 + 253, torch.full_like(noise, 255)):
        (step,) = fit([MeanStd()], InMemory(pixels, torch.zeros(1500, dtype=torch.long)))
        exact = to_float(pixels).double()
        assert isinstance(step, Standardised)
        assert torch.allclose(step.mean.double(), exact.mean((0, 2, 3), keepdim=True)[0], rtol=1e-6)
        std = exact.std((0, 2, 3), correction=0, keepdim=True)[0].clamp_min(1e-6)
        assert torch.allclose(step.std.double(), std, rtol=1e-5)


def test_every_pixel_counts_alike_for_the_colours_also_in_a_last_part_that_is_small():
    pixels = torch.cat([images(2000).train.pixels, torch.zeros(100, 8, 8, 3, dtype=torch.uint8)])
    split = InMemory(pixels, torch.zeros(2100, dtype=torch.long))
    components = principal_colours(split, [])
    flat = to_float(pixels).permute(1, 0, 2, 3).flatten(1).double()
    covariance = torch.cov(flat, correction=0).float()
    assert torch.allclose(components.T @ components, covariance, rtol=1e-5, atol=1e-7)


def test_resizing_is_torchs_and_keeps_the_middle():
    pixels = torch.rand(2, 3, 10, 16)
    whole = F.interpolate(pixels, (20, 32), mode="bilinear", antialias=True)
    assert torch.equal(resized(pixels, 20), whole[:, :, :, 6:26])
    split = images(60).train
    steps = fit([MeanStd()], split, resize=12)
    seen = Normalization(steps)(split.pixels)
    assert seen.shape == (60, 3, 12, 12)
    assert torch.allclose(seen.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)


def test_scale_divides_bytes():
    split = images(10).train
    bytes_ = split.pixels.permute(0, 3, 1, 2).float()
    assert torch.allclose(Normalization(fit([Scale()], split))(split.pixels), bytes_ / 255)
    assert torch.allclose(Normalization(fit([Scale(by=1.0)], split))(split.pixels), bytes_)


def test_images_are_judged_by_their_middle_or_by_ten_views():
    pixels = numbered(1, 8, 8)
    (middle,) = judged(pixels, Recipe(augment=(Crop(size=4),)))
    assert middle[0, :, 0, 0].tolist() == [2, 2]
    views = list(judged(pixels, Recipe(augment=(Crop(size=4),), evaluate=TenCrop())))
    assert [view[0, :, 0, 0].tolist() for view in views[::2]] == [[0, 0], [0, 4], [4, 0], [4, 4], [2, 2]]
    assert all(torch.equal(b, a.flip(3)) for a, b in zip(views[::2], views[1::2], strict=True))


def test_ten_crops_are_a_mean_of_probabilities():
    from archdsl.train.device import Hardware, choose
    from archdsl.train.job import TrainConfig

    device = choose(TrainConfig(precision="fp32"), Hardware(1))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 10))
    recipe = Recipe(augment=(Crop(size=4),), evaluate=TenCrop())
    pixels = torch.rand(5, 3, 8, 8)
    expected = torch.stack([model(view).softmax(1) for view in judged(pixels, recipe)]).mean(0)
    assert torch.allclose(scores(model, pixels, recipe, device).exp(), expected, atol=1e-6)


def test_a_window_that_does_not_fit_is_refused():
    recipe = Recipe(augment=(Crop(size=227),))
    assert window(recipe) == 227
    with pytest.raises(Misfit, match=r"227×227 does not fit into images of 32×32, .* cifar10 has; add `resize = 227`"):
        check_window(recipe, 32, 32, "cifar10")
    check_window(recipe.model_copy(update={"resize": 256}), 32, 32, "cifar10")
    with pytest.raises(Misfit, match="of 200×200"):
        check_window(recipe.model_copy(update={"resize": 200}), 32, 32, "cifar10")
