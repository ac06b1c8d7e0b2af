"""Normalisation: fitted once on the training images, applied to each batch before it is augmented."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from archdsl.recipe.records import Gcn, MeanStd, Normalize, PerPixelMean, Zca
from archdsl.train.data.images import Split

Step = Callable[[Tensor], Tensor]
Parts = Callable[[], Iterator[Tensor]]
_CHUNK = 1000


def to_float(pixels: Tensor) -> Tensor:
    """[N, H, W, C] bytes as [N, C, H, W] numbers between 0 and 1, channels last."""
    return pixels.permute(0, 3, 1, 2).float().mul_(1 / 255)


def through(steps: Sequence[Step], images: Tensor) -> Tensor:
    """The images after all steps."""
    for step in steps:
        images = step(images)
    return images


def fit(records: Sequence[Normalize], split: Split) -> list[Step]:
    """One function for each record, fitted to what the functions before it make of the images."""
    steps: list[Step] = []
    for record in records:
        before = list(steps)

        def parts(before: list[Step] = before) -> Iterator[Tensor]:
            return (through(before, to_float(pixels)) for pixels, _ in split.sample(_CHUNK))

        steps.append(_fitted(record, parts))
    return steps


def _fitted(record: Normalize, parts: Parts) -> Step:
    match record:
        case MeanStd():
            return _mean_std(parts)
        case PerPixelMean():
            mean = _mean(parts)
            return lambda images: images - mean
        case Gcn(scale=scale, eps=eps):
            return lambda images: _gcn(images, scale, eps)
        case Zca(eps=eps):
            return _zca(parts, eps)


def _mean(parts: Parts) -> Tensor:
    """The mean image, summed up in double precision."""
    total = torch.zeros(1, dtype=torch.float64, device=next(parts()).device)
    count = 0
    for part in parts():
        total = total + part.double().sum(0)
        count += len(part)
    return (total / count).float()


def _mean_std(parts: Parts) -> Step:
    mean = _mean(parts).mean((1, 2), keepdim=True)
    squares = [((part - mean) ** 2).double().mean((0, 2, 3)) * len(part) for part in parts()]
    count = sum(len(part) for part in parts())
    std = (torch.stack(squares).sum(0) / count).sqrt().float().clamp_min(1e-6)[:, None, None]
    return lambda images: (images - mean) / std


def _gcn(images: Tensor, scale: float, eps: float) -> Tensor:
    centred = images - images.mean((1, 2, 3), keepdim=True)
    norm = centred.square().sum((1, 2, 3), keepdim=True).sqrt()
    return centred * (scale / norm.clamp_min(eps))


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
    return lambda images: _whitened(images - mean, whiten)


def _whitened(images: Tensor, whiten: Tensor) -> Tensor:
    flat = images.flatten(1) @ whiten
    return flat.view(images.shape).contiguous(memory_format=torch.channels_last)
