"""LU factorization with partial pivoting, and what solves by it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arrays.device import CPU
from ..arrays.quiet import quiet
from ..core.tensor import Tensor, wrap_plain
from . import return_types
from .inverses import LinAlgError, check_matrix, check_square, solve_triangular
from .joining import cat

__all__ = ["lu_solve", "lu_unpack"]


def _on_cpu(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which eliminates row by row, on the CPU; from there its results go back."""

    @functools.wraps(function)
    def there(first: Tensor, *others: Any, **settings: Any) -> Any:
        device = getattr(first, "device", CPU)
        if device == CPU:
            return function(first, *others, **settings)
        found = function(*(_moved(x, CPU) for x in (first, *others)), **settings)
        if isinstance(found, tuple):
            return type(found)(*(_moved(x, device) for x in found))
        return _moved(found, device)

    return there


def _moved(x: Any, device: Any) -> Any:
    return ops.to_device(x, device=device) if isinstance(x, Tensor) else x


@_on_cpu
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """The named tuple (LU, pivots): U, and below its diagonal L, whose diagonal is 1.

    `pivots` (..., k), int32, counts from 1: row i was exchanged with row pivots[i].
    Raises RuntimeError for `pivot=False`: rows are always exchanged on the CPU.
    """
    packed, pivots, _ = _factored("lu_factor", A, pivot)
    return return_types.linalg_lu_factor(packed, pivots)


@_on_cpu
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """The named tuple (LU, pivots, info): as `lu_factor`; info > 0 where U has a 0 on its diagonal.

    Raises LinAlgError for such, with `check_errors`.
    """
    packed, pivots, _ = _factored("lu_factor_ex", A, pivot)
    diagonal = np.diagonal(packed.array, axis1=-2, axis2=-1) == 0
    info = np.where(diagonal.any(-1), diagonal.argmax(-1) + 1, 0).astype(np.int32)
    if check_errors and info.any():
        raise LinAlgError(
            f"linalg.lu_factor_ex: U[{info.max()},{info.max()}] is zero and using it on lu_solve "
            "would result in a division by zero."
        )
    return return_types.linalg_lu_factor_ex(packed, pivots, wrap_plain(info))


@_on_cpu
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """The named tuple (P, L, U) with P L U = A: a permutation, and two triangles.

    A: (..., m, n); L (..., m, k) has 1 on its diagonal, U (..., k, n), k the lesser.
    Raises RuntimeError for `pivot=False`: rows are always exchanged on the CPU.
    """
    packed, _, order = _factored("lu", A, pivot)
    lower, upper = _triangles(packed)
    return return_types.linalg_lu(_permutation(order, A), lower, upper)


@quiet
def _factored(name: str, A: Tensor, pivot: bool) -> tuple[Tensor, Tensor, Any]:
    """The packed factors, the pivots, and the order of the rows."""
    check_matrix(name, A)
    if not pivot:
        raise RuntimeError(
            f"linalg.{name}: LU without pivoting is not implemented on the CPU; use pivot=True"
        )
    m, n = A.array.shape[-2:]
    k = min(m, n)
    square = A.array if m == n else _completed(A.array, m, n)
    packed, pivots = ops.linalg.eliminated(square)
    order = _order(pivots, m)
    rows = A if not order.size else _in_order(A, order[..., :m])
    inner = ops.linalg.lu(rows[..., :k, :k], packed=packed[..., :k, :k].copy())
    if m > k:  # the rest of L: what times U gives the rows below
        upper = inner.triu()
        below = solve_triangular(upper, rows[..., k:, :], upper=True, left=False)
        inner = cat([inner, below], -2)
    elif n > k:
        lower = inner.tril(-1) + _eye(inner, k)
        beside = solve_triangular(lower, rows[..., k:], upper=False, unitriangular=True)
        inner = cat([inner, beside], -1)
    return inner, wrap_plain((pivots[..., :k] + 1).astype(np.int32)), order[..., :m]


def _completed(a: Any, m: int, n: int) -> Any:
    """Square, by rows or columns that change none of the choices of the first ones."""
    size = max(m, n)
    full = np.zeros((*a.shape[:-2], size, size), a.dtype)
    full[..., :m, :n] = a
    return full


def _order(pivots: Any, m: int) -> Any:
    """Which row of A stands at each place after the exchanges."""
    flat = pivots.reshape(-1, pivots.shape[-1])
    order = np.tile(np.arange(max(m, flat.shape[1])), (len(flat), 1))
    every = np.arange(len(flat))
    for k in range(flat.shape[1]):
        other = flat[:, k]
        order[every, k], order[every, other] = order[every, other], order[every, k].copy()
    return order.reshape(*pivots.shape[:-1], -1)


def _in_order(A: Tensor, order: Any) -> Tensor:
    index = np.broadcast_to(order[..., None], A.array.shape)
    return ops.take_along_axis(A, indices=index, axis=A.array.ndim - 2)


def _permutation(order: Any, like: Tensor) -> Tensor:
    """The matrix P with (P x)[order[i]] = x[i]."""
    m = order.shape[-1]
    found = (order[..., None, :] == np.arange(m)[:, None]).astype(like.dtype)
    return wrap_plain(found)


def _eye(like: Tensor, n: int) -> Tensor:
    return wrap_plain(np.eye(n, dtype=like.dtype))


def _triangles(packed: Tensor) -> tuple[Tensor, Tensor]:
    m, n = packed.array.shape[-2:]
    k = min(m, n)
    eye = wrap_plain(np.eye(m, k, dtype=packed.dtype))
    return packed[..., :k].tril(-1) + eye, packed[..., :k, :].triu()


@_on_cpu
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """The named tuple (P, L, U) of what `lu_factor` returns; what is not wanted is empty."""
    empty = LU_data.new_empty((0,))
    lower, upper = _triangles(LU_data) if unpack_data else (empty, empty)
    made = empty
    if unpack_pivots:
        order = _order(LU_pivots.array.astype(np.int64) - 1, LU_data.array.shape[-2])
        made = _permutation(order, LU_data)
    return return_types.lu_unpack(made, lower, upper)


@_on_cpu
def linalg_lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """X with A X = B (or X A = B, if not `left`), from the factors of A that `lu_factor` returns.

    `adjoint`: with A^T in the place of A.
    """
    check_square("lu_solve", LU)
    if not left:  # X A = B is A^T X^T = B^T
        return linalg_lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    order = _order(pivots.array.astype(np.int64) - 1, LU.array.shape[-2])
    place = _permutation(order, LU)
    lower, upper = _triangles(LU)
    if adjoint:  # A^T = U^T L^T P^T
        z = solve_triangular(upper.mT, B, upper=False)
        return place @ solve_triangular(lower.mT, z, upper=True, unitriangular=True)
    z = solve_triangular(lower, place.mT @ B, upper=False, unitriangular=True)
    return solve_triangular(upper, z, upper=True)


@_on_cpu
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """X with A X = input, from the factors of A that `linalg.lu_factor` returns."""
    return linalg_lu_solve(LU_data, LU_pivots, input)
