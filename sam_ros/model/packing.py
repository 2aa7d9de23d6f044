"""Linear layers with weights that oneDNN has laid out for the processor, once for all.

torch multiplies float32 matrices on a CPU by MKL. It keeps its fastest code for Intel's
processors: on AMD's with AVX-512 it reaches half of what oneDNN does, which torch has as well and
uses for convolutions. And it goes over the result once more for the bias, and torch for the
activation, which oneDNN does on the way. The operators are those that torch's own compiler calls
when it freezes weights (torch/_inductor/fx_passes/mkldnn_fusion.py).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PRECISIONS = torch.float32, torch.bfloat16
OPERATORS = "_reorder_linear_weight", "_linear_pointwise", "_convolution_pointwise"
WORTH_IT = 1024  # rows: laying a matrix out costs as much as a few of them


class PackedLinear(nn.Module):
    """A linear layer of final weights, (..., in) to (..., out); the numbers are rounding's apart.

    It is saved and loaded as the plain layer, and is one again where it is cast, moved or loaded.

    Args:
        linear: in float32 or bfloat16 on the CPU; it can be let go.
    """

    weight: nn.Parameter | None  # None while it is packed

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.register_parameter("weight", None)
        self.bias = linear.bias
        self._packed = _laid_out(linear.weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out), both contiguous."""
        if self.weight is not None:
            return F.linear(x, self.weight, self.bias)
        return _multiply(x, self._packed, self.bias)

    def _unpack(self) -> None:
        if self.weight is None:
            self.weight = nn.Parameter(self._packed.to_dense(), requires_grad=False)
            del self._packed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PackedLinear:
        if self.weight is None:
            probe = torch.empty(0, dtype=self._packed.dtype)
            after = fn(probe)
            if (after.dtype, after.device) != (probe.dtype, probe.device):
                self._unpack()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _save_to_state_dict(
        self, destination: dict[str, Tensor], prefix: str, keep_vars: bool
    ) -> None:
        if self.weight is None:
            destination[prefix + "weight"] = self._packed.to_dense()
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, *given: Any) -> None:
        self._unpack()
        super()._load_from_state_dict(*given)

    def __deepcopy__(self, memo: dict[int, Any]) -> PackedLinear:
        twin = copy(self)  # torch cannot copy what is packed, and nobody can change it
        twin._parameters = deepcopy(self._parameters, memo)
        return twin


def pack(module: nn.Module) -> None:
    """Replace the linear layers of a module on the CPU, where that makes them faster.

    The module is for inference in its present precision from then on.
    """
    if not is_faster():
        return
    for part in tuple(module.modules()):
        for name, child in tuple(part.named_children()):
            if type(child) is nn.Linear and child.weight.dtype in PRECISIONS:
                setattr(part, name, PackedLinear(child))


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``F.linear``, with weights laid out on the spot where many rows make that worth it."""
    large = x.shape[:-1].numel() >= WORTH_IT and x.dtype in PRECISIONS
    if large and x.is_cpu and not torch.is_grad_enabled() and is_faster():
        return _multiply(x, _laid_out(weight), bias)
    return F.linear(x, weight, bias)


def _laid_out(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    return packed


def gelu(layer: nn.Module, x: Tensor) -> Tensor:
    """``F.gelu(layer(x))``; in one pass over the memory, if the layer is packed or a convolution.

    Args:
        layer: linear, packed or not, or a convolution that pads by zeros.
        x: what it takes.
    """
    if isinstance(layer, PackedLinear) and layer.weight is None:
        return _multiply(x, layer._packed, layer.bias, "gelu")
    ours = x.dtype in PRECISIONS and is_inference(x) and is_faster()
    if not ours or not isinstance(layer, nn.Conv2d):
        return F.gelu(layer(x))
    sides = layer.padding, layer.stride, layer.dilation
    result: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, layer.weight, layer.bias, *sides, layer.groups, "gelu", [], "none"
    )
    return result


def is_inference(x: Tensor) -> bool:
    """Whether ``x`` goes through the inference of a CPU itself, not through a conversion of it."""
    converted = torch._C._get_tracing_state() is not None or torch.compiler.is_compiling()
    return torch.is_inference_mode_enabled() and x.is_cpu and not converted


def _multiply(x: Tensor, packed: Tensor, bias: Tensor | None, then: str = "none") -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, then, [], "none")
    return product


@cache
def is_faster() -> bool:
    """Whether the processor has AVX-512, which it was measured with, and torch the operators."""
    ours = all(hasattr(torch.ops.mkldnn, name) for name in OPERATORS)
    if not (ours and torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    return torch.backends.cpu.get_cpu_capability() == "AVX512"
