"""Results of functions at chosen places: positions, counts, integers, NaN, infinities, 0-d tensors.

A row: the call, its value and its type. Values were worked out or checked by hand; with PyTorch at
hand the same calls are made there. What has a gradient is in the table of operations as well.
"""

import math

import numpy as np
import pytest

import tinygrad_opt as tg

NAN, INF = math.nan, math.inf


def A(m):
    return m.tensor([[0.5, -2.0, 1.5], [3.0, 0.0, -1.0]])


VALUES = {
    "argmax": (lambda m: m.argmax(A(m)), 3, "int64"),
    "argmax: axis kept": (lambda m: m.argmax(A(m), 1, keepdim=True), [[2], [0]], "int64"),
    "argmin: all kept": (lambda m: A(m).argmin(keepdim=True), [[1]], "int64"),
    "argsort": (lambda m: m.argsort(A(m), 0), [[0, 0, 1], [1, 1, 0]], "int64"),
    "argsort: descending, equals": (
        lambda m: m.argsort(m.tensor([1, 2, 1, 2]), descending=True, stable=True),
        [1, 3, 0, 2], "int64"),
    "sort: indices": (
        lambda m: m.sort(A(m), descending=True).indices,
        [[2, 0, 1], [0, 1, 2]], "int64"),
    "sort: NaN": (lambda m: m.sort(m.tensor([NAN, 1.0, -INF, INF]))[1], [2, 1, 3, 0], "int64"),
    "sort: NaN, descending": (
        lambda m: m.sort(m.tensor([NAN, 1.0, -INF, INF]), descending=True)[1],
        [0, 3, 1, 2], "int64"),
    "sort: bools": (lambda m: m.sort(m.tensor([True, False]))[0], [False, True], "bool"),
    "sort: 0-d": (lambda m: m.sort(m.tensor(3))[1], 0, "int64"),
    "topk: indices": (lambda m: m.topk(A(m), 2, largest=False).indices, [[1, 0], [2, 1]], "int64"),
    "topk: ints": (lambda m: m.topk(m.tensor([3, 1, 2]), 2)[0], [3, 2], "int64"),
    "kthvalue: index": (lambda m: m.kthvalue(A(m), 2, 1).indices, [0, 1], "int64"),
    "median: even": (lambda m: m.median(m.tensor([4, 1, 3, 2])), 2, "int64"),
    "median: index": (lambda m: m.median(A(m), 1).indices, [0, 1], "int64"),
    "median: NaN": (lambda m: m.median(m.tensor([1.0, NAN, 2.0])), NAN, "float32"),
    "nanmedian: NaN": (lambda m: m.nanmedian(m.tensor([1.0, NAN, 2.0, 3.0])), 2.0, "float32"),
    "mode: ints": (
        lambda m: m.mode(m.tensor([[2, 1, 2, 1], [3, 3, 5, 0]])).values,
        [1, 3], "int64"),
    "mode: index": (
        lambda m: m.mode(m.tensor([[2, 1, 2, 1], [3, 3, 5, 0]])).indices,
        [3, 1], "int64"),
    "cummax: indices": (
        lambda m: m.cummax(m.tensor([1, 3, 3, 2, 4]), 0).indices,
        [0, 1, 2, 2, 4], "int64"),
    "cummin: indices": (
        lambda m: m.cummin(m.tensor([3.0, NAN, 1.0]), 0).indices,
        [0, 1, 1], "int64"),
    "cummax: NaN": (
        lambda m: m.cummax(m.tensor([3.0, NAN, 1.0]), 0).values,
        [3.0, NAN, NAN], "float32"),
    "cumsum: ints": (lambda m: m.cumsum(m.tensor([1, 2], dtype=m.int32), 0), [1, 3], "int64"),
    "cumsum: dtype": (
        lambda m: m.cumsum(m.tensor([1, 2]), 0, dtype=m.float64),
        [1.0, 3.0], "float64"),
    "cumprod: bools": (lambda m: m.cumprod(m.tensor([True, True, False]), 0), [1, 1, 0], "int64"),
    "cumsum: 0-d": (lambda m: m.cumsum(m.tensor(2.0), 0), 2.0, "float32"),
    "prod: ints": (lambda m: m.prod(m.tensor([2, 3], dtype=m.int32)), 6, "int64"),
    "prod: dtype": (lambda m: m.tensor([2, 3]).prod(dtype=m.float32), 6.0, "float32"),
    "prod: empty": (lambda m: m.prod(m.zeros(0)), 1.0, "float32"),
    "sum: uint8": (lambda m: m.tensor([200, 100], dtype=m.uint8).sum(), 300, "int64"),
    "sum: empty dims": (lambda m: A(m).sum(()), 2.0, "float32"),
    "nansum: ints": (lambda m: m.nansum(m.tensor([1, 2])), 3, "int64"),
    "all: axes": (lambda m: m.all(A(m) > -9, (0, 1)), True, "bool"),
    "all: uint8": (lambda m: m.all(m.tensor([1, 0], dtype=m.uint8)), 0, "uint8"),
    "any: axis": (lambda m: m.any(A(m) > 1, dim=1, keepdim=True), [[True], [True]], "bool"),
    "any: floats": (lambda m: m.any(m.tensor([0.0, NAN])), True, "bool"),
    "count_nonzero": (lambda m: m.count_nonzero(m.tensor([[0, 1], [2, 0]]), 0), [1, 1], "int64"),
    "count_nonzero: all": (lambda m: m.count_nonzero(m.tensor([0.0, 3.0])), 1, "int64"),
    "aminmax: ints": (lambda m: m.aminmax(m.tensor([[3, 1], [2, 5]]), dim=1).max, [3, 5], "int64"),
    "max: ints, other": (lambda m: m.max(m.tensor([1, 5]), m.tensor([3, 2])), [3, 5], "int64"),
    "max: NaN": (lambda m: m.tensor([1.0, NAN, 2.0]).max(0).indices, 1, "int64"),
    "maximum: NaN": (
        lambda m: m.maximum(m.tensor([NAN, 1.0]), m.tensor([1.0, NAN])),
        [NAN, NAN], "float32"),
    "fmax: NaN": (
        lambda m: m.fmax(m.tensor([NAN, 1.0, NAN]), m.tensor([1.0, NAN, NAN])),
        [1.0, 1.0, NAN], "float32"),
    "var: one dim argument": (
        lambda m: m.var(m.tensor([[1.0, 2.0], [3.0, 5.0]]), False),
        2.1875, "float32"),
    "unique": (lambda m: m.unique(m.tensor([[3, 1], [1, 2]])), [1, 2, 3], "int64"),
    "unique: inverse": (
        lambda m: m.unique(m.tensor([[3, 1], [1, 2]]), return_inverse=True)[1],
        [[2, 0], [0, 1]], "int64"),
    "unique: counts": (
        lambda m: m.unique(m.tensor([[3, 1], [1, 2]]), return_counts=True)[1],
        [2, 1, 1], "int64"),
    "unique: rows": (
        lambda m: m.unique(m.tensor([[1, 2], [0, 5], [1, 2]]), dim=0, return_inverse=True)[1],
        [1, 0, 1], "int64"),
    "unique_consecutive": (
        lambda m: m.unique_consecutive(m.tensor([1, 1, 2, 2, 1])),
        [1, 2, 1], "int64"),
    "unique_consecutive: inverse": (
        lambda m: m.unique_consecutive(m.tensor([1, 1, 2, 1]), return_inverse=True)[1],
        [0, 0, 1, 2], "int64"),
    "unique_consecutive: counts": (
        lambda m: m.unique_consecutive(m.tensor([1, 1, 2, 1]), return_counts=True)[1],
        [2, 1, 1], "int64"),
    "unique_consecutive: rows": (
        lambda m: m.unique_consecutive(m.tensor([[1, 2], [1, 2], [0, 0]]), dim=0),
        [[1, 2], [0, 0]], "int64"),
    "searchsorted": (
        lambda m: m.searchsorted(m.tensor([1, 3, 5]), m.tensor([[0, 3], [5, 9]])),
        [[0, 1], [2, 3]], "int64"),
    "searchsorted: right": (
        lambda m: m.searchsorted(m.tensor([1, 3, 5]), m.tensor([3, 5]), right=True),
        [2, 3], "int64"),
    "searchsorted: side": (
        lambda m: m.searchsorted(m.tensor([1, 3, 5]), m.tensor([3]), side="right"),
        [2], "int64"),
    "searchsorted: a number": (lambda m: m.searchsorted(m.tensor([1, 3, 5]), 4), 2, "int64"),
    "searchsorted: rows": (
        lambda m: m.searchsorted(
            m.tensor([[1, 3], [2, 9]]), m.tensor([[2, 4], [2, 4]]), out_int32=True),
        [[1, 2], [0, 1]], "int32"),
    "searchsorted: sorter": (
        lambda m: m.searchsorted(m.tensor([5, 1, 3]), m.tensor([2]), sorter=m.tensor([1, 2, 0])),
        [1], "int64"),
    "bucketize": (lambda m: m.bucketize(m.tensor([0, 1, 4]), m.tensor([1, 3])), [0, 0, 2], "int64"),
    "bincount": (lambda m: m.bincount(m.tensor([0, 2, 2]), minlength=5), [1, 0, 2, 0, 0], "int64"),
    "bincount: weights": (
        lambda m: m.bincount(m.tensor([0, 2, 2]), m.tensor([0.5, 1.0, 2.0])),
        [0.5, 0.0, 3.0], "float32"),
    "bincount: integer weights": (
        lambda m: m.bincount(m.tensor([1, 1]), m.tensor([2, 3])),
        [0.0, 5.0], "float64"),
    "histc": (
        lambda m: m.histc(m.tensor([1.0, 2.0, 1.0, 9.0]), 4, 0, 3),
        [0.0, 2.0, 1.0, 0.0], "float32"),
    "histc: own range": (
        lambda m: m.histc(m.tensor([1.0, 2.0, 4.0]), 3),
        [1.0, 1.0, 1.0], "float32"),
    "histc: one value": (lambda m: m.histc(m.tensor([1.0, 1.0]), 2), [0.0, 2.0], "float32"),
    "histogram": (
        lambda m: m.histogram(m.tensor([1.0, 2.0, 1.0]), 4, range=(0.0, 3.0)).hist,
        [0.0, 2.0, 1.0, 0.0], "float32"),
    "histogram: edges": (
        lambda m: m.histogram(m.tensor([1.0, 2.0, 1.0]), 2).bin_edges,
        [1.0, 1.5, 2.0], "float32"),
    "histogram: density": (
        lambda m: m.histogram(m.tensor([1.0, 2.0]), m.tensor([0.0, 1.5, 4.0]), density=True).hist,
        [0.3333333, 0.2], "float32"),
    "nonzero": (lambda m: m.nonzero(m.tensor([[0, 1], [2, 0]])), [[0, 1], [1, 0]], "int64"),
    "nonzero: tuple": (
        lambda m: m.nonzero(m.tensor([[0, 1], [2, 0]]), as_tuple=True)[1],
        [1, 0], "int64"),
    "nonzero: 0-d": (lambda m: m.nonzero(m.tensor(3)), [[]], "int64"),
    "argwhere": (lambda m: m.argwhere(m.tensor([0.0, 2.0])), [[1]], "int64"),
    "isin": (
        lambda m: m.isin(m.tensor([[1, 2], [3, 4]]), m.tensor([2, 3])),
        [[False, True], [True, False]], "bool"),
    "isin: inverted": (lambda m: m.isin(m.tensor([1, 2]), 2, invert=True), [True, False], "bool"),
    "isposinf": (lambda m: m.isposinf(m.tensor([INF, -INF, 1.0])), [True, False, False], "bool"),
    "isneginf": (lambda m: m.isneginf(m.tensor([INF, -INF, 1.0])), [False, True, False], "bool"),
    "signbit": (lambda m: m.signbit(m.tensor([-0.0, 0.0, -3.0])), [True, False, True], "bool"),
    "signbit: ints": (lambda m: m.signbit(m.tensor([-1, 0])), [True, False], "bool"),
    "heaviside": (
        lambda m: m.heaviside(m.tensor([-1.0, 0.0, 2.0]), m.tensor([0.5])),
        [0.0, 0.5, 1.0], "float32"),
    "logical_xor": (
        lambda m: m.logical_xor(m.tensor([0, 1, 2]), m.tensor([0, 0, 5])),
        [False, True, False], "bool"),
    "bitwise_and": (lambda m: m.tensor([6, 3]) & 2, [2, 2], "int64"),
    "bitwise_or": (lambda m: m.bitwise_or(m.tensor([6, 3]), m.tensor([1, 8])), [7, 11], "int64"),
    "bitwise_xor: bools": (lambda m: m.tensor([True, False]) ^ True, [False, True], "bool"),
    "bitwise_not": (lambda m: m.bitwise_not(m.tensor([0, 5], dtype=m.int8)), [-1, -6], "int8"),
    "bitwise_left_shift": (lambda m: m.tensor([1, 3]) << 2, [4, 12], "int64"),
    "bitwise_right_shift": (lambda m: m.tensor([-8, 9]) >> 1, [-4, 4], "int64"),
    "gcd": (lambda m: m.gcd(m.tensor([12, 7]), m.tensor([18, 14])), [6, 7], "int64"),
    "lcm": (lambda m: m.lcm(m.tensor([4, 7]), m.tensor([6, 14])), [12, 14], "int64"),
    "floor_divide: ints": (lambda m: m.tensor([7, -7]) // 2, [3, -4], "int64"),
    "floor_divide: floats": (lambda m: m.tensor([1.0, -1.0]) // 0.1, [9.0, -10.0], "float32"),
    "floor_divide: of a number": (lambda m: 7 // m.tensor([2, -2]), [3, -4], "int64"),
    "div: trunc, ints": (
        lambda m: m.div(m.tensor([7, -7]), 2, rounding_mode="trunc"),
        [3, -3], "int64"),
    "div: trunc, bools": (
        lambda m: m.div(m.tensor([7, -7]), m.tensor([-2, 3]), rounding_mode="trunc"),
        [-3, -2], "int64"),
    "div: floor of integers by float": (
        lambda m: m.div(m.tensor([7, -7]), 2.0, rounding_mode="floor"),
        [3.0, -4.0], "float32"),
    "remainder: ints": (lambda m: m.remainder(m.tensor([7, -7]), 3), [1, 2], "int64"),
    "fmod: ints": (lambda m: m.fmod(m.tensor([7, -7]), 3), [1, -1], "int64"),
    "fmod: floats": (lambda m: m.fmod(m.tensor([5.5, -5.5]), 2), [1.5, -1.5], "float32"),
    "float_power: ints": (lambda m: m.float_power(m.tensor([2, 3]), 2), [4.0, 9.0], "float64"),
    "pow: ints": (lambda m: m.tensor([2, 3]) ** 2, [4, 9], "int64"),
    "pow: bool exponent": (lambda m: m.pow(2, m.tensor([1, 3])), [2, 8], "int64"),
    "floor: ints": (lambda m: m.floor(m.tensor([1, -2])), [1, -2], "int64"),
    "round: halves": (lambda m: m.round(m.tensor([0.5, 1.5, -2.5])), [0.0, 2.0, -2.0], "float32"),
    "trunc: signs": (lambda m: m.trunc(m.tensor([-1.5, 1.5])), [-1.0, 1.0], "float32"),
    "frac": (lambda m: m.frac(m.tensor([-1.25, 2.5])), [-0.25, 0.5], "float32"),
    "sign: ints": (lambda m: m.sign(m.tensor([-3, 0, 2])), [-1, 0, 1], "int64"),
    "copysign: zeros": (
        lambda m: m.copysign(m.tensor([1.0, 1.0]), m.tensor([-0.0, 0.0])),
        [-1.0, 1.0], "float32"),
    "nan_to_num: float32": (
        lambda m: m.nan_to_num(m.tensor([NAN, INF, -INF])),
        [0.0, 3.402823e+38, -3.402823e+38], "float32"),
    "nan_to_num: given": (
        lambda m: m.nan_to_num(m.tensor([NAN, INF, -INF]), 1.0, 2.0, 3.0),
        [1.0, 2.0, 3.0], "float32"),
    "xlogy: zeros": (
        lambda m: m.xlogy(m.tensor([0.0, 0.0, 0.0]), m.tensor([0.0, INF, NAN])),
        [0.0, 0.0, NAN], "float32"),
    "logaddexp: infinite": (
        lambda m: m.logaddexp(m.tensor([-INF, INF]), m.tensor([-INF, 1.0])),
        [-INF, INF], "float32"),
    "hypot": (lambda m: m.hypot(m.tensor([3.0]), m.tensor([4.0])), [5.0], "float32"),
    "erfinv: ends": (
        lambda m: m.erfinv(m.tensor([-1.0, 0.0, 1.0, 2.0])),
        [-INF, 0.0, INF, NAN], "float32"),
    "lgamma: poles": (
        lambda m: m.lgamma(m.tensor([0.0, -1.0, 1.0, 3.0, INF])),
        [INF, INF, 0.0, 0.6931472, INF], "float32"),
    "digamma: poles": (
        lambda m: m.digamma(m.tensor([1.0, 2.0])) - m.digamma(m.tensor([2.0, 3.0])),
        [-1.0, -0.5], "float32"),
    "sinc: zero": (lambda m: m.sinc(m.tensor([0.0, 0.5])), [1.0, 0.6366197], "float32"),
    "logit: ends": (lambda m: m.logit(m.tensor([0.0, 1.0, 0.5])), [-INF, INF, 0.0], "float32"),
    "exp2: ints": (lambda m: m.exp2(m.tensor([1, 3])), [2.0, 8.0], "float32"),
    "deg2rad: ints": (lambda m: m.deg2rad(m.tensor([0, 0])), [0.0, 0.0], "float32"),
    "atan2: quadrants": (
        lambda m: m.atan2(m.tensor([1.0, -1.0, 0.0]), m.tensor([-1.0, -1.0, -1.0])),
        [2.356194, -2.356194, 3.141593], "float32"),
    "clamp: ints": (lambda m: m.clamp(m.tensor([1, 5, 9]), 2, 7), [2, 5, 7], "int64"),
    "clamp: min above max": (
        lambda m: m.clamp(m.tensor([1.0, 5.0]), 4.0, 2.0),
        [2.0, 2.0], "float32"),
    "clamp: ints by floats": (lambda m: m.clamp(m.tensor([1, 5]), 1.5), [1.5, 5.0], "float32"),
    "masked_fill: ints": (
        lambda m: m.tensor([1, 2]).masked_fill(m.tensor([True, False]), 7),
        [7, 2], "int64"),
    "where: scalars": (lambda m: m.where(m.tensor([True, False]), 1, 0), [1, 0], "int64"),
    "lerp: tensors": (
        lambda m: m.lerp(m.zeros(2), m.ones(2), m.tensor([0.25, 0.5])),
        [0.25, 0.5], "float32"),
    "diff: bools": (lambda m: m.diff(m.tensor([True, False, False])), [True, False], "bool"),
    "diff: beyond the end": (lambda m: m.diff(m.tensor([1, 2]), 3), [], "int64"),
    "flip: ints": (lambda m: m.flip(m.tensor([[1, 2], [3, 4]]), (0,)), [[3, 4], [1, 2]], "int64"),
    "rot90: backwards": (
        lambda m: m.rot90(m.tensor([[1, 2], [3, 4]]), -1),
        [[3, 1], [4, 2]], "int64"),
    "tile: more axes": (
        lambda m: m.tile(m.tensor([1, 2]), (2, 2)),
        [[1, 2, 1, 2], [1, 2, 1, 2]], "int64"),
    "repeat: once": (lambda m: m.tensor([1, 2]).repeat(1), [1, 2], "int64"),
    "repeat: none": (lambda m: m.tensor([1, 2]).repeat(0, 1), [], "int64"),
    "repeat_interleave: counts alone": (
        lambda m: m.repeat_interleave(m.tensor([1, 0, 2])),
        [0, 2, 2], "int64"),
    "cat: types": (lambda m: m.cat([m.tensor([1]), m.tensor([2.5])]), [1.0, 2.5], "float32"),
    "chunk: empty": (lambda m: m.zeros(0, 2).chunk(2)[1], [], "float32"),
    "split: empty": (lambda m: m.zeros(0).split(3)[0], [], "float32"),
    "tensor_split: tensor": (
        lambda m: m.tensor_split(m.arange(5), m.tensor([1, 3]))[1],
        [1, 2], "int64"),
    "tril: ints": (lambda m: m.tril(m.ones(2, 3, dtype=m.int64)), [[1, 0, 0], [1, 1, 0]], "int64"),
    "triu: bools": (lambda m: m.triu(m.ones(2, 2) > 0, 1), [[False, True], [False, False]], "bool"),
    "diag: ints": (
        lambda m: m.diag(m.tensor([1, 2]), 1),
        [[0, 1, 0], [0, 0, 2], [0, 0, 0]], "int64"),
    "trace: ints": (lambda m: m.trace(m.tensor([[1, 2], [3, 4]], dtype=m.int32)), 5, "int64"),
    "vander: ints": (
        lambda m: m.vander(m.tensor([1, 2, 3]), 3),
        [[1, 1, 1], [4, 2, 1], [9, 3, 1]], "int64"),
    "cov: ints": (
        lambda m: m.cov(m.tensor([[1, 2, 3], [3, 2, 1]])),
        [[1.0, -1.0], [-1.0, 1.0]], "float32"),
    "corrcoef: one": (lambda m: m.corrcoef(m.tensor([1.0, 2.0])), 1.0, "float32"),
    "take: negative": (lambda m: m.take(m.tensor([1, 2, 3]), m.tensor([-1])), [3], "int64"),
    "index_add: ints": (
        lambda m: m.zeros(3, dtype=m.int64).index_add(
            0, m.tensor([0, 0, 2]), m.tensor([1, 2, 3]), alpha=2),
        [6, 0, 6], "int64"),
    "index_select: 0-d": (lambda m: m.index_select(m.tensor(5), 0, m.tensor([0])), 5, "int64"),
    "scatter: add": (
        lambda m: m.zeros(3).scatter(0, m.tensor([1, 1]), 2.0, reduce="add"),
        [0.0, 4.0, 0.0], "float32"),
    "scatter: multiply": (
        lambda m: m.ones(3).scatter(0, m.tensor([1, 1]), 3.0, reduce="multiply"),
        [1.0, 9.0, 1.0], "float32"),
    "scatter_add: ints": (
        lambda m: m.zeros(3, dtype=m.int64).scatter_add(0, m.tensor([2, 2]), m.tensor([1, 5])),
        [0, 0, 6], "int64"),
    "scatter_reduce: mean of ints": (
        lambda m: m.tensor([9, 8]).scatter_reduce(0, m.tensor([0, 0]), m.tensor([2, 2]), "mean"),
        [4, 8], "int64"),
    "gather: 0-d": (lambda m: m.gather(m.tensor(4), 0, m.tensor(0)), 4, "int64"),
    "quantile: NaN": (
        lambda m: m.quantile(m.tensor([[1.0, NAN], [1.0, 3.0]]), 0.5, 1),
        [NAN, 2.0], "float32"),
    "nanquantile: row of NaN": (
        lambda m: m.nanquantile(m.tensor([[NAN, NAN], [1.0, 3.0]]), 0.5, 1),
        [NAN, 2.0], "float32"),
    "isclose: infinite": (
        lambda m: m.isclose(m.tensor([INF, 1.0, NAN]), m.tensor([INF, 1.1, NAN]), rtol=0.2),
        [True, True, False], "bool"),
    "isclose: equal NaN": (
        lambda m: m.isclose(m.tensor([NAN]), m.tensor([NAN]), equal_nan=True),
        [True], "bool"),
    "result_type": (lambda m: m.result_type(m.tensor([1]), 2.5), "float32", None),
    "promote_types": (lambda m: m.promote_types(m.int32, m.float16), "float16", None),
    "can_cast": (lambda m: m.can_cast(m.float64, m.int64), False, None),
    "is_nonzero": (lambda m: m.is_nonzero(m.tensor([0.0])), False, None),
    "is_tensor": (lambda m: m.is_tensor(m.tensor(1)), True, None),
    "numel": (lambda m: m.numel(m.zeros(2, 3)), 6, None),
    "arange: keywords": (lambda m: m.arange(start=1, end=4), [1, 2, 3], "int64"),
    "arange: tensors": (lambda m: m.arange(m.tensor(3)), [0, 1, 2], "int64"),
    "arange: float tensor": (lambda m: m.arange(0, m.tensor(2.5)), [0.0, 1.0, 2.0], "float32"),
    "linspace: ints": (lambda m: m.linspace(0, 10, 5, dtype=m.int64), [0, 2, 5, 7, 10], "int64"),
    "linspace: none": (lambda m: m.linspace(0, 1, 0), [], "float32"),
    "logspace": (lambda m: m.logspace(0, 2, 3), [1.0, 10.0, 100.0], "float32"),
    "logspace: base": (lambda m: m.logspace(0, 3, 4, base=2), [1.0, 2.0, 4.0, 8.0], "float32"),
    "tril_indices": (
        lambda m: m.tril_indices(3, 3),
        [[0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2]], "int64"),
    "triu_indices": (lambda m: m.triu_indices(2, 3, 1), [[0, 0, 1], [1, 2, 2]], "int64"),
    "zeros: size": (lambda m: m.zeros(size=(2,)), [0.0, 0.0], "float32"),
    "zeros: tensor sizes": (lambda m: m.zeros(m.tensor(2), 1), [[0.0], [0.0]], "float32"),
    "full: tensor": (lambda m: m.full((2,), m.tensor(1)), [1, 1], "int64"),
    "scalar_tensor": (lambda m: m.scalar_tensor(3), 3.0, "float32"),
    "new_full": (lambda m: m.ones(1, dtype=m.float64).new_full((2,), 3), [3.0, 3.0], "float64"),
    "new_tensor": (lambda m: m.ones(1, dtype=m.float64).new_tensor([1, 2]), [1.0, 2.0], "float64"),
    "new_zeros": (lambda m: m.ones(1).new_zeros(2, 1, dtype=m.int64), [[0], [0]], "int64"),
    "LongTensor": (lambda m: m.LongTensor([1.5, 2.0]), [1, 2], "int64"),
    "FloatTensor": (lambda m: m.FloatTensor([[1], [2]]), [[1.0], [2.0]], "float32"),
    "BoolTensor": (lambda m: m.BoolTensor([1, 0]), [True, False], "bool"),
    "Tensor": (lambda m: m.Tensor([1, 2]), [1.0, 2.0], "float32"),
    "Tensor: tuple": (lambda m: m.Tensor((2, 3)), [2.0, 3.0], "float32"),
    "asarray": (lambda m: m.asarray([1, 2]), [1, 2], "int64"),
    "range of Python": (lambda m: m.tensor(range(3)), [0, 1, 2], "int64"),
    "byte": (lambda m: m.tensor([1.5, 2.5]).byte(), [1, 2], "uint8"),
    "sum_to_size": (lambda m: m.ones(2, 3).sum_to_size(1, 3), [[2.0, 2.0, 2.0]], "float32"),
    "stride": (lambda m: m.zeros(2, 3).T.stride(), [1, 3], None),
    "combinations: too few": (lambda m: m.combinations(m.tensor([1]), 2), [], "int64"),
    "cartesian_prod: one": (lambda m: m.cartesian_prod(m.tensor([1, 2])), [1, 2], "int64"),
    "block_diag: ints": (
        lambda m: m.block_diag(m.tensor([[1, 2]]), m.tensor(3)),
        [[1, 2, 0], [0, 0, 3]], "int64"),
    "movedim: negative": (lambda m: m.movedim(m.zeros(2, 3, 4), -1, 0).shape, [4, 2, 3], None),
    "broadcast_shapes": (lambda m: m.broadcast_shapes((2, 1), (3,)), [2, 3], None),
    "atleast_2d: several": (lambda m: m.atleast_2d(m.tensor(1), m.tensor([2]))[1], [[2]], "int64"),
    "meshgrid: 0-d": (
        lambda m: m.meshgrid(m.tensor(1), m.tensor([2, 3]), indexing="ij")[0],
        [[1, 1]], "int64"),
    "view: dtype": (lambda m: m.tensor([1.0]).view(m.int32), [1065353216], "int32"),
    "view: narrower dtype": (
        lambda m: m.tensor([1], dtype=m.int32).view(m.uint8),
        [1, 0, 0, 0], "uint8"),
}  # fmt: skip

values = pytest.mark.parametrize(("call", "value", "dtype"), VALUES.values(), ids=VALUES)


def plain(result):
    """(value, type): nested lists, and the type where it is a tensor."""
    if hasattr(result, "tolist") and hasattr(result, "shape"):
        return result.tolist(), str(result.dtype).removeprefix("torch.")
    if isinstance(result, tuple):
        return list(result), None
    if isinstance(result, (bool, int)):
        return result, None
    return str(result).removeprefix("torch."), None


def check(result, value, dtype):
    got, kind = plain(result)
    assert kind == dtype
    if dtype is None:
        assert got == value
    else:
        expected = np.array(value)
        np.testing.assert_allclose(np.array(got), expected, rtol=2e-6, atol=1e-7, strict=True)


@values
def test_values(call, value, dtype):
    check(call(tg), value, dtype)


@pytest.mark.peers
@values
def test_values_are_those_of_pytorch(torch, call, value, dtype):
    check(call(torch), value, dtype)


def test_every_function_without_gradient_has_a_value_here_or_elsewhere():
    import ops_table

    elsewhere = {
        "allclose", "causal_mask", "eq", "equal", "ge", "gt", "is_complex", "is_conj",
        "is_floating_point", "is_same_size", "isreal", "nextafter", "unravel_index",
        "is_signed", "isfinite", "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or",
        "lt", "ne", "ones_like", "zeros_like",
    }  # fmt: skip
    here = {name.partition(":")[0] for name in VALUES}
    assert here | elsewhere >= ops_table.NO_GRADIENT
