"""The operators of Tensor, and methods that are not functions of the same arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import functions, ops
from ..core.tensor import Tensor, wrap_plain

__all__ = ["Operators"]


class Operators:
    """`x + y`, `x.sum()`: names bound to the operations in `ops` and the functions by name."""

    __slots__ = ()

    array: Any

    # Operators ------------------------------------------------------------------------------------
    # They take raw arrays beside a Tensor, which the functions of the same names refuse.

    __add__ = __radd__ = ops.add
    __mul__ = __rmul__ = ops.mul
    __sub__, __truediv__, __neg__, __pow__ = ops.sub, ops.div, ops.neg, ops.power
    __matmul__ = ops.matmul

    def __eq__(self, other: Any) -> Any:
        if other is None or isinstance(other, (str, list, tuple)):
            return NotImplemented
        return functions.BARE["eq"](self, other)

    def __ne__(self, other: Any) -> Any:
        if other is None or isinstance(other, (str, list, tuple)):
            return NotImplemented
        return functions.BARE["ne"](self, other)

    __lt__, __le__, __gt__, __ge__ = (functions.BARE[name] for name in ("lt", "le", "gt", "ge"))
    __abs__ = ops.abs

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.div(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.power(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __pos__(self: Any) -> Tensor:
        return self

    __floordiv__, __mod__ = functions.BARE["floor_divide"], functions.BARE["remainder"]

    def __rfloordiv__(self, other: Any) -> Tensor:
        return functions.BARE["floor_divide"](other, self)

    def __rmod__(self, other: Any) -> Tensor:
        return functions.BARE["remainder"](other, self)

    __and__ = __rand__ = functions.BARE["bitwise_and"]
    __or__ = __ror__ = functions.BARE["bitwise_or"]
    __xor__ = __rxor__ = functions.BARE["bitwise_xor"]
    __lshift__ = functions.BARE["bitwise_left_shift"]
    __rshift__ = functions.BARE["bitwise_right_shift"]

    def __rlshift__(self, other: Any) -> Tensor:
        return functions.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Tensor:
        return functions.bitwise_right_shift(other, self)

    def __invert__(self) -> Tensor:
        if self.array.dtype.kind in "fc":
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type "
                            "tensors")  # fmt: skip
        return wrap_plain(~self.array)

    # Methods whose tensor does not come first, or that are not functions -------------------------

    def where(self: Any, condition: Tensor, other: Any) -> Tensor:
        """self where condition holds, else other."""
        return functions.where(condition, self, other)

    def split(self: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        """Pieces of `split_size` along `dim` (the last may be smaller), or of the listed sizes."""
        return functions.split(self, split_size, dim)

    def polygamma(self: Any, n: int) -> Tensor:
        """The n-th derivative of digamma."""
        return functions.polygamma(n, self)

    @property
    def T(self) -> Tensor:
        """With the axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self: Any) -> Tensor:
        """With the last two axes exchanged. Raises RuntimeError for a vector."""
        if self.array.ndim < 2:
            if not self.array.ndim:
                return self
            raise RuntimeError(
                "tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor."
            )
        return ops.swapaxes(self, -1, -2)

    @property
    def H(self: Any) -> Tensor:
        """The conjugate of a matrix with its axes exchanged."""
        return functions.conj(functions.t(self))

    @property
    def mH(self: Any) -> Tensor:
        """The conjugate with the last two axes exchanged. Raises RuntimeError for a vector."""
        return functions.conj(self.mT)

    @property
    def real(self: Any) -> Tensor:
        """The real part; of real numbers themselves."""
        return functions.real(self)

    @property
    def imag(self: Any) -> Tensor:
        """The imaginary part. Raises RuntimeError for real numbers."""
        return functions.imag(self)
