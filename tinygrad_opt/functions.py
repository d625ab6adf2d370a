"""The public functions on tensors, by PyTorch's names and arguments.

Each is a thin wrapper over the operations in `ops/`: it translates `dim` and `keepdim`, checks what
users get wrong, and composes. All are Tensor methods too (see `_tensor.py`).
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import dtypes, ops
from .autograd.errors import axis_index, explain
from .autograd.graph import Variable, wrap_plain
from .backend import xp

if TYPE_CHECKING:
    from ._tensor import Tensor

Dim = int | Sequence[int] | None

# Arithmetic and element-wise ----------------------------------------------------------------------


def add(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input + alpha * other, broadcast."""
    return ops.add(input, other if alpha == 1 else ops.mul(other, alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Tensor:
    """input - alpha * other, broadcast."""
    return ops.sub(input, other if alpha == 1 else ops.mul(other, alpha))


def square(input: Tensor) -> Tensor:
    """input^2, element by element."""
    return ops.mul(input, input)


def reciprocal(input: Tensor) -> Tensor:
    """1 / input, element by element."""
    return ops.div(1.0, input)


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input), element by element."""
    return ops.div(1.0, ops.sqrt(input))


def clip(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """input limited to [min, max]; the bounds are numbers, Tensors or None.

    The gradient passes where min <= input <= max. Raises RuntimeError if both bounds are None.
    """
    if min is None and max is None:
        raise RuntimeError("clip: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Variable) or isinstance(max, Variable):
        y = input if min is None else ops.maximum(input, min)
        return y if max is None else ops.minimum(y, max)
    return ops.clip(input, min=min, max=max)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where condition holds, else other, broadcast; with one argument: the true indices."""
    if input is None and other is None:
        return tuple(wrap_plain(i) for i in condition.array.nonzero())
    return ops.where(condition, input, other)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input with `value` where mask is True."""
    return ops.where(mask, value, input)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return input + value * (tensor1 * tensor2)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2."""
    return input + value * (tensor1 / tensor2)


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input)."""
    return input + weight * (end - input)


# Comparison ---------------------------------------------------------------------------------------


def _raw(x: Any) -> Any:
    return x.array if isinstance(x, Variable) else x


def _comparison(symbol: str, compare: Any) -> Any:
    def function(input: Any, other: Any) -> Tensor:
        try:
            return wrap_plain(compare(_raw(input), _raw(other)))
        except (TypeError, ValueError) as error:
            raise explain(symbol, (input, other), error) from error

    function.__name__ = symbol
    function.__doc__ = f"{symbol}, element by element: a bool tensor, without gradient."
    return function


eq = _comparison("eq", lambda x, y: xp(x).equal(x, y))
ne = _comparison("ne", lambda x, y: xp(x).not_equal(x, y))
lt = _comparison("lt", lambda x, y: xp(x).less(x, y))
le = _comparison("le", lambda x, y: xp(x).less_equal(x, y))
gt = _comparison("gt", lambda x, y: xp(x).greater(x, y))
ge = _comparison("ge", lambda x, y: xp(x).greater_equal(x, y))
logical_and = _comparison("logical_and", lambda x, y: xp(x).logical_and(x, y))
logical_or = _comparison("logical_or", lambda x, y: xp(x).logical_or(x, y))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    a, b = input.array, other.array
    return tuple(a.shape) == tuple(b.shape) and bool((a == b).all())


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """|input - other| <= atol + rtol * |other|, element by element."""
    a, b = input.array, other.array
    return wrap_plain(xp(a).isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds for every element."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


# Reductions ---------------------------------------------------------------------------------------


class Extremum(NamedTuple):
    """What `max(dim)` and `min(dim)` return: the values and where they stand."""

    values: Tensor
    indices: Tensor


def _axis(dim: Dim) -> Any:
    return tuple(dim) if isinstance(dim, (list, tuple)) else dim


def _summable(x: Tensor) -> Tensor:
    """x, but uint8 as int64: NumPy would sum it to uint64, a type that nothing else here has."""
    return x.long() if x.array.dtype is dtypes.uint8 else x


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an axis, several, or all); bools and ints give int64."""
    x = _summable(input) if dtype is None else ops.cast(input, dtype=dtype)
    return ops.sum(x, axis=_axis(dim), keepdims=keepdim)


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim`. Raises RuntimeError for integers, whose mean has no obvious type."""
    x = input if dtype is None else ops.cast(input, dtype=dtype)
    if x.array.dtype.kind != "f":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be a floating point type, "
            f"got {dtypes.name_of(x.array.dtype)}; convert with .float()"
        )
    return ops.mean(x, axis=_axis(dim), keepdims=keepdim)


def _extremum(name: str, arg: Any, reduce: Any, pairwise: Any) -> Any:
    def function(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, Variable):
            return pairwise(input, dim)
        if dim is None:
            return reduce(input)
        indices = arg(input, dim, keepdim=True)
        values = ops.take_along_axis(input, indices=indices.array, axis=dim)
        if keepdim:
            return Extremum(values, indices)
        return Extremum(squeeze(values, dim), squeeze(indices, dim))

    function.__name__ = name
    function.__doc__ = (
        f"The {name}imum of all elements (ties share the gradient); with `dim` an axis, the named "
        f"tuple (values, indices) along it; with a second Tensor, the element-wise {name}imum."
    )
    return function


def _argextremum(name: str) -> Any:
    def function(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
        x = input.array
        if dim is None:
            return wrap_plain(getattr(xp(x), name)(x))
        found = getattr(xp(x), name)(x, axis=dim)
        return wrap_plain(xp(x).expand_dims(found, dim) if keepdim else found)

    function.__name__ = name
    function.__doc__ = (
        f"The int64 position of the {name[3:]}imum, over all elements or along `dim`."
    )
    return function


argmax, argmin = _argextremum("argmax"), _argextremum("argmin")
max = _extremum("max", argmax, ops.amax, ops.maximum)
min = _extremum("min", argmin, ops.amin, ops.minimum)


def amax(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The maximum over `dim`; ties share the gradient equally."""
    return ops.amax(input, axis=_axis(dim), keepdims=keepdim)


def amin(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """The minimum over `dim`; ties share the gradient equally."""
    return ops.amin(input, axis=_axis(dim), keepdims=keepdim)


def var(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: int | None = None,
) -> Tensor:  # fmt: skip
    """The variance over `dim`: sum of (x - mean)^2 / (n - correction), correction 1 by default."""
    correction = int(unbiased) if correction is None else correction
    centred = input - ops.mean(input, axis=_axis(dim), keepdims=True)
    squares = ops.mean(centred * centred, axis=_axis(dim), keepdims=keepdim)
    n = input.array.size // builtins.max(squares.array.size, 1)
    return squares * (n / (n - correction) if n > correction else math.nan)


def std(
    input: Tensor, dim: Dim = None, unbiased: bool = True, keepdim: bool = False,
    *, correction: int | None = None,
) -> Tensor:  # fmt: skip
    """The standard deviation: the square root of `var`."""
    return ops.sqrt(var(input, dim, unbiased, keepdim, correction=correction))


def norm(input: Tensor, p: Any = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """(sum |x|^p)^(1/p) over `dim`; p may be inf, -inf, or 0 (which counts the non-zeros)."""
    axis = _axis(dim)
    if p in (math.inf, -math.inf):
        extremum = ops.amax if p > 0 else ops.amin
        return extremum(ops.abs(input), axis=axis, keepdims=keepdim)
    if p in (2, "fro"):
        return ops.norm2(input, axis=axis, keepdims=keepdim)
    if p == 0:
        return ops.sum(ops.cast(ne(input, 0), dtype=input.dtype), axis=axis, keepdims=keepdim)
    return ops.power(ops.sum(ops.power(ops.abs(input), p), axis=axis, keepdims=keepdim), 1 / p)


def all(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are true (non-zero)."""
    return wrap_plain(input.array.all(axis=dim, keepdims=keepdim))


def any(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Whether any element is true (non-zero)."""
    return wrap_plain(input.array.any(axis=dim, keepdims=keepdim))


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """exp(x) / sum of exp(x) along `dim`."""
    return ops.softmax(input if dtype is None else ops.cast(input, dtype=dtype), axis=dim)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """log(softmax(x)) along `dim`, computed without overflow."""
    return ops.log_softmax(input if dtype is None else ops.cast(input, dtype=dtype), axis=dim)


def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log(sum of exp(x)) along `dim`, computed without overflow."""
    return ops.logsumexp(input, axis=_axis(dim), keepdims=keepdim)


def cumsum(input: Tensor, dim: int) -> Tensor:
    """The running sum along `dim`."""
    return ops.cumsum(_summable(input), axis=dim)


# Shape --------------------------------------------------------------------------------------------


def _sizes(shape: tuple[Any, ...]) -> tuple[int, ...]:
    """`(2, 3)` from `f(2, 3)`, `f((2, 3))` and `f([2, 3])` alike."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    return tuple(int(n) for n in shape)


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The same elements in another shape; one entry may be -1. A view where memory allows."""
    sizes = _sizes(shape)
    try:
        return ops.reshape(input, shape=sizes)
    except RuntimeError as error:
        raise RuntimeError(
            f"shape '{list(sizes)}' is invalid for input of size {input.array.size}"
        ) from error


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes start_dim..end_dim joined into one."""
    shape = tuple(input.array.shape) or (1,)
    first, last = axis_index(start_dim, len(shape)), axis_index(end_dim, len(shape))
    if first > last:
        raise RuntimeError(
            "flatten() has invalid args: start_dim cannot come after end_dim, got "
            f"{start_dim} and {end_dim}"
        )
    joined = math.prod(shape[first : last + 1])
    return ops.reshape(input, shape=(*shape[:first], joined, *shape[last + 1 :]))


def squeeze(input: Tensor, dim: Dim = None) -> Tensor:
    """Without axes of length 1: all of them, or those of `dim` that have length 1."""
    shape = input.array.shape
    if dim is None:
        return ops.reshape(input, shape=tuple(n for n in shape if n != 1))
    dims = {axis_index(d, len(shape)) for d in ([dim] if isinstance(dim, int) else dim)}
    return ops.reshape(
        input, shape=tuple(n for i, n in enumerate(shape) if i not in dims or n != 1)
    )


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With an axis of length 1 inserted at `dim`."""
    shape = input.array.shape
    at = axis_index(dim, len(shape) + 1)
    return ops.reshape(input, shape=(*shape[:at], 1, *shape[at:]))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """With two axes exchanged."""
    return ops.swapaxes(input, dim0, dim1)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and scalars unchanged."""
    if len(input.array.shape) > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, got {input.array.ndim}")
    return ops.transpose(input)


def permute(input: Tensor, *dims: Any) -> Tensor:
    """With the axes in the order `dims`."""
    order = _sizes(dims)
    if sorted(axis_index(d, input.array.ndim) for d in order) != list(range(input.array.ndim)):
        raise RuntimeError(
            f"permute: dims {order} are not an order of the {input.array.ndim} axes of the input"
        )
    return ops.transpose(input, axes=order)


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Broadcast to `sizes`, without copying; -1 keeps an axis."""
    wanted = _sizes(sizes)
    shape = input.array.shape
    extra = len(wanted) - len(shape)
    full = tuple(shape[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(wanted))
    return ops.broadcast_to(input, shape=full)


def flip(input: Tensor, *dims: Any) -> Tensor:
    """Reversed along `dims`."""
    return ops.flip(input, axis=_sizes(dims))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along `dim`; their other sizes must agree."""
    parts = list(tensors)
    if not parts:
        raise ValueError("cat: expected a non-empty list of Tensors")
    shape = parts[0].shape
    along = axis_index(dim, len(shape))
    for i, part in enumerate(parts):
        if len(part.shape) != len(shape):
            raise RuntimeError(
                f"cat: Tensors must have same number of dimensions: got {len(shape)} and "
                f"{len(part.shape)} (tensor number {i})"
            )
        for axis, (n, m) in enumerate(zip(shape, part.shape, strict=True)):
            if n != m and axis != along:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} "
                    f"but got size {m} for tensor number {i} in the list."
                )
    return ops.concatenate(parts, axis=dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, all of one shape, along a new axis `dim`."""
    parts = list(tensors)
    if not parts:
        raise RuntimeError("stack: expected a non-empty list of Tensors")
    for i, part in enumerate(parts):
        if tuple(part.shape) != tuple(parts[0].shape):
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(parts[0].shape)} at "
                f"entry 0 and {list(part.shape)} at entry {i}"
            )
    return ops.stack(parts, axis=dim)


def split(input: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of `split_size` along `dim` (the last may be smaller), or of the listed sizes."""
    along = axis_index(dim, input.array.ndim)
    n = input.array.shape[along]
    if isinstance(split_size, int):
        if split_size < 1:
            raise RuntimeError(f"split expects split_size to be positive, got {split_size}")
        sizes = [builtins.min(split_size, n - i) for i in range(0, n, split_size)]
    else:
        sizes = list(split_size)
    edges = np.cumsum([0, *sizes]).tolist()
    if edges[-1] != n:
        raise RuntimeError(
            f"split: split_sizes must sum to the size {n} of dimension {dim}, but got {sizes}"
        )
    return tuple(
        ops.getitem(input, index=(*(slice(None),) * along, slice(a, b))) for a, b in pairwise(edges)
    )


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal size along `dim` (the last may be smaller)."""
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.array.shape[axis_index(dim, input.array.ndim)]
    return split(input, builtins.max(1, -(-n // chunks)), dim)


# Indexing and products ----------------------------------------------------------------------------


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """input[i, index[i, j], k...]: the element along `dim` that `index` names."""
    return ops.take_along_axis(input, indices=index.array, axis=axis_index(dim, input.array.ndim))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along `dim` that `index` (1-D) lists."""
    along = axis_index(dim, input.array.ndim)
    return ops.getitem(input, index=(*(slice(None),) * along, index.array))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """input[:, None] * vec2[None, :]."""
    return ops.mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


def dot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if input.array.ndim != 1 or other.array.ndim != 1:
        raise RuntimeError(
            f"dot: 1D tensors expected, but got {input.array.ndim}D and {other.array.ndim}D tensors"
        )
    return ops.matmul(input, other)
