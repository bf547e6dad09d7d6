"""Facts about the kernels of finite networks that hold whatever code computes them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from claimbench.kernels import (
    NoBackend,
    conjugate_gram,
    empirical_ntk_gram,
    ntk_gram,
    projected_jacobian,
    trainable_layers,
    using,
)
from claimbench.kernels.empirical import _calls, _products
from claimbench.kernels.empirical.cases import Functional, Tokens, TwiceUsed, convolutions, mlp


@pytest.fixture(params=["reference", "torch"], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with using(request.param):
        yield request.param


def samples(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return make().double().eval()


def jacobian(module: nn.Module, x: Tensor) -> Tensor:
    """Gradients [n C p] by ordinary autograd, one output of one sample at a time."""
    parameters = [p for p in module.parameters() if p.requires_grad]

    def row(value: Tensor) -> Tensor:
        found = torch.autograd.grad(
            value, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return torch.cat([gradient.flatten() for gradient in found])

    outputs = [module(x[i : i + 1].clone()).flatten() for i in range(len(x))]
    return torch.stack([torch.stack([row(value) for value in values]) for values in outputs])


class TokensFirst(nn.Module):
    """Has its tokens on the first axis inside, where a batch is elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.inside(x.transpose(0, 1))).sum(dim=0))


class Attention(nn.Module):
    """A transformer's layer, by the formula of attention that vmap knows."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(3, 4), nn.Linear(4, 2)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return self.out(self.layer(self.embed(x)).sum(dim=1))


class Merged(TokensFirst):
    """Puts samples and tokens on one axis."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.out(torch.tanh(self.inside(x.flatten(0, 1))))
        return tokens.view(len(x), -1, 2).sum(dim=1)


class InPlace(TokensFirst):
    """Changes in place what it is given and what its layers give."""

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.inside(x.mul_(2)).mul_(3).relu_().sum(dim=1))


class Detached(TokensFirst):
    """Uses its layers where no gradient comes back, beside uses where one does."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            constant = self.inside(x)
        hidden = torch.tanh(self.inside(x) + constant + self.inside(x).detach())
        self.out(hidden)
        return self.out(hidden.sum(dim=1))


class Swapped(nn.Module):
    """Two layers that exchange their biases, and one weight used with and without groups."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 4), nn.Linear(4, 4)
        self.shared = nn.Parameter(torch.randn(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        linear, conv1d = nn.functional.linear, nn.functional.conv1d
        hidden = linear(x, self.one.weight, bias=self.two.bias)
        tokens = torch.tanh(linear(hidden, weight=self.two.weight, bias=self.one.bias))
        whole = conv1d(tokens.sum(dim=2, keepdim=True).mT, self.shared)
        return (whole + conv1d(tokens.mT, self.shared, groups=4)).sum(dim=2)


class Written(TokensFirst):
    """Writes over what a layer was applied to, which autograd does not allow."""

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.inside(x)
        return self.out(hidden).sum(dim=1) + hidden.mul_(2).sum(dim=(1, 2))[:, None]


def grouped() -> nn.Module:
    """Groups of more channels than positions."""
    return nn.Sequential(nn.Conv1d(4, 16, 3, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(16, 2))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: mlp(bias=True), (5,)),
    "convolutions": (convolutions, (2, 7, 6)),
    "grouped": (grouped, (4, 3)),
    "tokens": (lambda: Tokens(8), (6, 4)),
    "twice-used": (TwiceUsed, (5,)),
    "functional": (Functional, (5,)),
    # As many samples as tokens: the axis of the samples cannot be told by its length.
    "tokens-first": (TokensFirst, (3, 3)),
    "merged": (Merged, (3, 3)),
    "in-place": (InPlace, (3, 3)),
    "detached": (Detached, (3, 3)),
    "swapped": (Swapped, (3, 3)),
    "transformer": (Attention, (3, 3)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_is_the_gram_matrix_of_gradients_by_ordinary_autograd(name: str) -> None:
    make, shape = NETWORKS[name]
    module, x = seeded(make), samples(3, *shape)
    rows = jacobian(module, x)
    full = torch.einsum("icp,jdp->cdij", rows, rows)
    expected = {
        "full": full,
        "class": torch.einsum("ccij->cij", full),
        "trace": torch.einsum("ccij->ij", full) / len(full),
        "pseudo": full.sum(dim=(0, 1)) / len(full),
    }
    for output, gram in expected.items():
        actual = empirical_ntk_gram(x, module=module, output=output)
        torch.testing.assert_close(actual, gram, rtol=1e-10, atol=1e-12 * float(gram.abs().max()))


@pytest.mark.parametrize("bias", [False, True])
def test_a_linear_model_has_the_linear_kernel(bias: bool) -> None:
    x, y = samples(4, 5), samples(3, 5) + 1
    gram = empirical_ntk_gram(x, y, module=nn.Linear(5, 2, bias).double(), output="full")
    same = x @ y.T + bias
    torch.testing.assert_close(gram[0, 0], same)
    torch.testing.assert_close(gram[1, 1], same)
    assert not gram[0, 1].any()


def test_a_convolution_over_a_line_by_hand() -> None:
    """One tap sees every place once: its gradient is the sum of what it sees."""
    x = samples(3, 1, 6)
    one_tap = nn.Sequential(nn.Conv1d(1, 1, 1, stride=2), nn.AvgPool1d(3)).double()
    seen = x[:, 0, ::2].mean(dim=1)
    torch.testing.assert_close(empirical_ntk_gram(x, module=one_tap), seen[:, None] * seen + 1)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_padding_of_an_odd_total_goes_behind() -> None:
    x, module = samples(3, 1, 5, 5), nn.Conv2d(1, 2, (2, 4), padding="same").double()
    rows = jacobian(module, x)
    expected = torch.einsum("icp,jcp->cij", rows, rows)
    torch.testing.assert_close(empirical_ntk_gram(x, module=module, output="class"), expected)


class NtkNetwork(nn.Module):
    """One hidden layer in the parametrisation whose kernel has a limit."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, width, bias=False), nn.Linear(width, 1, bias=False)
        for parameter in self.parameters():
            nn.init.normal_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.hidden(x))) * (2 / self.out.in_features) ** 0.5


def test_wide_networks_tend_to_the_kernel_of_infinite_width() -> None:
    """The mean of 8 networks of 2^15 units; 1.25% is four standard errors."""
    x = samples(4, 3)
    networks = [NtkNetwork(2**15).double() for _ in range(8)]
    for seed, network in enumerate(networks):
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            nn.init.normal_(parameter, generator=generator)
    by_layer = sum(empirical_ntk_gram(x, module=f, by_layer=True) for f in networks) / 8
    with using(None):
        limit = torch.from_numpy(ntk_gram(x.numpy(), variants=[(1, 0), (1, 1)]))
    atol = 0.0125 * float(limit[0].max())
    torch.testing.assert_close(by_layer.sum(dim=0), limit[0], rtol=0, atol=atol)
    torch.testing.assert_close(by_layer[1], limit[1], rtol=0, atol=atol)


@pytest.mark.parametrize("output", ["trace", "pseudo", "class"])
def test_is_symmetric_and_positive_semi_definite(output: str) -> None:
    x = samples(12, 2, 7, 6)
    gram = empirical_ntk_gram(x, module=seeded(convolutions), output=output)
    torch.testing.assert_close(gram, gram.mT, rtol=1e-12, atol=1e-12 * float(gram.max()))
    assert torch.linalg.eigvalsh(gram).min() > -1e-12 * gram.max()


@pytest.mark.parametrize("output", ["trace", "full"])
def test_layers_sum_to_the_whole(output: str) -> None:
    x, y = samples(4, 6, 4), samples(3, 6, 4) + 1
    module = seeded(lambda: Tokens(8))
    apart = empirical_ntk_gram(x, y, module=module, output=output, by_layer=True)
    assert list(trainable_layers(module)) == ["embed", "mlp", "norm", "head"]
    assert len(apart) == 4
    whole = empirical_ntk_gram(x, y, module=module, output=output)
    torch.testing.assert_close(apart.sum(dim=0), whole)


def test_a_layer_apart_is_what_remains_when_the_others_are_frozen() -> None:
    x, module = samples(4, 2, 7, 6), seeded(convolutions)
    apart = empirical_ntk_gram(x, module=module, by_layer=True)
    for contribution, layer in zip(apart, trainable_layers(module), strict=True):
        alone = copy.deepcopy(module).requires_grad_(False)
        alone.get_submodule(layer).requires_grad_(True)
        torch.testing.assert_close(empirical_ntk_gram(x, module=alone), contribution)


def test_two_sets_of_inputs_are_a_block_of_both_together() -> None:
    x, module = samples(7, 2, 7, 6), seeded(convolutions)
    together = empirical_ntk_gram(x, module=module, output="full")
    block = empirical_ntk_gram(x[:3], x[3:], module=module, output="full")
    torch.testing.assert_close(block, together[:, :, :3, 3:])


def test_blocks_in_memory_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    for make, shape in (NETWORKS["convolutions"], (lambda: Tokens(32), (2, 4))):
        x, module = samples(5, *shape), seeded(make)
        whole = empirical_ntk_gram(x, x[:2], module=module, output="class")
        with monkeypatch.context() as small:
            small.setattr(_products, "FORMED", 300)
            small.setattr(_products, "UNFOLDED", 300)
            in_blocks = empirical_ntk_gram(x, x[:2], module=module, output="class")
        torch.testing.assert_close(in_blocks, whole)


@pytest.mark.parametrize("name", NETWORKS)
def test_leaves_module_and_inputs_as_they_were(name: str) -> None:
    make, shape = NETWORKS[name]
    module, x = seeded(make), samples(3, *shape)
    state, before = copy.deepcopy(module.state_dict()), x.clone()
    gram = empirical_ntk_gram(x, module=module)
    assert not gram.requires_grad
    assert torch.equal(x, before)
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())


def test_what_autograd_does_not_allow_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        empirical_ntk_gram(samples(3, 3, 3), module=seeded(Written))


def test_runs_where_no_gradient_is_recorded() -> None:
    x, module = samples(3, 5), seeded(TwiceUsed)
    with torch.no_grad():
        gram = empirical_ntk_gram(x, module=module)
    assert torch.equal(gram, empirical_ntk_gram(x, module=module))


class Precision(nn.Linear):
    """Gives its outputs twice where a GPU may round what it convolves."""

    def forward(self, x: Tensor) -> Tensor:
        return (1 + torch.backends.cudnn.allow_tf32) * super().forward(x)


def test_a_gpu_convolves_in_full_precision_and_as_before_afterwards() -> None:
    before, x = torch.backends.cudnn.allow_tf32, samples(3, 5)
    with using("torch"):
        gram = empirical_ntk_gram(x, module=Precision(5, 1, bias=False).double())
    torch.testing.assert_close(gram, x @ x.T)
    assert torch.backends.cudnn.allow_tf32 == before


def test_inputs_may_be_indices() -> None:
    words = torch.tensor([[0, 1], [2, 2], [1, 0]])
    module = nn.Sequential(nn.Embedding(3, 4), nn.Flatten(0), nn.Linear(8, 1)).double()
    module[2].requires_grad_(False)
    # Words meet themselves alone, at places with weights of their own.
    weights = module[2].weight.view(2, 4)
    places = weights @ weights.T
    same = (words[:, None, :, None] == words[None, :, None, :]).double()
    expected = torch.einsum("ijtu,tu->ij", same, places)
    torch.testing.assert_close(empirical_ntk_gram(words, module=module), expected.detach())


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mlp", "0.bias 0.weight 2.bias 2.weight 4.bias 4.weight"),
        ("twice-used", "again.bias again.weight first.bias first.weight"),
        ("functional", "head.bias head.weight"),
        ("detached", "inside.bias inside.weight out.bias out.weight"),
        ("swapped", ""),
    ],
)
def test_a_parameter_is_told_by_its_calls_only_if_they_are_all_its_uses(
    name: str, told: str
) -> None:
    make, shape = NETWORKS[name]
    calls = _calls.watched_calls(seeded(make), samples(3, *shape))
    assert sorted(set().union(*(call.parameters for call in calls))) == told.split()


def test_conjugate_kernel_is_that_of_the_last_hidden_features() -> None:
    x, y, module = samples(4, 5), samples(3, 5), seeded(lambda: mlp(bias=False))
    hidden, others = (module[:-1](inputs).detach() for inputs in (x, y))
    gram = conjugate_gram(x, y, module=module)
    torch.testing.assert_close(gram, hidden @ others.T)
    torch.testing.assert_close(gram, empirical_ntk_gram(x, y, module=module, by_layer=True)[-1])


def test_conjugate_kernel_wants_a_dense_layer() -> None:
    module = nn.Sequential(nn.Conv1d(1, 1, 1), nn.Flatten()).double()
    with pytest.raises(ValueError, match="no dense layer ran"):
        conjugate_gram(samples(2, 1, 3), module=module)


def dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 2), nn.Dropout(0.5))


@pytest.mark.parametrize(
    ("module", "change", "message"),
    [
        (nn.Linear(5, 2), {"output": "sum"}, "output is 'sum', wanted one of 'trace', 'pseudo'"),
        (nn.Linear(5, 2).requires_grad_(False), {}, "module has no trainable parameter"),
        (nn.ReLU(), {}, "module has no trainable parameter"),
        (torch.relu, {}, "wanted a torch.nn.Module"),
        (nn.Linear(5, 2).bfloat16(), {}, "x1 is torch.float64, the module torch.bfloat16"),
        (nn.Linear(5, 2).double(), {"x2": samples(3, 4)}, r"x2 has shape \(3, 4\), wanted"),
        (nn.Linear(5, 2).double(), {"x2": samples(0, 5)}, r"x2 has shape \(0, 5\), wanted"),
        (nn.Linear(5, 2).to("meta").double(), {}, "x1 is on cpu, the module on meta"),
        (dropout().double(), {}, r"1 \(Dropout\) is in training mode.*call .eval\(\)"),
        (nn.BatchNorm1d(5).double(), {}, r"module \(BatchNorm1d\) is in training mode.*eval"),
        (
            nn.BatchNorm1d(5, track_running_stats=False).double().eval(),
            {},
            "no running statistics, so that samples depend on each other",
        ),
        (
            nn.Sequential(nn.Linear(5, 2), nn.Linear(2, 2).double()),
            {},
            "parameters are of torch.float32, torch.float64, wanted one real dtype",
        ),
    ],
)
def test_arguments_without_meaning_are_refused(
    module: nn.Module, change: dict[str, object], message: str
) -> None:
    arguments = {"x1": samples(3, 5), "module": module} | change
    x1 = arguments.pop("x1")
    with pytest.raises(ValueError, match=message):
        empirical_ntk_gram(x1, **arguments)


def test_numpy_arrays_are_refused_by_name() -> None:
    with pytest.raises(NoBackend, match="it takes torch arrays, not numpy"):
        empirical_ntk_gram(samples(3, 5).numpy(), module=nn.Linear(5, 2).double())


# Random projections.


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def test_projections_see_every_gradient_from_the_same_standard_normal_directions() -> None:
    module, x, count = seeded(small), samples(60, 3), 500
    found = projected_jacobian(x, module=module, projections=count)
    gradients = jacobian(module, x).flatten(0, 1)
    directions = torch.linalg.lstsq(gradients, found.flatten(0, 1)).solution * count**0.5
    torch.testing.assert_close(gradients @ directions / count**0.5, found.flatten(0, 1))
    assert torch.linalg.matrix_rank(gradients) == len(directions)  # so they are determined
    covariance = directions @ directions.T / count
    torch.testing.assert_close(covariance, torch.eye(len(directions)).double(), rtol=0, atol=0.25)


def test_products_of_projections_estimate_the_kernel() -> None:
    module, x, count = seeded(small), samples(5, 3), 4000
    found = projected_jacobian(x, module=module, projections=count)
    exact = empirical_ntk_gram(x, module=module, output="full")
    variances = empirical_ntk_gram(x, module=module, output="class").diagonal(dim1=1, dim2=2)
    scale = (torch.einsum("ci,dj->cdij", variances, variances) + exact**2).sqrt() / count**0.5
    error = torch.einsum("nck,mdk->cdnm", found, found) - exact
    assert (error.abs() < 5 * scale).all()


def test_projections_do_not_depend_on_the_batch_but_on_the_seed() -> None:
    module, x = seeded(convolutions), samples(3, 2, 6, 7)
    found = projected_jacobian(x, module=module, projections=3)
    alone = projected_jacobian(x[1:2], module=module, projections=3)
    torch.testing.assert_close(found[1:2], alone)
    other = projected_jacobian(x, module=module, projections=3, seed=1)
    assert not torch.isclose(found, other).any()
    assert not found.requires_grad


def test_projections_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="projections is 0, wanted at least 1"):
        projected_jacobian(samples(2, 3), module=seeded(small), projections=0)
