"""Rows of linear algebra: products, inverses, factorizations and norms."""

import math

import numpy as np
from op_rows.rows import Row, functional, normal, of, off_zero

from tinygrad_opt import ops

PRODUCTS = [
    Row("matmul", lambda m, x, y: m.matmul(x, y), of((2, 3), (3, 4)), np.matmul),
    Row("matmul: batches", lambda m, x, y: x @ y, of((5, 2, 3), (5, 3, 4)), np.matmul),
    Row("matmul: broadcast batches", lambda m, x, y: x @ y, of((5, 1, 2, 3), (2, 3, 4)), np.matmul),
    Row("matmul: matrix, vector", lambda m, x, y: x @ y, of((2, 3), (3,)), np.matmul),
    Row("matmul: vector, batch", lambda m, x, y: x @ y, of((3,), (5, 3, 4)), np.matmul),
    Row("matmul: vectors", lambda m, x, y: x @ y, of((3,), (3,)), np.matmul),
    Row("dot", lambda m, x, y: m.dot(x, y), of((3,), (3,)), np.dot),
    Row("outer", lambda m, x, y: m.outer(x, y), of((2,), (3,)), np.outer),
    Row("linear", lambda m, x, w, b: ops.linear(x, w, b), of((5, 3), (2, 3), (2,)),
        lambda x, w, b: x @ w.T + b, functional("linear")),
    Row("linear: no bias, more axes", lambda m, x, w: ops.linear(x, w, None), of((4, 5, 3), (2, 3)),
        lambda x, w: x @ w.T, functional("linear")),
    Row("dense", lambda m, x, w, b, r: ops.dense(x, w, b, r),
        of((5, 2, 3), (2, 3), (2,), (5, 2, 2)), lambda x, w, b, r: x @ w.T + b + r,
        lambda torch, x, w, b, r: torch.nn.functional.linear(x, w, b) + r),
    Row("dense: relu", lambda m, x, w, b: ops.dense(x, w, b, None, relu=True),
        of((5, 3), (2, 3), (2,)), lambda x, w, b: np.maximum(x @ w.T + b, 0),
        lambda torch, x, w, b: torch.nn.functional.linear(x, w, b).relu()),
    Row("linear: one row", lambda m, x, w, b: ops.linear(x, w, b), of((3,), (2, 3), (2,)),
        lambda x, w, b: x @ w.T + b, functional("linear")),
    Row("mm", lambda m, x, y: m.mm(x, y), of((2, 3), (3, 4)), np.matmul),
    Row("bmm", lambda m, x, y: m.bmm(x, y), of((5, 2, 3), (5, 3, 4)), np.matmul),
    Row("mv", lambda m, x, y: m.mv(x, y), of((2, 3), (3,)), np.matmul),
    Row("vdot", lambda m, x, y: m.vdot(x, y), of((3,), (3,)), np.dot),
    Row("ger", lambda m, x, y: m.ger(x, y), of((2,), (3,)), np.outer),
    Row("inner", lambda m, x, y: m.inner(x, y), of((2, 3), (4, 3)), np.inner),
    Row("inner: scalar", lambda m, x, y: m.inner(x, y), of((2, 3), ()), np.inner),
    Row("kron", lambda m, x, y: m.kron(x, y), of((2, 3), (2, 2)), np.kron),
    Row("kron: unequal", lambda m, x, y: m.kron(x, y), of((2, 3), (2,)), np.kron),
    Row("addmm", lambda m, x, y, z: m.addmm(x, y, z, beta=0.5, alpha=2), of((4,), (2, 3), (3, 4)),
        lambda x, y, z: 0.5 * x + 2 * (y @ z)),
    Row("addmv", lambda m, x, y, z: m.addmv(x, y, z, beta=0.5, alpha=2), of((2,), (2, 3), (3,)),
        lambda x, y, z: 0.5 * x + 2 * (y @ z)),
    Row("addr", lambda m, x, y, z: m.addr(x, y, z, beta=0.5, alpha=2), of((2, 3), (2,), (3,)),
        lambda x, y, z: 0.5 * x + 2 * np.outer(y, z)),
    Row("baddbmm", lambda m, x, y, z: m.baddbmm(x, y, z, beta=0.5, alpha=2),
        of((2, 1, 4), (2, 5, 3), (2, 3, 4)), lambda x, y, z: 0.5 * x + 2 * (y @ z)),
    Row("addbmm", lambda m, x, y, z: m.addbmm(x, y, z, beta=0.5, alpha=2),
        of((5, 4), (2, 5, 3), (2, 3, 4)), lambda x, y, z: 0.5 * x + 2 * (y @ z).sum(0)),
    Row("chain_matmul", lambda m, x, y, z: m.chain_matmul(x, y, z), of((2, 3), (3, 4), (4, 2)),
        lambda x, y, z: x @ y @ z, lambda m, *xs: m.linalg.multi_dot(xs)),
    Row("chain_matmul: multi_dot", lambda m, x, y, z: m.linalg.multi_dot([x, y, z]),
        of((3,), (3, 4), (4,)), lambda x, y, z: x @ y @ z),
    Row("tensordot", lambda m, x, y: m.tensordot(x, y), of((2, 3, 4), (3, 4, 5)),
        lambda x, y: np.tensordot(x, y)),
    Row("tensordot: pairs", lambda m, x, y: m.tensordot(x, y, ([0, 2], [1, 0])),
        of((2, 3, 4), (4, 2)), lambda x, y: np.tensordot(x, y, ([0, 2], [1, 0]))),
    Row("tensordot: none", lambda m, x, y: m.tensordot(x, y, 0), of((2,), (3,)),
        lambda x, y: np.tensordot(x, y, 0)),
    Row("cross", lambda m, x, y: m.cross(x, y), of((3, 2), (3, 2)),
        lambda x, y: np.cross(x, y, axis=0), lambda m, x, y: m.cross(x, y, 0)),
    Row("cross: linalg", lambda m, x, y: m.linalg.cross(x, y), of((2, 3), (1, 3)), np.cross),
    Row("cdist", lambda m, x, y: m.cdist(x, y), of((2, 4, 3), (5, 3)),
        lambda x, y: np.linalg.norm(x[..., None, :] - y[..., None, :, :], axis=-1),
        lambda m, x, y: (x.unsqueeze(-2) - y.unsqueeze(-3)).norm(dim=-1)),
    Row("distances", lambda m, x, y: ops.linalg.distances(x, y), of((2, 4, 3), (5, 3)),
        lambda x, y: np.linalg.norm(x[..., None, :] - y[..., None, :, :], axis=-1),
        lambda m, x, y: m.cdist(x, y, compute_mode="use_mm_for_euclid_dist")),
    Row("cdist: p=1", lambda m, x, y: m.cdist(x, y, 1), of((4, 3), (5, 3)),
        lambda x, y: np.abs(x[:, None] - y).sum(-1),
        lambda m, x, y: (x.unsqueeze(-2) - y.unsqueeze(-3)).abs().sum(-1)),
]  # fmt: skip


def regular(rng, shape):
    """Matrices far from singular, with singular values that differ."""
    rows, columns = shape[-2:]
    scale = np.arange(1, rows + 1)[:, None]
    return rng.standard_normal(shape) * 0.2 + np.eye(rows, columns) * scale


def symmetric(m, x):
    return x + x.transpose(-1, -2)


def positive_definite(m, x):
    return x @ x.transpose(-1, -2) + m.tensor(np.eye(3), dtype=x.dtype)


def np_symmetric(x):
    return x + x.swapaxes(-1, -2)


def np_positive_definite(x):
    return x @ x.swapaxes(-1, -2) + np.eye(3)


def np_svd(x):
    return np.linalg.svd(x, full_matrices=False)


def np_exp(x):
    y = term = np.broadcast_to(np.eye(3), x.shape)
    for k in range(1, 60):
        term = term @ x / k
        y = y + term
    return y


SQUARE, TWO = of((3, 3), values=regular), of((2, 3, 3), values=regular)
TALL, WIDE = of((4, 3), values=regular), of((3, 4), values=regular)

MATRICES = [
    Row("inv", lambda m, x: m.linalg.inv(x), TWO, np.linalg.inv),
    Row("inverse", lambda m, x: m.inverse(x), SQUARE, np.linalg.inv),
    Row("inv: tensorinv", lambda m, x: m.linalg.tensorinv(x, ind=1),
        lambda rng: (regular(rng, (4, 4)).reshape(4, 2, 2),),
        lambda x: np.linalg.tensorinv(x, ind=1)),
    Row("solve", lambda m, a, b: m.linalg.solve(a, b),
        lambda rng: (regular(rng, (2, 3, 3)), normal(rng, (2, 3, 2))), np.linalg.solve),
    Row("solve: vector", lambda m, a, b: m.linalg.solve(a, b),
        lambda rng: (regular(rng, (3, 3)), normal(rng, (3,))), np.linalg.solve),
    Row("solve: from the right", lambda m, a, b: m.linalg.solve(a, b, left=False),
        lambda rng: (regular(rng, (3, 3)), normal(rng, (2, 3))),
        lambda a, b: np.linalg.solve(a.T, b.T).T),
    Row("solve: triangular", lambda m, a, b: m.linalg.solve_triangular(a, b, upper=True),
        lambda rng: (regular(rng, (3, 3)), normal(rng, (3, 2))),
        lambda a, b: np.linalg.solve(np.triu(a), b)),
    Row("solve: unitriangular, from the right",
        lambda m, a, b: m.linalg.solve_triangular(
            a, b, upper=False, left=False, unitriangular=True),
        lambda rng: (regular(rng, (3, 3)), normal(rng, (2, 3))),
        lambda a, b: np.linalg.solve((np.tril(a, -1) + np.eye(3)).T, b.T).T),
    Row("solve: tensorsolve", lambda m, a, b: m.linalg.tensorsolve(a, b),
        lambda rng: (regular(rng, (4, 4)).reshape(2, 2, 4), normal(rng, (2, 2))),
        np.linalg.tensorsolve),
    Row("det", lambda m, x: m.linalg.det(x), TWO, np.linalg.det),
    Row("det: older name", lambda m, x: m.det(x), SQUARE, np.linalg.det),
    Row("slogdet", lambda m, x: m.slogdet(x).logabsdet, TWO, lambda x: np.linalg.slogdet(x)[1]),
    Row("log_abs_det", lambda m, x: m.linalg.slogdet(x)[1], SQUARE,
        lambda x: np.linalg.slogdet(x)[1]),
    Row("logdet", lambda m, x: m.logdet(x), SQUARE, lambda x: np.log(np.linalg.det(x))),
    Row("cholesky", lambda m, x: m.linalg.cholesky(positive_definite(m, x)), TWO,
        lambda x: np.linalg.cholesky(np_positive_definite(x))),
    Row("cholesky: upper", lambda m, x: m.cholesky(positive_definite(m, x), upper=True), SQUARE,
        lambda x: np.linalg.cholesky(np_positive_definite(x)).T,
        lambda m, x: m.linalg.cholesky(positive_definite(m, x), upper=True)),
    Row("cholesky_solve",
        lambda m, x, b: m.cholesky_solve(b, m.linalg.cholesky(positive_definite(m, x))),
        lambda rng: (regular(rng, (3, 3)), normal(rng, (3, 2))),
        lambda x, b: np.linalg.solve(np_positive_definite(x), b)),
    Row("cholesky_inverse",
        lambda m, x: m.cholesky_inverse(m.linalg.cholesky(positive_definite(m, x))), SQUARE,
        lambda x: np.linalg.inv(np_positive_definite(x))),
    Row("qr", lambda m, x: m.linalg.qr(x).Q, TALL, lambda x: np.linalg.qr(x)[0]),
    Row("qr: R", lambda m, x: m.qr(x).R, TALL, lambda x: np.linalg.qr(x)[1],
        lambda m, x: m.linalg.qr(x).R),
    Row("qr: wide", lambda m, x: m.linalg.qr(x)[1], WIDE, lambda x: np.linalg.qr(x)[1]),
    Row("eigh", lambda m, x: m.linalg.eigh(symmetric(m, x)).eigenvalues, TWO,
        lambda x: np.linalg.eigh(np_symmetric(x))[0]),
    Row("eigh: vectors", lambda m, x: m.linalg.eigh(symmetric(m, x), UPLO="U")[1] ** 2, SQUARE,
        lambda x: np.linalg.eigh(np_symmetric(x), UPLO="U")[1] ** 2),
    Row("svd", lambda m, x: m.linalg.svd(x, full_matrices=False).S, TALL, lambda x: np_svd(x)[1]),
    Row("svd: U", lambda m, x: m.linalg.svd(x, full_matrices=False).U ** 2, TALL,
        lambda x: np_svd(x)[0] ** 2),
    Row("svd: V", lambda m, x: m.svd(x).V ** 2, of((2, 3, 4), values=regular),
        lambda x: np_svd(x)[2].swapaxes(-1, -2) ** 2),
    Row("pinv", lambda m, x: m.linalg.pinv(x), TALL, np.linalg.pinv),
    Row("pinverse", lambda m, x: m.pinverse(x), of((2, 3, 4), values=regular), np.linalg.pinv),
    Row("pinv: lstsq", lambda m, a, b: m.linalg.lstsq(a, b).solution,
        lambda rng: (regular(rng, (4, 3)), normal(rng, (4, 2))),
        lambda a, b: np.linalg.lstsq(a, b)[0]),
    Row("matrix_power", lambda m, x: m.matrix_power(x, 5), of((2, 3, 3)),
        lambda x: np.linalg.matrix_power(x, 5)),
    Row("matrix_power: inverse", lambda m, x: m.linalg.matrix_power(x, -2), SQUARE,
        lambda x: np.linalg.matrix_power(x, -2)),
    Row("matrix_exp", lambda m, x: m.matrix_exp(x), of((2, 3, 3)), np_exp),
    Row("norm: linalg", lambda m, x: m.linalg.norm(x), of((2, 3)), np.linalg.norm),
    Row("norm: vector_norm", lambda m, x: m.linalg.vector_norm(x, 3, dim=-1),
        of((2, 3), values=off_zero), lambda x: (np.abs(x) ** 3).sum(-1) ** (1 / 3)),
    *(
        Row(f"norm: matrix_norm {ord}", lambda m, x, ord=ord: m.linalg.matrix_norm(x, ord), TALL,
            lambda x, ord=ord: np.linalg.norm(x, ord))
        for ord in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)
    ),
    Row("norm: matrix_norm kept",
        lambda m, x: m.linalg.matrix_norm(x, "nuc", dim=(2, 0), keepdim=True),
        of((3, 2, 4), values=normal),
        lambda x: np.linalg.norm(x, "nuc", axis=(2, 0), keepdims=True)),
    Row("norm: cond", lambda m, x: m.linalg.cond(x), SQUARE, np.linalg.cond),
    Row("norm: cond -2", lambda m, x: m.linalg.cond(x, -2), TALL,
        lambda x: np.linalg.cond(x, -2)),
    Row("sum: vecdot", lambda m, x, y: m.linalg.vecdot(x, y, dim=0), of((2, 3), (2, 1)),
        lambda x, y: (x * y).sum(0)),
    Row("stack: linalg.vander", lambda m, x: m.linalg.vander(x, N=4), of((2, 3)),
        lambda x: x[..., None] ** np.arange(4)),
    Row("diagonal: linalg", lambda m, x: m.linalg.diagonal(x, offset=1), of((2, 3, 3)),
        lambda x: np.diagonal(x, 1, -2, -1)),
]  # fmt: skip

EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij->ji", (2, 3)),
    ("ii->i", (3, 3)), ("ii", (3, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)), ("i,j->ij", (2,), (3,)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)), ("...ij,...jk->...ik", (2, 1, 2, 3), (4, 3, 2)),
    ("bhid,bhjd->bhij", (2, 2, 3, 2), (2, 2, 4, 2)), ("ij,ij->", (2, 3), (2, 3)),
    ("ij,j->ij", (2, 3), (3,)), ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)),
    ("i,i,i->i", (3,), (3,), (3,)), ("bn,anm,bm->ba", (2, 3), (4, 3, 2), (2, 2)),
    ("a...->...a", (2, 3, 4)), ("bA,aA", (2, 3), (4, 3)), ("iij,jk->ik", (2, 2, 3), (3, 2)),
    ("ijkl,ijkl->ik", (2, 3, 2, 3), (2, 3, 2, 3)), (",i->i", (), (3,)),
    ("...,...->...", (2, 3), (3,)), ("ij,kl->", (2, 2), (2, 2)), ("iii->i", (2, 2, 2)),
]  # fmt: skip

SUMMATIONS = [
    *(
        Row(f"einsum: {equation}", lambda m, *xs, e=equation: m.einsum(e, *xs), of(*shapes),
            lambda *xs, e=equation: np.einsum(e, *xs))
        for equation, *shapes in EINSUMS
    ),
    Row("einsum: numbers", lambda m, x, y: m.einsum(x, [0, 1], y, [1, 2], [2, 0]),
        of((2, 3), (3, 4)), lambda x, y: (x @ y).T),
    Row("einsum: numbers, ellipsis", lambda m, x, y: m.einsum(x, [..., 0, 1], y, [1, 2]),
        of((5, 2, 3), (3, 4)), np.matmul),
    Row("einsum: length 1 broadcasts", lambda m, x, y: m.einsum("ij,ij->ij", x, y),
        of((2, 1), (2, 3)), np.multiply),
]  # fmt: skip
