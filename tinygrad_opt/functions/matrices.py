"""Products of matrices with checks of their shapes, and the older names of `torch.linalg`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..arrays.dtypes import name_of
from ..arrays.size import WHOLE
from ..core.errors import axis_index
from ..core.half import widened
from ..core.promote import result_type
from ..core.tensor import Tensor
from . import factorizations, inverses, norms, reduce, return_types
from .arithmetic import check_factor, times
from .shape import unsqueeze

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cdist", "chain_matmul", "cholesky",
    "cholesky_inverse", "cholesky_solve", "cross", "det", "dot", "ger", "inner", "inverse", "kron",
    "logdet", "matmul", "matrix_exp", "matrix_power", "mm", "mv", "outer", "pinverse", "qr",
    "slogdet", "svd", "tensordot", "vdot",
]  # fmt: skip


_COMPUTE_MODES = (
    "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist",
)  # fmt: skip

# Products -----------------------------------------------------------------------------------------


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices (n, m) and (m, p). Raises RuntimeError for anything else."""
    if input.is_sparse:
        return input.mm(mat2)
    for name, x in (("self", input), ("mat2", mat2)):
        if x.array.ndim != 2:
            raise RuntimeError(f"mm: {name} must be a matrix, got {x.array.ndim}D")
    return ops.matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices (b, n, m) and (b, m, p), without broadcasting."""
    for name, x in (("batch1", input), ("batch2", mat2)):
        if x.array.ndim != 3:
            raise RuntimeError(f"bmm: {name} must be a 3D tensor, got {x.array.ndim}D")
    a, b = input.array.shape, mat2.array.shape
    expected, found = [a[0], a[2]], list(b[:2])
    if expected != found:
        raise RuntimeError(
            f"bmm: Expected size for first two dimensions of batch2 tensor to be: {expected} but "
            f"got: {found}."
        )
    return ops.matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix (n, m) and a vector (m,)."""
    a, b = input.array, vec.array
    if a.ndim != 2 or b.ndim != 1:
        raise RuntimeError(
            f"mv: vector + matrix @ vector expected, got {a.ndim}D and {b.ndim}D instead of 2D "
            "and 1D"
        )
    if a.shape[1] != b.shape[0]:
        raise RuntimeError(
            f"mv: size mismatch, got input ({a.shape[0]}), mat ({a.shape[0]}x{a.shape[1]}), vec "
            f"({b.shape[0]})"
        )
    return ops.matmul(input, vec)


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors, as `dot`; of complex numbers the first is conjugated."""
    return dot(ops.conj(input) if input.array.dtype.kind == "c" else input, other)


def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """The older name of `outer`."""
    pass

    return outer(input, vec2)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products along the last axes: (..., n) and (..., n) to all pairs of rows."""
    if input.array.ndim == 0 or other.array.ndim == 0:
        return ops.mul(input, other)
    if input.array.shape[-1] != other.array.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, dims=([-1], [-1]))


def _sum_of(
    name: str, input: Tensor, product: Tensor, beta: float, alpha: float
) -> Tensor:  # fmt: skip
    """beta * input + alpha * product; the input broadcasts to the product's shape."""
    scaled = product if alpha == 1 else times(product, alpha)
    if beta == 0:
        return scaled  # whatever stands in the input, NaN included
    if input.array.dtype != product.array.dtype:
        raise RuntimeError(
            f"{name}: self and mat2 must have the same dtype, but got "
            f"{name_of(input.array.dtype)} and {name_of(product.array.dtype)}"
        )
    target, shape = product.array.shape, input.array.shape
    for i in range(1, len(shape) + 1):
        if i > len(target) or shape[-i] not in (1, target[-i]):
            n = target[-i] if i <= len(target) else 0
            raise RuntimeError(
                f"{name}: The expanded size of the tensor ({n}) must match the existing size "
                f"({shape[-i]}) at non-singleton dimension {max(len(target) - i, 0)}. Target "
                f"sizes: {list(target)}. Tensor sizes: {list(shape)}"
            )
    return ops.add(input if beta == 1 else times(input, beta), scaled)


@widened
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta * input + alpha * mat1 @ mat2."""
    return _sum_of("addmm", input, mm(mat1, mat2), beta, alpha)


@widened
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * mat @ vec."""
    return _sum_of("addmv", input, mv(mat, vec), beta, alpha)


@widened
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2)."""
    dtype = result_type((input, vec1, vec2))
    outer = ops.cast(ger(vec1, vec2), dtype=dtype)
    check_factor(dtype, alpha)
    check_factor(dtype, beta, "beta")
    return _sum_of("addr", ops.cast(input, dtype=dtype), outer, beta, alpha)


@widened
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2)."""
    return _sum_of("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@widened
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """beta * input + alpha * the sum over the batch of bmm(batch1, batch2)."""
    products = bmm(batch1, batch2)
    total = ops.sum(products, axis=0)
    if total.array.dtype != products.array.dtype:  # sums of integers are int64
        total = ops.cast(total, dtype=products.array.dtype)
    return _sum_of("addbmm", input, total, beta, alpha)


@widened
def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of matrices, multiplied in the order of least work; see `linalg.multi_dot`."""
    return matrices[0] if len(matrices) == 1 else norms.multi_dot(matrices)


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over pairs of axes: the last `dims` of a and the first of b.

    `dims`: a number, or two lists of axes that pair up. The other axes follow, a's before b's.
    """
    if isinstance(dims, WHOLE):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.array.ndim, b.array.ndim):
            raise RuntimeError(
                f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims} for {a.array.ndim}"
                f"D and {b.array.ndim}D"
            )
        left, right = list(range(-int(dims), 0)), list(range(dims))
    else:
        left, right = ([d] if isinstance(d, WHOLE) else list(d) for d in dims)
    if len(left) != len(right):
        raise RuntimeError(
            f"tensordot: both dimension lists should have same length, got {left} and {right}"
        )
    left = [axis_index(d, a.array.ndim) for d in left]
    right = [axis_index(d, b.array.ndim) for d in right]
    for i, j in zip(left, right, strict=True):
        if a.array.shape[i] != b.array.shape[j]:
            raise RuntimeError(
                f"tensordot: contracted dimensions need to match, but first has size "
                f"{a.array.shape[i]} in dim {i} and second has size {b.array.shape[j]} in dim {j}"
            )
    rows = [i for i in range(a.array.ndim) if i not in left]
    columns = [j for j in range(b.array.ndim) if j not in right]
    shape = [a.array.shape[i] for i in rows] + [b.array.shape[j] for j in columns]
    n = 1
    for i in left:
        n *= a.array.shape[i]
    x = ops.reshape(ops.transpose(a, axes=(*rows, *left)), shape=(_count(a, rows), n))
    y = ops.reshape(ops.transpose(b, axes=(*right, *columns)), shape=(n, _count(b, columns)))
    return ops.reshape(ops.matmul(x, y), shape=tuple(shape))


def _count(x: Tensor, axes: Sequence[int]) -> int:
    n = 1
    for axis in axes:
        n *= x.array.shape[axis]
    return n


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: every element of `input` times all of `other`."""
    ndim = max(input.array.ndim, other.array.ndim)
    a = (1,) * (ndim - input.array.ndim) + tuple(input.array.shape)
    b = (1,) * (ndim - other.array.ndim) + tuple(other.array.shape)
    x = ops.reshape(input, shape=tuple(n for m in a for n in (m, 1)))
    y = ops.reshape(other, shape=tuple(n for m in b for n in (1, m)))
    return ops.reshape(x * y, shape=tuple(n * m for n, m in zip(a, b, strict=True)))


@widened
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """The p-norm distance of each row of x1 (..., n, m) to each of x2 (..., k, m): (..., n, k).

    `compute_mode` is for p = 2: "use_mm_for_euclid_dist" computes distances by a product of the
    matrices, which is quick, but leaves few digits of distances that are small beside the rows;
    "donot_use_mm_for_euclid_dist" from differences; "use_mm_for_euclid_dist_if_necessary" by a
    product where x1 or x2 has more than 25 rows.
    """
    if compute_mode not in _COMPUTE_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    for name, x in (("X1", x1), ("X2", x2)):
        if x.array.ndim < 2:
            raise RuntimeError(
                f"cdist only supports at least 2D tensors, {name} got: {x.array.ndim}D"
            )
    if x1.array.shape[-1] != x2.array.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.array.shape[-1]} X2: "
            f"{x2.array.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    many = max(x1.array.shape[-2], x2.array.shape[-2]) > 25
    if p == 2 and (
        many if compute_mode == _COMPUTE_MODES[0] else compute_mode == _COMPUTE_MODES[1]
    ):
        return ops.linalg.distances(x1, x2)
    return reduce.norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of length 3 along `dim`, by default the first such axis."""
    if dim is None:
        found = [i for i, n in enumerate(input.array.shape) if n == 3]
        if not found:
            raise RuntimeError(
                f"cross: no dimension of size 3 in input, whose shape is {list(input.shape)}"
            )
        dim = found[0]
    return norms.cross(input, other, dim=dim)


# Older names --------------------------------------------------------------------------------------


def inverse(input: Tensor) -> Tensor:
    """The inverse of each matrix; like `linalg.inv`."""
    return inverses.inv(input)


def det(input: Tensor) -> Tensor:
    """The determinant of each matrix; like `linalg.det`."""
    return inverses.det(input)


def slogdet(input: Tensor) -> Any:
    """The named tuple (sign, logabsdet); like `linalg.slogdet`."""
    return return_types.slogdet(*inverses.slogdet(input))


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant of each matrix: NaN if it is negative, -inf if zero."""
    sign, size = inverses.slogdet(input)
    return ops.where(sign.array < 0, float("nan"), size)


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The Cholesky factor of each matrix; like `linalg.cholesky`."""
    return factorizations.cholesky(input, upper=upper)


def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """X with A X = input, where A = L L^T, or L^T L if `upper`."""
    L, lt = input2, ops.swapaxes(input2, -1, -2)
    first, second = (lt, L) if upper else (L, lt)
    y = inverses.solve_triangular(first, input, upper=False)
    return inverses.solve_triangular(second, y, upper=True)


def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of L L^T, or of L^T L if `upper`."""
    L, lt = input, ops.swapaxes(input, -1, -2)
    return inverses.inv(ops.matmul(lt, L) if upper else ops.matmul(L, lt))


def qr(input: Tensor, some: bool = True) -> Any:
    """The named tuple (Q, R); as `linalg.qr`, complete unless `some`."""
    return return_types.qr(*factorizations.qr(input, "reduced" if some else "complete"))


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """The named tuple (U, S, V) with U diag(S) V^T = input; V is not transposed, as it once was.

    `some`: reduced U and V. Without `compute_uv` they are zeros.
    """
    u, s, vh = factorizations.svd(input, full_matrices=not some)
    v = ops.swapaxes(vh, -1, -2)
    if not compute_uv:
        u, v = ops.zeros_like(u), ops.zeros_like(v)
    return return_types.svd(u, s, v)


def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The Moore-Penrose inverse; as `linalg.pinv`, with another default cutoff."""
    return factorizations.pinv(input, rcond)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of each matrix; like `linalg.matrix_power`."""
    return inverses.matrix_power(input, n)


def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of each matrix; like `linalg.matrix_exp`."""
    return inverses.matrix_exp(input)


# Products of vectors ------------------------------------------------------------------------------


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """input[:, None] * vec2[None, :]. Raises RuntimeError unless both are vectors."""
    for name, x in (("self", input), ("vec2", vec2)):
        if x.array.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.array.ndim}-D")
    return ops.mul(unsqueeze(input, 1), unsqueeze(vec2, 0))


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if input.array.ndim != 1 or tensor.array.ndim != 1:
        raise RuntimeError(
            f"dot: 1D tensors expected, but got {input.array.ndim}D and "
            f"{tensor.array.ndim}D tensors"
        )
    return ops.matmul(input, tensor)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product, with vectors as rows (left) or columns (right); batches broadcast."""
    if input.is_sparse:
        return input.matmul(other)
    return ops.matmul(input, other)
