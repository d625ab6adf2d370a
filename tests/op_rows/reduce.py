"""Rows of the reductions."""

import math

import numpy as np
from op_rows.rows import Row, apart, np_softmax, of, off_zero

from tinygrad_opt import ops

REDUCTIONS = [
    Row("sum", lambda m, x: m.sum(x), of((2, 3)), np.sum),
    Row("sum_rows", lambda m, x: ops.sum_rows(x), of((3, 2)), lambda x: x.sum(0),
        lambda m, x: x.sum(0)),
    Row("sum: axis", lambda m, x: m.sum(x, 1), of((2, 3)), lambda x: x.sum(1)),
    Row("sum: axes kept", lambda m, x: m.sum(x, (0, -1), keepdim=True), of((2, 3, 4)),
        lambda x: x.sum((0, -1), keepdims=True)),
    Row("mean", lambda m, x: m.mean(x), of((2, 3)), np.mean),
    Row("mean: axes", lambda m, x: m.mean(x, (0, 2)), of((2, 3, 4)), lambda x: x.mean((0, 2))),
    Row("mean: kept", lambda m, x: m.mean(x, -1, keepdim=True), of((2, 3)),
        lambda x: x.mean(-1, keepdims=True)),
    Row("var", lambda m, x: m.var(x, 1), of((2, 3)), lambda x: x.var(1, ddof=1)),
    Row("var: biased", lambda m, x: m.var(x, unbiased=False), of((2, 3)), np.var),
    Row("var: correction", lambda m, x: m.var(x, (0, 2), correction=2, keepdim=True), of((2, 3, 4)),
        lambda x: x.var((0, 2), ddof=2, keepdims=True)),
    Row("std", lambda m, x: m.std(x, 0), of((3, 2)), lambda x: x.std(0, ddof=1)),
    Row("norm", lambda m, x: m.norm(x), of((2, 3)), lambda x: np.sqrt((x * x).sum())),
    Row("norm: axis", lambda m, x: m.norm(x, dim=1, keepdim=True), of((2, 3)),
        lambda x: np.sqrt((x * x).sum(1, keepdims=True))),
    Row("norm: p=1", lambda m, x: m.norm(x, 1), of((2, 3), values=off_zero),
        lambda x: np.abs(x).sum()),
    Row("norm: p=3", lambda m, x: m.norm(x, 3, 1), of((2, 3), values=off_zero),
        lambda x: (np.abs(x) ** 3).sum(1) ** (1 / 3)),
    Row("norm: p=inf", lambda m, x: m.norm(x, math.inf), of((2, 3), values=apart),
        lambda x: np.abs(x).max()),
    Row("norm: p=-inf", lambda m, x: m.norm(x, -math.inf, 0), of((3, 2), values=apart),
        lambda x: np.abs(x).min(0)),
    Row("norm2", lambda m, x: ops.norm2(x, axis=0), of((2, 3)),
        lambda x: np.sqrt((x * x).sum(0)), lambda m, x: m.norm(x, dim=0)),
    Row("max", lambda m, x: m.max(x), of((2, 3), values=apart), np.max),
    Row("max: axis", lambda m, x: m.max(x, 1).values, of((2, 3), values=apart),
        lambda x: x.max(1)),
    Row("max: pairwise", lambda m, x: m.max(x, -x), of((2, 3), values=off_zero), np.abs),
    Row("min", lambda m, x: m.min(x), of((2, 3), values=apart), np.min),
    Row("min: axis kept", lambda m, x: m.min(x, -2, keepdim=True)[0], of((2, 3), values=apart),
        lambda x: x.min(0, keepdims=True)),
    Row("amax", lambda m, x: m.amax(x, (0, 1)), of((2, 3), values=apart), np.max),
    Row("amax: axis", lambda m, x: m.amax(x, 1, keepdim=True), of((2, 3), values=apart),
        lambda x: x.max(1, keepdims=True)),
    Row("amin", lambda m, x: m.amin(x, 0), of((2, 3), values=apart), lambda x: x.min(0)),
    Row("softmax", lambda m, x: m.softmax(x, 1), of((2, 3)), lambda x: np_softmax(x, 1)),
    Row("softmax: first axis", lambda m, x: m.softmax(x, 0), of((2, 3, 2)),
        lambda x: np_softmax(x, 0)),
    Row("log_softmax", lambda m, x: m.log_softmax(x, -1), of((2, 3)),
        lambda x: np.log(np_softmax(x, -1))),
    Row("logsumexp", lambda m, x: m.logsumexp(x, 1), of((2, 3)),
        lambda x: np.log(np.exp(x).sum(1))),
    Row("logsumexp: axes kept", lambda m, x: m.logsumexp(x, (0, 2), keepdim=True), of((2, 3, 2)),
        lambda x: np.log(np.exp(x).sum((0, 2), keepdims=True))),
]  # fmt: skip
