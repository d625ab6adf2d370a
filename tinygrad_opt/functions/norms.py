"""Norms and products of vectors and matrices, as in `torch.linalg`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..arrays import dtypes
from ..arrays.size import WHOLE
from ..core.errors import axis_index
from ..core.half import widened
from ..core.tensor import Tensor
from . import reduce
from .factorizations import svdvals
from .inverses import LinAlgError, check_matrix, inv
from .shape import broadcast_tensors, movedim

__all__ = [
    "cond", "cross", "matrix_norm", "multi_dot", "norm", "vander", "vecdot", "vector_norm",
]  # fmt: skip

Dim = int | Sequence[int] | None


def vector_norm(
    x: Tensor, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1/ord) over `dim`, or over all elements; ord may be inf, -inf or 0."""
    _check_float("vector_norm", x)
    return reduce.norm(x, ord, dim, keepdim, dtype=dtype)


def _check_float(name: str, x: Tensor) -> None:
    if x.array.dtype.kind not in "fc":
        raise RuntimeError(
            f"linalg.{name}: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.name_of(x.array.dtype)}"
        )


def matrix_norm(
    A: Tensor, ord: float | str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False,
    *, dtype: Any = None,
) -> Tensor:  # fmt: skip
    """The norm of the matrices in the two axes `dim`.

    `ord`: "fro", the root of the sum of squares; "nuc", the sum of the singular values; 2 and -2,
    the largest and least of them; 1 and -1, of the sums of |columns|; inf and -inf, of |rows|.
    """
    _check_float("matrix_norm", A)
    A = A if dtype is None else A.to(dtype)
    if A.array.ndim < 2:
        raise RuntimeError(
            "linalg.matrix_norm: The input tensor A must have at least 2 dimensions."
        )
    if len(dim) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {tuple(dim)}")
    rows, columns = (axis_index(d, A.array.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"linalg.matrix_norm: dims must be different. Got {tuple(dim)}")
    a = movedim(A, (rows, columns), (-2, -1))
    if 0 in a.array.shape[-2:] and ord in (1, 2, math.inf):  # the largest of nothing
        a = ops.sum(a, axis=(-2, -1), keepdims=True)  # 0
    y = _norm_of_matrices(a, ord)
    return ops.reshape(y, shape=_kept(A.array.shape, (rows, columns))) if keepdim else y


def _kept(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _norm_of_matrices(a: Tensor, ord: float | str) -> Tensor:
    if ord == "fro":
        return ops.norm2(a, axis=(-2, -1))
    if ord == "nuc":
        return ops.sum(svdvals(a), axis=-1)
    if ord in (2, -2):
        return svdvals(a)[..., 0 if ord == 2 else -1]
    if ord in (1, -1, math.inf, -math.inf):
        along = -2 if abs(float(ord)) == 1 else -1
        extremum = ops.amax if float(ord) > 0 else ops.amin
        return extremum(ops.sum(ops.abs(a), axis=along), axis=-1)
    raise RuntimeError(
        f"linalg.matrix_norm: Order {ord} not supported; there are 'fro', 'nuc', inf, -inf, 1, -1, "
        "2 and -2"
    )


def norm(
    A: Tensor, ord: Any = None, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of vectors or matrices: by `dim`, one axis or two; or by the axes of A.

    Without `ord` the root of the sum of squares, over all of A unless `dim` says otherwise.
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    axes = (dim,) if isinstance(dim, WHOLE) else dim
    if axes is None and A.array.ndim not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{A.array.ndim}D."
        )
    if axes is not None and len(axes) > 2:
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. "
                           f"Got {tuple(axes)}")  # fmt: skip
    count = A.array.ndim if axes is None else len(axes)
    if count == 1 and not isinstance(ord, str):
        return vector_norm(A, ord, dim, keepdim, dtype=dtype)
    return matrix_norm(A, ord, (-2, -1) if axes is None else axes, keepdim, dtype=dtype)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The norm of A times that of its inverse; `p` as `ord` of `matrix_norm`, None means 2.

    inf for a singular matrix.
    """
    check_matrix("cond", A)
    if p is None or p in (2, -2):
        s = svdvals(A)
        if not s.array.shape[-1]:
            return ops.sum(s, axis=-1)  # 0
        largest, least = s[..., 0], s[..., -1]
        return least / largest if p == -2 else largest / least
    try:
        return matrix_norm(A, p) * matrix_norm(inv(A), p)
    except LinAlgError:
        return matrix_norm(A, p) * math.inf


# Products -----------------------------------------------------------------------------------------


@widened
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of length 3 along `dim`."""
    if input.array.ndim != other.array.ndim:
        raise RuntimeError(
            "linalg.cross: inputs must have the same number of dimensions, got "
            f"{input.array.ndim} and {other.array.ndim}"
        )
    axis = axis_index(dim, input.array.ndim)
    n, m = input.array.shape[axis], other.array.shape[axis]
    if n != 3 or m != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {n} and {m}"
        )
    a, b = broadcast_tensors(input, other)
    lead = (slice(None),) * axis

    def turned(x: Tensor, order: list[int]) -> Tensor:
        return x[(*lead, order)]

    y, z = [1, 2, 0], [2, 0, 1]
    return turned(a, y) * turned(b, z) - turned(a, z) * turned(b, y)


@widened
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of x * y along `dim`, broadcast."""
    return ops.sum(x * y, axis=dim)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """x^0, x^1, ... x^(N-1) in a new last axis; N: by default the length of x."""
    n = x.array.shape[-1] if N is None else N
    if n <= 1 and N is not None:
        raise RuntimeError(f"N must be greater than 1, got {N}")
    columns = [ops.ones_like(x)]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    return ops.stack(columns, axis=-1)


@widened
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of the matrices, multiplied in the order of least work.

    The first and the last may be vectors: a row, and a column.
    """
    parts = list(tensors)
    if len(parts) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(parts)}")
    first, last = parts[0].array.ndim == 1, parts[-1].array.ndim == 1
    if first:
        parts[0] = parts[0].unsqueeze(0)
    if last:
        parts[-1] = parts[-1].unsqueeze(-1)
    for i, part in enumerate(parts):
        if part.array.ndim != 2:
            raise RuntimeError(
                f"multi_dot(): tensor {i} must be 2D but got {part.array.ndim}D; the first and the "
                "last may be 1D"
            )
    y = _chain(parts, _splits([part.array.shape for part in parts]), 0, len(parts) - 1)
    shape = [n for n, vector in zip(y.array.shape, (first, last), strict=True) if not vector]
    return ops.reshape(y, shape=tuple(shape))


def _splits(shapes: list[tuple[int, ...]]) -> dict[tuple[int, int], int]:
    """For each stretch of the chain, after which factor to split it. Cormen et al., ch. 15.2."""
    count = len(shapes)
    sizes = [shapes[0][0], *(shape[1] for shape in shapes)]
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            work = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
                for k in range(i, j)
            }
            split[i, j] = min(work, key=work.__getitem__)
            cost[i, j] = work[split[i, j]]
    return split


def _chain(parts: list[Tensor], split: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    if i == j:
        return parts[i]
    k = split[i, j]
    return ops.matmul(_chain(parts, split, i, k), _chain(parts, split, k + 1, j))
