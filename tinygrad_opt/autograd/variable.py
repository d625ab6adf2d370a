"""`autograd.Variable`, which old code wraps tensors in: today every tensor is one."""

from __future__ import annotations

from typing import Any

from ..core import node
from ..core.tensor import wrap_plain

__all__ = ["Variable"]


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, node.Variable)

    def __call__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        tensor = wrap_plain(getattr(data, "array", data))
        return tensor.requires_grad_() if requires_grad else tensor


class Variable(metaclass=_VariableMeta):
    """`Variable(tensor, requires_grad=False)` gives a Tensor over the same memory.

    `isinstance(x, Variable)` holds for every Tensor. `volatile` is accepted and has no effect.
    """
