"""Rows of special functions, of distances, and of positions by one number."""

import math
import warnings

import numpy as np
from op_rows.mathematics import fraction, per_element
from op_rows.rows import Row, apart, binary, normal, of, off_zero, positive, unary

from tinygrad_opt import ops

ANGLES = (np.arange(400) + 0.5) * math.pi / 400


def np_bessel(order, scaled=False):
    """The mean of e^(x cos t) cos(order t) over half a circle."""

    def one(x):
        y = (np.exp(x * np.cos(ANGLES)) * np.cos(order * ANGLES)).mean()
        return y * math.exp(-abs(x)) if scaled else y

    return per_element(one)


def np_igamma(a, x):
    logs = (a * math.log(x) - x + n * math.log(x) - math.lgamma(a + n + 1) for n in range(150))
    return sum(map(math.exp, logs))


def np_zeta(s, q):
    k = np.arange(200_000)
    return ((q + k) ** -s).sum() + (q + len(k) - 0.5) ** (1 - s) / (s - 1)


def np_ndtri(p):
    low, high = -9.0, 9.0
    for _ in range(100):
        middle = (low + high) / 2
        below = math.erfc(-middle / math.sqrt(2)) / 2 < p
        low, high = (middle, high) if below else (low, middle)
    return low


def special(name):
    return lambda m, *xs: getattr(m.special, name)(*xs)


def np_pdist(x, p):
    pairs = [(i, j) for i in range(len(x)) for j in range(i + 1, len(x))]
    return np.array([np.linalg.norm(x[i] - x[j], p) for i, j in pairs])


def np_renorm(x):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x * np.where(norms > 1.5, 1.5 / (norms + 1e-7), 1)


PLACES = np.array([0.0, 0.5, 1.0, 1.75, 3.0])


def np_reduced(reduce, alone=False):
    def ref(x, y):
        z = x.copy()
        for k in range(3):
            here = [x[:, k]] * (not alone) + [y[:, i] for i in range(3) if [2, 0, 2][i] == k]
            z[:, k] = reduce(np.array(here or [x[:, k]]), axis=0)
        return z

    return ref


def index_reduce(reduce, **more):
    def call(m, x, y):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "index_reduce.. is in beta")  # says PyTorch
            return m.index_reduce(x, 1, m.tensor([2, 0, 2]), y, reduce, **more)

    return call


def np_put(x, y, accumulate=False):
    flat = x.flatten()
    if accumulate:
        np.add.at(flat, [5, 0, 0], y)
    else:
        flat[[5, 0, 1]] = y
    return flat.reshape(x.shape)


SPECIAL = [
    unary("i0", np_bessel(0)),
    unary("i0e", np_bessel(0, True), off_zero, special("i0e")),
    unary("i1", np_bessel(1), off_zero, special("i1")),
    unary("i1e", np_bessel(1, True), off_zero, special("i1e")),
    unary("erfcx", per_element(lambda x: math.exp(x * x) * math.erfc(x)), normal, special("erfcx")),
    unary("log_ndtr", per_element(lambda x: math.log(math.erfc(-x / math.sqrt(2)) / 2)), normal,
          special("log_ndtr")),
    unary("log_ndtr: ndtr", per_element(lambda x: math.erfc(-x / math.sqrt(2)) / 2), normal,
          special("ndtr")),
    unary("ndtri", per_element(np_ndtri), fraction, special("ndtri")),
    unary("entr", lambda x: -x * np.log(x), positive, special("entr")),
    unary("sinc: spherical_bessel_j0", lambda x: np.sin(x) / x, off_zero,
          special("spherical_bessel_j0"), lambda m, x: m.sinc(x / math.pi)),
    binary("xlog1py", lambda x, y: x * np.log1p(y), right=positive, call=special("xlog1py")),
    unary("zeta", per_element(lambda q: np_zeta(2.5, q)), positive,
          lambda m, q: m.special.zeta(m.tensor(2.5, dtype=q.dtype), q)),
    unary("igamma", per_element(lambda x: np_igamma(1.75, x)), positive,
          lambda m, x: m.igamma(m.tensor(1.75, dtype=x.dtype), x)),
    unary("igammac", per_element(lambda x: 1 - np_igamma(1.75, x)), positive,
          lambda m, x: m.special.gammaincc(m.tensor(1.75, dtype=x.dtype), x)),
    unary("ldexp", lambda x: x * 8, call=lambda m, x: m.ldexp(x, m.tensor(3))),
    unary("ldexp: op", lambda x: x * 8, call=lambda m, x: ops.ldexp(x, exponent=3),
          peer=lambda m, x: m.ldexp(x, m.tensor(3))),
    unary("frexp", lambda x: np.frexp(x)[0], off_zero, lambda m, x: m.frexp(x)[0]),
]  # fmt: skip

DISTANCES = [
    Row("dist", lambda m, x, y: m.dist(x, y), of((2, 3), (3,)), lambda x, y: np.linalg.norm(x - y)),
    Row("dist: p=1", lambda m, x, y: m.dist(x, y, 1), of((2, 3), (2, 3)),
        lambda x, y: np.abs(x - y).sum()),
    Row("pdist", lambda m, x: m.pdist(x), of((4, 3)), lambda x: np_pdist(x, 2),
        lambda m, x: (x[[0, 0, 0, 1, 1, 2]] - x[[1, 2, 3, 2, 3, 3]]).norm(dim=-1)),
    Row("pdist: p=3", lambda m, x: m.nn.functional.pdist(x, 3.0), of((4, 3)),
        lambda x: np_pdist(x, 3),
        lambda m, x: (x[[0, 0, 0, 1, 1, 2]] - x[[1, 2, 3, 2, 3, 3]]).norm(p=3, dim=-1)),
    Row("renorm", lambda m, x: m.renorm(x, 2, 0, 1.5), of((4, 3)), np_renorm),
    Row("gradient", lambda m, x: m.gradient(x, spacing=0.5, dim=1)[0], of((3, 5)),
        lambda x: np.gradient(x, 0.5, axis=1)),
    Row("gradient: places", lambda m, x: m.gradient(x, spacing=[m.tensor(PLACES, dtype=x.dtype)],
                                                    dim=0)[0],
        of((5, 2)), lambda x: np.gradient(x, PLACES, axis=0)),
    Row("gradient: edges", lambda m, x: m.stack(m.gradient(x, edge_order=2)), of((4, 5)),
        lambda x: np.stack(np.gradient(x, edge_order=2))),
    Row("constant_pad_nd", lambda m, x: m.constant_pad_nd(x, (1, 2), 0.5), of((2, 3)),
        lambda x: np.pad(x, ((0, 0), (1, 2)), constant_values=0.5)),
    Row("index_reduce", index_reduce("mean"), of((2, 3), (2, 3)), np_reduced(np.mean)),
    Row("index_reduce: prod", index_reduce("prod"), of((2, 3), (2, 3)), np_reduced(np.prod)),
    Row("index_reduce: amax", index_reduce("amax", include_self=False),
        of((2, 3), (2, 3), values=apart), np_reduced(np.max, True)),
    Row("put: flat", lambda m, x, y: x.put(m.tensor([5, 0, 1]), y), of((2, 3), (3,)), np_put),
    Row("put: flat, added", lambda m, x, y: x.put(m.tensor([5, 0, 0]), y, accumulate=True),
        of((2, 3), (3,)), lambda x, y: np_put(x, y, True)),
    Row("as_strided", lambda m, x: m.as_strided(x.contiguous(), (3, 2), (1, 2), 1), of((6,)),
        lambda x: np.array([[x[1 + i + 2 * j] for j in range(2)] for i in range(3)])),
]  # fmt: skip


def np_lu(a):
    """(order of the rows, L, U) of one matrix, by elimination."""
    a, m = a.copy(), len(a)
    order, k = list(range(m)), min(a.shape)
    for i in range(k):
        best = max(range(i, m), key=lambda j: abs(a[j, i]))
        a[[i, best]] = a[[best, i]]
        order[i], order[best] = order[best], order[i]
        for j in range(i + 1, m):
            a[j, i] /= a[i, i]
            a[j, i + 1 :] -= a[j, i] * a[i, i + 1 :]
    return order, np.tril(a, -1)[:, :k] + np.eye(m, k), np.triu(a)[:k]


def np_packed(a):
    _, lower, upper = np_lu(a)
    whole, k = np.zeros(a.shape), min(a.shape)
    whole[:, :k] += np.tril(lower, -1)
    whole[:k] += upper
    return whole


ELIMINATION = [
    Row("lu", lambda m, a: m.linalg.lu_factor(a).LU, of((4, 4)), np_packed),
    Row("lu: tall", lambda m, a: m.linalg.lu_factor(a).LU, of((5, 3)), np_packed),
    Row("lu: wide", lambda m, a: m.linalg.lu_factor(a)[0], of((3, 5)), np_packed),
    Row("lu_unpack", lambda m, a: m.lu_unpack(*m.linalg.lu_factor(a)).L, of((2, 3, 3)),
        lambda a: np.stack([np_lu(x)[1] for x in a])),
    Row("lu_unpack: U", lambda m, a: m.linalg.lu(a).U, of((4, 3)), lambda a: np_lu(a)[2]),
    Row("lu_solve", lambda m, a, b: m.lu_solve(b, *m.linalg.lu_factor(a)), of((3, 3), (3, 2)),
        np.linalg.solve, lambda m, a, b: m.linalg.lu_solve(*m.linalg.lu_factor(a), b)),
    Row("lu_solve: adjoint", lambda m, a, b: m.linalg.lu_solve(*m.linalg.lu_factor(a), b,
                                                               adjoint=True),
        of((3, 3), (3, 2)), lambda a, b: np.linalg.solve(a.T, b)),
    Row("lu_solve: from the right", lambda m, a, b: m.linalg.lu_solve(*m.linalg.lu_factor(a), b,
                                                                      left=False),
        of((3, 3), (2, 3)), lambda a, b: np.linalg.solve(a.T, b.T).T),
]  # fmt: skip
