"""Normalisation: fitted once on the training images, applied to each batch before it is augmented."""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from archdsl.recipe.records import Gcn, MeanStd, Normalize, PerPixelMean, Scale, Zca
from archdsl.train.data.images import Split
from archdsl.train.view import resized

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


def fit(records: Sequence[Normalize], split: Split, resize: int | None = None) -> list[Step]:
    """One function for each record, fitted to what the functions before it make of the images.

    The first one resizes them, where that is asked for: the shorter side to `resize` pixels.
    """
    steps: list[Step] = [] if resize is None else [lambda images: resized(images, resize)]
    for record in records:
        steps.append(_fitted(record, _parts(split, list(steps))))
    return steps


def principal_colours(split: Split, steps: Sequence[Step]) -> Tensor:
    """[C, C]: in its rows the principal components of the pixels after `steps`, each as long as its standard deviation.

    Their signs mean nothing: what is drawn along them is as likely either way.
    """
    parts = _parts(split, steps)
    mean = _mean(parts).mean((1, 2), keepdim=True)
    pixels = ((part - mean).permute(0, 2, 3, 1).flatten(0, 2).double() for part in parts())
    variances, vectors = torch.linalg.eigh(torch.stack([p.T @ p / len(p) for p in pixels]).mean(0))
    return (vectors * variances.clamp_min(0).sqrt()).T.float()


def _parts(split: Split, steps: Sequence[Step]) -> Parts:
    """All images after `steps`, a chunk at a time."""
    return lambda: (through(steps, to_float(pixels)) for pixels, _ in split.sample(_CHUNK))


def _fitted(record: Normalize, parts: Parts) -> Step:
    match record:
        case Scale(by=by):
            return lambda images: images * (255 / by)
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
