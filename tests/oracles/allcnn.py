"""All-CNN-C (Springenberg et al., Striving for Simplicity, arXiv:1412.6806).

Peculiar: strided convolutions instead of pooling; the last 3×3 is not padded, so the mean is over 6×6; ReLU after every
convolution, the scores included; biases, no batch norm.
"""

from torch import nn

from .common import biased, global_mean, network


def relu_conv(i: int, o: int, k: int = 3, s: int = 1, pad: int | None = None) -> nn.Sequential:
    return nn.Sequential(biased(i, o, k, s, pad=pad), nn.ReLU())


def allcnn_c(classes: int = 10) -> nn.Module:
    def stage(dropout: float, i: int, o: int) -> nn.Sequential:
        return nn.Sequential(nn.Dropout(dropout), relu_conv(i, o), relu_conv(o, o), relu_conv(o, o, 3, 2))

    last = [relu_conv(192, 192, 3, pad=0), relu_conv(192, 192, 1), relu_conv(192, classes, 1)]
    return network(
        stage1=stage(0.2, 3, 96),
        stage2=stage(0.5, 96, 192),
        stage3=nn.Sequential(nn.Dropout(0.5), *last),
        gap=global_mean(),
    )
