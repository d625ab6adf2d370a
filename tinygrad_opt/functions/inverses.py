"""Inverses, solutions, determinants and powers of (batches of) matrices, as in `torch.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.xp import array_namespace
from ..core.tensor import Tensor, wrap_plain
from . import return_types
from .diagonals import tril, triu

__all__ = [
    "LinAlgError", "det", "inv", "inv_ex", "matrix_exp", "matrix_power", "slogdet", "solve",
    "solve_triangular", "tensorinv", "tensorsolve",
]  # fmt: skip


class LinAlgError(RuntimeError):
    """A matrix that has no inverse, no factorization of the wanted kind, or no eigenvalues."""


# Checks -------------------------------------------------------------------------------------------


def check_matrix(name: str, a: Tensor, what: str = "A") -> None:
    """Raise RuntimeError unless `a` is float32 or float64 with at least two axes."""
    dtype = a.array.dtype
    if dtype.kind not in "fc":
        raise RuntimeError(
            f"linalg.{name}: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.name_of(dtype)}"
        )
    if dtype.itemsize < 4:
        raise RuntimeError(
            f"linalg.{name}: Low precision dtypes not supported. Got {dtypes.name_of(dtype)}; "
            "convert with .float()"
        )
    if a.array.ndim < 2:
        raise RuntimeError(
            f"linalg.{name}: The input tensor {what} must have at least 2 dimensions."
        )


def check_square(name: str, a: Tensor) -> None:
    """Like `check_matrix`, and the matrices must be square."""
    check_matrix(name, a)
    m, n = a.array.shape[-2:]
    if m != n:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are {m} by {n} matrices"
        )


def batch_element(a: Any, bad: Any) -> tuple[str, Any]:
    """Which matrix of the batch is the first for which `bad` holds, in words, and that matrix."""
    matrices = a.reshape(-1, *a.shape[-2:])
    i = next((i for i, matrix in enumerate(matrices) if bad(matrix)), 0)
    return (f"(Batch element {i}): " if a.ndim > 2 else ""), matrices[i]


def failed(error: RuntimeError) -> bool:
    """Whether the array library said that a matrix is the reason."""
    return isinstance(error.__cause__, np.linalg.LinAlgError)


def _is_singular(matrix: Any) -> bool:
    return not abs(float(array_namespace(matrix).linalg.det(matrix))) > 0


# Inverse, solution, determinant -------------------------------------------------------------------


def inv(A: Tensor) -> Tensor:
    """The inverse of each matrix (..., n, n). Raises LinAlgError for a singular one."""
    check_square("inv", A)
    try:
        return ops.linalg.inv(A)
    except RuntimeError as error:
        if not failed(error):
            raise
        batch, matrix = batch_element(A.array, _is_singular)
        zero = int(array_namespace(matrix).linalg.matrix_rank(matrix)) + 1
        raise LinAlgError(
            f"linalg.inv: {batch}The diagonal element {zero} is zero, the inversion could not be "
            "completed because the input matrix is singular."
        ) from error


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (or X A = B unless `left`): A (..., n, n), B (..., n, k) or a vector (..., n).

    Raises LinAlgError for a singular A, RuntimeError for shapes that do not fit.
    """
    check_square("solve", A)
    vector = B.array.ndim == 1 or (
        B.array.ndim == A.array.ndim - 1 and B.array.shape == A.array.shape[:-1]
    )
    b = B.unsqueeze(-1) if vector else B
    _check_fit("solve", A, b, left)
    a = A if left else ops.swapaxes(A, -1, -2)
    b = b if left else ops.swapaxes(b, -1, -2)
    try:
        x = ops.linalg.solve(a, b)
    except RuntimeError as error:
        if not failed(error):
            raise
        batch, _ = batch_element(A.array, _is_singular)
        raise LinAlgError(
            f"torch.linalg.solve: {batch}The solver failed because the input matrix is singular."
        ) from error
    x = x if left else ops.swapaxes(x, -1, -2)
    return x.squeeze(-1) if vector else x


def _check_fit(name: str, a: Tensor, b: Tensor, left: bool) -> None:
    side = -2 if left else -1
    if b.array.ndim < 2 or a.array.shape[-1] != b.array.shape[side]:
        sizes = ("x".join(map(str, z.array.shape[-2:])) for z in (a, b))
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"linalg.{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({' and '.join(sizes)})"
        )
    if a.array.dtype != b.array.dtype:
        raise RuntimeError(
            f"linalg.{name}: Expected A and B to have the same dtype, but found A of type "
            f"{dtypes.name_of(a.array.dtype)} and B of type {dtypes.name_of(b.array.dtype)} instead"
        )


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B (or X A = B), where only the upper or lower triangle of A is read.

    `unitriangular`: the diagonal is not read either, and counts as ones.
    """
    check_square("solve_triangular", A)
    check_matrix("solve_triangular", B, "B")
    _check_fit("solve_triangular", A, B, left)
    a = (triu if upper else tril)(A, int(unitriangular) * (1 if upper else -1))
    if unitriangular:
        a = a + _eye(A)
    return solve(a, B, left=left)


def _eye(a: Tensor) -> Tensor:
    return wrap_plain(array_namespace(a.array).eye(a.array.shape[-1], dtype=a.array.dtype))


def det(A: Tensor) -> Tensor:
    """The determinant of each matrix (..., n, n)."""
    check_square("det", A)
    return ops.linalg.det(A)


def slogdet(A: Tensor) -> Any:
    """The named tuple (sign, logabsdet): the determinant's sign and the log of its size."""
    check_square("slogdet", A)
    return return_types.linalg_slogdet(*ops.linalg.slogdet(A))


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """The named tuple (inverse, info): as `inv`, but a singular matrix gives NaN and info > 0."""
    return without_errors("inv_ex", A, inv, _is_singular, return_types.linalg_inv_ex, check_errors)


def without_errors(
    name: str, A: Tensor, function: Any, bad: Any, result: Any, check_errors: bool
) -> Any:
    """`function(A)` and an int32 for each matrix: 1 where it is `bad`, and NaN stands."""
    check_square(name, A)
    if check_errors:
        function(A)
    a = A.array
    matrices = a.reshape(-1, *a.shape[-2:])
    module = array_namespace(a)
    info = module.asarray([int(bad(m)) for m in matrices], np.int32).reshape(a.shape[:-2])
    failed = (info > 0)[..., None, None]
    y = function(ops.where(failed, _eye(A), A))
    return result(ops.where(failed, np.nan, y) if failed.any() else y, wrap_plain(info))


# Powers -------------------------------------------------------------------------------------------


def matrix_power(A: Tensor, n: int) -> Tensor:
    """A multiplied n times with itself; the inverse, for negative n, multiplied with itself."""
    check_square("matrix_power", A)
    if n < 0:
        return matrix_power(inv(A), -n)
    if n == 0:
        return ops.broadcast_to(_eye(A), shape=A.array.shape).clone()
    half = matrix_power(A, n // 2) if n > 1 else None
    if half is None:
        return A.clone()
    square = ops.matmul(half, half)
    return ops.matmul(square, A) if n % 2 else square


def matrix_exp(A: Tensor) -> Tensor:
    """The sum of A^k / k! for all k, of each matrix (..., n, n): scaling and squaring."""
    check_square("matrix_exp", A)
    a = A.array
    size = float(abs(a).sum(axis=-2).max()) if a.size else 0.0
    squarings = max(0, int(np.ceil(np.log2(size)))) if 0 < size < np.inf else 0
    scaled = A * 2.0**-squarings  # of norm at most 1: 18 terms leave less than 1e-17
    y = eye = _eye(A)
    for k in range(18, 0, -1):
        y = eye + ops.matmul(scaled, y) / k
    for _ in range(squarings):
        y = ops.matmul(y, y)
    return y


# Tensors as matrices ------------------------------------------------------------------------------


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of A as a linear map from its last axes to its first `ind` axes."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', got {ind}")
    first, last = A.shape[:ind], A.shape[ind:]
    n = int(np.prod(first))
    if n != int(np.prod(last)):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {int(np.prod(last))} != {n}"
        )
    return inv(A.reshape(n, n)).reshape(*last, *first)


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """X with tensordot(A, X, X.ndim) = B; `dims`: axes of A to move to its end first."""
    if dims is not None:
        rest = [i for i in range(A.ndim) if i not in dims]
        A = A.permute(*rest, *dims)
    shape = A.shape[B.ndim :]
    n = int(np.prod(B.shape))
    if int(np.prod(shape)) != n:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {int(np.prod(shape))} != {n}"
        )
    return solve(A.reshape(n, n), B.reshape(n)).reshape(shape)
