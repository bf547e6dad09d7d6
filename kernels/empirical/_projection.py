"""Random projections of gradients: a forward pass for each direction, and no gradient at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jaxtyping import Float, Shaped

from ._arguments import check_module, check_samples

if TYPE_CHECKING:  # torch is imported by the first call
    from torch import Tensor, nn


def projected_jacobian(
    x: Shaped[Tensor, "n ..."], *, module: nn.Module, projections: int, seed: int = 0
) -> Float[Tensor, "n outputs projections"]:
    r"""Gradients of a module's outputs, seen from a few random directions.

    .. math:: \phi_{ck}(x) = J_c(x) \cdot r_k / \sqrt K, \quad r_k \sim \mathcal N(0, I)

    for k = 1 ... K.

    Products over k estimate those of the gradients: :math:`\phi_c(x) \cdot \phi_d(x')` has the mean
    :math:`\Theta = J_c(x) \cdot J_d(x')`, which is `full` of `empirical_ntk_gram`, and the variance
    :math:`(\|J_c(x)\|^2 \|J_d(x')\|^2 + \Theta^2) / K`. The directions follow from `seed` and the
    parameters' shapes alone, so samples may come in batches, and a Gram of very many samples is a
    product of two thin matrices.

    Args:
        x: inputs, as of `empirical_ntk_gram`.
        module: the network, as there.
        projections: how many directions, K; each costs a forward pass in forward mode.
        seed: of the directions.

    Returns:
        [n C K], in the parameters' dtype, without a gradient.

    Raises:
        ValueError: where `projections` is not positive, and as `empirical_ntk_gram`.

    Source: Johnson and Lindenstrauss 1984; of gradients, Park et al. 2023, arXiv:2303.14186 (TRAK).
    """
    if projections < 1:
        raise ValueError(f"projected_jacobian: projections is {projections}, wanted at least 1")
    check_module("projected_jacobian", module)
    check_samples("projected_jacobian", module, x, None)
    import torch
    from torch.func import functional_call, jvp, vmap

    trainable = {k: p.detach() for k, p in module.named_parameters() if p.requires_grad}
    generator = torch.Generator().manual_seed(seed)

    def direction(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)

    def seen(sample: Tensor, towards: dict[str, Tensor]) -> Tensor:
        def outputs(parameters: dict[str, Tensor]) -> Tensor:
            return functional_call(module, parameters, sample[None].clone()).flatten()

        return jvp(outputs, (trainable,), (towards,))[1]

    columns = []
    for _ in range(projections):
        towards = {name: direction(parameter) for name, parameter in trainable.items()}
        columns.append(vmap(seen, in_dims=(0, None))(x, towards).detach())
    return torch.stack(columns, dim=-1) / projections**0.5
