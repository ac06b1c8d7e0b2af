"""Normalisation: fitted once on the training images, applied to each batch before it is augmented."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from archdsl.recipe.records import Gcn, MeanStd, Normalize, PerPixelMean, Scale, Zca
from archdsl.train.data.images import Split
from archdsl.train.view import resized

Parts = Callable[[], Iterator[Tensor]]
_CHUNK = 1000
_CHUNK_PIXELS = 4_000_000  # numbers, which take 12 times as many bytes, in single and in double precision


@dataclass(frozen=True, eq=False)
class Resized:
    """The shorter side to `side` pixels, then the square in the middle."""

    side: int

    def __call__(self, images: Tensor) -> Tensor:
        return resized(images, self.side)


@dataclass(frozen=True, eq=False)
class Scaled:
    """Images times `factor`."""

    factor: float

    def __call__(self, images: Tensor) -> Tensor:
        return images * self.factor

    def fold(self, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift of `x * scale + shift` followed by this."""
        return scale * self.factor, shift * self.factor


@dataclass(frozen=True, eq=False)
class Centred:
    """Images minus the mean image [C, H, W]."""

    mean: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        return images - as_image(self.mean, images)

    def fold(self, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift of `x * scale + shift` followed by this."""
        return scale, shift - self.mean.cpu().double()


@dataclass(frozen=True, eq=False)
class Standardised:
    """Mean 0 and standard deviation 1 in each channel: mean and std are [C, 1, 1]."""

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        return (images - as_image(self.mean, images)).div_(as_image(self.std, images))

    def fold(self, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift of `x * scale + shift` followed by this."""
        mean, std = self.mean.cpu().double(), self.std.cpu().double()
        return scale / std, (shift - mean) / std


@dataclass(frozen=True, eq=False)
class Contrast:
    """Each image centred and scaled to one norm."""

    scale: float
    eps: float

    def __call__(self, images: Tensor) -> Tensor:
        centred = images - images.mean((1, 2, 3), keepdim=True)
        norm = centred.square().sum((1, 2, 3), keepdim=True).sqrt()
        return centred * (self.scale / norm.clamp_min(self.eps))


@dataclass(frozen=True, eq=False)
class Whitened:
    """Images minus the mean image [C, H, W], times a matrix [CHW, CHW]."""

    mean: Tensor
    matrix: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        flat = (images - self.mean).flatten(1) @ self.matrix
        return flat.view(images.shape).contiguous(memory_format=torch.channels_last)


def as_image(numbers: Tensor, images: Tensor) -> Tensor:
    """Spread over an image, channels last: so a CPU goes through a whole image at once, not through each pixel."""
    return numbers.expand(images.shape[1:]).permute(1, 2, 0).contiguous().permute(2, 0, 1)


Linear = Scaled | Centred | Standardised
Step = Resized | Scaled | Centred | Standardised | Contrast | Whitened


class Normalization:
    """All steps, from bytes [N, H, W, C] to numbers [N, C, H, W], channels last.

    Those at the beginning that are linear are one, folded in double precision: times a scale, plus a shift.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        scale, shift = torch.full((1, 1, 1), 1 / 255, dtype=torch.float64), torch.zeros(1, 1, 1, dtype=torch.float64)
        linear = 0
        for step in steps:
            if not isinstance(step, Linear):
                break
            scale, shift = step.fold(scale, shift)
            linear += 1
        self.rest = steps[linear:]
        """What is done after those."""
        self.folded = self.spread = scale, shift

    def __call__(self, pixels: Tensor) -> Tensor:
        return through(self.rest, self.linear(pixels))

    def linear(self, pixels: Tensor) -> Tensor:
        """What comes before the `rest`."""
        images = pixels.permute(0, 3, 1, 2).float()
        scale, shift = self.constants(images)
        return torch.addcmul(shift, images, scale)

    def constants(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift [C, H, W] of images [N, C, H, W], channels last; kept for more of the kind."""
        scale, shift = self.spread
        if scale.shape != images.shape[1:] or scale.device != images.device:
            scale, shift = (as_image(numbers.to(images), images) for numbers in self.folded)
            self.spread = scale, shift
        return scale, shift


def to_float(pixels: Tensor) -> Tensor:
    """[N, H, W, C] bytes as [N, C, H, W] numbers between 0 and 1, channels last."""
    return pixels.permute(0, 3, 1, 2).float().mul_(1 / 255)


def through(steps: Sequence[Step], images: Tensor) -> Tensor:
    """The images after all steps."""
    for step in steps:
        images = step(images)
    return images


def fit(records: Sequence[Normalize], split: Split, resize: int | None = None) -> list[Step]:
    """One step for each record, fitted to what the functions before it make of the images.

    The first one resizes them, where that is asked for: the shorter side to `resize` pixels.
    """
    steps: list[Step] = [] if resize is None else [Resized(resize)]
    for record in records:
        steps.append(_fitted(record, _parts(split, list(steps))))
    return steps


def principal_colours(split: Split, steps: Sequence[Step]) -> Tensor:
    """[C, C]: in its rows the principal components of the pixels after `steps`, each as long as its standard deviation.

    Their signs mean nothing: what is drawn along them is as likely either way.
    """
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for part in _parts(split, steps)():
        pixels = part.permute(0, 2, 3, 1).flatten(0, 2).double()
        count += len(pixels)
        total = total.to(pixels) + pixels.sum(0)
        products = products.to(pixels) + pixels.T @ pixels
    mean = total / count
    variances, vectors = torch.linalg.eigh(products / count - mean.outer(mean))
    return (vectors * variances.clamp_min(0).sqrt()).T.float()


def _parts(split: Split, steps: Sequence[Step]) -> Parts:
    """All images after `steps`, a chunk at a time."""
    channels, height, width = split.shape
    size = max(1, min(_CHUNK, _CHUNK_PIXELS // (channels * height * width)))
    return lambda: (through(steps, to_float(pixels)) for pixels, _ in split.sample(size))


def _fitted(record: Normalize, parts: Parts) -> Step:
    match record:
        case MeanStd():
            return _mean_std(parts)
        case PerPixelMean():
            return Centred(_mean(parts))
        case Zca(eps=eps):
            return _zca(parts, eps)
        case _:
            return _restored(record, {})


def constants(steps: Sequence[Step]) -> dict[str, Tensor]:
    """What was fitted, as `<number>.<name>`: with it, the steps can be had again without the images."""
    return {
        f"{number}.{name}": value
        for number, step in enumerate(steps)
        for name, value in vars(step).items()
        if isinstance(value, Tensor)
    }


def restored(records: Sequence[Normalize], resize: int | None, fitted: Mapping[str, Tensor]) -> list[Step]:
    """The steps that `fit` made of the same records, from their `constants`; TypeError if they are of others."""
    first: list[Step] = [] if resize is None else [Resized(resize)]
    return first + [
        _restored(record, {key.partition(".")[2]: t for key, t in fitted.items() if key.startswith(f"{number}.")})
        for number, record in enumerate(records, len(first))
    ]


def _restored(record: Normalize, own: Mapping[str, Tensor]) -> Step:
    match record:
        case Scale(by=by):
            return Scaled(255 / by)
        case MeanStd():
            return Standardised(**own)
        case PerPixelMean():
            return Centred(**own)
        case Gcn(scale=scale, eps=eps):
            return Contrast(scale, eps)
        case Zca():
            return Whitened(**own)


def _mean(parts: Parts) -> Tensor:
    """The mean image, summed up in double precision."""
    return _moments(parts)[0]


def _mean_std(parts: Parts) -> Step:
    """In one pass: pictures of folders are decoded for it."""
    mean_image, mean, mean_square = _moments(parts)
    std = (mean_square - mean.square()).clamp_min(0).sqrt().float().clamp_min(1e-6)[:, None, None]
    return Standardised(mean_image.mean((1, 2), keepdim=True), std)


def _moments(parts: Parts) -> tuple[Tensor, Tensor, Tensor]:
    """The mean image, and of each channel the mean and the mean square in double precision."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    for part in parts():
        wide = part.double()
        count += len(part)
        total = total.to(wide) + wide.sum(0)
        squares = squares.to(wide) + wide.square_().sum((0, 2, 3))
    mean = total / count
    return mean.float(), mean.mean((1, 2)), squares / (count * mean[0].numel())


def _zca(parts: Parts, eps: float) -> Step:
    """x ↦ (x - mean) · U (Λ + eps)^(-1/2) Uᵀ, with the training covariance U Λ Uᵀ."""
    mean = _mean(parts)
    size = mean.numel()
    covariance = torch.zeros(size, size, dtype=torch.float64, device=mean.device)
    count = 0
    for part in parts():
        flat = (part - mean).flatten(1).double()
        covariance += flat.T @ flat
        count += len(part)
    values, vectors = torch.linalg.eigh(covariance / count)
    whiten = ((vectors * (values.clamp_min(0) + eps).rsqrt()) @ vectors.T).float()
    return Whitened(mean, whiten)
