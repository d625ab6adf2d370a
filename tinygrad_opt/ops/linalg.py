"""Inverses, determinants and factorizations of (batches of) matrices.

An operation returns one array, so a factorization with several parts packs them below each other;
`qr`, `eigh` and `svd` unpack. They are NumPy's names and arguments: `xp(x).linalg.qr` is
NumPy's function for an array, and the one in this file for a Tensor.

The derivatives are those of Giles 2008, "An extended collection of matrix derivative results";
Murray 2016, arXiv:1602.07527, for cholesky.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays.xp import array_namespace, xp
from ..core.node import Variable
from ..core.record import op
from ..core.tensor import wrap_plain


def _t(x: Any) -> Any:
    return xp(x).swapaxes(x, -1, -2)


def _raw(x: Any) -> Any:
    return getattr(x, "array", x)


def _eye(x: Any, n: int) -> Any:
    return array_namespace(_raw(x)).eye(n, dtype=x.dtype)


def _lower(x: Any, diagonal: float) -> Any:
    """The strict lower triangle of x, and `diagonal` times its diagonal."""
    n = x.shape[-1]
    ones = array_namespace(_raw(x)).ones((n, n), x.dtype)
    return x * (array_namespace(ones).tril(ones, -1) + diagonal * _eye(x, n))


def _column(x: Any) -> Any:
    return x.reshape((*x.shape, 1))


def _row(x: Any) -> Any:
    return x.reshape((*x.shape[:-1], 1, x.shape[-1]))


def _over_gaps(x: Any, w: Any, sums: bool = False) -> Any:
    """x[i, j] / (w[j] - w[i]), 0 on the diagonal; if `sums`, over w[j]^2 - w[i]^2."""
    eye = _eye(w, w.shape[-1])
    gaps = _row(w) - _column(w)
    return _quotient(x * (1 - eye), (gaps * (_row(w) + _column(w)) if sums else gaps) + eye)


def _quotient(x: Any, y: Any) -> Any:
    """x / y, and 0 for 0 / 0: where no gradient of the vectors comes in, none comes out."""
    neither = _raw((x == 0) & (y == 0))
    return x / xp(y).where(neither, 1, y)


@op
def inv(a):
    y = xp(a).linalg.inv(a)
    return y, lambda g: -(_t(y) @ g @ _t(y))


@op
def solve(a, b):  # both at least 2-D
    x = xp(a).linalg.solve(a, b)
    return (
        x,
        lambda g: -(xp(a).linalg.solve(_t(a), g) @ _t(x)),
        lambda g: xp(a).linalg.solve(_t(a), g),
    )


@op
def det(a):
    d = xp(a).linalg.det(a)

    def back(g):  # the matrix of cofactors: det(a) inv(a)^T, if that exists
        if bool(_raw((d == 0).any())):
            return _column(_column(g)) * _cofactors(a)
        return _column(_column(g * d)) * _t(xp(a).linalg.inv(a))

    return d, back


def _cofactors(a: Any) -> Any:
    """From a = u s v: det(u) det(v) u p v, where p[i] is the product of all s but s[i]."""
    u, s, v = xp(a).linalg.svd(a, full_matrices=False)
    n = a.shape[-1]
    p = 1 + 0 * s
    for shift in range(1, n):
        order = [(i + shift) % n for i in range(n)]
        p = p * s[..., order]
    sign = xp(a).linalg.det(u) * xp(a).linalg.det(v)
    return _column(_column(sign)) * ((u * _row(p)) @ v)


@op
def log_abs_det(a):
    return (
        xp(a).linalg.slogdet(a)[1],
        lambda g: _column(_column(g)) * _inverse_transposed(a),
    )


def _inverse_transposed(a: Any) -> Any:
    """inv(a)^T; for a singular a its limit, the cofactors times infinity (NaN for those of 0)."""
    raw = _raw(a)
    singular = (xp(raw).linalg.slogdet(raw)[0] == 0)[..., None, None]
    if not singular.any():
        return _t(xp(a).linalg.inv(a))
    regular = _t(xp(a).linalg.inv(xp(a).where(singular, _eye(raw, raw.shape[-1]), a)))
    return xp(a).where(singular, _cofactors(raw) * math.inf, regular)


def slogdet(a: Any) -> tuple[Any, Any]:
    """The sign, without a gradient, and the logarithm of the absolute value of det(a)."""
    sign = xp(_raw(a)).linalg.slogdet(_raw(a))[0]  # of the determinant, which itself may overflow
    return wrap_plain(sign), log_abs_det(a)


def eliminated(a: Any) -> tuple[Any, Any]:
    """LU factors of raw square matrices, packed, and the rows that partial pivoting chose.

    Element i of the second (..., n) is the row that was exchanged with row i, as LAPACK counts.
    """
    a, n = array_namespace(a).copy(a), a.shape[-1]
    flat = a.reshape(-1, n, n)
    pivots = np.zeros((len(flat), n), np.int64)
    every = np.arange(len(flat))
    for k in range(n):
        best = k + array_namespace(a).abs(flat[:, k:, k]).argmax(1)
        pivots[:, k] = np.asarray(getattr(best, "get", lambda best=best: best)())
        rows = flat[every, best]
        flat[every, best] = flat[:, k]
        flat[:, k] = rows
        pivot = flat[:, k, k, None]
        flat[:, k + 1 :, k] /= array_namespace(a).where(pivot == 0, 1, pivot)
        flat[:, k + 1 :, k + 1 :] -= flat[:, k + 1 :, k, None] * flat[:, None, k, k + 1 :]
    return a, pivots.reshape(a.shape[:-1])


@op
def lu(a, *, packed):
    """The factors of a = l u, without exchanges of rows: u, and below its diagonal l.

    `packed`: what they are, where that is known; under another graph they are computed from `a`.
    """
    n = a.shape[-1]
    y = lu(a, packed=_raw(packed)) if isinstance(a, Variable) else packed
    below = np.tril(np.ones((n, n), bool), -1)

    def back(g):
        lower = xp(y).where(below, y, 0) + _eye(y, n)
        upper = xp(y).where(below, 0, y)
        inner = xp(g).where(below, _t(lower) @ xp(g).where(below, g, 0),
                            xp(g).where(below, 0, g) @ _t(upper))  # fmt: skip
        left = xp(y).linalg.solve(_t(lower), inner)
        return _t(xp(y).linalg.solve(upper, _t(left)))

    return y, back


@op
def cholesky(a):
    # The gradient for a symmetric a: symmetric too, although only the lower triangle is read.
    y = xp(a).linalg.cholesky(a)

    def back(g):
        p = _lower(_t(y) @ g, 0.5)
        s = xp(y).linalg.solve(_t(y), _t(xp(y).linalg.solve(_t(y), p)))  # (y^-T p y^-1)^T
        return (s + _t(s)) / 2

    return y, back


@op
def pinv(a, *, rcond):
    # dp = -p da p + p p^T da^T (1 - a p) + (1 - p a) da^T p^T p.  Golub & Pereyra 1973
    p = xp(a).linalg.pinv(a, rcond=rcond)

    def back(g):
        gt = _t(g)
        return (
            -(_t(p) @ g @ _t(p))
            + (gt @ p - a @ (p @ (gt @ p))) @ _t(p)
            + _t(p) @ ((p @ gt) - ((p @ gt) @ p) @ a)
        )

    return p, back


@op
def _qr(a):  # at least as many rows as columns: q above r
    m = a.shape[-2]
    q, r = xp(a).linalg.qr(a)

    def back(g):
        gq, gr = g[..., :m, :], g[..., m:, :]
        h = r @ _t(gr) - _t(gq) @ q
        symmetric = _lower(h, 0.5) + _t(_lower(h, 0.5))
        return _t(xp(r).linalg.solve(r, _t(gq + q @ symmetric)))

    return xp(q).concatenate([q, r], axis=-2), back


def qr(a: Any) -> tuple[Any, Any]:
    """The reduced factors q (rows, k) and r (k, columns), k the lesser of rows and columns."""
    m, n = a.shape[-2:]
    packed = _qr(a[..., :m])
    q, r = packed[..., :m, :], packed[..., m:, :]
    if m < n:  # the rest of the columns, in terms of q
        r = xp(a).concatenate([r, _t(q) @ a[..., m:]], axis=-1)
    return q, r


@op
def _eigh(a):  # the eigenvectors as columns, below them the eigenvalues; reads the lower triangle
    n = a.shape[-1]
    w, v = xp(a).linalg.eigh(a)

    def back(g):
        gv, gw = g[..., :n, :], g[..., n, :]
        inner = _over_gaps(_t(v) @ gv, w) + _column(gw) * _eye(w, n)
        return v @ inner @ _t(v)

    return xp(v).concatenate([v, _row(w)], axis=-2), back


def eigh(a: Any) -> tuple[Any, Any]:
    """The eigenvalues (n,), ascending, and the eigenvectors as columns, of a symmetric matrix."""
    packed = _eigh(a)
    n = a.shape[-1]
    return packed[..., n, :], packed[..., :n, :]


@op
def _svd(a):  # u above s above v
    m = a.shape[-2]
    u, s, vt = xp(a).linalg.svd(a, full_matrices=False)
    v = _t(vt)

    def back(g):
        gu, gs, gv = g[..., :m, :], g[..., m, :], g[..., m + 1 :, :]
        of_u, of_v = _t(u) @ gu, _t(v) @ gv
        from_u, from_v = (_over_gaps(m - _t(m), s, sums=True) for m in (of_u, of_v))
        inner = from_u * _row(s) + _column(s) * from_v + _column(gs) * _eye(s, s.shape[-1])
        outside_u = _quotient(gu - u @ of_u, _row(s))  # what of gu lies outside the space of u
        outside_v = _quotient(gv - v @ of_v, _row(s))
        return (u @ inner + outside_u) @ vt + u @ _t(outside_v)

    return xp(u).concatenate([u, _row(s), v], axis=-2), back


def svd(a: Any, full_matrices: bool = False) -> tuple[Any, Any, Any]:
    """u (rows, k), s (k,) descending and v (k, columns) with a = u s v; k as in `qr`."""
    m = a.shape[-2]
    packed = _svd(a)
    return packed[..., :m, :], packed[..., m, :], _t(packed[..., m + 1 :, :])


@op
def _eig(a):  # the eigenvectors as columns, below them the eigenvalues; complex
    n = a.shape[-1]
    w, v = xp(a).linalg.eig(a)
    w, v = (_as_complex(part, a) for part in (w, v))

    def rule(g):  # vectors keep the length 1: what goes along them counts for nothing
        gv, gw = g[..., :n, :], g[..., n, :]
        vh = xp(v).conj(_t(v))
        inner = vh @ gv
        length = xp(inner).real_part(inner * _eye(v, n)) @ _ones(v, n)
        gaps = xp(w).conj(_row(w) - _column(w)) + _eye(w, n)
        inner = (
            (inner - (vh @ v) * _row(length.reshape(length.shape[:-1]))) * (1 - _eye(v, n)) / gaps
        )
        inner = inner + _column(gw) * _eye(w, n)
        return xp(v).linalg.solve(vh, inner @ vh)

    # The rule as a whole; `core/complexes.py` conjugates before and behind it.
    return xp(v).concatenate([v, _row(w)], axis=-2), lambda g: xp(g).conj(rule(xp(g).conj(g)))


def _as_complex(x: Any, like: Any) -> Any:
    kind = np.result_type(like.dtype, np.complex64)
    return x if x.dtype == kind else xp(x).cast(x, dtype=kind)


def _ones(x: Any, n: int) -> Any:
    kind = np.empty(0, x.dtype).real.dtype
    return array_namespace(_raw(x)).ones((n, 1), kind)


def eig(a: Any) -> tuple[Any, Any]:
    """The eigenvalues (n,) and the eigenvectors as columns, both complex, of any matrix."""
    packed = _eig(a)
    n = a.shape[-1]
    return packed[..., n, :], packed[..., :n, :]


@op
def distances(x, y):
    """|x_i - y_j| for rows x_i of (..., n, m) and y_j of (..., k, m): (..., n, k).

    By |x_i|^2 + |y_j|^2 - 2 x_i y_j, of which small distances keep few digits; slope 0 at 0.
    """

    def squares(a):
        return xp(a).sum(a * a, axis=-1, keepdims=True)

    z = xp(x).distances(x, y) if type(x) is type(y) is np.ndarray else None
    if z is None:
        z = squares(x) + _t(squares(y)) - 2 * xp(x).matmul(x, _t(y))
        z = xp(z).sqrt(xp(z).maximum(z, 0))

    def rate(g):
        return xp(g).where(z == 0, 0, g / xp(z).where(z == 0, 1, z))

    def to_x(g):
        r = rate(g)
        return xp(r).sum(r, axis=-1, keepdims=True) * x - xp(r).matmul(r, y)

    def to_y(g):
        r = _t(rate(g))
        return xp(r).sum(r, axis=-1, keepdims=True) * y - xp(r).matmul(r, x)

    return z, to_x, to_y
