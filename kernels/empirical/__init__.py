"""Empirical neural tangent kernel: the kernel of one finite network, at the parameters it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from jaxtyping import Float, Shaped

from .._dispatch import Backend, kernel
from ._arguments import check_module, check_samples
from ._projection import projected_jacobian

if TYPE_CHECKING:  # torch is imported by the first call
    from torch import Tensor, nn

__all__ = ["conjugate_gram", "empirical_ntk_gram", "projected_jacobian", "trainable_layers"]

Output = Literal["trace", "pseudo", "class", "full"]
"""What is made of the outputs of a network with several; see `empirical_ntk_gram`."""


def trainable_layers(module: nn.Module) -> dict[str, list[str]]:
    """The submodules that own trainable parameters, with the names of those parameters.

    A parameter that several submodules share belongs to the first of them. The root is `""`.
    """
    layers: dict[str, list[str]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            layers.setdefault(name.rpartition(".")[0], []).append(name)
    return layers


def _validate(
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    module: nn.Module,
    output: Output = "trace",
    by_layer: bool = False,
) -> None:
    if output not in get_args(Output):
        wanted = ", ".join(map(repr, get_args(Output)))
        raise ValueError(f"empirical_ntk_gram: output is {output!r}, wanted one of {wanted}")
    check_module("empirical_ntk_gram", module)
    check_samples("empirical_ntk_gram", module, x1, x2)


@kernel(_validate, torch=Backend("._torch", "torch"), reference=Backend(__name__, "torch"))
def empirical_ntk_gram(
    x1: Shaped[Tensor, "n ..."],
    x2: Shaped[Tensor, "m ..."] | None = None,
    *,
    module: nn.Module,
    output: Output = "trace",
    by_layer: bool = False,
) -> Float[Tensor, "*layers_and_classes n m"]:
    r"""Gram matrix of the gradients of a torch module's outputs by its trainable parameters.

    With :math:`J_c(x)` the gradient of output c by all parameters, and C outputs,

    .. math::
        \mathrm{full}_{cd} = J_c(x) \cdot J_d(x'), \quad
        \mathrm{class}_c = J_c(x) \cdot J_c(x'), \quad
        \mathrm{trace} = \frac 1C \sum_c \mathrm{class}_c, \quad
        \mathrm{pseudo} = \frac 1C \sum_{cd} \mathrm{full}_{cd} .

    `trace` is the mean of the kernels of the classes, `pseudo` the pNTK: the kernel of the sum of
    all outputs over :math:`\sqrt C`. Their expectations agree where the last layer is drawn at
    random with mean 0, and `pseudo` needs one backward pass instead of C.

    Args:
        x1: inputs, one sample for each entry of the first axis. The module sees each sample by
            itself, as a batch of one, and must run under `torch.func.vmap`.
        x2: inputs to compare them with; `x1` itself where left out, at half the work.
        module: what is differentiated, in evaluation mode where the mode makes a difference.
            Parameters that require no gradient are constants. The module is left as it is.
        output: `trace`, `pseudo`, `class` or `full`, as above.
        by_layer: give the contribution of each layer by itself, in the order of
            `trainable_layers`; they sum to the whole.

    Returns:
        Grams in the parameters' dtype, without a gradient: [n m] of `trace` and `pseudo`,
        [C n m] of `class`, [C C n m] of `full`; with `by_layer` one of these for each layer. All
        are in units of output squared over parameter squared.

        `torch` holds the activations and signals of all samples, for every output unless `pseudo`;
        `reference` holds the Jacobian, with every parameter of every sample.

    Raises:
        ValueError: for an unknown `output`, a module without trainable parameters or whose mode
            makes its outputs random or dependent on the batch, or inputs whose shape, dtype or
            device does not fit.

    Source: Jacot et al. 2018, arXiv:1806.07572; `trace` as in Novak et al. 2022, arXiv:2206.08720,
    and Engel et al. 2022, arXiv:2205.12372; `pseudo` is Mohamadi et al. 2023, arXiv:2206.12543.
    """
    import torch
    from torch.func import functional_call, jacrev, vmap

    def outputs(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        values = functional_call(module, parameters, x[None].clone()).flatten()
        return values.sum()[None] / len(values) ** 0.5 if output == "pseudo" else values

    products = {
        "trace": "icp,jcp->ij",
        "pseudo": "icp,jcp->ij",
        "class": "icp,jcp->cij",
        "full": "icp,jdp->cdij",
    }
    layers = trainable_layers(module)
    trainable = {name for names in layers.values() for name in names}
    parameters = {k: p.detach() for k, p in module.named_parameters() if k in trainable}
    jacobian = vmap(jacrev(outputs), in_dims=(None, 0))  # [sample output *parameter]
    j1 = jacobian(parameters, x1)
    j2 = j1 if x2 is None else jacobian(parameters, x2)

    grams = []
    for names in layers.values():
        left, right = (torch.cat([j[name].flatten(2) for name in names], dim=2) for j in (j1, j2))
        gram = torch.einsum(products[output], left, right)
        grams.append(gram / left.shape[1] if output == "trace" else gram)
    stacked = torch.stack(grams)
    return stacked if by_layer else stacked.sum(dim=0)


def conjugate_gram(
    x1: Shaped[Tensor, "n ..."], x2: Shaped[Tensor, "m ..."] | None = None, *, module: nn.Module
) -> Float[Tensor, "n m"]:
    """Gram matrix of a network's last hidden features, its conjugate kernel.

    These are the inputs of the dense layer that runs last. Where that layer is the network's last
    and has no bias, this is its part of the `trace` of `empirical_ntk_gram`.

    Args:
        x1: inputs, as of `empirical_ntk_gram`.
        x2: inputs to compare them with; `x1` itself where left out.
        module: the network.

    Raises:
        ValueError: where no dense layer runs, and as `empirical_ntk_gram`.

    Source: Daniely et al. 2016, arXiv:1602.05897; of a finite network, Engel et al. 2022,
    arXiv:2205.12372.
    """
    check_module("conjugate_gram", module)
    check_samples("conjugate_gram", module, x1, x2)
    from ._calls import last_features

    left = last_features(module, x1)
    right = left if x2 is None else last_features(module, x2)
    return left @ right.T
