"""The operators of Tensor, and the functions that are its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import functions, ops
from .autograd.graph import wrap_plain

if TYPE_CHECKING:
    from ._tensor import Tensor


class Operators:
    """`x + y`, `x.sum()`: names bound to the operations in `ops` and the functions by name."""

    __slots__ = ()

    array: Any

    # Operators ------------------------------------------------------------------------------------

    __add__ = __radd__ = ops.add
    __mul__ = __rmul__ = ops.mul
    __sub__, __truediv__, __neg__, __pow__ = ops.sub, ops.div, ops.neg, ops.power
    __matmul__ = ops.matmul

    def __eq__(self, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        return functions.eq(self, other)

    def __ne__(self, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        return functions.ne(self, other)

    __lt__, __le__, __gt__, __ge__ = functions.lt, functions.le, functions.gt, functions.ge
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

    def __floordiv__(self, other: Any) -> Tensor:
        return _floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return _floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return self - _floor_divide(self, other) * other

    def __rmod__(self, other: Any) -> Tensor:
        return other - _floor_divide(other, self) * self

    def __and__(self, other: Any) -> Tensor:
        return wrap_plain(self.array & getattr(other, "array", other))

    def __or__(self, other: Any) -> Tensor:
        return wrap_plain(self.array | getattr(other, "array", other))

    def __xor__(self, other: Any) -> Tensor:
        return wrap_plain(self.array ^ getattr(other, "array", other))

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        return wrap_plain(~self.array)

    # Methods that are functions -------------------------------------------------------------------

    add, sub, mul, div = functions.add, functions.sub, ops.mul, ops.div
    multiply, divide, true_divide, subtract = ops.mul, ops.div, ops.div, functions.sub
    neg, negative, pow = ops.neg, ops.neg, ops.power
    exp, log, sqrt, sin, cos, tanh = ops.exp, ops.log, ops.sqrt, ops.sin, ops.cos, ops.tanh
    expm1, log1p, log2, log10, erf = ops.expm1, ops.log1p, ops.log2, ops.log10, ops.erf
    sigmoid, relu, abs, absolute = ops.sigmoid, ops.relu, ops.abs, ops.abs
    sign, floor, ceil, round = ops.sign, ops.floor, ops.ceil, ops.round
    isnan, isinf, isfinite = ops.isnan, ops.isinf, ops.isfinite
    logical_not, logical_and = ops.logical_not, functions.logical_and
    logical_or = functions.logical_or
    square, reciprocal, rsqrt = functions.square, functions.reciprocal, functions.rsqrt
    clip, clamp, lerp = functions.clip, functions.clip, functions.lerp
    addcmul, addcdiv, masked_fill = functions.addcmul, functions.addcdiv, functions.masked_fill
    maximum, minimum = ops.maximum, ops.minimum
    eq, ne, lt, le, gt, ge = (
        functions.eq, functions.ne, functions.lt, functions.le, functions.gt, functions.ge,
    )  # fmt: skip
    equal, isclose, allclose = functions.equal, functions.isclose, functions.allclose
    sum, mean, var, std, norm = (
        functions.sum, functions.mean, functions.var, functions.std, functions.norm,
    )  # fmt: skip
    max, min, amax, amin = functions.max, functions.min, functions.amax, functions.amin
    argmax, argmin, all, any = functions.argmax, functions.argmin, functions.all, functions.any
    softmax, log_softmax = functions.softmax, functions.log_softmax
    logsumexp, cumsum = functions.logsumexp, functions.cumsum
    reshape, view, flatten = functions.reshape, functions.reshape, functions.flatten
    squeeze, unsqueeze, expand = functions.squeeze, functions.unsqueeze, functions.expand
    transpose, permute, t = functions.transpose, functions.permute, functions.t
    flip, split, chunk = functions.flip, functions.split, functions.chunk
    gather, index_select = functions.gather, functions.index_select
    matmul, mm, bmm, mv, dot = ops.matmul, ops.matmul, ops.matmul, ops.matmul, functions.dot
    outer = functions.outer

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """self where condition holds, else other."""
        return ops.where(condition, self, other)

    def ravel(self: Any) -> Tensor:
        """All elements along one axis."""
        return functions.flatten(self)

    def view_as(self: Any, other: Tensor) -> Tensor:
        """In the shape of `other`."""
        return functions.reshape(self, *other.shape)

    def expand_as(self: Any, other: Tensor) -> Tensor:
        """Broadcast to the shape of `other`."""
        return functions.expand(self, *other.shape)

    @property
    def T(self) -> Tensor:
        """With the axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> Tensor:
        """With the last two axes exchanged."""
        return ops.swapaxes(self, -1, -2)


def _floor_divide(x: Any, y: Any) -> Tensor:
    """floor(x / y), without gradient; integers are divided as integers, so exactly."""
    a, b = (getattr(z, "array", z) for z in (x, y))
    if np.result_type(a, b).kind in "iu":
        return wrap_plain(a // b)
    return ops.floor(ops.div(x, y))
