"""Factorizations of (batches of) matrices and what rests on them, as in `torch.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arrays.quiet import quiet
from ..arrays.xp import array_namespace
from ..core.tensor import Tensor, wrap_plain
from . import return_types
from .diagonals import diagonal
from .inverses import LinAlgError, batch_element, check_matrix, check_square, failed, without_errors

__all__ = [
    "cholesky", "cholesky_ex", "eig", "eigh", "eigvals", "eigvalsh", "lstsq", "matrix_rank", "pinv",
    "qr", "svd", "svdvals",
]  # fmt: skip


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L, lower triangular, with L L^T = A; or U = L^T. A: symmetric and positive definite.

    Reads the lower triangle of A. Raises LinAlgError if A is not positive definite.
    """
    check_square("cholesky", A)
    try:
        y = ops.linalg.cholesky(ops.swapaxes(A, -1, -2) if upper else A)
    except RuntimeError as error:
        if not failed(error):
            raise
        batch, matrix = batch_element(A.array, _is_not_positive)
        order = next(k for k in range(1, len(matrix) + 1) if _is_not_positive(matrix[:k, :k]))
        raise LinAlgError(
            f"linalg.cholesky: {batch}The factorization could not be completed because the input "
            f"is not positive-definite (the leading minor of order {order} is not "
            "positive-definite)."
        ) from error
    return ops.swapaxes(y, -1, -2) if upper else y


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The named tuple (L, info): as `cholesky`, but failure gives NaN and info > 0."""

    def factor(a: Tensor) -> Tensor:
        return cholesky(a, upper=upper)

    return without_errors(
        "cholesky_ex", A, factor, _is_not_positive, return_types.linalg_cholesky_ex, check_errors
    )


def _is_not_positive(matrix: Any) -> bool:
    try:
        array_namespace(matrix).linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return True
    return False


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


def eig(A: Tensor) -> Any:
    """The named tuple (eigenvalues, eigenvectors) of any square matrices (..., n, n), complex.

    The order is arbitrary; the vectors are columns of length 1. Gradients need eigenvalues that
    differ, and that of the vectors a loss that their phase does not change. Raises LinAlgError for
    infinities and NaN.
    """
    check_square("eig", A)
    if not array_namespace(A.array).isfinite(A.array).all():
        raise LinAlgError("linalg.eig: input tensor should not contain infs or NaNs.")
    return return_types.linalg_eig(*ops.linalg.eig(A))


def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of any square matrices, complex, in no order."""
    return eig(A)[0]


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, ascending; see `eigh`."""
    return eigh(A, UPLO)[0]


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """The named tuple (U, S, Vh) with U diag(S) Vh = A, S descending; columns of U orthonormal.

    A: (..., m, n). `full_matrices`: U (m, m) and Vh (n, n), else (m, k) and (k, n) with k the
    lesser. The full U and Vh have no gradient unless m = n; theirs needs singular values that
    differ. `driver` is accepted; there is one on the CPU. Raises LinAlgError for infinities
    and NaN.
    """
    check_matrix("svd", A)
    check_finite("svd", A.array)
    m, n = A.array.shape[-2:]
    if not full_matrices or m == n:
        return return_types.linalg_svd(*ops.linalg.svd(A))
    module = array_namespace(A.array)
    u, s, vh = map(wrap_plain, module.linalg.svd(A.array))
    return return_types.linalg_svd(u, ops.linalg.svd(A)[1] if A.requires_grad else s, vh)


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of (..., m, n), descending."""
    check_matrix("svdvals", A)
    check_finite("svd", A.array)
    return ops.linalg.svd(A)[1]


def check_finite(name: str, array: Any) -> None:
    """Raise LinAlgError for infinities and NaN, on which LAPACK may never end."""
    if not array_namespace(array).isfinite(array).all():
        raise LinAlgError(
            f"linalg.{name}: The algorithm failed to converge because the input matrix contained "
            "non-finite values."
        )


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
