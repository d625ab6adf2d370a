"""Rows of sorting, order statistics, running totals and covariances."""

import numpy as np
from op_rows.rows import Row, apart, of, off_zero, positive

from tinygrad_opt import ops


def np_logcumsumexp(x):
    return np.log(np.cumsum(np.exp(x), 1))


WITH_ZEROS = np.array([[0.5, 0.0, -2.0, 1.5], [0.0, 3.0, 0.0, 1.0]])


def with_zeros(rng):
    return (WITH_ZEROS.copy(),)


def rows_apart(rng):
    return (apart(rng, (3, 4)),)


SORTING = [
    Row("sort", lambda m, x: m.sort(x, 1)[0], rows_apart, lambda x: np.sort(x, 1)),
    Row("sort: descending", lambda m, x: m.sort(x, 0, descending=True).values, rows_apart,
        lambda x: np.sort(x, 0)[::-1]),
    Row("msort", lambda m, x: m.msort(x), rows_apart, lambda x: np.sort(x, 0)),
    Row("topk", lambda m, x: m.topk(x, 2).values, rows_apart,
        lambda x: np.sort(x, 1)[:, :-3:-1]),
    Row("topk: smallest, axis", lambda m, x: m.topk(x, 2, 0, largest=False)[0], rows_apart,
        lambda x: np.sort(x, 0)[:2]),
    Row("kthvalue", lambda m, x: m.kthvalue(x, 3)[0], rows_apart, lambda x: np.sort(x, 1)[:, 2]),
    Row("kthvalue: axis kept", lambda m, x: m.kthvalue(x, 1, 0, keepdim=True).values, rows_apart,
        lambda x: x.min(0, keepdims=True)),
    Row("median", lambda m, x: m.median(x), of((3, 3), values=apart), np.median),
    Row("median: axis", lambda m, x: m.median(x, 1)[0], rows_apart, lambda x: np.sort(x, 1)[:, 1]),
    Row("tied", lambda m, x: ops.tied(x, value=x.array[1, 2]), rows_apart, lambda x: x[1, 2],
        peer=lambda m, x: x[1, 2]),
    Row("nanmedian", lambda m, x: m.nanmedian(m.where(x > x.max(), x, x)),
        of((3, 3), values=apart), np.median),
    Row("nanmedian: axis kept", lambda m, x: m.nanmedian(x, 0, True).values, rows_apart,
        lambda x: np.median(x, 0, keepdims=True)),
    Row("mode", lambda m, x: m.mode(x, 1).values, rows_apart, lambda x: x.min(1)),
    Row("quantile", lambda m, x: m.quantile(x, 0.3), rows_apart, lambda x: np.quantile(x, 0.3)),
    Row("quantile: several, axis", lambda m, x: m.quantile(
        x, m.tensor([0.0, 0.4, 1.0], dtype=x.dtype), 1, keepdim=True), rows_apart,
        lambda x: np.quantile(x, [0, 0.4, 1], 1, keepdims=True)),
    *[Row(f"quantile: {how}", lambda m, x, how=how: m.quantile(x, 0.4, 0, interpolation=how),
          rows_apart, lambda x, how=how: np.quantile(x, 0.4, 0, method=how))
      for how in ("lower", "higher", "midpoint", "nearest")],
    Row("nanquantile", lambda m, x: m.nanquantile(m.where(x == x.max(), float("nan"), x), 0.6),
        rows_apart, lambda x: np.quantile(np.sort(x.ravel())[:-1], 0.6)),
]  # fmt: skip

CUMULATIVE = [
    Row("cumsum", lambda m, x: m.cumsum(x, 1), of((2, 3)), lambda x: x.cumsum(1)),
    Row("cumsum: negative axis", lambda m, x: m.cumsum(x, -2), of((3, 2)), lambda x: x.cumsum(0)),
    Row("cumprod", lambda m, x: m.cumprod(x, 1), of((2, 4)), lambda x: x.cumprod(1)),
    Row("cumprod: zeros", lambda m, x: m.cumprod(x, -1), with_zeros, lambda x: x.cumprod(1)),
    Row("logcumsumexp", lambda m, x: m.logcumsumexp(x, 1), of((2, 4)), np_logcumsumexp),
    Row("cummax", lambda m, x: m.cummax(x, 1).values, rows_apart,
        lambda x: np.maximum.accumulate(x, 1)),
    Row("cummin", lambda m, x: m.cummin(x, 0)[0], rows_apart,
        lambda x: np.minimum.accumulate(x, 0)),
    Row("prod", lambda m, x: m.prod(x), of((2, 3)), np.prod),
    Row("prod: zeros", lambda m, x: m.prod(x, 1), with_zeros, lambda x: x.prod(1)),
    Row("prod: axis kept", lambda m, x: m.prod(x, 0, keepdim=True), of((2, 3), values=off_zero),
        lambda x: x.prod(0, keepdims=True)),
    Row("diff", lambda m, x: m.diff(x), of((2, 4)), np.diff),
    Row("diff: twice, axis", lambda m, x: m.diff(x, 2, 0), of((4, 2)),
        lambda x: np.diff(x, 2, 0)),
    Row("diff: ends", lambda m, x, a, b: m.diff(x, prepend=a, append=b),
        of((2, 3), (2, 1), (2, 2)), lambda x, a, b: np.diff(x, prepend=a, append=b)),
    Row("trapezoid", lambda m, y: m.trapezoid(y, dx=0.5), of((2, 4)),
        lambda y: np.trapezoid(y, dx=0.5)),
    Row("trapezoid: points", lambda m, y, x: m.trapezoid(y, x, dim=0), of((4, 2), (4,)),
        lambda y, x: np.trapezoid(y, x, axis=0)),
    Row("cumulative_trapezoid", lambda m, y: m.cumulative_trapezoid(y), of((2, 4)),
        lambda y: np.cumsum((y[:, 1:] + y[:, :-1]) / 2, 1)),
]  # fmt: skip

STATISTICS = [
    Row("nansum", lambda m, x: m.nansum(m.where(x < 0.5, float("nan"), x), 1),
        of((3, 4), values=apart),
        lambda x: np.where(x < 0.5, 0, x).sum(1)),
    Row("nanmean", lambda m, x: m.nanmean(m.where(x > 0.5, x, float("nan"))),
        of((3, 4), values=apart),
        lambda x: x[x > 0.5].mean()),
    Row("var_mean", lambda m, x: m.var_mean(x, 1)[0], of((2, 3)), lambda x: x.var(1, ddof=1)),
    Row("var_mean: mean", lambda m, x: m.var_mean(x, 0, keepdim=True)[1], of((2, 3)),
        lambda x: x.mean(0, keepdims=True)),
    Row("std_mean", lambda m, x: m.std_mean(x, 1, correction=0)[0], of((2, 3)),
        lambda x: x.std(1)),
    Row("aminmax", lambda m, x: m.aminmax(x).max, of((2, 3), values=apart), np.max),
    Row("aminmax: axis", lambda m, x: m.aminmax(x, dim=0, keepdim=True)[0],
        of((2, 3), values=apart), lambda x: x.min(0, keepdims=True)),
    Row("cov", lambda m, x: m.cov(x), of((3, 5)), np.cov),
    Row("cov: one variable", lambda m, x: m.cov(x, correction=0), of((5,)),
        lambda x: np.cov(x, ddof=0)),
    Row("cov: weights", lambda m, x, w: m.cov(x, fweights=m.tensor([1, 2, 1, 3]), aweights=w),
        lambda rng: (rng.standard_normal((2, 4)), positive(rng, (4,))),
        lambda x, w: np.cov(x, fweights=[1, 2, 1, 3], aweights=w)),
    Row("corrcoef", lambda m, x: m.corrcoef(x)[1:, 0], of((3, 5)),
        lambda x: np.corrcoef(x)[1:, 0]),
    Row("logcumsumexp: far apart", lambda m, x: m.logcumsumexp(64 * x, 1) / 64, rows_apart,
        lambda x: np.logaddexp.accumulate(64 * x, 1) / 64, rough=2e-4),
    Row("put_extremum", lambda m, x, v: ops.put_extremum(
        x, v, index=np.array([1, 0, 1]), name="maximum", include_self=True),
        of((2, 3), (3, 3), values=apart), lambda x, v: np.stack(
            [np.maximum(x[0], v[1]), np.maximum(x[1], np.maximum(v[0], v[2]))]),
        lambda m, x, v: x.scatter_reduce(
            0, m.tensor([1, 0, 1])[:, None].expand(3, 3), v, "amax")),
    Row("put_product", lambda m, x, v: ops.put_product(
        x, v, index=np.array([1, 0, 1]), include_self=False),
        of((2, 3), (3, 3)), lambda x, v: np.stack([v[1], v[0] * v[2]]),
        lambda m, x, v: m.stack([v[1] + 0 * x[0], v[0] * v[2]])),
]  # fmt: skip
