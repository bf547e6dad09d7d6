"""ResNet for small images, in torch: stem of 3 x 3 at stride 1, no max-pooling, basic blocks."""

from __future__ import annotations

from torch import Tensor, nn

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
CHANNELS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two normalised 3 x 3 convolutions around a shortcut."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(before, after, 3, stride), nn.ReLU(), *_convolution(after, after, 3, 1)
        )
        same = before == after and stride == 1
        self.shortcut = nn.Sequential(*([] if same else _convolution(before, after, 1, stride)))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = nn.functional.relu(self.body(x) + self.shortcut(x))
        return result


def residual_net(depth: int, channels: int, classes: int) -> nn.Sequential:
    """He et al. 2016 (arXiv:1512.03385) with the stem that is usual for images of 32 x 32."""
    if depth not in BLOCKS:
        raise ValueError(f"residual_network: depth is {depth}, wanted one of {sorted(BLOCKS)}")
    layers: list[nn.Module] = [*_convolution(channels, CHANNELS[0], 3, 1), nn.ReLU()]
    before = CHANNELS[0]
    for stage, (after, blocks) in enumerate(zip(CHANNELS, BLOCKS[depth], strict=True)):
        for block in range(blocks):
            layers.append(BasicBlock(before, after, 2 if stage > 0 and block == 0 else 1))
            before = after
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return nn.Sequential(*layers, *head)


def _convolution(before: int, after: int, size: int, stride: int) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(after)
