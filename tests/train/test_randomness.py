"""Random numbers as a function of their place, and the parts of the step that use them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archdsl.recipe import Recipe
from archdsl.recipe.records import (
    Affine,
    Colour,
    Cutmix,
    Cutout,
    Flip,
    Gcn,
    MeanStd,
    Mixup,
    PadCrop,
    PerPixelMean,
    Scale,
)
from archdsl.train import piecewise, randomness
from archdsl.train.augment import Batch, Chance, Epoch, augment
from archdsl.train.data.images import InMemory
from archdsl.train.normalize import Normalization, fit
from archdsl.train.prepare import Preparation
from archdsl.train.randomness import key, permutation, uniform


def batch(count: int = 64, side: int = 8) -> Batch:
    images = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))
    return Batch(images.to(memory_format=torch.channels_last), torch.arange(count))


def chance(index: torch.Tensor, epoch: int = 0, seed: int = 0) -> Chance:
    return Epoch(seed, epoch, int(index.max()) + 1).chance(index, 0)


def test_uniform_is_uniform_and_a_function_of_its_place():
    draws = uniform(key(7), torch.arange(100_000), 3)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert torch.allclose(draws.mean(0), torch.full((3,), 0.5), atol=0.005)
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < 0.02
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.02
    assert torch.equal(uniform(key(7), torch.tensor([99, 5]), 3), draws[[99, 5]])
    assert not torch.equal(uniform(key(8), torch.arange(100), 3), draws[:100])


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1])
def test_a_cpu_draws_what_every_other_device_draws(seed: int):
    index = torch.tensor([0, 1, 49_999, 2**40, 2**62])
    assert torch.equal(uniform(seed, index, 4), randomness._uniform_anywhere(seed, index, 4))


def test_each_epoch_has_its_own_order_of_all_images():
    first, second = permutation(key(0, 0), 1000), permutation(key(0, 1), 1000)
    assert torch.equal(first.sort().values, torch.arange(1000))
    assert not torch.equal(first, second)
    assert torch.equal(first, permutation(key(0, 0), 1000))


RECORDS = [
    PadCrop(pad=2),
    PadCrop(pad=2, mode="reflect"),
    Flip(),
    Cutout(size=3),
    Affine(rotate=20.0, scale=0.1, shift=0.1, shear=0.1),
    Colour(brightness=0.2, contrast=0.2, saturation=0.2),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.kind)
def test_augmentation_of_an_image_does_not_depend_on_its_batch(record: PadCrop):
    """Negative control within: another epoch gives other images."""
    whole = batch()
    index = torch.arange(64) * 7
    together = augment([record], whole, chance(index), 0.0).images
    part = augment([record], Batch(whole.images[10:20], whole.labels[10:20]), chance(index[10:20]), 0.0).images
    assert torch.equal(together[10:20], part)
    assert together.shape == whole.images.shape
    assert not torch.equal(together, augment([record], whole, chance(index, epoch=1), 0.0).images)


def test_pad_crop_cuts_windows_of_the_padded_image():
    whole = batch()
    index = torch.arange(64)
    draws = uniform(key(0, 0, 0), index, 2)
    cropped = augment([PadCrop(pad=2)], whole, chance(index), 0.0).images
    for i in range(64):
        top, left = (int(d * 5) for d in draws[i])
        padded = torch.nn.functional.pad(whole.images[i], (2, 2, 2, 2))
        assert torch.equal(cropped[i], padded[:, top : top + 8, left : left + 8])


def test_flip_turns_half_of_them():
    whole = batch(2000)
    flipped = augment([Flip()], whole, chance(torch.arange(2000)), 0.0).images
    turned = [torch.equal(a, b.flip(2)) for a, b in zip(flipped, whole.images, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(flipped, whole.images, strict=True)]
    assert all(a or b for a, b in zip(turned, kept, strict=True))
    assert 900 < sum(turned) < 1100


def test_cutout_blanks_a_square():
    whole = Batch(torch.ones(100, 3, 8, 8), torch.arange(100))
    images = augment([Cutout(size=4)], whole, chance(torch.arange(100)), 0.0).images
    blank = (images == 0).sum((1, 2, 3))
    assert blank.max() == 3 * 16
    assert blank.min() >= 3 * 4


def test_mixing_keeps_the_sum_of_labels():
    whole = batch()
    for record in (Mixup(alpha=1.0), Cutmix(alpha=1.0)):
        mixed = augment([record], whole, chance(torch.arange(64)), 0.0)
        assert mixed.partner is not None
        assert torch.equal(mixed.partner, whole.labels.flip(0))
        expected = whole.images.mean() * mixed.share + whole.images.mean() * (1 - mixed.share)
        assert torch.allclose(mixed.images.mean(), expected, atol=0.05)
    own = (mixed.images == whole.images).float().mean()
    assert torch.isclose(own, torch.tensor(mixed.share), atol=1e-6)


def test_until_switches_off():
    whole = batch()
    record = Affine(rotate=20.0, until=0.9)
    assert not torch.equal(augment([record], whole, chance(whole.labels), 0.89).images, whole.images)
    assert torch.equal(augment([record], whole, chance(whole.labels), 0.9).images, whole.images)


def test_the_default_recipe_augments():
    assert [record.kind for record in Recipe().augment] == ["pad_crop", "flip"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("normalize", [(), (MeanStd(),), (PerPixelMean(),), (Scale(by=256), PerPixelMean())], ids=str)
@pytest.mark.parametrize(
    "after", [(), (Flip(),), (Cutout(size=3), Flip(p=0.3)), (Flip(p=1.0), Mixup(alpha=0.4))], ids=str
)
@pytest.mark.parametrize("piece", [1, 1000, 100_000])
def test_piece_by_piece_gives_the_same_bits(
    channels: int, normalize: tuple, after: tuple, piece: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(piecewise, "_PIECE", piece)
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (100, 7, 9, channels), dtype=torch.uint8, generator=generator)
    split = InMemory(pixels, torch.arange(100))
    records = (PadCrop(pad=2), *after)
    steps = Normalization(fit(normalize, split))
    prepare = Preparation(steps, records, split.shape, torch.device("cpu"))
    assert prepare.piecewise is not None
    for index in torch.arange(100).split(32):
        found = prepare(split.take(index), chance(index), 0.5)
        pixels, labels = split.take(index)
        plain = augment(records, Batch(steps(pixels), labels), chance(index), 0.5)
        assert torch.equal(found.images, plain.images)
        assert found.images.stride() == plain.images.stride()


@pytest.mark.parametrize(
    ("normalize", "records", "shape", "device"),
    [
        ((), (), (3, 8, 8), "cpu"),
        ((), (Flip(), PadCrop(pad=2)), (3, 8, 8), "cpu"),
        ((), (PadCrop(pad=2, mode="reflect"),), (3, 8, 8), "cpu"),
        ((), (PadCrop(pad=2),), (3, 8, 8), "meta"),
        ((Gcn(),), (PadCrop(pad=2),), (3, 8, 8), "cpu"),
    ],
    ids=str,
)
def test_where_that_does_not_apply(normalize: tuple, records: tuple, shape: tuple[int, int, int], device: str):
    split = InMemory(torch.randint(0, 256, (10, 8, 8, 3), dtype=torch.uint8), torch.arange(10))
    assert Preparation(Normalization(fit(normalize, split)), records, shape, torch.device(device)).piecewise is None


def test_the_numbers_of_an_image_are_those_of_its_place():
    epoch, index = Epoch(7, 3, 100), torch.tensor([99, 5, 5])
    assert torch.equal(epoch.chance(index, 0).draw(2, 3), uniform(key(7, 3, 2), index, 3))
    assert torch.equal(epoch.order(), permutation(key(7, 3), 100))


def test_pixels_are_left_as_they_are():
    pixels = torch.randint(0, 256, (40, 8, 8, 3), dtype=torch.uint8)
    kept = pixels.clone()
    prepare = Preparation(Normalization([]), (PadCrop(pad=2), Flip(p=1.0)), (3, 8, 8), torch.device("cpu"))
    assert prepare.piecewise is not None
    for count in (40, 8, 40):
        prepare((pixels[:count], torch.arange(count)), chance(torch.arange(count)), 0.0)
    assert torch.equal(pixels, kept)
