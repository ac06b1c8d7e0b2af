"""Transformer (dim=32, n=3, classes=10): A small vision transformer: learned tensors, attention, rules of
initialisation.

Made by archdsl 0.1.0 from transformer.arch (sha256 cb1a71a4a32f).
45,258 parameters; 780,800 multiply-accumulates for one 3×32×32 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Multi-head self-attention on lists of positions, (batch, positions, channels)."""

    def __init__(self, channels: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(channels, 3 * channels, bias=bias)
        self.out = nn.Linear(channels, channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*qkv)  # (batch, heads, positions, channels / heads)
        return self.out(y.transpose(1, 2).flatten(2))


class Encoder(nn.Module):
    def __init__(self, in_features: int, heads: int) -> None:
        super().__init__()
        self.ln1 = nn.LayerNorm(in_features)
        self.attention = SelfAttention(in_features, heads)
        self.ln2 = nn.LayerNorm(in_features)
        self.linear1 = nn.Linear(in_features, 4 * in_features)
        self.linear2 = nn.Linear(4 * in_features, in_features)

    def forward(self, x: Tensor) -> Tensor:
        a = x + self.attention(self.ln1(x))  # 17×32
        mlp = self.linear2(F.gelu(self.linear1(self.ln2(a))))  # 17×32
        return a + mlp  # 17×32


class Transformer(nn.Module):
    """A small vision transformer: learned tensors, attention, rules of initialisation."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, stride=8)
        self.token = nn.Parameter(torch.zeros(1, 32))
        self.positions = nn.Parameter(torch.zeros(17, 32))
        self.layers = nn.Sequential(*[Encoder(32, 4) for _ in range(3)])
        self.ln = nn.LayerNorm(32)
        self.linear = nn.Linear(32, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02, a=-0.04, b=0.04)
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.LayerNorm):
                nn.init.constant_(module.weight, 0.5)
        nn.init.normal_(self.token, std=0.02)
        for module in self.modules():
            if isinstance(module, Encoder):
                nn.init.normal_(module.ln2.bias, std=1e-06)
                nn.init.normal_(module.linear1.bias, std=1e-06)
                nn.init.normal_(module.linear2.bias, std=1e-06)

    def forward(self, image: Tensor) -> Tensor:
        patches = self.patches(image).flatten(2).transpose(1, 2)  # 16×32
        x = torch.cat((self.token.expand(patches.shape[0], -1, -1), patches), dim=1) + self.positions  # 17×32
        y = self.ln(self.layers(x))  # 17×32
        return self.linear(y[:, :1].flatten(1))  # 10


if __name__ == "__main__":
    network = Transformer()
    count = sum(p.numel() for p in network.parameters())
    assert count == 45_258, count
    sample = torch.randn(2, 3, 32, 32)
    output = network(sample)
    output.sum().backward()
    print("Transformer", f"{count:,} parameters, output", tuple(output.shape))
