"""The empirical NTK as torch's own tools give it: a gradient for each sample, then its products.

`vmap` of `grad` makes the Jacobian of the sum of the outputs, parameter by parameter, and each
parameter's is multiplied with itself.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from . import NotMeasured

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..timing.runners import InProcess
    from ..timing.workloads import Workload


def adapt(workload: Workload, device: str) -> tuple[Workload, str]:
    if find_spec("torch") is None:
        raise NotMeasured("torch is not installed (pip install 'claimbench[torch]')")
    if workload.arguments.get("output") != "pseudo" or workload.arguments.get("by_layer"):
        raise NotMeasured("it is run for the sum of the outputs, output='pseudo'")
    return workload, ""


def runner(workload: Workload, device: str) -> InProcess:
    from ..timing.runners import InProcess

    return InProcess(gram, workload, "torch", device)


def gram(
    x1: Tensor, x2: Tensor | None = None, *, module: nn.Module, output: str = "pseudo"
) -> Tensor:
    """What `empirical_ntk_gram` gives for `output="pseudo"`."""
    import torch
    from torch.func import functional_call, grad, vmap

    def total(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        values = functional_call(module, parameters, x[None]).flatten()
        return values.sum() / len(values) ** 0.5

    parameters = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    gradients = vmap(grad(total), in_dims=(None, 0))
    first = gradients(parameters, x1)
    second = first if x2 is None else gradients(parameters, x2)
    products = [first[name].flatten(1) @ second[name].flatten(1).T for name in parameters]
    return torch.stack(products).sum(0)
