"""AlexNet (Krizhevsky, Sutskever and Hinton, NIPS 2012), its two towers written as convolutions in two groups.

Peculiar: 227×227 input; overlapping pooling; response normalisation after the first two ReLUs, whose α is not divided
by the window size in the paper (PyTorch divides, hence 5e-4).
"""

from torch import nn

from .common import biased, network


def respond() -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)


def alexnet(classes: int = 1000) -> nn.Module:
    return network(
        conv1=nn.Sequential(biased(3, 96, 11, 4, pad=0), nn.ReLU(), respond(), nn.MaxPool2d(3, 2)),
        conv2=nn.Sequential(biased(96, 256, 5, groups=2), nn.ReLU(), respond(), nn.MaxPool2d(3, 2)),
        conv3=nn.Sequential(biased(256, 384), nn.ReLU()),
        conv4=nn.Sequential(biased(384, 384, groups=2), nn.ReLU()),
        conv5=nn.Sequential(biased(384, 256, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        fc6=nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU()),
        fc7=nn.Sequential(nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()),
        fc8=nn.Linear(4096, classes),
    )
