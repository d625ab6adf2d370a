"""Rank, pseudo-inverse and least squares: what counts small singular values as zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from .._quiet import quiet
from ..autograd.graph import wrap_plain
from ..backend import array_namespace
from . import return_types
from .factorizations import check_matrix, svdvals

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = ["lstsq", "matrix_rank", "pinv"]


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
