"""AlexNet (classes=1000): AlexNet.

Made by archdsl 0.1.0 from alexnet.arch (sha256 a5114148be39).
60,965,224 parameters; 724,406,816 multiply-accumulates for one 3×227×227 sample.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AlexNet(nn.Module):
    """AlexNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4)
        self.even1 = nn.LocalResponseNorm(5, alpha=0.0005, k=2)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.even2 = nn.LocalResponseNorm(5, alpha=0.0005, k=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        self.dropout1 = nn.Dropout(0.5)
        self.fc6 = nn.Linear(9216, 4096)
        self.dropout2 = nn.Dropout(0.5)
        self.fc7 = nn.Linear(4096, 4096)
        self.linear = nn.Linear(4096, 1000)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)
        nn.init.ones_(self.conv2.bias)
        nn.init.ones_(self.conv4.bias)
        nn.init.ones_(self.conv5.bias)
        nn.init.ones_(self.fc6.bias)
        nn.init.ones_(self.fc7.bias)

    def forward(self, image: Tensor) -> Tensor:
        conv1 = F.max_pool2d(self.even1(F.relu(self.conv1(image))), 3, stride=2)  # 96×27×27
        conv2 = F.max_pool2d(self.even2(F.relu(self.conv2(conv1))), 3, stride=2)  # 256×13×13
        conv3 = F.relu(self.conv3(conv2))  # 384×13×13
        conv4 = F.relu(self.conv4(conv3))  # 384×13×13
        conv5 = F.max_pool2d(F.relu(self.conv5(conv4)), 3, stride=2)  # 256×6×6
        fc6 = F.relu(self.fc6(self.dropout1(conv5.flatten(1))))  # 4096
        fc7 = F.relu(self.fc7(self.dropout2(fc6)))  # 4096
        return self.linear(fc7)  # 1000


if __name__ == "__main__":
    network = AlexNet()
    count = sum(p.numel() for p in network.parameters())
    assert count == 60_965_224, count
    sample = torch.randn(2, 3, 227, 227)
    output = network(sample)
    output.sum().backward()
    print("AlexNet", f"{count:,} parameters, output", tuple(output.shape))
