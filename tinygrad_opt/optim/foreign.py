"""What optimizers written for PyTorch import from `torch.optim.optimizer` besides its class.

Those that are copies of PyTorch's own files use its helpers, under private names, which
`porting/paths.py` finds here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from ..arrays.element_types import dtype, float32, float64, get_default_dtype
from ..autograd.modes import set_grad_enabled
from ..core.tensor import Tensor

__all__ = ["ParamsT"]

ParamsT: TypeAlias = "Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]"

# Parts of docstrings that PyTorch's classes format theirs with.
_capturable_doc = _differentiable_doc = _foreach_doc = _fused_doc = _maximize_doc = _params_doc = ""


def _use_grad_for_differentiable(func: Callable[..., Any]) -> Callable[..., Any]:
    """A `step` that records nothing, unless the optimizer says `differentiable`."""

    @functools.wraps(func)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        with set_grad_enabled(bool(self.defaults.get("differentiable", False))):
            return func(self, *args, **kwargs)

    return step


def _get_value(x: Any) -> Any:
    """A number, of a tensor of one element too."""
    return x.item() if isinstance(x, Tensor) else x


_to_scalar = _get_value


def _stack_if_compiling(x: Any) -> Any:
    return x


def _disable_dynamo_if_unsupported(single_tensor_fn: Any = None) -> Callable[[Any], Any]:
    return lambda function: function


def _dispatch_sqrt(x: Any) -> Any:
    return x.sqrt() if isinstance(x, Tensor) else math.sqrt(x)


def _default_to_fused_or_foreach(
    params: Any, differentiable: bool, use_fused: bool = False
) -> tuple[bool, bool]:
    """(fused, foreach): neither, a loop over single tensors is as quick here."""
    return False, False


def _view_as_real(params: Any, *state_and_grads: Any) -> None:
    """Nothing: parameters are real."""


def _get_scalar_dtype(is_fused: bool | None = None) -> dtype:
    """The type of step counts."""
    return float64 if np.dtype(get_default_dtype()) == np.float64 else float32


def _get_capturable_supported_devices(supports_xla: bool = True) -> list[str]:
    return ["cuda"]
