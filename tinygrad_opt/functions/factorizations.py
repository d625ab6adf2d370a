"""Inverses, solutions and factorizations of (batches of) matrices, as in `torch.linalg`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.quiet import quiet
from ..arrays.xp import array_namespace
from ..core.tensor import wrap_plain
from . import return_types
from .diagonals import diagonal, tril, triu

if TYPE_CHECKING:
    from ..core.tensor import Tensor

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "det", "eigh", "eigvalsh", "inv", "inv_ex", "lstsq",
    "matrix_exp", "matrix_power", "matrix_rank", "pinv", "qr", "slogdet", "solve",
    "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve",
]  # fmt: skip


class LinAlgError(RuntimeError):
    """A matrix that has no inverse, no factorization of the wanted kind, or no eigenvalues."""


# Checks -------------------------------------------------------------------------------------------


def check_matrix(name: str, a: Tensor, what: str = "A") -> None:
    """Raise RuntimeError unless `a` is float32 or float64 with at least two axes."""
    dtype = a.array.dtype
    if dtype.kind != "f":
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
    """As `check_matrix`, and the matrices must be square."""
    check_matrix(name, a)
    m, n = a.array.shape[-2:]
    if m != n:
        raise RuntimeError(
            f"linalg.{name}: A must be batches of square matrices, but they are {m} by {n} matrices"
        )


def _batch_element(a: Any, bad: Any) -> tuple[str, Any]:
    """Which matrix of the batch is the first for which `bad` holds, in words, and that matrix."""
    matrices = a.reshape(-1, *a.shape[-2:])
    i = next((i for i, matrix in enumerate(matrices) if bad(matrix)), 0)
    return (f"(Batch element {i}): " if a.ndim > 2 else ""), matrices[i]


def _failed(error: RuntimeError) -> bool:
    """Whether the array library said that a matrix is the reason."""
    return isinstance(error.__cause__, np.linalg.LinAlgError)


def _is_singular(matrix: Any) -> bool:
    return not abs(float(array_namespace(matrix).linalg.det(matrix))) > 0


def _is_not_positive(matrix: Any) -> bool:
    try:
        array_namespace(matrix).linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return True
    return False


# Inverse, solution, determinant -------------------------------------------------------------------


def inv(A: Tensor) -> Tensor:
    """The inverse of each matrix (..., n, n). Raises LinAlgError for a singular one."""
    check_square("inv", A)
    try:
        return ops.linalg.inv(A)
    except RuntimeError as error:
        if not _failed(error):
            raise
        batch, matrix = _batch_element(A.array, _is_singular)
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
        if not _failed(error):
            raise
        batch, _ = _batch_element(A.array, _is_singular)
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
    return _without_errors("inv_ex", A, inv, _is_singular, return_types.linalg_inv_ex, check_errors)


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The named tuple (L, info): as `cholesky`, but failure gives NaN and info > 0."""

    def factor(a: Tensor) -> Tensor:
        return cholesky(a, upper=upper)

    return _without_errors(
        "cholesky_ex", A, factor, _is_not_positive, return_types.linalg_cholesky_ex, check_errors
    )


def _without_errors(
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


# Factorizations -----------------------------------------------------------------------------------


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L, lower triangular, with L L^T = A; or U = L^T. A: symmetric and positive definite.

    Reads the lower triangle of A. Raises LinAlgError if A is not positive definite.
    """
    check_square("cholesky", A)
    try:
        y = ops.linalg.cholesky(ops.swapaxes(A, -1, -2) if upper else A)
    except RuntimeError as error:
        if not _failed(error):
            raise
        batch, matrix = _batch_element(A.array, _is_not_positive)
        order = next(k for k in range(1, len(matrix) + 1) if _is_not_positive(matrix[:k, :k]))
        raise LinAlgError(
            f"linalg.cholesky: {batch}The factorization could not be completed because the input "
            f"is not positive-definite (the leading minor of order {order} is not "
            "positive-definite)."
        ) from error
    return ops.swapaxes(y, -1, -2) if upper else y


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """The named tuple (Q, R) with Q R = A: orthonormal columns, an upper triangle.

    `mode`: "reduced"; "complete", a square Q; "r", an empty Q. The last two have no gradient
    (but "complete" has one if A has no more rows than columns).
    """
    check_matrix("qr", A)
    m, n = A.array.shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    if mode == "reduced" or (mode == "complete" and m <= n):
        return return_types.linalg_qr(*ops.linalg.qr(A))
    module = array_namespace(A.array)
    if mode == "r":
        empty = module.empty(0, A.array.dtype)
        return return_types.linalg_qr(
            wrap_plain(empty), wrap_plain(module.linalg.qr(A.array, mode="r"))
        )  # fmt: skip
    return return_types.linalg_qr(*map(wrap_plain, module.linalg.qr(A.array, mode="complete")))


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """The named tuple (eigenvalues, eigenvectors) of symmetric matrices (..., n, n).

    Ascending; the vectors are columns. `UPLO`: which triangle of A is read. The gradient of the
    vectors needs eigenvalues that differ.
    """
    check_square("eigh", A)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    a = A if UPLO.upper() == "L" else ops.swapaxes(A, -1, -2)
    return return_types.linalg_eigh(*ops.linalg.eigh(a))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, ascending; see `eigh`."""
    return eigh(A, UPLO)[0]


def check_finite(name: str, array: Any) -> None:
    """Raise LinAlgError for infinities and NaN, on which LAPACK may never end."""
    if not array_namespace(array).isfinite(array).all():
        raise LinAlgError(
            f"linalg.{name}: The algorithm failed to converge because the input matrix contained "
            "non-finite values."
        )


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """The named tuple (U, S, Vh) with U diag(S) Vh = A, S descending; columns of U orthonormal.

    A: (..., m, n). `full_matrices`: U (m, m) and Vh (n, n), else (m, k) and (k, n) with k the
    lesser. The full ones have no gradient unless m = n; that of U and Vh needs singular values
    that differ. `driver` is accepted; there is one on the CPU. Raises LinAlgError for infinities
    and NaN.
    """
    check_matrix("svd", A)
    check_finite("svd", A.array)
    m, n = A.array.shape[-2:]
    if not full_matrices or m == n:
        return return_types.linalg_svd(*ops.linalg.svd(A))
    module = array_namespace(A.array)
    return return_types.linalg_svd(*map(wrap_plain, module.linalg.svd(A.array)))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of (..., m, n), descending."""
    check_matrix("svdvals", A)
    check_finite("svd", A.array)
    return ops.linalg.svd(A)[1]


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


def diagonal_of(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonal of each matrix: `torch.diagonal` with the last two axes by default."""
    return diagonal(A, offset, dim1, dim2)


# Rank, pseudo-inverse and least squares: what counts small singular values as zero ----------------


@quiet
def _cutoff(a: Any, s: Any, atol: Any, rtol: Any) -> Any:
    """Below which a singular value counts as zero: max(atol, rtol * the largest)."""
    atol = getattr(atol, "array", atol)
    if rtol is None:
        rtol = 0.0 if atol is not None and np.all(atol > 0) else np.finfo(a.dtype).eps * max(
            a.shape[-2:]
        )  # fmt: skip
    rtol = getattr(rtol, "array", rtol)
    module = array_namespace(a)
    largest = s.max(axis=-1) if s.shape[-1] else module.zeros(s.shape[:-1], s.dtype)
    return module.maximum(0.0 if atol is None else atol, rtol * largest).astype(a.dtype), largest


def matrix_rank(
    A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """How many singular values exceed max(atol, rtol * the largest), as int64.

    By default `atol` 0 and `rtol` eps * max(m, n). `hermitian`: A is symmetric.
    """
    check_matrix("matrix_rank", A)
    module, a = array_namespace(A.array), A.array
    check_finite("svd", a)
    s = abs(module.linalg.eigvalsh(a)) if hermitian else module.linalg.svd(a, compute_uv=False)
    limit, _ = _cutoff(a, s, tol if tol is not None else atol, rtol)
    return wrap_plain(module.asarray((s > limit[..., None]).sum(axis=-1)))


def pinv(
    A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """The Moore-Penrose inverse of (..., m, n): (..., n, m).

    Singular values up to max(atol, rtol * the largest) count as zero; by default `atol` 0 and
    `rtol` eps * max(m, n). `rcond` is an older name of `rtol`. `hermitian`: A is symmetric.
    """
    check_matrix("pinv", A)
    a = A.array
    check_finite("svd", a)
    s = array_namespace(a).linalg.svd(a, compute_uv=False)
    limit, largest = _cutoff(a, s, atol, rtol if rcond is None else rcond)
    module = array_namespace(a)
    relative = limit / module.where(largest > 0, largest, 1)
    return ops.linalg.pinv(A, rcond=relative.astype(a.dtype))


def lstsq(A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None) -> Any:
    """The least-squares solution X of A X = B, of least norm where there are several.

    A: (..., m, n), B: (..., m, k) or a vector (..., m). Returns the named tuple (solution,
    residuals, rank, singular_values); the residuals |A X - B|^2 of each column are given if
    m > n, A has full rank, and `driver` is not the default "gelsy"; the singular values for the
    drivers "gelsd" and "gelss".
    """
    check_matrix("lstsq", A)
    drivers = ("gels", "gelsy", "gelsd", "gelss")
    if driver is not None and driver not in drivers:
        raise RuntimeError(
            f"torch.linalg.lstsq: parameter `driver` should be one of {drivers}, got {driver!r}"
        )
    a = A.array
    vector = B.array.ndim == a.ndim - 1 and B.array.shape == a.shape[:-1]
    b = B.unsqueeze(-1) if vector else B
    if b.array.ndim < 2 or b.array.shape[-2] != a.shape[-2]:
        raise RuntimeError(
            "torch.linalg.lstsq: input.size(-2) should match other.size(-2), got A of shape "
            f"{tuple(a.shape)} and B of shape {tuple(B.array.shape)}"
        )
    x = ops.matmul(pinv(A, rcond), b)
    rank = matrix_rank(A, rtol=rcond)
    m, n = a.shape[-2:]
    empty = wrap_plain(array_namespace(a).empty(0, a.dtype))
    residuals = values = empty
    if driver not in (None, "gelsy") and m > n and bool((rank.array == n).all()):
        difference = ops.matmul(A, x) - b
        residuals = ops.sum(difference * difference, axis=-2)
    if driver in ("gelsd", "gelss"):
        values = svdvals(A)
    x = x.squeeze(-1) if vector else x
    return return_types.linalg_lstsq(x, residuals, rank, values)
