"""From the images of a data set to those that a network sees: resized, and cut to the size of its window."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.recipe.records import Crop, Recipe, ResizedCrop, TenCrop
from archdsl.train.trouble import Misfit


def window(recipe: Recipe) -> int | None:
    """The side of the window that the recipe's augmentation cuts last, in pixels; None where it cuts none."""
    sides = [record.size for record in recipe.augment if isinstance(record, Crop | ResizedCrop)]
    return sides[-1] if sides else None


def check_window(recipe: Recipe, height: int, width: int, name: str) -> None:
    """Refuse a window that does not fit into the images of the data set `name`."""
    height, width = (recipe.resize, recipe.resize) if recipe.resize else (height, width)
    side = window(recipe)
    if side is not None and side > min(height, width):
        raise Misfit(
            f"recipe: a window of {side}×{side} does not fit into images of {height}×{width}, which is what {name} has"
            + ("" if recipe.resize else f"; add `resize = {side}` or more")
        )


def check_size(
    network: str, declared: tuple[int, ...] | None, given: tuple[int, ...], recipe: Recipe, name: str
) -> None:
    """Refuse images [C, H, W] of another size than the one that all numbers of the static analysis are about.

    A network that pools over whole images would take them, and be another one than the spec's.
    """
    if declared is None or declared == given:
        return
    there, here = ("×".join(map(str, size)) for size in (declared, given))
    raise Misfit(
        f"{network} is for images of {there}, but those of {name} go in as {here}: {_remedy(declared, given, recipe)}"
        f"make it a network for {here}, with -p where a parameter gives the size"
    )


def _remedy(declared: tuple[int, ...], given: tuple[int, ...], recipe: Recipe) -> str:
    """How a recipe makes images as large as `declared`; nothing where none can."""
    if len(declared) != 3 or declared[0] != given[0] or declared[1] != declared[2]:
        return ""
    side = declared[1]
    if window(recipe) is not None:
        return f"give the window of the recipe `size = {side}`, or "
    crop = f" or `crop(size = {side})` in `augment`" if side < min(given[1:]) else ""
    return f"add `resize = {side}`{crop} to the recipe, or "


def resized(images: Tensor, side: int) -> Tensor:
    """[N, C, H, W] to [N, C, side, side]: the shorter side made as long, then the square in the middle."""
    height, width = images.shape[2:]
    if height == width == side:
        return images
    scale = side / min(height, width)
    size = [max(round(height * scale), side), max(round(width * scale), side)]
    return middle(F.interpolate(images, size, mode="bilinear", antialias=True), side)


def middle(images: Tensor, side: int) -> Tensor:
    """The side × side in the middle of [N, C, H, W]."""
    height, width = images.shape[2:]
    return _cut(images, (height - side) // 2, (width - side) // 2, side)


def ten(images: Tensor, side: int) -> Iterator[Tensor]:
    """The four corners and the middle, and their mirror images."""
    bottom, right = images.shape[2] - side, images.shape[3] - side
    corners = [_cut(images, top, left, side) for top in (0, bottom) for left in (0, right)]
    for part in (*corners, middle(images, side)):
        yield part
        yield part.flip(3)


def judged(images: Tensor, recipe: Recipe) -> Iterator[Tensor]:
    """The views of normalised images by which the network is judged: one, or ten."""
    side = window(recipe)
    if side is None:
        yield images
    elif isinstance(recipe.evaluate, TenCrop):
        yield from ten(images, side)
    else:
        yield middle(images, side)


def tried(images: Tensor, recipe: Recipe) -> Tensor:
    """Images as large as the network will see them, for a first try."""
    images = resized(images, recipe.resize) if recipe.resize else images
    side = window(recipe)
    return images if side is None else middle(images, side)


def random_window(images: Tensor, side: int, draws: Tensor, mirrored: Tensor | None = None) -> Tensor:
    """For each image the side × side at a place of its own; `draws` is [N, 2] in [0, 1)."""
    height, width = images.shape[2:]
    top, left = (draws[:, 0] * (height - side + 1)).long(), (draws[:, 1] * (width - side + 1)).long()
    return gathered(images, top, left, side, side, mirrored)


def gathered(
    images: Tensor, top: Tensor, left: Tensor, height: int, width: int, mirrored: Tensor | None = None
) -> Tensor:
    """For each image the height × width whose first pixel is at `top`, `left` ([N] each), mirrored where it says so.

    One gather for all. Rows as they are lie together in memory, and are copied as a whole.
    """
    count, channels, rows, columns = images.shape
    down, across = (torch.arange(side, device=images.device) for side in (height, width))
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
    first = (torch.arange(count, device=images.device)[:, None] * rows + top[:, None] + down) * columns + left[:, None]
    if mirrored is None:
        table = pixels.as_strided((len(pixels) - width + 1, width * channels), (channels, 1))
        found = table.index_select(0, first.flatten())
    else:
        place = torch.where(mirrored[:, None], across.flip(0), across)
        found = pixels.index_select(0, (first[:, :, None] + place[:, None]).flatten())
    return found.view(count, height, width, channels).permute(0, 3, 1, 2)


def random_resized_window(images: Tensor, record: ResizedCrop, draws: Tensor) -> Tensor:
    """For each image a window of its own size, shape and place, resized; `draws` is [N, 4] in [0, 1)."""
    height, width = images.shape[2:]
    share = record.area[0] + (record.area[1] - record.area[0]) * draws[:, 0]
    low, high = map(math.log, record.ratio)
    ratio = (low + (high - low) * draws[:, 1]).exp()
    wide = (share * ratio * height / width).sqrt().clamp_max(1.0)  # shares of the image's sides
    tall = (share / ratio * width / height).sqrt().clamp_max(1.0)
    across, down = (1 - wide) * (2 * draws[:, 2] - 1), (1 - tall) * (2 * draws[:, 3] - 1)
    zero = torch.zeros_like(wide)
    rows = torch.stack([torch.stack([wide, zero, across], 1), torch.stack([zero, tall, down], 1)], 1)
    grid = F.affine_grid(rows, [len(images), images.shape[1], record.size, record.size], align_corners=False)
    return F.grid_sample(images, grid, align_corners=False, padding_mode="border")


def _cut(images: Tensor, top: int, left: int, side: int) -> Tensor:
    return images[:, :, top : top + side, left : left + side]
