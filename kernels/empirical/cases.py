"""Networks and inputs that every backend of `empirical_ntk_gram` is tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch._dynamo  # torch.func imports it at its first call, which changes names of torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import Case


class TwiceUsed(nn.Module):
    """A dense layer that is applied to its own output, and to it as a matrix outside the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Linear(5, 6), nn.Linear(6, 6)
        self.last = nn.Linear(6, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.again(torch.tanh(self.again(self.first(x)))))
        return self.last(hidden) + F.linear(hidden, self.last.weight.abs())


class Functional(nn.Module):
    """Parameters that no layer owns: a matrix used by a formula, a scale and a table of words."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(4, 5))
        self.scale = nn.Parameter(torch.randn(4))
        self.unused = nn.Parameter(torch.randn(2))
        self.words = nn.Embedding(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        words = self.words((x[:, 0] > 0).long()) + x @ self.matrix.T
        return self.head(self.scale * torch.tanh(F.linear(x, self.matrix) + words))


class Tokens(nn.Module):
    """Dense layers at each of several positions, with a norm and a residual between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed, self.mlp = nn.Linear(4, width), nn.Linear(width, width)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x)
        tokens = tokens + F.gelu(self.mlp(self.norm(tokens)))
        return self.head(tokens.mean(dim=1))


def mlp(bias: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 16, bias), nn.ReLU(), nn.Linear(16, 8, bias), nn.GELU(), nn.Linear(8, 3, bias)
    )


def convolutions() -> nn.Module:
    """Every geometry, and at the end more channels than positions."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, stride=(2, 1), padding=(1, 2)),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 12, (3, 1), dilation=(2, 1), groups=3, padding="same"),
        nn.BatchNorm2d(12),
        nn.ReLU(inplace=True),
        nn.Conv2d(12, 4, 3, padding=1, padding_mode="circular", bias=False),
        nn.AdaptiveAvgPool2d((2, 1)),
        nn.Conv2d(4, 32, (2, 1)),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


def sequence() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(3, 4, 3, stride=2, padding="valid"),
        nn.Tanh(),
        nn.ConvTranspose1d(4, 2, 2),
        nn.Unflatten(1, (1, 2)),
        nn.Conv2d(1, 2, 2),
        nn.Flatten(),
        nn.LazyLinear(2),
    )


def partly_frozen() -> nn.Module:
    module = mlp(bias=True)
    module[0].weight.requires_grad_(False)
    module[2].bias.requires_grad_(False)
    return module


def seeded(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> Callable[[], nn.Module]:
    """The network, the same each time, in float64 and in evaluation mode."""

    def made() -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = make().double().eval()
            module(torch.zeros(1, *shape, dtype=torch.float64))
        return module

    return made


def _case(
    label: str,
    make: Callable[[], nn.Module],
    *shape: int,
    n: int = 7,
    m: int | None = None,
    rng: np.random.Generator | None = None,
    **kwargs: object,
) -> Case:
    rng = rng or np.random.default_rng(0)
    args = tuple(rng.normal(size=(samples, *shape)) for samples in (n, m) if samples)
    return Case(label, args, kwargs, {"module": seeded(make, shape)})


def cases() -> Iterator[Case]:
    for output in ("trace", "pseudo", "class", "full"):
        yield _case(f"mlp-{output}", lambda: mlp(True), 5, m=4, output=output)
        yield _case(f"convolutions-{output}", convolutions, 2, 7, 6, m=3, output=output)
        yield _case(f"tokens-{output}", lambda: Tokens(8), 6, 4, m=2, output=output)
    yield _case("mlp-symmetric", lambda: mlp(True), 5, output="class", by_layer=True)
    yield _case("mlp-without-biases", lambda: mlp(False), 5, by_layer=True)
    yield _case("mlp-partly-frozen", partly_frozen, 5, m=1, by_layer=True)
    yield _case("convolutions-symmetric", convolutions, 2, 7, 6, by_layer=True)
    yield _case("one-and-three-axes", sequence, 3, 9, m=3, output="class")
    yield _case("few-wide-tokens", lambda: Tokens(32), 2, 4, output="full")
    yield _case("twice-used", TwiceUsed, 5, m=3, output="class", by_layer=True)
    yield _case("functional", Functional, 5, m=3, output="class", by_layer=True)
    yield _case("one-output", lambda: nn.Sequential(nn.Linear(5, 1), nn.Flatten(0)), 5, m=3)


def drawn(rng: np.random.Generator) -> Case:
    n, m, width, tokens = rng.integers([2, 2, 3, 1], [9, 9, 20, 6]).tolist()
    output = ["trace", "pseudo", "class", "full"][rng.integers(4)]
    rows = {"n": n, "m": m, "rng": rng}
    return _case("drawn", lambda: Tokens(width), tokens, 4, **rows, output=output, by_layer=True)
