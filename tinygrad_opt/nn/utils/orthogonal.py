"""The parametrization of matrices with orthonormal rows or columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import functions as fn
from ...core.tensor import Tensor, wrap_plain
from ...functions import inverses
from ..module import Module
from .parametrize import register_parametrization

__all__ = ["orthogonal"]

_MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """A matrix (..., n, k) to an orthonormal one of its shape; internally n >= k."""

    base: Tensor | None

    def __init__(self, orthogonal_map: str, use_trivialization: bool) -> None:
        super().__init__()
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Tensor) -> Tensor:
        wide = X.shape[-2] < X.shape[-1]
        x = X.mT if wide else X
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            tau = 2.0 / (1.0 + (a * a).sum(-2))
            q = _reflected(a, tau)
            q = q * x.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)
        else:
            a = x.tril()
            if n != k:
                a = fn.cat([a, a.new_zeros((*a.shape[:-1], n - k))], -1)
            q = self._rotation(a - a.mT)
            q = q if n == k else q[..., :k]
        base = self._buffers.get("base")
        if base is not None:
            q = fn.matmul(base, q)
        return q.mT if wide else q

    def _rotation(self, skew: Tensor) -> Tensor:
        if self.orthogonal_map == "matrix_exp":
            return inverses.matrix_exp(skew)
        one = wrap_plain(np.eye(skew.shape[-1], dtype=skew.dtype))
        return inverses.solve(one - 0.5 * skew, one + 0.5 * skew)

    def right_inverse(self, Q: Tensor) -> Tensor:
        """What gives Q, or the orthonormal matrix that is made of it."""
        wide = Q.shape[-2] < Q.shape[-1]
        q = Q.mT if wide else Q
        n, k = q.shape[-2:]
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley "
                    "parametrizations when use_trivialization=False."
                )
            x = _factored(q)
            return x.mT if wide else x
        if n != k:
            q = fn.cat([q, q.new_empty((*q.shape[:-1], n - k)).normal_()], -1)
        self.base = q.clone() if n == k and _is_orthonormal(q) else _orthonormal(q)
        start = np.zeros(tuple(Q.shape), Q.dtype)
        places = np.arange(min(Q.shape[-2:]))
        start[..., places, places] = -1
        return wrap_plain(start)


def _reflected(a: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of 1 - tau v v^T, v = a column of a below a 1."""
    n, k = a.shape[-2:]
    eye = wrap_plain(np.eye(n, k, dtype=a.dtype))
    v = a + eye
    q: Any = eye.expand(a.shape)
    for i in reversed(range(k)):
        column = v[..., i : i + 1]
        q = q - tau[..., i : i + 1].unsqueeze(-1) * fn.matmul(column, fn.matmul(column.mT, q))
    return q


def _factored(q: Tensor) -> Tensor:
    """The reflections that give q: below the diagonal; on it the signs."""
    stack = q.array.reshape(-1, *q.shape[-2:])
    made = np.empty_like(stack)
    for i, matrix in enumerate(stack):
        h, tau = np.linalg.qr(matrix, mode="raw")
        x = h.T.copy()
        places = np.arange(x.shape[1])
        signs = np.sign(x[places, places])
        x[places, places] = np.where(tau == 0, -signs, signs)
        made[i] = x
    return wrap_plain(made.reshape(tuple(q.shape)))


def _is_orthonormal(q: Tensor) -> bool:
    a = q.array
    eye = np.eye(a.shape[-1], dtype=a.dtype)
    eps = 10 * a.shape[-2] * np.finfo(a.dtype).eps
    return bool(np.allclose(np.swapaxes(a, -1, -2) @ a, eye, rtol=0, atol=eps))


def _orthonormal(q: Tensor) -> Tensor:
    """The orthonormal factor of q, with the signs of a positive diagonal."""
    found, r = np.linalg.qr(q.array)
    signs = np.sign(np.diagonal(r, axis1=-2, axis2=-1))
    return wrap_plain(np.asarray(found * signs[..., None, :], q.dtype))


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
    use_trivialization: bool = True,
) -> Module:  # fmt: skip
    """Keeps a matrix orthonormal: its columns, or its rows where there are more columns.

    `orthogonal_map`: "matrix_exp" (of a skew-symmetric matrix; the default for square ones),
    "cayley" ((1 - A/2)^-1 (1 + A/2)), or "householder" (a product of reflections; the default
    else). `use_trivialization`: they start at the matrix there is (Lezcano-Casado 2019), which
    then can be assigned to.
    Raises ValueError for a name that is not a tensor of the module, for what is not a matrix, and
    for other maps.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} "
                         "dimensions.")  # fmt: skip
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". '
            f"Got: {orthogonal_map}"
        )
    part = _Orthogonal(orthogonal_map, use_trivialization)
    return register_parametrization(module, name, part, unsafe=True)
