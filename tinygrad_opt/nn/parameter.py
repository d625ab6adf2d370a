"""Parameter: the Tensor that a Module counts as its own."""

from __future__ import annotations

from typing import Any

from .. import dtypes
from .._tensor import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A leaf tensor that becomes a parameter of the Module it is assigned to.

    data           a Tensor or array whose memory it shares, or numbers
    requires_grad  whether backward computes a gradient for it

    Raises RuntimeError for integer data that is asked to require a gradient.

    >>> Parameter(Tensor([1.0, 2.0]))
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
        super().__init__(data)
        if requires_grad and not self.is_floating_point():
            raise RuntimeError(
                "Parameter: Only Tensors of floating point dtype can require gradients, got "
                f"{dtypes.name_of(self.dtype)}; pass requires_grad=False for integer data"
            )
        self.requires_grad = requires_grad
