"""What type checkers are told of the methods that `tensors/methods.py` binds to Tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["Bound"]


class Bound:
    """The operators by name, since syntax looks them up; every other method as Any."""

    __slots__ = ()

    if TYPE_CHECKING:
        grad: Any
        _Method = Callable[..., Any]
        __add__: _Method
        __radd__: _Method
        __sub__: _Method
        __rsub__: _Method
        __mul__: _Method
        __rmul__: _Method
        __truediv__: _Method
        __rtruediv__: _Method
        __pow__: _Method
        __rpow__: _Method
        __matmul__: _Method
        __rmatmul__: _Method
        __neg__: _Method
        __and__: _Method
        __or__: _Method
        __xor__: _Method
        __invert__: _Method
        __lt__: _Method
        __le__: _Method
        __gt__: _Method
        __ge__: _Method
        __getitem__: _Method
        __setitem__: _Method
        __iter__: _Method
        __len__: _Method
        __float__: _Method
        __int__: _Method

        def __getattr__(self, name: str) -> Any: ...

        def __eq__(self, other: object) -> Any: ...
        def __ne__(self, other: object) -> Any: ...
