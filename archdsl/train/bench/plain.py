"""What one compares with: the loop that a careful but ordinary script has.

Each picture by itself through PIL and what torchvision's transforms do, in the worker processes of a `DataLoader`;
float32, channels first, operation by operation; loss and errors read after every step.
"""

# torch annotates only half of itself
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler

from archdsl.recipe.records import Adam, AdamW, Optimizer, RmsProp, Sgd
from archdsl.train.data.images import InMemory

PAD = 4


class Pictures(Dataset[tuple[Tensor, int]]):
    """Each image as a PIL picture through RandomCrop, RandomHorizontalFlip, ToTensor, Normalize.

    Without torchvision: its operations are done here, one by one.
    """

    def __init__(self, images: InMemory, mean: Tensor, std: Tensor) -> None:
        self.pixels = images.pixels.numpy()
        self.labels: list[int] = images.labels.tolist()
        self.mean: list[float] = mean.flatten().tolist()
        self.std: list[float] = std.flatten().tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.pixels[index]
        picture = _moved(Image.fromarray(pixels if pixels.shape[2] > 1 else pixels[:, :, 0]))
        return _normalized(_numbers(picture), self.mean, self.std), self.labels[index]


def _moved(picture: Image.Image) -> Image.Image:
    """Padded, cut at random, mirrored or not."""
    width, height = picture.size
    picture = ImageOps.expand(picture, PAD)
    top, left = (int(torch.randint(0, 2 * PAD + 1, size=(1,)).item()) for _ in range(2))
    picture = picture.crop((left, top, left + width, top + height))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if torch.rand(1) < 0.5 else picture


def _numbers(picture: Image.Image) -> Tensor:
    """[C, H, W] between 0 and 1, as ToTensor."""
    numbers = torch.from_numpy(np.array(picture, np.uint8, copy=True))
    numbers = numbers.view(picture.size[1], picture.size[0], len(picture.getbands()))
    return numbers.permute(2, 0, 1).contiguous().to(torch.get_default_dtype()).div(255)


def _normalized(image: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """A copy less the mean, over the deviation, as Normalize."""
    image = image.clone()
    means, deviations = (torch.as_tensor(of, dtype=image.dtype, device=image.device) for of in (mean, std))
    if (deviations == 0).any():
        raise ValueError("a deviation is 0")
    return image.sub_(means.view(-1, 1, 1)).div_(deviations.view(-1, 1, 1))


class Loader:
    """Batches of pictures. The workers stay; what they prepare is asked for turn by turn, so that none is ahead."""

    def __init__(self, pictures: Pictures, batch: int, workers: int) -> None:
        self.sampler = RandomSampler(pictures, replacement=True, num_samples=batch)
        self.batch = batch
        self.loader: DataLoader = DataLoader(
            pictures, batch, sampler=self.sampler, num_workers=workers, persistent_workers=workers > 0
        )
        self.first: list[list[Tensor]] = []
        self.rest: Iterator[list[Tensor]] = iter(())

    def ready(self, steps: int) -> None:
        """Ask for so many batches, and wait for the first: to fill the queue is no part of a long epoch."""
        self.sampler._num_samples = steps * self.batch  # pyright: ignore[reportPrivateUsage]
        self.rest = iter(self.loader)
        self.first = [next(self.rest)]

    def take(self, steps: int) -> Iterator[list[Tensor]]:
        """Those that were asked for."""
        yield from self.first
        yield from islice(self.rest, steps - 1)

    def drain(self, steps: int) -> None:
        """Take them all, for nothing."""
        for _ in self.take(steps):
            pass


class Loop:
    """The plain loop, and the plain way to get answers."""

    def __init__(
        self, model: nn.Module, loader: Loader, optimizer: Optimizer, auxiliary: Sequence[float], device: torch.device
    ) -> None:
        self.model, self.loader, self.device = model.to(device), loader, device
        self.optimizer = make_optimizer(optimizer, self.model.parameters())
        self.auxiliary = auxiliary

    def train(self, steps: int) -> None:
        """So many steps."""
        loss_sum, wrong = 0.0, 0
        self.model.train()
        for images, labels in self.loader.take(steps):
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            logits, loss = self._loss(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            loss_sum += loss.item() * len(labels)
            wrong += (logits.argmax(1) != labels).sum().item()

    def _loss(self, outputs: Tensor | tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        logits, *others = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = F.cross_entropy(logits, labels)
        for weight, other in zip(self.auxiliary, others, strict=True):
            loss = loss + weight * F.cross_entropy(other, labels)
        return logits, loss

    def answer(self, images: Tensor) -> Callable[[int], None]:
        """Runs the network on these images so many times."""
        images = images.contiguous().to(self.device)

        def work(steps: int) -> None:
            self.model.eval()
            with torch.no_grad():
                for _ in range(steps):
                    self.model(images)

        return work


def make_optimizer(wanted: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser as one would write it, all else as torch has it."""
    decay = wanted.weight_decay
    match wanted:
        case Sgd(lr=lr, momentum=m, nesterov=nesterov, dampening=d):
            return torch.optim.SGD(parameters, lr, m, d, decay, nesterov)
        case RmsProp(lr=lr, decay=alpha, momentum=m, eps=eps):
            return torch.optim.RMSprop(parameters, lr, alpha, eps, decay, m)
        case Adam(lr=lr, beta1=beta1, beta2=beta2, eps=eps):
            return torch.optim.Adam(parameters, lr, (beta1, beta2), eps, decay)
        case AdamW(lr=lr, beta1=beta1, beta2=beta2, eps=eps):
            return torch.optim.AdamW(parameters, lr, (beta1, beta2), eps, decay)
